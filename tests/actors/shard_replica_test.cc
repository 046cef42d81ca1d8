// ShardReplica: answers leave when they will survive, and only one copy gives them.
#include "troupe/actors/shard_replica.h"

#include "replica_cluster.h"

namespace troupe {
namespace {

using Kind = ServingChange::Kind;

bool Serves(const ReplicaCluster& cluster, CopyId id) {
  return cluster.copies.at(id).replica->serving();
}
bool Failed(const ReplicaCluster& cluster, CopyId at, HoldToken token, HoldFailure why) {
  for (const auto& failed : cluster.copies.at(at).failed) {
    if (failed == std::pair{token, why}) return true;
  }
  return false;
}
CopyId NotInSync(const ReplicaCluster& cluster) {
  for (const auto& [id, copy] : cluster.copies) {
    if (!Contains(cluster.entry().isr, id)) return id;
  }
  return 0;
}

TEST(ShardReplica, ServesAfterFounding) {
  ReplicaCluster cluster(3);
  EXPECT_TRUE(Serves(cluster, cluster.primary()));
  EXPECT_FALSE(Serves(cluster, cluster.Backup()));
}

TEST(ShardReplica, AnswersWhenAllInSyncCopiesHaveIt) {
  ReplicaCluster cluster(3);
  HoldToken token = cluster.Write(cluster.primary(), "a", "x", 1);
  EXPECT_FALSE(cluster.Released(cluster.primary(), token));
  cluster.Run();
  EXPECT_TRUE(cluster.Released(cluster.primary(), token));
  for (CopyId id : cluster.entry().isr) EXPECT_EQ(cluster.Words(id, "a"), "x");
}

TEST(ShardReplica, AloneAnswersAtOnce) {
  ReplicaCluster cluster(1, 1);
  HoldToken token = cluster.Write(1, "a", "x", 1);
  cluster.Run();
  EXPECT_TRUE(cluster.Released(1, token));
}

TEST(ShardReplica, HoldsAnswersBelowMinIsrUntilALearnerHasJoined) {
  ReplicaCluster cluster(4);
  CopyId first = cluster.Backup(0), second = cluster.Backup(1), learner = NotInSync(cluster);
  CopyId primary = cluster.primary();
  HoldToken token = cluster.Write(primary, "a", "x", 1);
  for (CopyId gone : {first, second}) cluster.cut_off.insert(gone);
  cluster.FenceCopy(first);
  cluster.FenceCopy(second);
  cluster.ShowMap();
  cluster.Run();
  EXPECT_EQ(cluster.entry().isr, CopySet{primary});
  EXPECT_FALSE(cluster.Released(primary, token)) << "only one copy has it";
  EXPECT_EQ(cluster.copies.at(primary).replica->Admit(CallKind::kMutating).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(cluster.copies.at(primary).replica->Admit(CallKind::kReadOnly).ok());
  ASSERT_TRUE(cluster.Do(AddLearner{0, cluster.entry().epoch, learner}));
  cluster.ShowMap();
  cluster.Advance(absl::Milliseconds(200));
  EXPECT_TRUE(Contains(cluster.entry().isr, learner));
  EXPECT_TRUE(cluster.Released(primary, token));
  EXPECT_EQ(cluster.Words(learner, "a"), "x");
}

TEST(ShardReplica, CarriesAnsweredWritesAndTheirRecordsOverAFailover) {
  ReplicaCluster cluster(3);
  CopyId old = cluster.primary();
  cluster.Write(old, "a", "x", 1);
  cluster.Run();
  cluster.cut_off.insert(old);
  cluster.FenceCopy(old);
  cluster.ShowMap();
  cluster.Advance(absl::Milliseconds(300));
  CopyId next = cluster.primary();
  ASSERT_NE(next, old);
  ASSERT_TRUE(Serves(cluster, next));
  EXPECT_EQ(cluster.Words(next, "a"), "x");
  HoldToken retry = cluster.Write(next, "a", "x", 1);
  cluster.Run();
  EXPECT_TRUE(cluster.Released(next, retry));
  EXPECT_EQ(cluster.Words(next, "a"), "x") << "the retry found its record";
}

TEST(ShardReplica, BringsAllCopiesToTheNewPrimarysState) {
  ReplicaCluster cluster(3);
  CopyId old = cluster.primary(), a = cluster.Backup(0), b = cluster.Backup(1);
  cluster.Write(old, "both", "x", 1);
  cluster.Run();
  cluster.cut_off.insert(b);
  cluster.Write(old, "one", "y", 2);  // Reaches only a, or nobody when b is elected.
  cluster.Collect();
  while (!cluster.network.empty()) cluster.DeliverOne();
  EXPECT_EQ(cluster.Words(a, "one"), "y");
  EXPECT_EQ(cluster.Words(b, "one"), "-");
  cluster.cut_off = {old};
  cluster.FenceCopy(old);
  cluster.ShowMap();
  cluster.Advance(absl::Milliseconds(300));
  EXPECT_TRUE(Serves(cluster, cluster.primary()));
  EXPECT_EQ(cluster.Words(a, "one"), cluster.Words(b, "one"));
  EXPECT_EQ(cluster.Words(a, "both"), "x");
}

TEST(ShardReplica, FailsWhatItHeldWhenAnotherLeads) {
  ReplicaCluster cluster(3);
  CopyId old = cluster.primary();
  HoldToken token = cluster.Write(old, "a", "x", 1);
  cluster.FenceCopy(old);
  cluster.ShowMapTo(old);
  EXPECT_TRUE(Failed(cluster, old, token, HoldFailure::kNotPrimary));
  EXPECT_EQ(cluster.copies.at(old).serving.back().kind, Kind::kStop);
  EXPECT_FALSE(cluster.copies.at(old).replica->Admit(CallKind::kReadOnly).ok());
}

TEST(ShardReplica, StopsWhenItIsRejected) {
  ReplicaCluster cluster(3);
  CopyId old = cluster.primary(), backup = cluster.Backup();
  cluster.FenceCopy(old);
  cluster.ShowMapTo(backup);  // Promises the new epoch; the old primary knows nothing.
  HoldToken token = cluster.Write(old, "a", "x", 1);
  cluster.Collect();
  while (!cluster.network.empty()) cluster.DeliverOne();
  EXPECT_FALSE(cluster.Released(old, token));
  EXPECT_TRUE(Failed(cluster, old, token, HoldFailure::kNotPrimary));
  EXPECT_FALSE(Serves(cluster, old));
}

TEST(ShardReplica, RefusesWhatIsMeantForAnotherProcess) {
  ReplicaCluster cluster(3);
  CopyId primary = cluster.primary(), backup = cluster.Backup();
  cluster.Write(primary, "a", "x", 1);
  cluster.Collect();
  for (auto& sent : cluster.network) {
    if (sent.to != backup) continue;
    sent.message.target = 99;  // The boot that this node had before.
    ReplicaEffects out;
    cluster.copies.at(backup).replica->OnMessage(cluster.now, primary, sent.message, out);
    EXPECT_TRUE(out.send.empty());
  }
  EXPECT_EQ(cluster.Words(backup, "a"), "-");
}

TEST(ShardReplica, RemovesASilentMemberAndOnlyThenAnswers) {
  ReplicaCluster cluster(3);
  CopyId primary = cluster.primary(), silent = cluster.Backup();
  cluster.cut_off.insert(silent);
  HoldToken token = cluster.Write(primary, "a", "x", 1);
  cluster.Advance(absl::Milliseconds(250));
  EXPECT_FALSE(cluster.Released(primary, token));
  cluster.Advance(absl::Milliseconds(100));
  EXPECT_FALSE(Contains(cluster.entry().isr, silent));
  EXPECT_TRUE(cluster.Released(primary, token));
}

TEST(ShardReplica, DoesNotTakeItsOwnStallForSilence) {
  ReplicaCluster cluster(3);
  CopyId primary = cluster.primary();
  cluster.now += absl::Seconds(10);
  ReplicaEffects out;
  cluster.copies.at(primary).replica->Tick(cluster.now, absl::Seconds(10), out);
  EXPECT_TRUE(out.propose.empty());
}

TEST(ShardReplica, CountsThePendingIsrUntilAMapShowsItsOutcome) {
  ReplicaCluster cluster(3);
  CopyId primary = cluster.primary(), silent = cluster.Backup();
  cluster.cut_off.insert(silent);
  cluster.register_down = true;
  HoldToken token = cluster.Write(primary, "a", "x", 1);
  for (int i = 0; i < 30; ++i) {
    cluster.now += absl::Milliseconds(25);
    ReplicaEffects out;
    cluster.copies.at(primary).replica->Tick(cluster.now, absl::ZeroDuration(), out);
    cluster.Take(primary, out);
    cluster.Collect();
    while (!cluster.network.empty()) cluster.DeliverOne();
  }
  ASSERT_GE(cluster.proposed.size(), 2u) << "repeated while the outcome is not known";
  EXPECT_EQ(Describe(cluster.proposed.front()), Describe(cluster.proposed.back()));
  EXPECT_FALSE(cluster.Released(primary, token));
  cluster.register_down = false;
  cluster.ApplyProposed();
  EXPECT_TRUE(cluster.Released(primary, token));
}

// A learner is to be added, and the command that says so has not arrived.
void ProposeALearner(ReplicaCluster& cluster, CopyId& learner) {
  const CopyId primary = cluster.primary();
  learner = NotInSync(cluster);
  ASSERT_TRUE(cluster.Do(AddLearner{0, 1, learner}));
  cluster.register_down = true;
  cluster.ShowMap();
  for (int i = 0; i < 20 && cluster.proposed.empty(); ++i) {
    cluster.now += absl::Milliseconds(25);
    ReplicaEffects out;
    cluster.copies.at(primary).replica->Tick(cluster.now, absl::ZeroDuration(), out);
    cluster.Take(primary, out);
    cluster.Collect();
    while (!cluster.network.empty()) cluster.DeliverOne();
  }
  ASSERT_FALSE(cluster.proposed.empty());
  cluster.proposed.clear();  // Lost on the way.
  cluster.cut_off.insert(learner);
  cluster.register_down = false;
}

TEST(ShardReplica, WithdrawsACopyThatFellSilentBeforeItJoined) {
  ReplicaCluster cluster(4);
  CopyId primary = cluster.primary(), learner = 0;
  ASSERT_NO_FATAL_FAILURE(ProposeALearner(cluster, learner));
  cluster.ShowMap();
  HoldToken token = cluster.Write(primary, "a", "x", 1);
  cluster.Run();
  EXPECT_FALSE(cluster.Released(primary, token)) << "the copy may be a member by now";
  uint64_t before = cluster.entry().isr_version;
  cluster.Advance(absl::Seconds(2));
  EXPECT_GT(cluster.entry().isr_version, before);
  EXPECT_TRUE(cluster.Released(primary, token));
}

TEST(ShardReplica, WaitsNoMoreForACopyThatDiedBeforeItJoined) {
  ReplicaCluster cluster(4);
  CopyId primary = cluster.primary(), learner = 0;
  ASSERT_NO_FATAL_FAILURE(ProposeALearner(cluster, learner));
  HoldToken token = cluster.Write(primary, "a", "x", 1);
  cluster.Run();
  EXPECT_FALSE(cluster.Released(primary, token)) << "the copy may be a member by now";
  cluster.FenceCopy(learner);
  cluster.ShowMap();
  cluster.Run();
  EXPECT_TRUE(cluster.Released(primary, token));
}

TEST(ShardReplica, BeginsANewLineageEmpty) {
  ReplicaCluster cluster(2, 2);
  cluster.Write(cluster.primary(), "a", "x", 1);
  cluster.Run();
  for (CopyId id : {1, 2}) cluster.FenceCopy(id);
  ASSERT_TRUE(cluster.Do(DeclareLost{0, 1, cluster.entry().epoch}));
  for (CopyId id : {1, 2}) {
    const NodeEntry node = *cluster.state.FindBoot(id);
    ASSERT_TRUE(cluster.Do(Unfence{node.name, node.boot, node.generation}));
  }
  cluster.ShowMap();
  ASSERT_TRUE(cluster.Do(Recover{0, 1}));
  cluster.ShowMap();
  cluster.Advance(absl::Milliseconds(600));
  ASSERT_TRUE(Serves(cluster, cluster.primary()));
  EXPECT_EQ(cluster.Words(cluster.primary(), "a"), "-");
  cluster.Write(cluster.primary(), "a", "y", 2);
  CopyId other = 3 - cluster.primary();
  ASSERT_TRUE(cluster.Do(AddLearner{0, cluster.entry().epoch, other}));
  cluster.ShowMap();
  cluster.Advance(absl::Milliseconds(300));
  EXPECT_EQ(cluster.Words(other, "a"), "y");
}

// ---- Reads and leases

TEST(ShardReplica, ReadsUnderLeaseWithoutAskingAnyone) {
  ReplicaCluster cluster(3);
  cluster.Advance(absl::Milliseconds(100));
  ReplicaEffects out;
  EXPECT_EQ(cluster.Leader().replica->StartRead(cluster.now, out).confirmation, 0u);
  EXPECT_FALSE(out.confirm_read.has_value());
}

TEST(ShardReplica, ConfirmsReadsWhenOneElectableCopyHasNotGranted) {
  ReplicaCluster cluster(3);
  CopyId primary = cluster.primary();
  cluster.cut_off.insert(cluster.Backup());
  cluster.Advance(absl::Milliseconds(250));
  cluster.register_down = true;
  HoldToken token = cluster.Read(primary, "a");
  cluster.Run();
  EXPECT_FALSE(cluster.Released(primary, token));
  cluster.register_down = false;
  cluster.Run();
  EXPECT_TRUE(cluster.Released(primary, token));
}

TEST(ShardReplica, LetsAReadWaitForTheStateItSaw) {
  ReplicaCluster cluster(3);
  CopyId primary = cluster.primary();
  cluster.Advance(absl::Milliseconds(100));
  cluster.Write(primary, "a", "x", 1);
  HoldToken dirty = cluster.Read(primary, "a");
  HoldToken clean = cluster.Read(primary, "b");
  EXPECT_FALSE(cluster.Released(primary, dirty));
  EXPECT_TRUE(cluster.Released(primary, clean));
  cluster.Run();
  EXPECT_TRUE(cluster.Released(primary, dirty));
}

TEST(ShardReplica, WaitsOutTheLeaseItGranted) {
  ReplicaCluster cluster(3);
  CopyId old = cluster.primary();
  cluster.Advance(absl::Milliseconds(100));
  cluster.cut_off.insert(old);
  cluster.FenceCopy(old);
  cluster.ShowMap();
  cluster.Run();
  cluster.Advance(absl::Milliseconds(125));
  EXPECT_FALSE(Serves(cluster, cluster.primary()));
  cluster.Advance(absl::Milliseconds(150));
  EXPECT_TRUE(Serves(cluster, cluster.primary()));
}

TEST(ShardReplica, DoesNotWaitForTheLeaseOfTheProvenDead) {
  ReplicaCluster cluster(3);
  CopyId old = cluster.primary();
  cluster.Advance(absl::Milliseconds(100));
  cluster.cut_off.insert(old);
  cluster.FenceCopy(old, Fence::Grounds::kProofOfDeath);
  cluster.ShowMap();
  cluster.Run();
  EXPECT_TRUE(Serves(cluster, cluster.primary()));
}

TEST(ShardReplica, AloneAnswersOnlyNearAConfirmation) {
  ReplicaOptions options;
  ReplicaCluster cluster(2, 2, options);
  CopyId primary = cluster.primary(), other = cluster.Backup();
  cluster.cut_off.insert(other);
  cluster.FenceCopy(other);
  cluster.ShowMap();
  cluster.Advance(absl::Seconds(1));
  HoldToken sure = cluster.Write(primary, "a", "x", 1);
  cluster.Run();
  EXPECT_TRUE(cluster.Released(primary, sure));
  cluster.register_down = true;
  cluster.now += absl::Seconds(3);
  HoldToken unsure = cluster.Write(primary, "a", "y", 2);
  cluster.Run();
  EXPECT_FALSE(cluster.Released(primary, unsure));
  cluster.register_down = false;
  cluster.Advance(absl::Milliseconds(600));
  EXPECT_TRUE(cluster.Released(primary, unsure));
}

// ---- Learners

TEST(ShardReplica, BringsALearnerUpWhileWritesGoOn) {
  ReplicaCluster cluster(4);
  CopyId primary = cluster.primary(), learner = NotInSync(cluster);
  std::string large(3000, 'w');
  for (uint64_t i = 1; i <= 400; ++i) cluster.Write(primary, "k" + std::to_string(i), large, i);
  cluster.Run();
  ASSERT_TRUE(cluster.Do(AddLearner{0, 1, learner}));
  cluster.ShowMap();
  uint64_t sequence = 1000;
  for (int i = 0; i < 12; ++i) {
    cluster.Write(primary, "k" + std::to_string(1 + i * 30), "+", ++sequence);
    cluster.Collect();
    for (int k = 0; k < 5 && !cluster.network.empty(); ++k) cluster.DeliverOne();
    ReplicaEffects out;
    cluster.now += absl::Milliseconds(5);
    cluster.copies.at(primary).replica->Tick(cluster.now, absl::ZeroDuration(), out);
    cluster.Take(primary, out);
  }
  cluster.Advance(absl::Milliseconds(200));
  EXPECT_TRUE(Contains(cluster.entry().isr, learner));
  for (int i = 1; i <= 400; ++i) {
    std::string key = "k" + std::to_string(i);
    ASSERT_EQ(cluster.Words(learner, key), cluster.Words(primary, key)) << key;
  }
}

// P3.8: each message takes four steps, and there is a write in each.
TEST(ShardReplica, LetsALearnerInThatIsAlwaysBehindByWhatIsUnderWay) {
  ReplicaCluster cluster(2, 1);
  const CopyId primary = cluster.primary(), learner = NotInSync(cluster);
  ASSERT_TRUE(cluster.Do(AddLearner{0, 1, learner}));
  cluster.ShowMap();
  std::deque<std::pair<int, ReplicaCluster::Sent>> late;
  int step = 0;
  for (; step < 400 && !Contains(cluster.entry().isr, learner); ++step) {
    cluster.now += absl::Milliseconds(1);
    cluster.Write(primary, "a", "x", static_cast<uint64_t>(step) + 1);
    for (CopyId id : {primary, learner}) {
      ReplicaEffects out;
      cluster.copies.at(id).replica->Tick(cluster.now, absl::ZeroDuration(), out);
      cluster.Take(id, out);
    }
    cluster.Collect();
    for (auto& sent : std::exchange(cluster.network, {}))
      late.emplace_back(step + 4, std::move(sent));
    while (!late.empty() && late.front().first <= step) {
      auto rest = std::exchange(cluster.network, {});
      cluster.network.push_back(std::move(late.front().second));
      late.pop_front();
      cluster.DeliverOne();
      for (auto& sent : rest) cluster.network.push_back(std::move(sent));
    }
    if (!cluster.proposed.empty()) cluster.ApplyProposed();
  }
  EXPECT_LT(step, 100);
  EXPECT_EQ(cluster.Words(learner, "a").substr(0, 10), "xxxxxxxxxx");
}

TEST(ShardReplica, ReplacesWhatALearnerHoldsBeyondThePrimary) {
  ReplicaCluster cluster(3);
  CopyId old = cluster.primary();
  cluster.Write(old, "a", "x", 1);
  cluster.Run();
  for (CopyId id : {cluster.Backup(0), cluster.Backup(1)}) cluster.cut_off.insert(id);
  cluster.Write(old, "a", "y", 2);  // In a batch that nobody else gets.
  cluster.Write(old, "only", "z", 3);
  cluster.Collect();
  cluster.network.clear();
  EXPECT_EQ(cluster.Words(old, "a"), "xy");
  cluster.cut_off = {old};
  cluster.FenceCopy(old);
  cluster.ShowMap();
  cluster.Advance(absl::Milliseconds(300));
  ASSERT_TRUE(Serves(cluster, cluster.primary()));
  cluster.cut_off.clear();
  const NodeEntry node = *cluster.state.FindBoot(old);
  ASSERT_TRUE(cluster.Do(Unfence{node.name, node.boot, node.generation}));
  ASSERT_TRUE(cluster.Do(AddLearner{0, cluster.entry().epoch, old}));
  cluster.ShowMap();
  cluster.Advance(absl::Milliseconds(300));
  EXPECT_TRUE(Contains(cluster.entry().isr, old));
  EXPECT_EQ(cluster.Words(old, "a"), "x");
  EXPECT_EQ(cluster.Words(old, "only"), "-");
}

TEST(ShardReplica, ForgetsARemovedActorEverywhere) {
  ReplicaCluster cluster(3);
  CopyId primary = cluster.primary(), backup = cluster.Backup();
  cluster.Write(primary, "a", "x", 1);
  cluster.Run();
  auto& copy = cluster.copies.at(primary);
  copy.actors->Get(*copy.replica, {7, "a"}).gone = true;
  copy.replica->MarkDirty({7, "a"});
  cluster.Run();
  EXPECT_EQ(cluster.Words(backup, "a"), "-");
  cluster.Advance(absl::Milliseconds(200));  // A heartbeat carries the mark.
  for (CopyId id : cluster.entry().isr) {
    EXPECT_EQ(cluster.copies.at(id).replica->store().size(), 0u) << "tombstone kept by " << id;
  }
}

// ---- Turns that wait

TEST(ShardReplica, SendsNoImageOfAnOpenTurnButTheOneBefore) {
  ReplicaCluster cluster(3);
  CopyId primary = cluster.primary();
  auto& copy = cluster.copies.at(primary);
  HoldToken before = cluster.Write(primary, "a", "x", 1);
  auto& actor = copy.actors->Get(*copy.replica, {7, "a"});
  copy.replica->Stage({7, "a"}, WordActors::Take(actor));
  actor.mid_turn = true;
  actor.words += "half";
  HoldToken outgoing = cluster.Hold(primary, {7, "a"}, HoldKind::kOutgoing, {});
  EXPECT_FALSE(cluster.Released(primary, outgoing)) << "earlier turns are not acknowledged yet";
  cluster.Run();
  EXPECT_TRUE(cluster.Released(primary, before));
  EXPECT_TRUE(cluster.Released(primary, outgoing));
  EXPECT_EQ(cluster.Words(cluster.Backup(), "a"), "x");
  copy.replica->MarkDirty({7, "a"});
  HoldToken after = cluster.Hold(primary, {7, "a"}, HoldKind::kAnswer, {});
  cluster.Collect();
  EXPECT_FALSE(cluster.Released(primary, after));
  actor.mid_turn = false;
  cluster.Run();
  EXPECT_TRUE(cluster.Released(primary, after));
  EXPECT_EQ(cluster.Words(cluster.Backup(), "a"), "xhalf");
}

TEST(ShardReplica, AloneAnswersTheLastOfSeveralTurnsToo) {
  ReplicaCluster cluster(1, 1);
  auto& copy = cluster.copies.at(1);
  HoldToken first = cluster.Write(1, "a", "x", 1);
  copy.replica->Stage({7, "a"}, WordActors::Take(copy.actors->Get(*copy.replica, {7, "a"})));
  HoldToken last = cluster.Write(1, "a", "y", 2);
  cluster.Collect();
  EXPECT_TRUE(cluster.Released(1, first));
  EXPECT_TRUE(cluster.Released(1, last)) << "nothing else will ask for it";
  EXPECT_EQ(cluster.Words(1, "a"), "xy");
}

TEST(ShardReplica, SendsTheTurnsOfOneActorInOneBatchWhenNoneIsOpen) {
  ReplicaCluster cluster(3);
  CopyId primary = cluster.primary();
  auto& copy = cluster.copies.at(primary);
  HoldToken first = cluster.Write(primary, "a", "x", 1);
  copy.replica->Stage({7, "a"}, WordActors::Take(copy.actors->Get(*copy.replica, {7, "a"})));
  HoldToken last = cluster.Write(primary, "a", "y", 2);
  cluster.Collect();
  while (!cluster.network.empty()) cluster.DeliverOne();  // One round trip, nothing collected anew.
  EXPECT_TRUE(cluster.Released(primary, first));
  EXPECT_TRUE(cluster.Released(primary, last));
  for (CopyId id : cluster.entry().isr) EXPECT_EQ(cluster.Words(id, "a"), "xy");
}

// ---- Moves

TEST(ShardReplica, HandsOverWithoutAWait) {
  ReplicaCluster cluster(3);
  CopyId old = cluster.primary(), to = cluster.Backup();
  cluster.Advance(absl::Milliseconds(100));
  HoldToken token = cluster.Write(old, "a", "x", 1);
  ReplicaEffects out;
  ASSERT_TRUE(cluster.copies.at(old).replica->BeginMove(cluster.now, to, out).ok());
  EXPECT_EQ(out.serving.back().kind, Kind::kStopAdmit);
  EXPECT_TRUE(out.propose.empty()) << "an answer is still held";
  cluster.Take(old, out);
  EXPECT_FALSE(cluster.copies.at(old).replica->Admit(CallKind::kReadOnly).ok());
  cluster.Run();
  EXPECT_TRUE(cluster.Released(old, token));
  EXPECT_EQ(cluster.primary(), to);
  EXPECT_TRUE(Serves(cluster, to));
  EXPECT_EQ(cluster.copies.at(old).serving.back().next_primary, to);
  EXPECT_EQ(cluster.Words(to, "a"), "x");
}

TEST(ShardReplica, RepeatsAProposedMoveAndServesNothingMeanwhile) {
  ReplicaCluster cluster(3);
  CopyId old = cluster.primary(), to = cluster.Backup();
  cluster.register_down = true;
  ReplicaEffects out;
  ASSERT_TRUE(cluster.copies.at(old).replica->BeginMove(cluster.now, to, out).ok());
  ASSERT_EQ(out.propose.size(), 1u);
  ReplicaEffects later;
  cluster.copies.at(old).replica->Tick(cluster.now + absl::Seconds(2), absl::Seconds(2), later);
  ASSERT_EQ(later.propose.size(), 1u);
  EXPECT_EQ(Describe(later.propose[0]), Describe(out.propose[0]));
  EXPECT_FALSE(cluster.copies.at(old).replica->Admit(CallKind::kReadOnly).ok());
}

TEST(ShardReplica, WithdrawsAProposedMoveThatIsRefused) {
  ReplicaCluster cluster(3);
  CopyId old = cluster.primary(), to = cluster.Backup();
  cluster.register_down = true;
  ReplicaEffects out;
  ASSERT_TRUE(cluster.copies.at(old).replica->BeginMove(cluster.now, to, out).ok());
  cluster.Take(old, out);
  const NodeEntry node = *cluster.state.FindBoot(to);
  ASSERT_TRUE(cluster.Do(Drain{node.name, node.boot}));
  cluster.register_down = false;
  cluster.Advance(absl::Seconds(4));
  EXPECT_FALSE(cluster.copies.at(old).replica->Admit(CallKind::kReadOnly).ok());
  cluster.Advance(absl::Seconds(2));
  EXPECT_EQ(cluster.primary(), old);
  EXPECT_EQ(cluster.copies.at(old).serving.back().kind, Kind::kAdmit);
  EXPECT_TRUE(cluster.copies.at(old).replica->Admit(CallKind::kMutating).ok());
}

TEST(ShardReplica, GivesUpAMoveThatCannotDrain) {
  ReplicaCluster cluster(3);
  CopyId old = cluster.primary();
  cluster.copies.at(old).actors->busy = true;
  ReplicaEffects out;
  ASSERT_TRUE(cluster.copies.at(old).replica->BeginMove(cluster.now, cluster.Backup(), out).ok());
  cluster.Take(old, out);
  cluster.Advance(absl::Seconds(6));
  EXPECT_EQ(cluster.primary(), old);
  EXPECT_EQ(cluster.copies.at(old).serving.back().kind, Kind::kAdmit);
  EXPECT_TRUE(cluster.copies.at(old).replica->Admit(CallKind::kMutating).ok());
}

}  // namespace
}  // namespace troupe
