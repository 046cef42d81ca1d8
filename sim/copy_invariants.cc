#include "troupe/sim/copy_invariants.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "troupe/actors/actor_store.h"
#include "troupe/actors/shard_of.h"
#include "troupe/membership/placement.h"

namespace troupe::sim {
namespace {

std::string Say(Version v) { return absl::StrCat("(", v.epoch, ", ", v.seq, ")"); }

template <typename Snapshot>
bool Same(const Snapshot& a, const Snapshot& b) {
  return a == b || (a != nullptr && b != nullptr && *a == *b);
}

}  // namespace

void CopyInvariants::Step(const ClusterState* newest, bool news) {
  present_.clear();
  for (const auto& name : cluster_.names()) {
    if (!cluster_.has(name)) continue;
    cluster_.node(name).ForEachReplica([&](const ShardReplica& replica) {
      if (replica.view().map_version == 0) return;  // Its disk is being read (P3.19).
      LookAt(name, replica);
      present_.push_back({&name, &replica});
    });
  }
  if (newest == nullptr) return;
  CheckMarks(*newest);
  CheckReaders();
  CheckTwins();
  if (ledgers_ == nullptr || (!news && ledgers_->answered() == answered_)) return;
  answered_ = ledgers_->answered();
  if (news) compared_.clear();
  Compare(*newest);
}

void CopyInvariants::LookAt(const std::string& node, const ShardReplica& replica) {
  Copy& copy = copies_[{replica.shard(), replica.self()}];
  const auto wrong = [&](const char* what) {
    problem_("epochs", absl::StrCat("shard ", replica.shard(), " on ", node, ": ", what));
  };
  if (replica.promised() < copy.promised) wrong("its promise falls");
  if (replica.position() < copy.position && replica.position() != Version()) {
    wrong("its position falls");
  }
  copy = {replica.promised(), replica.position()};
  NoteMark(replica);
  if (!replica.serving()) return;
  auto [it, fresh] = served_.try_emplace({replica.shard(), replica.epoch()}, replica.self());
  if (it->second == replica.self()) return;
  problem_("one primary",
           absl::StrCat("shard ", replica.shard(), ", epoch ", replica.epoch(), ": copies ",
                        it->second, " and ", replica.self(), " serve it"));
}

void CopyInvariants::NoteMark(const ShardReplica& replica) {
  const Version complete = replica.complete();
  if (complete.seq == 0) return;
  Mark& mark = marks_[replica.shard()];
  const uint64_t lineage = replica.view().entry.lineage;
  if (lineage < mark.lineage) return;
  if (lineage > mark.lineage) mark = {lineage, {}};
  mark.complete = std::max(mark.complete, complete);
}

// P3.5, P3.9: what any primary counts as complete is at every copy that could be elected.
void CopyInvariants::CheckMarks(const ClusterState& newest) {
  for (const auto& [node, replica] : present_) {
    const auto mark = marks_.find(replica->shard());
    const ShardEntry& entry = newest.shards[replica->shard()];
    if (mark == marks_.end() || mark->second.lineage != entry.lineage) continue;
    if (replica->position() >= mark->second.complete) continue;
    if (!Contains(entry.isr, replica->self()) && !Contains(entry.elr, replica->self())) continue;
    problem_("marks",
             absl::StrCat("shard ", replica->shard(), ": all have ", Say(mark->second.complete),
                          ", says a primary; copy ", replica->self(), " on ", *node,
                          " could be elected and has ", Say(replica->position())));
  }
}

// P4: who might read without asking anybody, while others may write.
void CopyInvariants::CheckReaders() {
  std::map<ShardId, Present> leads;  // The highest epoch that is served.
  for (const Present& copy : present_) {
    if (!copy.replica->serving()) continue;
    auto [it, fresh] = leads.try_emplace(copy.replica->shard(), copy);
    if (!fresh && it->second.replica->epoch() < copy.replica->epoch()) it->second = copy;
  }
  for (const auto& [node, replica] : present_) {
    if (!replica->serving()) continue;
    const Present& leader = leads.at(replica->shard());
    if (leader.replica->epoch() == replica->epoch()) continue;
    const absl::Time now = cluster_.world().machine(*node).control().clock().Now();
    if (!replica->MayReadLocally(now)) continue;
    problem_("leases", absl::StrCat("shard ", replica->shard(), ": copy ", replica->self(), " on ",
                                    *node, " may read in epoch ", replica->epoch(), " while ",
                                    leader.replica->self(), " on ", *leader.node, " serves epoch ",
                                    leader.replica->epoch()));
  }
}

// P3.3, P3.9: an in-sync copy has, up to its position, just what the primary has.
void CopyInvariants::CheckTwins() {
  for (const auto& [node, primary] : present_) {
    if (!primary->serving()) continue;
    for (const auto& [other, copy] : present_) {
      const bool twin = copy->shard() == primary->shard() && copy != primary &&
                        Contains(primary->view().entry.isr, copy->self()) &&
                        copy->position().epoch == primary->epoch() &&
                        copy->promised() == primary->epoch();
      if (!twin) continue;
      auto& last = twins_[{primary->shard(), copy->self()}];
      const std::pair<Version, Version> now{primary->position(), copy->position()};
      if (std::exchange(last, now) == now) continue;
      CompareTwins(*primary, *copy, *other);
    }
  }
}

void CopyInvariants::CompareTwins(const ShardReplica& primary, const ShardReplica& copy,
                                  const std::string& node) {
  const auto wrong = [&](const ActorId& actor, Version ours, Version theirs, const char* what) {
    problem_("twins",
             absl::StrCat("shard ", copy.shard(), ", ", actor.ToString(), ": copy ", copy.self(),
                          " on ", node, " at ", Say(copy.position()), " has ", Say(theirs),
                          ", primary ", primary.self(), " ", Say(ours), ": ", what));
  };
  const Version position = copy.position();
  for (const auto& entry : copy.store().ListAll()) {
    if (entry.version > position) wrong(entry.actor, {}, entry.version, "it is ahead of itself");
    const StoredActor* theirs = copy.store().Find(entry.actor);
    const StoredActor* ours = primary.store().Find(entry.actor);
    if (theirs != nullptr && ours == nullptr && primary.position() <= position) {
      wrong(entry.actor, {}, entry.version, "the primary has none");
    }
  }
  for (const auto& entry : primary.store().ListAll()) {
    const StoredActor* ours = primary.store().Find(entry.actor);
    if (ours == nullptr || ours->version > position) continue;
    const StoredActor* theirs = copy.store().Find(entry.actor);
    if (theirs == nullptr || theirs->version != ours->version) {
      wrong(entry.actor, ours->version, copy.store().VersionOf(entry.actor), "another version");
      continue;
    }
    const bool same = *ours->state == *theirs->state && ours->turn == theirs->turn &&
                      ours->resume == theirs->resume && ours->called == theirs->called &&
                      Same(ours->reminders, theirs->reminders) &&
                      Same(ours->outbox, theirs->outbox) && Same(ours->hold, theirs->hold) &&
                      Same(ours->watches, theirs->watches) &&
                      ours->records.Fingerprint() == theirs->records.Fingerprint();
    if (!same) wrong(entry.actor, ours->version, theirs->version, "other contents");
  }
}

void CopyInvariants::CompareAll(const ClusterState& newest) {
  compared_.clear();
  Compare(newest);
}

void CopyInvariants::Compare(const ClusterState& newest) {
  if (ledgers_ == nullptr) return;
  for (const auto& [node, replica] : present_) CheckAnswers(*node, *replica, newest);
  for (const auto& [key, book] : ledgers_->books()) compared_[key] = book.newest;
}

void CopyInvariants::CheckAnswers(const std::string& node, const ShardReplica& replica,
                                  const ClusterState& newest) {
  const ShardEntry& entry = newest.shards[replica.shard()];
  if (entry.lineage != 1) return;  // Began anew: what was answered before is lost, and said so.
  if (!Contains(entry.isr, replica.self()) && !Contains(entry.elr, replica.self())) return;
  for (const auto& [key, book] : ledgers_->books()) {
    const auto before = compared_.find(key);
    if (before != compared_.end() && before->second == book.newest) continue;
    const ActorId id = Ledgers::IdOf(key);
    if (ShardOf(id, newest) != replica.shard()) continue;
    const StoredActor* stored = replica.store().Find(id);
    ledgers_->CheckState(
        absl::StrCat("copy ", replica.self(), " of shard ", replica.shard(), " on ", node), key,
        stored == nullptr ? nullptr : stored->state.get());
  }
}

}  // namespace troupe::sim
