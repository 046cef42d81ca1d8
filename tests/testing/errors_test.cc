// Errors: what users are told of mistakes of theirs that no other test makes (docs/errors.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "blunder.h"
#include "capnp/rpc-twoparty.h"
#include "troupe/actors/client.h"
#include "troupe/actors/gateway.capnp.h"
#include "troupe/actors/node_settings.h"
#include "troupe/actors/ref_message.h"
#include "troupe/actors/registry.h"
#include "troupe/membership/gossip_keys.h"
#include "troupe/membership/hosted_types.h"
#include "troupe/rpc/link.h"
#include "troupe/rpc/status.h"
#include "troupe/testing/harness.h"
#include "troupe/testing/local_node.h"

namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using troupe::Task;
using troupe::testing::Harness;
using troupe::testing::Renewal;
using Words = std::vector<std::string>;

class ErrorsTest : public ::testing::Test {
 protected:
  ErrorsTest() {
    harness_->Host<BlunderActor>([this] { return kj::heap<BlunderActor>(scene_); });
    blunder_ = harness_->Get<Blunder>("x");
  }
  ~ErrorsTest() noexcept override {
    blunder_ = {};
    scene_.kept = {};
    harness_ = nullptr;
  }
  std::string Commit(const std::string& what) { return harness_->Fails(blunder_.Commit(what)); }

  Scene scene_;
  std::unique_ptr<Harness> harness_ = std::make_unique<Harness>(
      troupe::testing::HarnessOptions{.renewal = Renewal::kAsInProduction});
  Blunder::Ref blunder_;
};

// ---- In an actor

TEST_F(ErrorsTest, OfTimersNameTheBoundAndWhatCame) {
  EXPECT_THAT(Commit("timers"), HasSubstr("an actor's object has at most 64 timers"));
  EXPECT_THAT(Commit("timer in the past"), AllOf(HasSubstr("a timer cannot be due after -1s"),
                                                 HasSubstr("expected zero or more")));
  EXPECT_THAT(Commit("timer too often"), AllOf(HasSubstr("a timer cannot be due every 1us"),
                                               HasSubstr("expected zero, for once, or at least")));
}

TEST_F(ErrorsTest, OfRemindersNameTheBoundAndWhatCame) {
  EXPECT_THAT(
      Commit("reminder at and after"),
      AllOf(HasSubstr("reminder bell of actor Blunder/x has both"), HasSubstr("`: give one")));
  EXPECT_THAT(Commit("reminder without a name"),
              HasSubstr("actor Blunder/x: the name of a reminder has 0 bytes, expected 1 to 256"));
  EXPECT_THAT(Commit("reminder too often"), HasSubstr("timers are for less"));
  EXPECT_THAT(Commit("reminder of another age"), HasSubstr("expected a time from 1970 to 2242"));
  EXPECT_THAT(Commit("reminders"), HasSubstr("cancel one before"));
}

TEST_F(ErrorsTest, OfAReminderThatTheClassCannotServeAreSeenOnceItIsSuspended) {
  harness_->Await(blunder_.Commit("unserved reminder"));
  harness_->Advance(absl::Seconds(30));
  EXPECT_THAT(harness_->Fails(blunder_.Take("")),
              AllOf(HasSubstr("it is tried again after"), HasSubstr("or at once by"),
                    HasSubstr("has no OnReminder() for its reminder: override it")));
}

TEST_F(ErrorsTest, OfANoticeThatTheClassCannotTakeAreSeenOnceItIsSuspended) {
  harness_->Await(blunder_.Commit("unserved notice"));
  harness_->Advance(absl::Seconds(30));
  EXPECT_THAT(harness_->Fails(blunder_.Take("")),
              HasSubstr("a notice failed: the actor's class has no OnNotice() for what it watches: "
                        "override it"));
}

TEST_F(ErrorsTest, OfWhatIsPartOfATurnSayWhereItWasCalled) {
  EXPECT_THAT(harness_->Fails(blunder_.Look("")),
              AllOf(HasSubstr("actor Blunder/x called SetReminder()"),
                    HasSubstr(" in a $Troupe.readOnly method"),
                    HasSubstr("call it in a turn that may change the actor")));
  harness_->Await(blunder_.Commit("stray"));
  scene_.go->fulfill();
  harness_->Advance(absl::Seconds(1));
  EXPECT_THAT(scene_.stray_tell, HasSubstr("outside of its turns"));
  EXPECT_THAT(scene_.stray_call, HasSubstr("made a call outside of a turn: wait for it"));
  harness_->Restart(blunder_);
  EXPECT_THAT(scene_.last_tell, HasSubstr("in OnDeactivate(), its object's last turn"));
  EXPECT_THAT(Commit("kept after erasure"), HasSubstr("called Persisted() after Erase()"));
}

