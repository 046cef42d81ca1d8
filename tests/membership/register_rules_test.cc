// Register: one rule a test, and its messages through the codec. The walk is register_sim_test.
#include <map>
#include <optional>

#include "cluster_fixture.h"
#include "gmock/gmock.h"
#include "troupe/membership/limits.h"
#include "troupe/membership/register_acceptor.h"
#include "troupe/membership/register_codec.h"
#include "troupe/membership/register_proposer.h"

namespace troupe {
namespace {

const absl::Time kNow = absl::UnixEpoch();
const absl::Time kLater = kNow + absl::Seconds(5);
using Effects = RegisterProposer::Effects;

// Voters by id, all reachable; every message goes through the codec.
class Cluster {
 public:
  explicit Cluster(const ClusterState& state) : founding_(ValueOf(state)) {
    for (const VoterId& id : state.voters) Add(id);
    for (auto& [id, acceptor] : voters_) {
      acceptor.Step(AcceptRequest{{1, "f", {9, 9}}, {}, founding_, 0});
    }
  }
  void Add(const VoterId& id) { voters_.emplace(id, RegisterAcceptor()); }
  RegisterAcceptor& voter(const VoterId& id) { return voters_.at(id); }
  RegisterProposer Proposer(uint64_t nonce) {
    return RegisterProposer("p", Id128{3, nonce}, founding_, Random(nonce));
  }

  // Runs what is to be sent to its end; `rounds` counts the exchanges.
  absl::StatusOr<ValuePtr> Run(RegisterProposer& proposer, Effects effects) {
    rounds = 0;
    while (true) {
      if (effects.outcome) {
        Tell(effects);
        return *effects.outcome;
      }
      if (effects.send.empty()) {
        now_ = std::max(now_, proposer.wake());
        if (now_ >= kLater) return absl::UnavailableError("stopped");
        effects = proposer.Tick(now_);
        continue;
      }
      ++rounds;
      Effects next;
      for (const auto& send : effects.send) {
        auto reply = Deliver(send);
        if (!reply) continue;
        Effects more = proposer.OnReply(now_, send.to, *reply);
        for (auto& s : more.send) next.send.push_back(std::move(s));
        if (more.outcome) next.outcome = more.outcome;
      }
      effects = std::move(next);
    }
  }
  absl::StatusOr<ValuePtr> Do(RegisterProposer& proposer, const Command& command) {
    return Run(proposer, proposer.Start(kNow, kLater, [command](const ValuePtr& base) {
      auto applied = Apply(*StateOf(*base), command);
      return applied.ok() && applied->changed ? ValueOf(applied->state) : base;
    }));
  }
  absl::StatusOr<ValuePtr> Read(RegisterProposer& proposer) {
    return Run(proposer, proposer.Start(kNow, kLater, [](const ValuePtr& base) { return base; }));
  }

  int rounds = 0;
  ValuePtr founding() const { return founding_; }

 private:
  std::optional<VoterReply> Deliver(const RegisterProposer::Send& send) {
    auto request = DecodeVoterRequest(Encode(AddressedRequest{send.to, send.request}));
    EXPECT_TRUE(request.ok()) << request.status();
    auto at = voters_.find(request->to);
    if (at == voters_.end()) return std::nullopt;
    auto effects = at->second.Step(request->request);
    if (!effects.reply) return std::nullopt;
    auto reply = DecodeVoterReply(Encode(AddressedReply{send.to, *effects.reply}));
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply->reply;
  }
  void Tell(const Effects& effects) {
    for (const auto& send : effects.send) Deliver(send);
  }

