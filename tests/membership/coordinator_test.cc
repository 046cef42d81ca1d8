// Coordinator and CommandDispatcher: batches, answers, retries; and both together with voters.
#include "troupe/membership/coordinator.h"

#include <functional>
#include <map>
#include <memory>

#include "cluster_fixture.h"
#include "gmock/gmock.h"
#include "troupe/membership/command_dispatcher.h"
#include "troupe/membership/register_codec.h"

namespace troupe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
const absl::Time kNow = absl::UnixEpoch();

// A coordinator with the voters a, b, c beside it, which answer at once.
class Bench {
 public:
  explicit Bench(CoordinatorOptions options = {}) : coordinator_(Proposer(), options) {
    for (const VoterId& id : state_.voters) {
      voters_[id].Step(AcceptRequest{{1, "A", {9, 9}}, {}, ValueOf(state_), 0});
    }
  }
  Coordinator& operator*() { return coordinator_; }
  Coordinator* operator->() { return &coordinator_; }

  // Delivers `effects` and what follows; answers and maps are kept.
  void Run(Coordinator::Effects effects) {
    std::vector<RegisterProposer::Send> sends = Take(std::move(effects));
    for (int i = 0; i < 1000 && !sends.empty(); ++i) {
      std::vector<RegisterProposer::Send> next;
      for (const auto& send : sends) {
        ++requests;
        auto voted = voters_[send.to].Step(send.request);
        if (!voted.reply) continue;
        for (auto& s : Take(coordinator_.OnReply(kNow, send.to, *voted.reply))) next.push_back(s);
      }
      sends = std::move(next);
    }
  }
  std::vector<RegisterProposer::Send> Take(Coordinator::Effects effects) {
    for (auto& answer : effects.answers) answers.push_back(answer);
    if (effects.map) map = effects.map;
    return std::move(effects.send);
  }

  std::vector<Coordinator::Answer> answers;
  std::shared_ptr<const ClusterState> map;
  int requests = 0;

 private:
  RegisterProposer Proposer() {
    return RegisterProposer("a", Id128{1, 1}, ValueOf(state_), Random(1));
  }
  ClusterState state_ = MakeCluster(3);
  std::map<VoterId, RegisterAcceptor> voters_;
  Coordinator coordinator_;
};

CommandItem Item(uint64_t id, Command command) { return {id, std::move(command)}; }

TEST(Coordinator, AnswersEachCommandOfABatchWithTheVersionThatShowsIt) {
  Bench bench;
  bench.Run(bench->OnCommands(kNow, 5,
                              {Item(1, Rejoin("d", 40, 0)), Item(2, Rejoin("a", 41, 77)),
                               Item(3, Rejoin("e", 42, 0)), CommandItem{4, std::nullopt}}));
  ASSERT_THAT(bench.answers, SizeIs(4));
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(bench.answers[i].asker, 5u);
    EXPECT_EQ(bench.answers[i].answer.id, i + 1);
    EXPECT_EQ(bench.answers[i].answer.version, 5u);
    EXPECT_EQ(bench.answers[i].answer.status.ok(), i != 1);
  }
  ASSERT_NE(bench.map, nullptr);
  EXPECT_EQ(bench.map->version, 5u);
  EXPECT_NE(bench.map->FindNode("e"), nullptr);
}

TEST(Coordinator, GathersWhatComesWhileAProposalIsUnderWay) {
  Bench bench;
  auto first = bench->OnCommands(kNow, 5, {Item(1, Rejoin("d", 40, 0))});
  for (uint64_t id = 2; id <= 20; ++id) {
    auto more = bench->OnCommands(kNow, 5, {Item(id, Rejoin("n" + std::to_string(id), id, 0))});
    EXPECT_THAT(more.send, IsEmpty());
  }
  bench.Run(std::move(first));
  EXPECT_THAT(bench.answers, SizeIs(20));
  EXPECT_LE(bench.requests, 4 * 3 + 3);  // Prepare, accept, tell; accept, tell.
}

TEST(Coordinator, ConfirmsAReadWithOneExchange) {
  Bench bench;
  bench.Run(bench->OnCommands(kNow, 5, {Item(1, Rejoin("d", 40, 0))}));
  bench.requests = 0;
  bench.Run(bench->OnCommands(kNow, 5, {CommandItem{2, std::nullopt}}));
  EXPECT_EQ(bench.answers.back().answer.version, 4u);
  EXPECT_EQ(bench.requests, 6);  // Accept and tell.
}