TEST_F(ErrorsTest, OfARefWhoseActorIsGoneSaySo) {
  harness_->Await(blunder_.Commit("keep a ref"));
  harness_->Restart(blunder_);
  EXPECT_THAT(harness_->Fails(scene_.kept.Take("")),
              HasSubstr("the calling actor has been deactivated"));
}

struct Early final : Other::Actor {
  Early() { context(); }
  Task<void> Ask() override { co_return; }
};
struct Late final : Other::Actor {
  Task<void> OnActivate() override { co_await troupe::Fail("the shop is closed"); }
  Task<void> Ask() override { co_return; }
};

TEST(Errors, OfAnActivationThatFailsNameIt) {
  EXPECT_THAT(Thrown([] { Early(); }), HasSubstr("an actor has no name in its constructor"));
  Harness harness({.renewal = Renewal::kAsInProduction});
  harness.Host<Late>();
  EXPECT_THAT(harness.Fails(harness.Get<Other>("x").Ask()),
              HasSubstr("could not go on: its activation failed: the shop is closed"));
  troupe::Registry registry;
  registry.Host<Late>();
  EXPECT_THAT(Thrown([&] { registry.Host<Late>(); }),
              AllOf(HasSubstr("actor type Other is hosted twice"), HasSubstr("call Host() once")));
}

struct Forgetful final : Blunder::Actor {
  Task<std::string> Commit(std::string) override { co_return ""; }
  Task<void> Look(std::string) override { co_return; }
  Task<void> Take(std::string) override { co_return; }
  void Save(BlunderState::Builder out) const override { out.initBytes(1); }
  void Load(BlunderState::Reader) override { KJ_FAIL_REQUIRE("no such format"); }
};

TEST(Errors, OfASnapshotThatDoesNotLoadNameTheActor) {
  Harness harness({.renewal = Renewal::kAsInProduction});
  harness.Host<Forgetful>();
  auto blunder = harness.Get<Blunder>("x");
  harness.Await(blunder.Take(""));
  harness.Restart(blunder);
  EXPECT_THAT(harness.Fails(blunder.Take("")),
              AllOf(HasSubstr("the snapshot of actor"), HasSubstr("no such format")));
}

// ---- Calls

TEST_F(ErrorsTest, OfCallsNameTheBoundAndWhatCame) {
  EXPECT_THAT(Commit("large results"), HasSubstr("the results of Blunder.commit on Blunder/x are"));
  EXPECT_THAT(Commit("large results"), HasSubstr("can be sent"));
  harness_->NextCall(blunder_, "commit").LosesItsAnswer();
  EXPECT_THAT(Commit("results that are not kept"),
              AllOf(HasSubstr("ResultGone: Blunder.commit on Blunder/x"),
                    HasSubstr("was answered, but the answer is not kept")));
  EXPECT_THAT(Commit("long key"), AllOf(HasSubstr("the actor's key has"), HasSubstr("1025 bytes")));
  EXPECT_THAT(Commit("nobody"), HasSubstr("a ref that refers to nobody was called"));
  EXPECT_THAT(Commit("one id twice"),
              HasSubstr("came again under the same id with other arguments"));
  EXPECT_THAT(Commit("deeper"), HasSubstr("calls within calls are"));
  EXPECT_THAT(harness_->Fails(blunder_.Take(std::string(9 << 20, 'x'))),
              HasSubstr("the parameters of the call to"));
}

TEST_F(ErrorsTest, OfAMethodThatTheActorDoesNotHaveAskForItsVersion) {
  auto request = Blunder::Client(blunder_).castAs<Other>().askRequest();
  EXPECT_THAT(harness_->Fails(request.send().ignoreResult()),
              AllOf(HasSubstr("actor type Blunder has no interface"),
                    HasSubstr("is its schema older here?")));
}

TEST_F(ErrorsTest, OfDeadlinesSayWhereTheTimeWent) {
  harness_->NextCall(blunder_, "take").Waits(absl::Seconds(10));
  auto slow = blunder_.Take("").AsPromise().eagerlyEvaluate(nullptr);
  EXPECT_THAT(
      harness_->Fails(blunder_.WithDeadline(absl::Seconds(1)).Take("")),
      AllOf(HasSubstr("did not get its turn before its deadline"), HasSubstr("calls wait")));
  EXPECT_THAT(harness_->Fails(blunder_.WithDeadline(absl::ZeroDuration()).Take("")),
              HasSubstr("arrived after its deadline"));
  harness_->Await(kj::mv(slow));
}

