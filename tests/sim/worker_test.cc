// Worker: one loop of a node by itself, with the rest of the node played by the test.
#include "troupe/actors/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "capnp/rpc-twoparty.h"
#include "counter.h"
#include "troupe/actors/gateway.capnp.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/sim_world.h"

namespace troupe {
namespace {

using ::testing::ElementsAre;

constexpr uint16_t kAdd = 0, kNever = 5;

class FakeControl final : public WorkerControl {
 public:
  explicit FakeControl(SimWorld& world) : world_(world) {}
  void Propose(Command) override {}
  void Confirm(size_t, kj::Function<void(SharedMap)> done) override { done(map); }
  void NeedNewerMap(uint64_t) override {}
  void OnLinkLoss(std::string, Boot, LinkLoss) override {}
  void OnTraffic(std::string, Boot) override {}
  void OnDiskFailure(std::string) override {}
  bool Forward(size_t, size_t, kj::Own<InboundCall> call) override {
    if (throw_next) {
      throw_next = false;
      kj::throwFatalException(Failed("told to throw"));
    }
    if (call->header().interface_id == kActivationInterface) {
      settled.push_back(std::get<ActorCall>(call->header().id).oldest_unsettled);
      call->Finish(Payload(call->params()));
      return true;
    }
    capnp::FlatArrayMessageReader reader(call->params().words());
    const uint64_t by = reader.getRoot<Counter::AddParams>().getBy();
    if (refuse_next) {
      refuse_next = false;
      refused.push_back(by);
      // As by way of two loops: what comes meanwhile is sent on.
      world_.After(absl::Milliseconds(2), [call = kj::mv(call)]() mutable { call = {}; });
      return false;
    }
    forwarded.push_back(by);
    kept_.push_back(kj::mv(call));
    return true;
  }
  void Status(size_t, uint64_t, kj::Function<void(Payload)> done) override {
    statuses.push_back(kj::mv(done));
  }

  void AnswerAll() {
    capnp::MallocMessageBuilder results;
    results.initRoot<Counter::AddResults>();
    AnswerAll(results);
  }
  void AnswerAll(capnp::MessageBuilder& results) {
    for (auto& call : std::exchange(kept_, {})) call->Finish(Payload::Of(results));
  }
  void Drop() {  // As when the node ends.
    for (auto& call : kept_) call->Abandon();
    kept_.clear();
  }

  SharedMap map;
  bool throw_next = false;
  bool refuse_next = false;
  std::vector<uint64_t> refused, forwarded, settled;
  std::vector<kj::Function<void(Payload)>> statuses;

 private:
  SimWorld& world_;
  std::vector<kj::Own<InboundCall>> kept_;
};

ShardEntry WithoutPrimary(Epoch epoch) {
  ShardEntry entry;
  entry.epoch = epoch;
  entry.primary = 0;
  entry.state = ShardState::kNoPrimary;
  return entry;
}

class WorkerTest : public ::testing::Test {
 protected:
  WorkerTest()
      : world_(1), host_(world_.AddMachine("a").control()), control_(world_), errors_(host_.log()) {
    registry_.Host<CounterActor>();
    Founder founder;
    founder.name = "a";
    founder.nonce = {1, 2};
    founder.addresses = {world_.Ip("a") + ":7100"};
    founder.types = {{capnp::typeId<Counter>(), "Counter"}};
    auto founded = Found({1, 1}, {.replicas = 1, .shards = 2}, {founder});
    first_ = std::make_shared<const ClusterState>(founded);
    control_.map = first_;
    introduction_.node = "a";
    introduction_.boot = founded.FindNode("a")->boot;
    // Two workers share the shards; this one has shard 0.
    worker_ = kj::heap<Worker>(host_, registry_, control_,
                               WorkerOptions{.index = 0, .count = 2, .replica = {}}, introduction_);
  }
  ~WorkerTest() noexcept override {
    control_.Drop();
    tasks_ = nullptr;
    worker_ = nullptr;
  }