TEST(Coordinator, PutsADeathBeforeWhatWaits) {
  CoordinatorOptions options;
  options.batch_max = 1;
  Bench bench(options);
  ClusterState state = MakeCluster(3);
  auto first = bench->OnCommands(kNow, 5, {Item(1, Drain{"a", state.FindNode("a")->boot})});
  (void)bench->OnCommands(kNow, 5, {Item(2, Drain{"b", state.FindNode("b")->boot})});
  (void)bench->OnCommands(kNow, 5, {Item(3, FenceOf(state, "c"))});
  bench.Run(std::move(first));
  ASSERT_THAT(bench.answers, SizeIs(3));
  EXPECT_EQ(bench.answers[1].answer.id, 3u);
}

TEST(Coordinator, NeverPutsTwoVoterChangesIntoOneValue) {
  Bench bench;
  ClusterState state = MakeCluster(3);
  std::vector<VoterId> from = state.voters, to = {from[0]};
  bench.Run(bench->OnCommands(kNow, 5,
                              {Item(1, SetPendingVoters{from, to}), Item(2, AdoptPendingVoters{to}),
                               Item(3, Drain{"c", state.FindNode("c")->boot})}));
  ASSERT_THAT(bench.answers, SizeIs(3));
  EXPECT_EQ(bench.answers[0].answer.version, 4u);
  EXPECT_EQ(bench.answers[1].answer.version, 5u);
  EXPECT_EQ(bench.answers[2].answer.version, 6u);
  EXPECT_EQ(bench.map->voters, to);
}

TEST(Coordinator, BoundsItsQueueAndKnowsARepeatedCommand) {
  CoordinatorOptions options;
  options.queue_max = 3;
  Bench bench(options);
  auto first = bench->OnCommands(kNow, 5, {Item(1, Rejoin("d", 40, 0))});
  for (uint64_t id : {2, 3, 4, 2, 3, 1, 5}) {
    bench.Take(bench->OnCommands(kNow, 5, {Item(id, Rejoin("x", id, 0))}));
  }
  ASSERT_THAT(bench.answers, SizeIs(1));
  EXPECT_EQ(bench.answers[0].answer.id, 5u);
  EXPECT_EQ(bench.answers[0].answer.status.code(), absl::StatusCode::kResourceExhausted);
  bench.Run(std::move(first));
  EXPECT_THAT(bench.answers, SizeIs(5));
}