TEST(Errors, OfACallThatReachesNobodyTellTheTrouble) {
  Scene scene;
  Harness harness({.nodes = 3});
  harness.Host<BlunderActor>([&] { return kj::heap<BlunderActor>(scene); });
  auto blunder = harness.Get<Blunder>("x");
  harness.Await(blunder.Take(""));
  const std::string node = harness.cluster().PrimaryOf(blunder.id());
  harness.cluster().world().Cut("test", node);
  harness.cluster().world().ResetConnections("test", node);
  EXPECT_THAT(harness.Fails(blunder.WithDeadline(absl::Seconds(5)).Take("")),
              AllOf(HasSubstr("no answer from actor"), HasSubstr("no connection to node")));
}

TEST_F(ErrorsTest, OfRefsInAMessageNameTheBound) {
  troupe::OutgoingMessage message;
  auto refs = message.root().initAs<capnp::List<Blunder>>(65537);
  for (unsigned i = 0; i < refs.size(); ++i) refs.set(i, blunder_);
  EXPECT_THAT(Thrown([&] { message.ToWords(); }),
              AllOf(HasSubstr("a message holds"), HasSubstr("65537 refs; at most 65536")));
}

TEST_F(ErrorsTest, OfACapabilityThatIsNoRefSayWhereRefsComeFrom) {
  struct Stranger final : Other::Server {};
  EXPECT_THAT(Thrown([] { Other::Ref(Other::Client(kj::heap<Stranger>())); }),
              HasSubstr("a capability is not a ref of an actor; ask for it with Get()"));
}

TEST(Errors, OfTheGatewayNameWhatIsHosted) {
  troupe::testing::LocalNode node;
  node.Host<Late>();
  auto& network = node.machine().control().network();
  auto dialed =
      network.Dial(node.node().address(), absl::Seconds(10)).wait(node.machine().wait_scope());
  capnp::TwoPartyClient client(*dialed.stream);
  auto gateway = client.bootstrap().castAs<troupe::gateway::Node>();
  auto ask = [&](uint64_t type, size_t key_bytes) {
    auto request = gateway.actorRequest();
    request.setType(type);
    request.initKey(static_cast<unsigned>(key_bytes));
    return Thrown([&] { request.send().wait(node.machine().wait_scope()); });
  };
  EXPECT_THAT(ask(7, 1), AllOf(HasSubstr("no actor type with id"), HasSubstr("hosted are: Other")));
  EXPECT_THAT(ask(capnp::typeId<Other>(), 1025),
              AllOf(HasSubstr("the key has"), HasSubstr("1025")));
}

TEST(Errors, OfAClientSayWhichNodesItTried) {
  troupe::testing::LocalNode node;
  node.Host<Late>();
  auto& host = node.machine().control();
  EXPECT_THAT(Thrown([&] { troupe::Client(host, {}); }),
              HasSubstr("a client needs the host:port of at least one node"));
  troupe::Client client(host, {.nodes = {"127.0.0.1:1"}});
  EXPECT_THAT(
      Thrown([&] { client.Connected(absl::Milliseconds(50)).wait(node.machine().wait_scope()); }),
      AllOf(HasSubstr("no node of the cluster answered within"), HasSubstr("127.0.0.1:1")));
}

// ---- The kit

TEST(Errors, OfTheHarnessSayWhatToWriteInstead) {
  EXPECT_THAT(Thrown([] { Harness none({.nodes = 0}); }),
              AllOf(HasSubstr("a harness has 1 to"), HasSubstr("got 0")));
  Harness harness;
  EXPECT_THAT(Thrown([&] { harness.cluster(); }), HasSubstr("nothing is hosted here yet"));
  harness.Host<Forgetful>();
  EXPECT_THAT(Thrown([&] { harness.Host<Forgetful>(); }),
              HasSubstr("is hosted already; a class goes before the first Fake or"));
  EXPECT_THAT(Thrown([&] { harness.Get<Other>("x"); }),
              HasSubstr("is hosted here; say harness.Host<"));
  struct Still : troupe::testing::Stateless<Other> {
    Task<void> Ask() override { co_return; }
  } still;
  harness.StandIn("still", still);
  EXPECT_THAT(Thrown([&] { harness.StandIn("still", still); }),
              HasSubstr("has a stand-in already"));
  EXPECT_THAT(Thrown([&] { harness.Fake<Other>("still"); }),
              HasSubstr("has an object of the test's as its stand-in"));
  EXPECT_THAT(Thrown([&] { harness.Advance(-absl::Seconds(1)); }),
              HasSubstr("time does not go back, got"));
}