  ValuePtr founding_;
  absl::Time now_ = kNow;
  std::map<VoterId, RegisterAcceptor> voters_;
};

TEST(RegisterProposer, NeedsOneRoundTripWithTheKeptBallot) {
  ClusterState state = MakeCluster(3);
  Cluster cluster(state);
  RegisterProposer proposer = cluster.Proposer(1);
  auto first = cluster.Do(proposer, Rejoin("d", 40, 0));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ((*first)->version, 4u);
  EXPECT_EQ(cluster.rounds, 2);  // Prepare and accept: what was found was known as chosen.
  auto second = cluster.Do(proposer, Rejoin("e", 41, 0));
  ASSERT_TRUE(second.ok());
  EXPECT_EQ((*second)->version, 5u);
  EXPECT_EQ(cluster.rounds, 1);
  EXPECT_NE(StateOf(**second)->FindNode("e"), nullptr);
}

TEST(RegisterProposer, ConfirmsAReadOrARefusalByAQuorum) {
  Cluster cluster(MakeCluster(3));
  RegisterProposer proposer = cluster.Proposer(1);
  ASSERT_TRUE(cluster.Do(proposer, Rejoin("d", 40, 0)).ok());
  auto refused = cluster.Do(proposer, Rejoin("d", 50, 0));
  ASSERT_TRUE(refused.ok());
  EXPECT_EQ((*refused)->version, 4u);
  EXPECT_EQ(cluster.rounds, 1);
  ASSERT_TRUE(cluster.Read(proposer).ok());
  EXPECT_EQ(cluster.rounds, 1);
}

TEST(RegisterProposer, WritesBackWhatItFindsBeforeItChangesIt) {
  Cluster cluster(MakeCluster(3));
  RegisterProposer first = cluster.Proposer(1), second = cluster.Proposer(2);
  ASSERT_TRUE(cluster.Do(first, Rejoin("d", 40, 0)).ok());
  for (const VoterId& id : cluster.founding()->voters) {  // They forget that it was chosen.
    AcceptorState state = cluster.voter(id).state();
    state.chosen = nullptr;
    cluster.voter(id) = RegisterAcceptor(state);
  }
  auto done = cluster.Do(second, Rejoin("e", 41, 0));
  ASSERT_TRUE(done.ok());
  EXPECT_EQ((*done)->version, 5u);
  EXPECT_EQ(cluster.rounds, 4);  // A round too low, prepare, write back, accept.
  EXPECT_NE(StateOf(**done)->FindNode("d"), nullptr);
}

TEST(RegisterProposer, ThatIsBehindLearnsFromAVoterThatLeft) {
  ClusterState state = MakeCluster(5);
  state.voters.resize(1);
  Cluster cluster(state);
  RegisterProposer proposer = cluster.Proposer(1), behind = cluster.Proposer(2);
  VoterId e{"e", Id128{1, 5}};
  cluster.Add(e);
  ASSERT_TRUE(cluster.Do(proposer, SetPendingVoters{state.voters, {e}}).ok());
  auto adopted = cluster.Do(proposer, AdoptPendingVoters{{e}});
  ASSERT_TRUE(adopted.ok());
  EXPECT_EQ((*adopted)->voters, std::vector<VoterId>{e});
  EXPECT_FALSE(proposer.keeps_ballot());  // Void after a change of the voters.

  auto effects = cluster.voter(state.voters[0]).Step(PrepareRequest{{99, "x", {1, 1}}, 5});
  ASSERT_TRUE(std::holds_alternative<SupersededReply>(*effects.reply));
  auto done = cluster.Do(behind, Rejoin("f", 60, 0));
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ((*done)->version, (*adopted)->version + 1);
}

TEST(RegisterProposer, LeavesAloneAValueOfANewerFormat) {
  ClusterState state = MakeCluster(3);
  state.format = kClusterFormat + 1;
  Cluster cluster(state);
  RegisterProposer proposer = cluster.Proposer(1);
  EXPECT_EQ(cluster.Read(proposer).status().code(), absl::StatusCode::kUnimplemented);
}

TEST(RegisterProposer, WritesNothingWhereAllVotersAreEmpty) {
  ClusterState state = MakeCluster(3);
  Cluster cluster(state);
  for (const VoterId& id : state.voters) cluster.voter(id) = RegisterAcceptor();
  RegisterProposer proposer = cluster.Proposer(1);
  EXPECT_EQ(cluster.Read(proposer).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(proposer.Tick(kLater).outcome->status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(RegisterAcceptor, PromisesOnlyStrictlyHigherBallots) {
  RegisterAcceptor acceptor;
  PrepareRequest prepare{{2, "p", {1, 1}}, 0};
  EXPECT_TRUE(std::holds_alternative<PromisedReply>(*acceptor.Step(prepare).reply));
  EXPECT_TRUE(std::holds_alternative<RejectedReply>(*acceptor.Step(prepare).reply));
  prepare.ballot.nonce = {1, 2};
  auto effects = acceptor.Step(prepare);
  EXPECT_TRUE(std::holds_alternative<PromisedReply>(*effects.reply));
  EXPECT_EQ(effects.persist, RegisterAcceptor::Persist::kBeforeReply);
}

TEST(RegisterAcceptor, PromisesTheNextBallotWithAnAcceptance) {
  ValuePtr value = ValueOf(MakeCluster(3));
  RegisterAcceptor acceptor;
  AcceptRequest accept{{2, "p", {1, 1}}, {5, "p", {1, 1}}, value, 0};
  EXPECT_TRUE(std::holds_alternative<AcceptedReply>(*acceptor.Step(accept).reply));
  PrepareRequest rival{{4, "q", {1, 2}}, 0};
  EXPECT_TRUE(std::holds_alternative<RejectedReply>(*acceptor.Step(rival).reply));
  auto again = acceptor.Step(accept);  // A repeat is acknowledged again, and changes nothing.
  EXPECT_TRUE(std::holds_alternative<AcceptedReply>(*again.reply));
  EXPECT_EQ(again.persist, RegisterAcceptor::Persist::kBeforeReply) << "the first may be under way";
}

TEST(RegisterAcceptor, ForgetsInANewerGenerationAndKeepsWhatItPromisedThere) {
  RegisterAcceptor acceptor;
  acceptor.Enter(1);
  acceptor.Step(AcceptRequest{{9, "p", {1, 1}}, {10, "p", {1, 1}}, ValueOf(MakeCluster(3)), 0});
  EXPECT_FALSE(acceptor.VotesIn(2));
  acceptor.Enter(2);
  EXPECT_EQ(acceptor.state().value, nullptr) << "an older register's value is none of this one's";
  EXPECT_FALSE(acceptor.VotesIn(1));
  EXPECT_TRUE(acceptor.VotesIn(2));
  const Ballot ballot{3, "q", {2, 2}};
  acceptor.Step(PrepareRequest{ballot, 0});
  // Its process dies before the map of that generation is on its disk.
  auto stored = DecodeStoredAcceptor(Encode(StoredAcceptor{{"v", {1, 1}}, acceptor.state()}));
  ASSERT_TRUE(stored.ok()) << stored.status();
  RegisterAcceptor again(stored->state);
  again.Enter(1);  // The map that it finds there.
  EXPECT_FALSE(again.VotesIn(1));
  again.Enter(2);  // The map that it is told.
  EXPECT_EQ(again.state().promised, ballot);
}

TEST(RegisterCodec, StoresAnAcceptor) {
  ClusterState state = MakeCluster(3);
  RegisterAcceptor acceptor;
  acceptor.Enter(7);
  Ballot ballot{2, "p", {1, 1}};
  acceptor.Step(AcceptRequest{ballot, {3, "p", {1, 1}}, ValueOf(state), 0});
  for (int told : {0, 1}) {
    if (told) acceptor.Step(ChosenNotice{ballot, nullptr});
    StoredAcceptor stored{state.voters[0], acceptor.state()};
    auto decoded = DecodeStoredAcceptor(Encode(stored));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(decoded->voter, stored.voter);
    EXPECT_EQ(decoded->state.promised, stored.state.promised);
    EXPECT_EQ(decoded->state.accepted, ballot);
    EXPECT_EQ(decoded->state.generation, 7u);
    EXPECT_TRUE(Same(decoded->state.value, stored.state.value));
    EXPECT_EQ(decoded->state.chosen != nullptr, told == 1);
  }
}

TEST(RegisterCodec, SurvivesDamage) {
  Random random(3);
  ValuePtr value = ValueOf(MakeCluster(2, 2));
  std::vector<Bytes> good = {
      Encode(AddressedRequest{{"v", {1, 1}}, AcceptRequest{{2, "p", {1, 1}}, {}, value, 0}}),
      Encode(AddressedReply{{"v", {1, 1}}, PromisedReply{{2, "p", {}}, {1, "q", {}}, value}}),
      Encode(StoredAcceptor{{"v", {1, 1}}, {{2, "p", {}}, {2, "p", {}}, value, value}})};
  for (int i = 0; i < 5000; ++i) {
    Bytes bytes = good[i % 3];
    for (int n = 0; n < 3; ++n) {
      bytes[random.Below(bytes.size())] = static_cast<std::byte>(random.Below(256));
    }
    (void)DecodeVoterRequest(bytes);
    (void)DecodeVoterReply(bytes);
    (void)DecodeStoredAcceptor(bytes);
  }
  AddressedRequest giant{{"v", {1, 1}}, PrepareRequest{{UINT64_MAX, "p", {1, 1}}, 0}};
  EXPECT_EQ(DecodeVoterRequest(Encode(giant)).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace troupe