  std::string KeyIn(ShardId shard, int from = 0) {
    for (int i = from;; ++i) {
      std::string key = std::to_string(i);
      if (ShardOf(CounterId(key), 2) == shard) return key;
    }
  }
  void GiveMap() { worker_->OnMap(first_, introduction_); }
  SharedMap Next(SharedMap map, std::function<void(ClusterState&)> change) {
    ClusterState next = *map;
    ++next.version;
    change(next);
    return control_.map = std::make_shared<const ClusterState>(next);
  }
  Payload By(uint64_t by) {
    capnp::MallocMessageBuilder message;
    message.initRoot<Counter::AddParams>().setBy(by);
    return Payload::Of(message);
  }
  void Call(const std::string& key, uint64_t by) {
    if (!tasks_) tasks_ = std::make_unique<kj::TaskSet>(errors_);
    tasks_->add(worker_->origin()
                    ->Call(CounterId(key), capnp::typeId<Counter>(), kAdd, By(by), {})
                    .ignoreResult());
  }
  // As by another actor, to the counter that is the first of shard 0.
  void DeliverAddTo(ActorCall id, std::string& outcome) {
    DeliverByActor(capnp::typeId<Counter>(), 3, id, outcome);
  }
  void DeliverSettle(ActorCall id, std::string& outcome) {
    DeliverByActor(kActivationInterface, 0, id, outcome);
  }
  void DeliverByActor(uint64_t interface_id, uint16_t method, ActorCall id, std::string& outcome) {
    capnp::MallocMessageBuilder message;
    auto params = message.initRoot<Counter::AddToParams>();
    params.setOther(KeyIn(1).c_str());
    params.setBy(5);
    CallHeader header{CounterId(KeyIn(0)), interface_id, method, id, {}, {9, 1, 1}};
    worker_->Deliver(
        kj::heap<InboundCall>(header, Payload::Of(message), host_.clock().Now() + absl::Seconds(10),
                              [&outcome](CallOutcome&& got) {
                                outcome = std::holds_alternative<Payload>(got) ? "results"
                                          : std::holds_alternative<kj::Exception>(got)
                                              ? Words(std::get<kj::Exception>(got))
                                              : "moved";
                              }));
    world_.RunFor(absl::Milliseconds(100));
  }
  // A call as from another process; its outcome in words.
  void Deliver(const std::string& key, uint16_t method, CallLane lane, std::string& outcome,
               absl::Duration limit = absl::Seconds(10)) {
    CallHeader header{CounterId(key),
                      capnp::typeId<Counter>(),
                      method,
                      ClientCall{{7, 7}, ++sequence_, 0},
                      {},
                      lane};
    worker_->Deliver(kj::heap<InboundCall>(
        header, By(1), host_.clock().Now() + limit, [&outcome](CallOutcome&& got) {
          outcome = std::holds_alternative<Payload>(got) ? "results"
                    : std::holds_alternative<Moved>(got) ? "moved"
                                                         : Words(std::get<kj::Exception>(got));
        }));
  }

  struct Errors final : kj::TaskSet::ErrorHandler {
    explicit Errors(const Log&) {}
    void taskFailed(kj::Exception&&) override {}
  };