TEST(Errors, OfALocalNodeSayWhatIsAwaited) {
  troupe::testing::LocalNode none;
  EXPECT_THAT(Thrown([&] { none.node(); }),
              HasSubstr("no cluster is founded: test hosts no types"));
  troupe::testing::LocalNode node;
  node.Host<Late>();
  EXPECT_THAT(Thrown([&] { node.Await(kj::Promise<void>(kj::NEVER_DONE), absl::Milliseconds(1)); }),
              HasSubstr("in which each call with the usual deadline would have ended"));
}

// ---- Settings

std::string Complaint(Words flags, const std::string& file = "") {
  auto settings =
      troupe::Settings::Read(troupe::NodeSettingTable({"node-abc", 4}),
                             {std::move(flags), Words(), [&](const std::string&) { return file; }});
  if (!settings.ok()) return std::string(settings.status().message());
  auto node = troupe::ToNodeSettings(*settings);
  return node.ok() ? "none" : std::string(node.status().message());
}

TEST(Errors, OfSettingsSayWhatWouldBeRight) {
  EXPECT_EQ(Complaint({"listen"}), "expected a flag such as --listen, got \"listen\"");
  EXPECT_THAT(Complaint({"--config=a.toml"}, "[node]\na = 1"),
              HasSubstr("expected text, a number, true, false"));
  EXPECT_THAT(Complaint({"--config=a.toml"}, "a = = 1"), HasSubstr(" line 1: not TOML: "));
  EXPECT_THAT(Complaint({"--listen=10.0.0.1:7100"}),
              HasSubstr("can be reached from other computers"));
  EXPECT_THAT(Complaint({"--listen=0.0.0.0:7100", "--insecure"}),
              HasSubstr("expected the setting advertise beside it"));
  EXPECT_THAT(Complaint({"--min-isr=3", "--replicas=2"}), HasSubstr("expected at most replicas"));
  std::string roles = "--roles=r0";
  for (int i = 1; i < 100; ++i) roles += ",r" + std::to_string(i);
  EXPECT_THAT(Complaint({roles}), AllOf(HasSubstr("expected at most 32"), HasSubstr(" roles")));
  EXPECT_THAT(std::string(troupe::GossipKeys::Parse("\n").status().message()),
              HasSubstr("expected at least one key, got none"));
  EXPECT_THAT(std::string(troupe::GossipKeys::Parse("short\n").status().message()),
              HasSubstr("characters that are not"));
}

TEST(Errors, OfNodesThatDoNotBelongTogetherNameWhatDiffers) {
  auto of = [](const std::string& node, uint64_t nonce) {
    troupe::Introduction out;
    out.node = node;
    out.nonce = {nonce, 1};
    return out;
  };
  auto ours = of("a", 1), theirs = of("b", 2);
  auto told = [&](uint16_t version_min, uint16_t version_max) {
    auto refusal = troupe::Judge(ours, theirs, version_min, version_max);
    return refusal ? refusal->detail : "none";
  };
  EXPECT_THAT(told(7, 9), AllOf(HasSubstr("speaks protocol versions"), HasSubstr("7 to 9")));
  ours.cluster = {1, 1};
  theirs.cluster = {2, 2};
  EXPECT_THAT(told(1, 9), HasSubstr("has the data directory or the seeds of another cluster"));
}

TEST(Errors, OfTypesThatDoNotFitNameTheTypeAndTheNode) {
  troupe::ClusterState state;
  state.types = {{1, "Account"}};
  state.nodes.emplace_back();
  state.nodes.back().name = "a";
  state.nodes.back().types = {1};
  EXPECT_THAT(std::string(troupe::CheckFits(state, "x", {{1, "Konto"}}).message()),
              AllOf(HasSubstr("as Konto, but node a hosts it as Account"),
                    HasSubstr(": an interface keeps its name as long as its id")));
  std::vector<troupe::HostedType> many;
  for (uint64_t i = 1; i <= 513; ++i) many.push_back({i, "T"});
  EXPECT_THAT(std::string(troupe::CheckTypes("x", many).message()),
              HasSubstr(" types, expected at most 512"));
}

}  // namespace
