// MemberList: what a node believes about the others, and the rules by which a rumour changes it.
//
// Pure; not thread-safe; ordered by name. The node itself is not in it. Source: SWIM's rules of
// precedence, with processes (nonce, boot) in place of bare names; member.h tells the ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "troupe/membership/member.h"
#include "troupe/membership/suspicion.h"
#include "troupe/membership/swim_options.h"

namespace troupe {

struct MemberRecord {
  Member member;
  absl::Time since;                            // Of its present state.
  std::optional<Suspicion> suspicion;          // Set exactly while suspect.
  absl::Time traffic = absl::InfinitePast();   // Last seen by the owner on its links.
  absl::Time datagram = absl::InfinitePast();  // Last that came from it.
  int failed_probes = 0;                       // Of ours, in a row.
  bool in_ring = false;                        // Of those to probe; as long as there is a record.

  // The last process known dead under this name: old rumours that it lives are not believed.
  Id128 former_nonce;
  Rank former_rank;
  Id128 rival_nonce;  // A conflict said once.
};

// What a rumour did.
enum class Change {
  kNothing,     // Old, or not ours to believe.
  kJoined,      // A name not seen before, or a process that was dead or left is back.
  kReplaced,    // Another process has the name now; `previous` is the old one.
  kRefuted,     // It was suspect and says it lives.
  kRenewed,     // A higher rank and nothing else: a refutation that overtook the doubt.
  kUpdated,     // Its addresses, boot or metadata changed.
  kMapVersion,  // It holds a newer map; nothing else is new.
  kSuspected,
  kConfirmed,  // One more accuser of a suspect.
  kDied,
  kLeft,
  kConflict,     // Two living processes claim the name and no boot decides. Said once.
  kImplausible,  // A leap of the incarnation, or more members than we take.
};

struct Merged {
  Change change = Change::kNothing;
  MemberRecord* record = nullptr;  // Null when nothing is known under that name.
  Member previous;                 // As it was, when kReplaced.
  int accusers = 0;                // When kDied: how many had accused it, as far as heard here.
};

class MemberList {
 public:
  explicit MemberList(const SwimOptions& options) : options_(options) {}

  // Takes in a rumour about another node.
  Merged Merge(absl::Time now, const Member& rumour);

  MemberRecord* Find(std::string_view name);
  const MemberRecord* Find(std::string_view name) const;
  // Null also when the name now belongs to another process.
  MemberRecord* Find(std::string_view name, const Id128& nonce);

  const std::map<std::string, MemberRecord, std::less<>>& records() const { return records_; }
  size_t here() const { return here_; }              // Alive and suspect.
  size_t cluster_size() const { return here_ + 1; }  // With ourselves.

  // Suspicion. `Expired` names the suspects whose time is up.
  absl::Time NextSuspicionDeadline() const;
  std::vector<std::string> Expired(absl::Time now) const;
  void PostponeSuspicions(absl::Duration by);
  absl::Duration LeastSuspicion() const;

  // Forgets tombstones older than the keep, and the oldest beyond the cap; returns their names.
  std::vector<std::string> Reap(absl::Time now);

 private:
  Merged MergeSameProcess(absl::Time now, MemberRecord& record, const Member& rumour);
  Merged MergeOtherProcess(absl::Time now, MemberRecord& record, const Member& rumour);
  Merged MergeAlive(absl::Time now, MemberRecord& record, const Member& rumour);
  Merged MergeSuspect(absl::Time now, MemberRecord& record, const Member& rumour);
  Merged MergeGone(absl::Time now, MemberRecord& record, const Member& rumour);
  Merged Replace(absl::Time now, MemberRecord& record, const Member& rumour);
  void SetState(absl::Time now, MemberRecord& record, MemberState state);
  Suspicion NewSuspicion(absl::Time now, const std::string& accuser) const;

  SwimOptions options_;
  std::map<std::string, MemberRecord, std::less<>> records_;
  std::vector<std::string> suspects_;                 // Sorted.
  mutable std::optional<absl::Time> next_suspicion_;  // Known until a suspicion changes.
  size_t here_ = 0;
};

}  // namespace troupe