  SimWorld world_;
  Host& host_;
  Registry registry_;
  FakeControl control_;
  Errors errors_;
  SharedMap first_;
  Introduction introduction_;
  uint64_t sequence_ = 0;
  kj::Own<Worker> worker_;
  std::unique_ptr<kj::TaskSet> tasks_;
};

TEST_F(WorkerTest, ServesTheShardsOfItsIndex) {
  GiveMap();
  world_.RunFor(absl::Seconds(1));
  std::string outcome;
  Deliver(KeyIn(0), kAdd, {9, 1, 1}, outcome);
  world_.RunFor(absl::Seconds(1));
  EXPECT_EQ(outcome, "results");
}

TEST_F(WorkerTest, GoesOnWhenOneTickThrows) {
  GiveMap();
  world_.RunFor(absl::Seconds(1));
  CallHeader header{CounterId(KeyIn(0)),
                    capnp::typeId<Counter>(),
                    kNever,
                    ClientCall{{8, 8}, 1, 0},
                    {},
                    {8, 1, 1}};
  worker_->Deliver(kj::heap<InboundCall>(
      header, By(1), host_.clock().Now() + absl::Seconds(1),
      [](CallOutcome&&) { kj::throwFatalException(Failed("told to throw")); }));
  world_.RunFor(absl::Seconds(2));  // The deadline: answering throws.
  std::string outcome;
  Deliver(KeyIn(0, 1000), kNever, {9, 1, 1}, outcome, absl::Seconds(1));
  world_.RunFor(absl::Seconds(2));
  EXPECT_THAT(outcome, ::testing::HasSubstr("is still running at its deadline"));
}

TEST_F(WorkerTest, SendsTheOtherLanesWhenOneCannotBeSent) {
  Call(KeyIn(1), 1);
  Call(KeyIn(1, 1000), 2);
  world_.RunFor(absl::Milliseconds(100));  // No map: both wait.
  control_.throw_next = true;
  GiveMap();
  EXPECT_THAT(control_.forwarded, ElementsAre(2));
  world_.RunFor(absl::Milliseconds(100));
  EXPECT_THAT(control_.forwarded, ElementsAre(2, 1));
}

TEST_F(WorkerTest, SendsNoCallBeforeOneThatFoundAFullInbox) {
  GiveMap();
  control_.refuse_next = true;
  for (uint64_t by = 1; by <= 3; ++by) Call(KeyIn(1), by);
  world_.RunFor(absl::Milliseconds(100));
  EXPECT_THAT(control_.refused, ElementsAre(1));
  EXPECT_THAT(control_.forwarded, ElementsAre(1, 2, 3));
}

TEST_F(WorkerTest, RunsNoCallBehindOneThatFoundNoCopy) {
  auto without = Next(first_, [](ClusterState& map) { map.shards[0] = WithoutPrimary(1); });
  worker_->OnMap(without, introduction_);
  std::string first, second, other, again;
  Deliver(KeyIn(0), kAdd, {9, 1, 1}, first);
  EXPECT_EQ(first, "moved");
  worker_->OnMap(Next(without,
                      [this](ClusterState& map) {
                        map.shards[0] = first_->shards[0];
                        map.shards[0].epoch = 2;
                      }),
                 introduction_);
  world_.RunFor(absl::Seconds(1));
  Deliver(KeyIn(0), kAdd, {9, 1, 1}, second);
  Deliver(KeyIn(0), kAdd, {9, 2, 1}, other);
  world_.RunFor(absl::Milliseconds(100));
  EXPECT_EQ(second, "moved") << "it was sent behind the first";
  EXPECT_EQ(other, "results") << "of another lane";
  Deliver(KeyIn(0), kAdd, {9, 1, 2}, again);
  world_.RunFor(absl::Milliseconds(100));
  EXPECT_EQ(again, "results");
}

TEST_F(WorkerTest, AnActorTellsItsMarkToWhomItHasCalled) {
  GiveMap();
  world_.RunFor(absl::Seconds(1));
  auto request = worker_->origin();
  capnp::MallocMessageBuilder message;
  auto params = message.initRoot<Counter::AddToParams>();
  params.setOther(KeyIn(1).c_str());
  params.setBy(5);
  bool answered = false;
  auto call =
      request->Call(CounterId(KeyIn(0)), capnp::typeId<Counter>(), 3, Payload::Of(message), {})
          .then([&](Payload&&) { answered = true; })
          .eagerlyEvaluate(nullptr);
  world_.RunFor(absl::Seconds(3));
  EXPECT_THAT(control_.forwarded, ElementsAre(5));
  EXPECT_THAT(control_.settled, ElementsAre()) << "its turn is open";
  control_.AnswerAll();
  world_.RunFor(absl::Seconds(3));
  EXPECT_TRUE(answered);
  EXPECT_THAT(control_.settled, ElementsAre(2));
  world_.RunFor(absl::Seconds(30));
  EXPECT_THAT(control_.settled, ElementsAre(2)) << "once";
}

TEST_F(WorkerTest, AnswersWhoAsksAgainForACallThatIsSettledWhileItRuns) {
  GiveMap();
  world_.RunFor(absl::Seconds(1));
  const ActorId caller{CounterId("x").type, "caller"};
  std::string first, again, settled, later;
  DeliverAddTo({caller, 1, 1, 7, 7, {1, 1}}, first);
  DeliverAddTo({caller, 1, 1, 7, 7, {1, 1}}, again);
  DeliverSettle({caller, 1, 2, 8, 8, {0, 8}}, settled);
  ASSERT_THAT(control_.forwarded, ElementsAre(5));
  control_.AnswerAll();
  world_.RunFor(absl::Seconds(1));
  EXPECT_EQ(first, "results");
  EXPECT_EQ(settled, "results");
  EXPECT_THAT(again, ::testing::HasSubstr("Stale: the caller of"));
  // The turn that made the call was undone; the next epoch of the caller makes it again.
  DeliverAddTo({caller, 1, 2, 9, 9, {1, 1}}, later);
  EXPECT_EQ(later, "results");
  EXPECT_THAT(control_.forwarded, ElementsAre(5)) << "it ran once";
}

// What waits is of a turn, or an outbox, that another node has taken over since.
TEST_F(WorkerTest, RunsAWaitingCallThatALaterEpochOfItsCallerHasMadeAgain) {
  GiveMap();
  world_.RunFor(absl::Seconds(1));
  const ActorId other{CounterId("x").type, "other"}, caller{CounterId("x").type, "caller"};
  std::string earlier, running, first, again, settled;
  DeliverAddTo({caller, 1, 1, 6, 6, {1, 1}}, earlier);
  control_.AnswerAll();
  world_.RunFor(absl::Seconds(1));
  DeliverAddTo({other, 1, 1, 1, 1, {1, 1}}, running);
  DeliverAddTo({caller, 1, 1, 7, 7, {2, 2}}, first);
  DeliverAddTo({caller, 1, 2, 9, 7, {2, 2}}, again);
  DeliverSettle({caller, 1, 2, 9, 8, {0, 9}}, settled);
  ASSERT_THAT(control_.forwarded, ElementsAre(5, 5)) << "one runs, the rest waits";
  control_.AnswerAll();
  world_.RunFor(absl::Seconds(1));
  EXPECT_THAT(control_.forwarded, ElementsAre(5, 5, 5));
  control_.AnswerAll();
  world_.RunFor(absl::Seconds(1));
  EXPECT_EQ(running, "results");
  EXPECT_THAT(first, ::testing::HasSubstr("Stale: the caller of"));
  EXPECT_EQ(again, "results");
}

TEST_F(WorkerTest, DropsACopyThatTheMapHasTakenAway) {
  GiveMap();
  world_.RunFor(absl::Seconds(1));
  std::string outcome;
  Deliver(KeyIn(0), kAdd, {9, 1, 1}, outcome);
  world_.RunFor(absl::Seconds(1));
  EXPECT_EQ(worker_->status().stored_actors, 1u);
  worker_->OnMap(Next(first_, [](ClusterState& map) { map.shards[0] = WithoutPrimary(2); }),
                 introduction_);
  world_.RunFor(absl::Seconds(9));
  EXPECT_EQ(worker_->status().stored_actors, 1u);
  world_.RunFor(absl::Seconds(2));
  EXPECT_EQ(worker_->status().stored_actors, 0u);
}

constexpr size_t kHeldBytes = 2000;  // Three small calls.

// Links and connections that clients make to the worker.
class WorkerLimitsTest : public WorkerTest, private Link::Receiver {
 protected:
  ~WorkerLimitsTest() noexcept override {}
  WorkerLimitsTest() {
    auto& machine = world_.AddMachine("client");
    client_ = &machine.control();
    listener_ = std::move(host_.network().Listen(Address())).value();
    Again({.client_sessions = 2,
           .gateway_connections = 1,
           .hellos = 2,
           .session_calls = 3,
           .held_call_bytes = kHeldBytes,
           .status_pulls = 2});
    GiveMap();
    accepting_ = AcceptLoop().eagerlyEvaluate(nullptr);
    world_.RunFor(absl::Seconds(1));
  }
  std::string Address() { return world_.Ip("a") + ":7100"; }
  void Again(WorkerLimits limits) {
    worker_ = nullptr;
    worker_ = kj::heap<Worker>(
        host_, registry_, control_,
        WorkerOptions{.index = 0, .count = 2, .replica = {}, .limits = limits}, introduction_);
  }
  kj::Promise<void> AcceptLoop() {
    return listener_->Accept().then([this](Accepted&& accepted) {
      auto& stream = *accepted.stream;
      greeting_.push_back(
          ReadGreeting(host_, stream)
              .then([this, stream = kj::mv(accepted.stream)](Greeting&& greeting) mutable {
                auto detached = host_.network().Detach(kj::mv(stream));
                if (greeting.kind == Greeting::Kind::kTroupe) {
                  worker_->OnDataStream(kj::mv(detached), "client");
                } else {
                  worker_->OnOtherStream(kj::mv(detached), greeting.first_bytes);
                }
              })
              .eagerlyEvaluate([](kj::Exception&&) {}));
      return AcceptLoop();
    });
  }
  template <typename T>
  T Await(kj::Promise<T> promise) {
    std::optional<T> result;
    auto waiting = promise.then([&result](T&& value) { result.emplace(kj::mv(value)); })
                       .eagerlyEvaluate(nullptr);
    EXPECT_TRUE(world_.RunUntil([&] { return result.has_value(); }, absl::Seconds(10)));
    return kj::mv(*result);
  }
  DialedLink DialAsClient() {
    Introduction ours;
    ours.role = Role::kClient;
    ours.node = "client";
    return Await(DialLink(*client_, Address(), Lane::kData, 0, ours, absl::Seconds(2)));
  }
  void SendCall(Link& link, uint64_t number, ShardId shard, uint16_t method) {
    capnp::MallocMessageBuilder message;
    CallHeader header{CounterId(KeyIn(shard)),
                      capnp::typeId<Counter>(),
                      method,
                      ClientCall{{7, 7}, number, 0},
                      {},
                      {9, number, 1}};
    EncodeCall(number, header, absl::Seconds(20), message.initRoot<wire::CallFrame>());
    link.stream().Send(wire::KIND_CALL, message, By(number).words());
  }
  std::string TypesThrough(kj::AsyncIoStream& stream) {
    capnp::TwoPartyClient client(stream);
    auto node = client.bootstrap().castAs<gateway::Node>();
    return Await(node.typesRequest().send().then([](auto&&) { return std::string("types"); },
                                                 [](kj::Exception&& e) { return Words(e); }));
  }
  void ShowSecret(Link& link, const Id128& secret) {
    capnp::MallocMessageBuilder message;
    auto out = message.initRoot<wire::ObserveFrame>().initSecret();
    out.setHi(secret.hi);
    out.setLo(secret.lo);
    link.stream().Send(wire::KIND_OBSERVE, message);
    world_.RunFor(absl::Milliseconds(100));
  }
  // What a call to an observer of that client ends with; pending until then.
  struct Push {
    std::string outcome = "pending";
    kj::Promise<void> waiting = nullptr;
  };
  std::unique_ptr<Push> CallObserverOf(const Id128& secret) {
    auto push = std::make_unique<Push>();
    const ObserverKey key{ObserverClient(secret), /*worker=*/0, 1};
    push->waiting = worker_->origin()
                        ->Call(CounterId(key.Encode()), capnp::typeId<Counter>(), kAdd, By(1), {})
                        .then([&out = push->outcome](Payload&&) { out = "answered"; },
                              [&out = push->outcome](kj::Exception&& e) { out = Words(e); })
                        .eagerlyEvaluate(nullptr);
    world_.RunFor(absl::Milliseconds(100));
    return push;
  }
  void OnFrame(Link& link, kj::Own<Frame> frame) override {
    if (frame->kind() == wire::KIND_STATUS) ++statuses_;
    if (frame->kind() == wire::KIND_CALL) {
      ++pushes_[&link];
      if (answers_pushes_) {
        const uint64_t number = frame->header<wire::CallFrame>().getNumber();
        SendAnswer(link.stream(), number, EmptyResults(), 0);
      }
    }
    if (frame->kind() != wire::KIND_ANSWER) return;
    auto answer = frame->header<wire::AnswerFrame>();
    if (answer.isFailure()) failures_.push_back(answer.getFailure().getText().cStr());
    results_ += answer.isResults();
  }
  void OnEnd(Link&, LinkEnd, std::string) override { ended_ = true; }
  Link::Receiver& receiver() { return *this; }

