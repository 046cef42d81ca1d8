// Interceptors, and what travels with calls: by turns, told calls, pools and children, through
// kills; and our own two.
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "cluster_fixture.h"
#include "relay.h"
#include "troupe/actors/authorization.h"
#include "troupe/actors/interceptor.h"
#include "troupe/actors/tracing.h"

namespace troupe {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kToken[] = "0123456789abcdef-shop";

// Writes down what it sees, and refuses what it is told to.
class Witness final : public Interceptor {
 public:
  explicit Witness(std::vector<std::string>& seen, std::string name = "")
      : seen_(seen), name_(std::move(name)) {}
  void Before(CallInfo& call) override {
    seen_.push_back(absl::StrCat(name_, "before ", call.method, " of ", call.actor.key, " for ",
                                 std::string(call.received.Find("user")),
                                 call.by_actor ? " by an actor" : ""));
    if (refused_.contains(call.method)) {
      kj::throwFatalException(KJ_EXCEPTION(OVERLOADED, "not now"));
    }
    if (!adds_.empty()) call.metadata = call.metadata.With("user", adds_);
    ++open_;
  }
  void After(const CallInfo& call, const CallResult& result) override {
    --open_;
    if (result.moved) return;
    seen_.push_back(absl::StrCat(name_, "after ", call.method, " of ", call.actor.key,
                                 result.error != nullptr ? " failed" : ""));
    last_ = result;
    last_.error = nullptr;
  }

  std::vector<std::string>& seen_;
  const std::string name_;
  std::set<std::string> refused_;
  std::string adds_;
  int64_t open_ = 0;
  CallResult last_;
};

class Spans final : public SpanSink {
 public:
  void Write(std::string line) override { lines_.push_back(std::move(line)); }
  std::vector<std::string> lines_;
};

class InterceptTest : public ClusterFixture {
 protected:
  InterceptTest() {
    registry_.Host<RelayActor>();
    registry_.Host<HandActor>();
  }
  void Begin(std::vector<std::string> nodes = {"a", "b", "c"}) {
    registry_.Intercept(witness_);
    Start(std::move(nodes));
  }
  Relay::Ref At(const std::string& key, const std::string& user = "ann") {
    auto ref = client_->Get<Relay>(key);
    return user.empty() ? ref : ref.WithMetadata("user", user);
  }
  template <typename T>
  std::string Error(Task<T> task) {
    return ErrorOf(kj::mv(task).AsPromise().then([](auto&&...) {}));
  }
  bool Sees(const std::string& text) {
    return cluster_->RunUntil([&] { return std::ranges::find(seen_, text) != seen_.end(); },
                              absl::Seconds(10));
  }
  void Permit(const std::string& file) {
    auto permissions = Permissions::Parse(file, "permissions.toml");
    ASSERT_TRUE(permissions.ok()) << permissions.status();
    registry_.Intercept(std::make_shared<Authorization>(*std::move(permissions)));
  }

  std::vector<std::string> seen_;
  std::shared_ptr<Witness> witness_ = std::make_shared<Witness>(seen_);
};

TEST_P(InterceptTest, RunsBeforeAndAfterEachCallTheFirstOutermost) {
  registry_.Intercept(std::make_shared<Witness>(seen_, "outer "));
  Begin({"a"});
  EXPECT_EQ(cluster_->Await(At("x").Add(2)), 2u);
  EXPECT_THAT(Error(At("x").Fail()), HasSubstr("told to fail"));
  EXPECT_EQ(cluster_->Await(At("x").Value()), 2u);
  EXPECT_THAT(
      seen_, ElementsAre("outer before Relay.add of x for ann", "before Relay.add of x for ann",
                         "after Relay.add of x", "outer after Relay.add of x",
                         "outer before Relay.fail of x for ann", "before Relay.fail of x for ann",
                         "after Relay.fail of x failed", "outer after Relay.fail of x failed",
                         "outer before Relay.value of x for ann", "before Relay.value of x for ann",
                         "after Relay.value of x", "outer after Relay.value of x"));
}

TEST_P(InterceptTest, ARefusalRunsNothingAndIsNotRecorded) {
  Begin();
  witness_->refused_ = {"Relay.add", "Relay.value"};
  EXPECT_THAT(Error(At("x").Add(1)), HasSubstr("not now"));
  EXPECT_THAT(Error(At("x").Value()), HasSubstr("not now"));
  witness_->refused_.clear();
  EXPECT_EQ(cluster_->Await(At("x").Add(1)), 1u);
  EXPECT_EQ(witness_->open_, 0);
}

TEST_P(InterceptTest, TellsHowLongACallWaitedAndRan) {
  Begin({"a"});
  auto first = At("x").AddLater(300).AsPromise().eagerlyEvaluate(nullptr);
  cluster_->Run(absl::Milliseconds(100));
  EXPECT_EQ(cluster_->Await(At("x").AddLater(50)), 2u);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(witness_->last_.queued), 200, 20);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(witness_->last_.ran), 50, 5);
  cluster_->Await(kj::mv(first));
}