TEST(Coordinator, SendsItsQueueElsewhereWhenItDrains) {
  Bench bench;
  auto first = bench->OnCommands(kNow, 5, {Item(1, Rejoin("d", 40, 0))});
  bench.Take(bench->OnCommands(kNow, 6, {Item(1, Rejoin("e", 41, 0))}));
  bench.Take(bench->StopProposing(kNow));
  bench.Take(bench->OnCommands(kNow, 6, {Item(2, Rejoin("f", 42, 0))}));
  ASSERT_THAT(bench.answers, SizeIs(2));
  for (const auto& answer : bench.answers) {
    EXPECT_EQ(answer.answer.status.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(answer.answer.version, 0u);
  }
  bench.Run(std::move(first));
  EXPECT_TRUE(bench.answers.back().answer.status.ok());
}

TEST(Coordinator, TellsItsAskersWhenNoQuorumAnswers) {
  Bench bench;
  bench.Take(bench->OnCommands(kNow, 5, {Item(1, Rejoin("d", 40, 0))}));
  bench.Take(bench->OnCommands(kNow, 7, {Item(1, Rejoin("e", 41, 0))}));
  bench->Forget(7);
  for (int i = 0; i < 100 && bench->busy(); ++i) bench.Take(bench->Tick(bench->wake()));
  ASSERT_THAT(bench.answers, SizeIs(1));
  EXPECT_EQ(bench.answers[0].answer.status.code(), absl::StatusCode::kUnavailable);
}

TEST(CoordinatorOrder, PrefersTheLowestAliveVoterOfTheNewestMap) {
  ClusterState map = MakeCluster(3);
  std::vector<VoterId> v = map.voters;
  using H = VoterView::Health;
  struct Row {
    std::vector<VoterView> views;
    std::vector<VoterId> order;
  };
  for (const Row& row : {
           Row{{{v[0], H::kAlive, 5}, {v[1], H::kAlive, 5}, {v[2], H::kAlive, 5}},
               {v[0], v[1], v[2]}},
           Row{{{v[0], H::kAlive, 4}, {v[1], H::kAlive, 5}, {v[2], H::kAlive, 5}},
               {v[1], v[2], v[0]}},
           Row{{{v[0], H::kGone, 9}, {v[1], H::kAlive, 5}, {v[2], H::kAlive, 4}},
               {v[1], v[2], v[0]}},
           Row{{{v[2], H::kAlive, 1}}, {v[2], v[0], v[1]}},
       }) {
    EXPECT_EQ(CoordinatorOrder(map, row.views), row.order);
  }
  std::vector<VoterView> all = {{v[0], H::kAlive, 5}, {v[1], H::kAlive, 5}, {v[2], H::kAlive, 4}};
  Do(map, FenceOf(map, "b"));
  Do(map, Drain{"a", 1});
  EXPECT_THAT(CoordinatorOrder(map, all), ElementsAre(v[2], v[0], v[1]));
}

// ---- Dispatcher

const std::vector<VoterId> kOrder = {{"a", {1, 1}}, {"b", {1, 2}}, {"c", {1, 3}}};

TEST(CommandDispatcher, AsksTheNextVoterWhenOneIsSilent) {
  CommandDispatcher dispatcher;
  dispatcher.OnOrder(kNow, kOrder);
  uint64_t id = 0;
  auto sent = dispatcher.Submit(kNow, kNow + absl::Seconds(10), Rejoin("d", 40, 0), id);
  ASSERT_THAT(sent.send, SizeIs(1));
  EXPECT_EQ(sent.send[0].to, kOrder[0]);
  EXPECT_EQ(dispatcher.wake(), kNow + absl::Milliseconds(100));
  EXPECT_THAT(dispatcher.Tick(kNow + absl::Milliseconds(99)).send, IsEmpty());
  auto again = dispatcher.Tick(kNow + absl::Milliseconds(100));
  ASSERT_THAT(again.send, SizeIs(1));
  EXPECT_EQ(again.send[0].to, kOrder[1]);
  CommandAnswer answer{id, 7, absl::OkStatus()};
  EXPECT_THAT(dispatcher.OnAnswers(kNow, {&answer, 1}).done, SizeIs(1));
  EXPECT_THAT(dispatcher.OnAnswers(kNow, {&answer, 1}).done, IsEmpty());
}

TEST(CommandDispatcher, GoesOnAtOnceWhenAVoterCannotOrIsLost) {
  CommandDispatcher dispatcher;
  dispatcher.OnOrder(kNow, kOrder);
  uint64_t id = 0;
  dispatcher.Submit(kNow, kNow + absl::Seconds(10), std::nullopt, id);
  CommandAnswer cannot{id, 0, absl::UnavailableError("drains")};
  auto second = dispatcher.OnAnswers(kNow, {&cannot, 1});
  ASSERT_THAT(second.send, SizeIs(1));
  EXPECT_EQ(second.send[0].to, kOrder[1]);
  auto third = dispatcher.OnVoterLost(kNow, kOrder[1]);
  ASSERT_THAT(third.send, SizeIs(1));
  EXPECT_EQ(third.send[0].to, kOrder[2]);
  EXPECT_THAT(dispatcher.OnAnswers(kNow, {&cannot, 1}).send, IsEmpty());  // All were asked.
  auto elected = dispatcher.OnOrder(kNow, {kOrder[2], kOrder[0], kOrder[1]});
  ASSERT_THAT(elected.send, SizeIs(1));
  EXPECT_EQ(elected.send[0].to, kOrder[2]);
}

TEST(CommandDispatcher, GivesUpAtTheDeadline) {
  CommandDispatcher dispatcher;
  uint64_t id = 0;
  dispatcher.Submit(kNow, kNow + absl::Seconds(1), std::nullopt, id);
  auto late = dispatcher.Tick(kNow + absl::Seconds(1));
  ASSERT_THAT(late.done, SizeIs(1));
  EXPECT_EQ(late.done[0].status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(dispatcher.outstanding(), 0u);
}

// ---- All together: three nodes, a lossy network, one that stops now and then.

class Cluster {
 public:
  explicit Cluster(uint64_t seed) : random_(seed) {
    for (size_t i = 0; i < 3; ++i) {
      Node& node = nodes_.emplace_back();
      node.voter = state_.voters[i];
      node.acceptor.Step(AcceptRequest{{1, "f", {9, 9}}, {}, ValueOf(state_), 0});
      node.coordinator = std::make_unique<Coordinator>(
          RegisterProposer(node.voter.node, Id128{2, i}, ValueOf(state_), Random(random_.Next())));
      Handle(i, node.dispatcher.OnOrder(now_, state_.voters));
    }
  }

  void Submit(size_t at, Command command) {
    uint64_t id = 0;
    auto effects = nodes_[at].dispatcher.Submit(now_, now_ + absl::Minutes(5), command, id);
    Handle(at, std::move(effects));
  }

  void Step() {
    if (random_.Chance(0.01)) stopped_ = random_.Below(6);  // 3 and above: nobody.
    now_ += absl::Microseconds(random_.Below(2000));
    for (size_t i = 0; i < 3; ++i) {
      Handle(i, nodes_[i].dispatcher.Tick(now_));
      if (i != stopped_) Handle(i, nodes_[i].coordinator->Tick(now_));
    }
    for (size_t n = wires_.size(); n > 0; --n) {
      if (wires_.empty() || !random_.Chance(0.5)) continue;
      size_t at = random_.Below(wires_.size());
      std::function<void()> deliver = wires_[at];
      if (!random_.Chance(0.05)) wires_.erase(wires_.begin() + static_cast<ptrdiff_t>(at));
      if (!random_.Chance(0.05)) deliver();
    }
  }

  size_t done() const { return done_; }
  size_t failed() const { return failed_; }
  const ClusterState& newest() const { return *newest_; }
  bool forked() const { return forked_; }

 private:
  struct Node {
    VoterId voter;
    RegisterAcceptor acceptor;
    std::unique_ptr<Coordinator> coordinator;
    CommandDispatcher dispatcher;
  };

  void Send(size_t to, std::function<void()> deliver) {
    wires_.push_back([this, to, deliver = std::move(deliver)] {
      if (to != stopped_) deliver();
    });
  }

  void Handle(size_t i, CommandDispatcher::Effects effects) {
    for (auto& send : effects.send) {
      size_t to = IndexOf(send.to);
      Bytes bytes = Encode(send.items);
      Send(to, [this, i, to, bytes] {
        auto items = DecodeCommands(bytes);
        ASSERT_TRUE(items.ok()) << items.status();
        Handle(to, nodes_[to].coordinator->OnCommands(now_, i + 1, *std::move(items)));
      });
    }
    for (const CommandAnswer& answer : effects.done) {
      ++done_;
      failed_ += !answer.status.ok();
    }
  }

  void Handle(size_t i, Coordinator::Effects effects) {
    for (auto& send : effects.send) {
      size_t to = IndexOf(send.to);
      Send(to, [this, i, to, request = send.request] {
        auto voted = nodes_[to].acceptor.Step(request);
        if (!voted.reply) return;
        Send(i, [this, i, to, reply = *voted.reply] {
          Handle(i, nodes_[i].coordinator->OnReply(now_, nodes_[to].voter, reply));
        });
      });
    }
    for (const auto& answer : effects.answers) {
      size_t to = answer.asker - 1;
      Bytes bytes = Encode(std::vector<CommandAnswer>{answer.answer});
      Send(to, [this, to, bytes] {
        auto answers = DecodeAnswers(bytes);
        ASSERT_TRUE(answers.ok()) << answers.status();
        Handle(to, nodes_[to].dispatcher.OnAnswers(now_, *answers));
      });
    }
    if (!effects.map) return;
    auto [at, fresh] = maps_.emplace(effects.map->version, effects.map);
    if (!fresh && !(*at->second == *effects.map)) forked_ = true;
    newest_ = maps_.rbegin()->second;
  }

  size_t IndexOf(const VoterId& id) const { return static_cast<size_t>(id.node[0] - 'a'); }

  ClusterState state_ = MakeCluster(3, 4);
  Random random_;
  absl::Time now_ = kNow;
  std::vector<Node> nodes_;
  std::vector<std::function<void()>> wires_;
  size_t stopped_ = 9;
  std::map<uint64_t, std::shared_ptr<const ClusterState>> maps_;
  std::shared_ptr<const ClusterState> newest_;
  size_t done_ = 0, failed_ = 0;
  bool forked_ = false;
};

TEST(CommandsOverTheRegister, EachTakesEffectOnceWhateverIsLost) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Cluster cluster(seed);
    constexpr size_t kCommands = 60;
    int steps = 0;
    for (size_t i = 0; i < kCommands; ++i) {
      cluster.Submit(i % 3, Rejoin("n" + std::to_string(i), 100 + i, 0));
      for (int k = 0; k < 5; ++k) cluster.Step();
    }
    while (cluster.done() < kCommands && ++steps < 20000) cluster.Step();
    ASSERT_EQ(cluster.done(), kCommands);
    EXPECT_EQ(cluster.failed(), 0u);
    EXPECT_FALSE(cluster.forked());
    EXPECT_EQ(cluster.newest().nodes.size(), 3 + kCommands);
    EXPECT_EQ(cluster.newest().version, 3 + kCommands);
  }
}

}  // namespace
}  // namespace troupe