  Host* client_;
  kj::Own<Listener> listener_;
  kj::Promise<void> accepting_ = nullptr;
  std::vector<kj::Promise<void>> greeting_;
  std::vector<std::string> failures_;
  int statuses_ = 0, results_ = 0;
  std::map<Link*, int> pushes_;
  bool answers_pushes_ = true;
  bool ended_ = false;
};

TEST_F(WorkerLimitsTest, ObserversAreCalledOnlyOnALinkThatHasShownTheirSecret) {
  const Id128 secret{5, 6};
  auto stranger = DialAsClient();
  stranger.link->Start(receiver());
  EXPECT_THAT(CallObserverOf(secret)->outcome, ::testing::HasSubstr("is not connected to node"));
  ShowSecret(*stranger.link, ObserverClient(secret));  // What refs tell everybody.
  ShowSecret(*stranger.link, {6, 5});
  EXPECT_THAT(CallObserverOf(secret)->outcome, ::testing::HasSubstr("is not connected to node"));
  EXPECT_EQ(CallObserverOf({6, 5})->outcome, "answered");

  auto client = DialAsClient();
  client.link->Start(receiver());
  ShowSecret(*client.link, secret);
  EXPECT_EQ(CallObserverOf(secret)->outcome, "answered");
  EXPECT_EQ(pushes_[client.link.get()], 1);
  EXPECT_EQ(pushes_[stranger.link.get()], 1);
}

TEST_F(WorkerLimitsTest, TheNewestLinkOfAClientHasItsObservers) {
  const Id128 secret{5, 6};
  auto first = DialAsClient(), second = DialAsClient();
  first.link->Start(receiver());
  second.link->Start(receiver());
  ShowSecret(*first.link, secret);
  answers_pushes_ = false;
  auto under_way = CallObserverOf(secret);
  EXPECT_EQ(under_way->outcome, "pending");
  ShowSecret(*second.link, secret);
  EXPECT_THAT(under_way->outcome, ::testing::HasSubstr("the call may have reached it"));
  SendAnswer(first.link->stream(), 1, EmptyResults(), 0);  // Too late, and to nobody.
  answers_pushes_ = true;
  EXPECT_EQ(CallObserverOf(secret)->outcome, "answered");
  EXPECT_EQ(pushes_[first.link.get()], 1);
  EXPECT_EQ(pushes_[second.link.get()], 1);
  first.link = {};
  world_.RunFor(absl::Milliseconds(100));
  EXPECT_EQ(CallObserverOf(secret)->outcome, "answered");
}

// Of another's call, under a guessed number; and what is no message.
TEST_F(WorkerLimitsTest, AClientAnswersOnlyWhatItWasAsked) {
  const Id128 secret{5, 6};
  auto client = DialAsClient(), stranger = DialAsClient();
  client.link->Start(receiver());
  stranger.link->Start(receiver());
  ShowSecret(*client.link, secret);
  ShowSecret(*stranger.link, {6, 5});
  answers_pushes_ = false;
  auto under_way = CallObserverOf(secret);
  for (uint64_t number = 0; number < 10; ++number) {
    SendAnswer(stranger.link->stream(), number, EmptyResults(), 0);
  }
  world_.RunFor(absl::Milliseconds(100));
  EXPECT_EQ(under_way->outcome, "pending");
  EXPECT_FALSE(ended_);
  SendAnswer(client.link->stream(), 1, Moved{9, "elsewhere"}, 0);
  world_.RunFor(absl::Milliseconds(100));
  EXPECT_THAT(under_way->outcome, ::testing::HasSubstr("did not take the call"));
  EXPECT_EQ(pushes_[client.link.get()], 1);
  under_way = CallObserverOf(secret);
  const capnp::word junk[2] = {};
  capnp::MallocMessageBuilder message;
  auto answer = message.initRoot<wire::AnswerFrame>();
  answer.setNumber(2);
  answer.setResults();
  client.link->stream().Send(wire::KIND_ANSWER, message, kj::arrayPtr(junk, 2));
  world_.RunFor(absl::Milliseconds(100));
  EXPECT_TRUE(ended_);
  EXPECT_THAT(under_way->outcome, ::testing::HasSubstr("the call may have reached it"));
}

TEST_F(WorkerLimitsTest, AClientTooManyIsRefusedAndTold) {
  auto first = DialAsClient(), second = DialAsClient(), third = DialAsClient();
  EXPECT_NE(first.link.get(), nullptr);
  EXPECT_NE(second.link.get(), nullptr);
  EXPECT_EQ(third.refused, wire::Refusal::Reason::BUSY);
  EXPECT_THAT(third.detail, ::testing::HasSubstr("at most 2 can be connected"));
  first.link = {};
  world_.RunFor(absl::Milliseconds(100));
  EXPECT_NE(DialAsClient().link.get(), nullptr) << "room is made by one that goes";
}

TEST_F(WorkerLimitsTest, AGatewayConnectionTooManyIsTold) {
  auto first = Await(client_->network().Dial(Address(), absl::Seconds(1)));
  auto second = Await(client_->network().Dial(Address(), absl::Seconds(1)));
  EXPECT_EQ(TypesThrough(*first.stream), "types");
  EXPECT_THAT(TypesThrough(*second.stream), ::testing::HasSubstr("at most 1 can be open"));
  first.stream = {};
  world_.RunFor(absl::Seconds(2));
  auto third = Await(client_->network().Dial(Address(), absl::Seconds(1)));
  EXPECT_EQ(TypesThrough(*third.stream), "types");
}

TEST_F(WorkerLimitsTest, ACallTooManyOnALinkIsTold) {
  auto dialed = DialAsClient();
  dialed.link->Start(receiver());
  for (uint64_t i = 1; i <= 4; ++i) SendCall(*dialed.link, i, 0, kNever);
  world_.RunFor(absl::Milliseconds(100));
  EXPECT_THAT(failures_, ElementsAre(::testing::HasSubstr("more than 3 calls are unanswered")));
}

TEST_F(WorkerLimitsTest, CallsThatHoldTooManyBytesAreToldUntilOthersAreAnswered) {
  auto first = DialAsClient(), second = DialAsClient();
  first.link->Start(receiver());
  second.link->Start(receiver());
  auto call = [&](Link& link, uint64_t number) {
    SendCall(link, number, 1, kAdd);
    world_.RunFor(absl::Milliseconds(100));
  };
  for (uint64_t i = 1; i <= 3; ++i) call(*first.link, i);
  call(*second.link, 4);
  EXPECT_THAT(failures_, ElementsAre(::testing::HasSubstr("calls are unanswered that hold")));
  control_.AnswerAll();
  call(*first.link, 5);
  first.link = {};  // What nobody waits for any more is held no less.
  for (uint64_t i = 6; i <= 8; ++i) call(*second.link, i);
  EXPECT_EQ(failures_.size(), 2u);
  control_.AnswerAll();
  call(*second.link, 9);
  EXPECT_THAT(control_.forwarded, ElementsAre(1, 2, 3, 5, 6, 7, 9));
  EXPECT_EQ(results_, 5);
}

TEST_F(WorkerLimitsTest, TheClientThatHasLeftMostUnreadIsEndedFirst) {
  Again({.unread_bytes = 3 << 20});
  GiveMap();
  capnp::MallocMessageBuilder large;
  large.initRoot<wire::StatusFrame>().initCoordinator(1 << 20);
  auto greedy = DialAsClient(), modest = DialAsClient();
  for (uint64_t i = 1; i <= 3; ++i) {
    SendCall(*greedy.link, i, 1, kAdd);
    if (i == 1) SendCall(*modest.link, 4, 1, kAdd);
    world_.RunFor(absl::Milliseconds(100));
    control_.AnswerAll(large);
  }
  world_.RunFor(absl::Seconds(1));
  modest.link->Start(receiver());
  world_.RunFor(absl::Seconds(1));
  EXPECT_EQ(results_, 1);
  EXPECT_FALSE(ended_);
  greedy.link->Start(receiver());
  world_.RunFor(absl::Seconds(1));
  EXPECT_TRUE(ended_);
}

TEST_F(WorkerLimitsTest, AClientThatCallsInAnActorsNameIsRefused) {
  auto dialed = DialAsClient();
  dialed.link->Start(receiver());
  for (uint64_t interface_id : {capnp::typeId<Counter>(), kActivationInterface}) {
    capnp::MallocMessageBuilder message;
    CallHeader header{CounterId(KeyIn(1)), interface_id, kAdd, {}, {}, {9, interface_id, 1}};
    header.id = ActorCall{CounterId("victim"), 1, 99, 99, 99, {3, 3}};
    EncodeCall(1, header, absl::Seconds(20), message.initRoot<wire::CallFrame>());
    dialed.link->stream().Send(wire::KIND_CALL, message, By(1).words());
  }
  world_.RunFor(absl::Milliseconds(100));
  EXPECT_THAT(failures_, ::testing::ElementsAre(::testing::HasSubstr("only nodes send those"),
                                                ::testing::HasSubstr("only nodes send those")));
  EXPECT_THAT(control_.forwarded, ::testing::IsEmpty());
  EXPECT_THAT(control_.settled, ::testing::IsEmpty());
  EXPECT_FALSE(ended_);
}

TEST_F(WorkerLimitsTest, AStatusQuestionTooManyEndsTheLink) {
  auto dialed = DialAsClient();
  dialed.link->Start(receiver());
  auto ask = [&](uint64_t number) {
    capnp::MallocMessageBuilder message;
    message.initRoot<wire::StatusPull>().setNumber(number);
    dialed.link->stream().Send(wire::KIND_STATUS_PULL, message);
    world_.RunFor(absl::Milliseconds(100));
  };
  ask(1);
  ask(2);
  EXPECT_FALSE(ended_);
  for (auto& done : std::exchange(control_.statuses, {})) done(By(1));
  ask(3);
  ask(4);
  EXPECT_EQ(statuses_, 2);
  EXPECT_FALSE(ended_);
  ask(5);
  EXPECT_TRUE(ended_);
}

TEST_F(WorkerLimitsTest, ConnectionsWithoutAHelloAreClosedInTime) {
  std::vector<kj::Own<kj::AsyncIoStream>> silent;
  for (int i = 0; i < 3; ++i) {
    auto dialed = Await(client_->network().Dial(Address(), absl::Seconds(1)));
    silent.push_back(kj::mv(dialed.stream));
    silent.back()->write("TROUPE\r\n\1\0\0\0\0\0\0\0", 16).detach([](kj::Exception&&) {});
  }
  world_.RunFor(absl::Milliseconds(100));
  auto ended = [&](size_t i) {
    char byte;
    auto read = silent[i]
                    ->tryRead(&byte, 1, 1)
                    .then([](size_t) { return true; }, [](kj::Exception&&) { return true; });
    return Await(read.exclusiveJoin(
        client_->timer().afterDelay(100 * kj::MILLISECONDS).then([] { return false; })));
  };
  EXPECT_TRUE(ended(2)) << "two at once may be without a hello";
  EXPECT_FALSE(ended(0));
  world_.RunFor(kHelloLimit + absl::Seconds(1));
  EXPECT_TRUE(ended(0));
  EXPECT_NE(DialAsClient().link.get(), nullptr);
}

TEST(RefusedLanes, RefuseUntilTheNextAttempt) {
  RefusedLanes lanes;
  EXPECT_FALSE(lanes.Refuses({1, 2, 3}));
  lanes.Refuse({1, 2, 3});
  EXPECT_TRUE(lanes.Refuses({1, 2, 3}));
  EXPECT_TRUE(lanes.Refuses({1, 2, 2}));
  EXPECT_FALSE(lanes.Refuses({1, 3, 3}));
  EXPECT_FALSE(lanes.Refuses({1, 2, 4}));
  EXPECT_FALSE(lanes.Refuses({1, 2, 4}));
}

TEST(RefusedLanes, ForgiveNothingForWhatIsLeftOfAnEarlierAttempt) {
  RefusedLanes lanes;
  lanes.Refuse({1, 2, 3});
  lanes.Refuse({1, 2, 1});
  EXPECT_TRUE(lanes.Refuses({1, 2, 3}));
}

TEST(RefusedLanes, ForgetTheOldestFirst) {
  RefusedLanes lanes;
  for (uint64_t i = 0; i < 3 * kRefusedLanesMax; ++i) {
    lanes.Refuse({1, i, 1});
    if (i >= kRefusedLanesMax - 1) {
      ASSERT_TRUE(lanes.Refuses({1, i - kRefusedLanesMax + 1, 1}));
    }
  }
  EXPECT_FALSE(lanes.Refuses({1, 0, 1}));
}

}  // namespace
}  // namespace troupe