TEST_P(InterceptTest, MetadataIsHandedOnByWhatATurnCallsAndTells) {
  Begin();
  cluster_->Await(At("x").Pass("passed"));
  cluster_->Await(At("x").Inform("told"));
  cluster_->Await(At("x").ByPool("pooled"));
  cluster_->Await(At("x").ByChild("by-child"));
  EXPECT_TRUE(Sees("before Relay.add of passed for ann by an actor"));
  EXPECT_TRUE(Sees("before Relay.add of told for ann by an actor"));
  EXPECT_TRUE(Sees("before Relay.add of pooled for ann by an actor"));
  EXPECT_TRUE(Sees("before Relay.add of by-child for ann by an actor"));
}

TEST_P(InterceptTest, CallsOfATransactionAreJudgedOneByOne) {
  Begin();
  auto add_two = [&](Transaction& tx) -> Task<void> {
    co_await tx.Get<Relay>("x").WithMetadata("user", "ann").Add(1);
    co_await tx.Get<Relay>("y").WithMetadata("user", "bob").Add(1);
  };
  auto done = client_->Transact(add_two);
  cluster_->Await(kj::mv(done).AsPromise().then([] { return 0; }));
  EXPECT_TRUE(Sees("before Relay.add of x for ann"));
  EXPECT_TRUE(Sees("before Relay.add of y for bob"));
  EXPECT_EQ(cluster_->Await(At("y").Value()), 1u);
}

TEST_P(InterceptTest, WhatAnActorDoesByItselfHasNoMetadata) {
  Begin();
  cluster_->Await(At("x").Later("later"));
  cluster_->Await(At("x").PassInRead("read"));
  EXPECT_TRUE(Sees("before Relay.add of later for  by an actor"));
  EXPECT_TRUE(Sees("before Relay.add of read for  by an actor"));
}

TEST_P(InterceptTest, WhatATurnOrAnInterceptorAddsIsHandedOnFromThere) {
  Begin();
  cluster_->Await(At("x").PassWith("added", "user", "bob"));
  EXPECT_TRUE(Sees("before Relay.add of added for bob by an actor"));
  witness_->adds_ = "eve";
  cluster_->Await(At("x").Pass("changed"));
  EXPECT_TRUE(Sees("before Relay.pass of x for ann"));
  EXPECT_TRUE(Sees("before Relay.add of changed for eve by an actor"));
  EXPECT_THAT(Error(At("x").PassWith("y", std::string(65, 'k'), "v")),
              HasSubstr("metadata of a call: a key has 65 bytes, expected 1 to 64"));
}

TEST_P(InterceptTest, MetadataOfAToldCallOutlivesTheNodeOfItsTeller) {
  Begin();
  witness_->refused_ = {"Relay.add"};  // For now: it is told again.
  cluster_->Await(At("x").Inform("told"));
  EXPECT_TRUE(Sees("before Relay.add of told for ann by an actor"));
  cluster_->Kill(cluster_->PrimaryOf({capnp::typeId<Relay>(), "x"}));
  cluster_->Run(absl::Milliseconds(1));
  seen_.clear();
  witness_->refused_.clear();
  EXPECT_TRUE(Sees("after Relay.add of told"));
  EXPECT_THAT(seen_, ::testing::Contains("before Relay.add of told for ann by an actor"));
  EXPECT_EQ(cluster_->Await(At("told").Value()), 1u);
}

TEST_P(InterceptTest, ARetryThatIsAnsweredFromTheRecordIsNotSeenAgain) {
  Begin();
  Random random(GetParam());
  for (int i = 0; i < 6; ++i) {
    const std::string key = "k" + std::to_string(i);
    auto added = At(key).Add(1).AsPromise().eagerlyEvaluate(nullptr);
    cluster_->Run(absl::Microseconds(static_cast<int64_t>(random.Below(3000))));
    const auto victim = cluster_->PrimaryOf({capnp::typeId<Relay>(), key});
    cluster_->Kill(victim);
    EXPECT_EQ(cluster_->Await(kj::mv(added)), 1u);
    cluster_->Restart(victim);
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
    EXPECT_LE(std::ranges::count(seen_, "after Relay.add of " + key), 2);
  }
}

TEST_P(InterceptTest, MetadataIsNoPartOfWhichCallItIs) {
  Begin();
  // The same turn run again by another node has the same calls, whatever goes with them.
  EXPECT_EQ(cluster_->Await(At("x", "ann").Add(1)), 1u);
  EXPECT_EQ(cluster_->Await(At("x", "").Add(1)), 2u);
}

// ---- Authorization

TEST_P(InterceptTest, OnlyATokenThatAllowsItLetsACallPass) {
  Permit(absl::StrCat("anonymous = ['Relay.value']\n[[principal]]\nname = 'shop'\ntoken = '",
                      kToken, "'\nallow = ['Relay.add', 'Relay.pass', 'Relay.inform']\n"));
  Begin();
  const auto by_token = [&](const std::string& key, const std::string& token) {
    return client_->Get<Relay>(key).WithMetadata(kAuthorization, token);
  };
  EXPECT_THAT(Error(At("x").Add(1)), HasSubstr("not allowed: Relay.add of Relay needs a token, and "
                                               "the call carries none in its metadata "
                                               "\"authorization\""));
  EXPECT_EQ(cluster_->Await(At("x").Value()), 0u);
  EXPECT_EQ(cluster_->Await(by_token("x", kToken).Add(1)), 1u);
  EXPECT_THAT(Error(by_token("x", "another-one-0123456789").Add(1)),
              HasSubstr("was called with a token that no principal of this node has"));
  EXPECT_THAT(Error(by_token("x", kToken).Fail()),
              HasSubstr("not allowed: principal shop may not call Relay.fail of Relay"));
  // What it calls is for the same principal.
  cluster_->Await(by_token("x", kToken).Pass("y"));
  cluster_->Await(by_token("x", kToken).Inform("y"));
  EXPECT_TRUE(cluster_->RunUntil([&] { return cluster_->Await(At("y").Value()) == 2; }));
}

TEST_P(InterceptTest, WhatAnActorCallsByItselfNeedsNoToken) {
  Permit(absl::StrCat("[[principal]]\nname = 'shop'\ntoken = '", kToken,
                      "'\nallow = ['Relay.later', 'Relay.passInRead']\n"));
  Begin();
  const auto by_token = client_->Get<Relay>("x").WithMetadata(kAuthorization, kToken);
  cluster_->Await(by_token.Later("y"));
  cluster_->Await(by_token.PassInRead("z"));
  EXPECT_TRUE(Sees("after Relay.add of y"));
  EXPECT_TRUE(Sees("after Relay.add of z"));
}

// ---- Tracing

TEST_P(InterceptTest, ATraceHasASpanOfEachCallUnderTheOneThatMadeIt) {
  auto spans = std::make_shared<Spans>();
  registry_.Intercept(std::make_shared<Tracing>(spans));
  Begin();
  Random random(GetParam());
  const auto parent = NewTraceparent(random);
  const auto traced = client_->Get<Relay>("x").WithMetadata(kTraceparent, parent);
  cluster_->Await(traced.Pass("y"));
  cluster_->Await(At("x").Pass("untraced"));
  auto not_sampled = *TraceContext::Parse(parent);
  not_sampled.sampled = false;
  cluster_->Await(
      client_->Get<Relay>("x").WithMetadata(kTraceparent, not_sampled.ToString()).Pass("y"));
  ASSERT_THAT(spans->lines_, SizeIs(2));  // The inner call is answered first.
  const auto trace = parent.substr(3, 32);
  auto field = [](const std::string& line, const std::string& name) {
    const auto at = line.find("\"" + name + "\":\"") + name.size() + 4;
    return line.substr(at, line.find('"', at) - at);
  };
  const auto &inner = spans->lines_[0], &outer = spans->lines_[1];
  EXPECT_EQ(field(outer, "traceId"), trace);
  EXPECT_EQ(field(inner, "traceId"), trace);
  EXPECT_EQ(field(outer, "parentSpanId"), parent.substr(36, 16));
  EXPECT_EQ(field(inner, "parentSpanId"), field(outer, "spanId"));
  EXPECT_EQ(field(outer, "name"), "Relay.pass");
  EXPECT_THAT(inner,
              AllOf(HasSubstr("\"troupe.actor\":\"Relay/y\""),
                    HasSubstr("\"kind\":\"SPAN_KIND_SERVER\""), HasSubstr("\"troupe.ran_us\":")));
  EXPECT_THAT(inner, ::testing::Not(HasSubstr("STATUS_CODE_ERROR")));
}

TEST_P(InterceptTest, ATraceFollowsWhatIsTold) {
  auto spans = std::make_shared<Spans>();
  registry_.Intercept(std::make_shared<Tracing>(spans));
  Begin();
  Random random(GetParam());
  const auto parent = NewTraceparent(random);
  cluster_->Await(client_->Get<Relay>("x").WithMetadata(kTraceparent, parent).Inform("y"));
  ASSERT_TRUE(cluster_->RunUntil([&] { return spans->lines_.size() == 2; }, absl::Seconds(5)));
  for (const auto& line : spans->lines_) EXPECT_THAT(line, HasSubstr(parent.substr(3, 32)));
}

TEST_P(InterceptTest, WhatIsRefusedIsTracedAsAnError) {
  auto spans = std::make_shared<Spans>();
  registry_.Intercept(std::make_shared<Tracing>(spans));
  Permit("");
  Begin();
  Random random(GetParam());
  EXPECT_THAT(
      Error(client_->Get<Relay>("x").WithMetadata(kTraceparent, NewTraceparent(random)).Add(1)),
      HasSubstr("not allowed"));
  ASSERT_THAT(spans->lines_, SizeIs(1));
  EXPECT_THAT(spans->lines_[0], AllOf(HasSubstr("\"code\":\"STATUS_CODE_ERROR\""),
                                      HasSubstr("\"message\":\"not allowed: ")));
  EXPECT_THAT(seen_, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Seeds, InterceptTest, ::testing::Range<uint64_t>(1, 4));

}  // namespace
}  // namespace troupe
