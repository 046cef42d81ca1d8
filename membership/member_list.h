// MemberList: what a node believes about the others, and the rules by which a rumour changes it.
//
// Pure; not thread-safe; ordered by name. The node itself is not in it. Source: SWIM's rules of
// precedence, with processes (nonce, boot) in place of bare names; member.h tells the ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "troupe/membership/description.h"
#include "troupe/membership/gossip_digest.h"
#include "troupe/membership/member.h"
#include "troupe/membership/member_record.h"
#include "troupe/membership/suspicion.h"
#include "troupe/membership/swim_options.h"

namespace troupe {

// Names a record of one MemberList until it is reaped; then it may come to name another.
using MemberNumber = uint32_t;

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
  // `shared`, if any, has the descriptions and outlives the list.
  explicit MemberList(const SwimOptions& options, DescriptionPool* shared = nullptr)
      : options_(options), shared_(shared) {}
  MemberList(const MemberList&) = delete;  // The index looks into the slots.
  MemberList& operator=(const MemberList&) = delete;

  // Takes in a rumour about another node.
  Merged Merge(absl::Time now, const Member& rumour);
  void Clear();

  // Records stay where they are until they are reaped.
  MemberRecord* Find(std::string_view name);
  const MemberRecord* Find(std::string_view name) const;
  // Null also when the name now belongs to another process.
  MemberRecord* Find(std::string_view name, const Id128& nonce);
  MemberNumber NumberOf(const MemberRecord& record) const;
  const MemberRecord& at(MemberNumber number) const { return slots_[number]; }

  // By name.
  auto records() const {
    return order_ | std::views::transform(
                        [this](MemberNumber number) -> const MemberRecord& { return at(number); });
  }
  size_t here() const { return here_; }              // Alive and suspect.
  size_t cluster_size() const { return here_ + 1; }  // With ourselves.
  const GossipDigest& digest() const { return digest_; }

  // Suspicion. `Expired` names the suspects whose time is up.
  absl::Time NextSuspicionDeadline() const;
  std::vector<std::string> Expired(absl::Time now) const;
  void PostponeSuspicions(absl::Duration by);
  absl::Duration LeastSuspicion() const;

  // Forgets tombstones older than the keep, and the oldest beyond the cap; these they were.
  std::vector<MemberNumber> Reap(absl::Time now);

 private:
  using Slots = std::deque<MemberRecord>;
  struct NameHash {
    using is_transparent = void;
    const Slots* slots;
    size_t operator()(std::string_view name) const {
      return absl::Hash<absl::string_view>()({name.data(), name.size()});  // Seeded.
    }
    size_t operator()(MemberNumber number) const { return (*this)((*slots)[number].name()); }
  };
  struct NameEqual {
    using is_transparent = void;
    const Slots* slots;
    bool operator()(MemberNumber a, MemberNumber b) const { return a == b; }
    bool operator()(MemberNumber a, std::string_view b) const { return (*slots)[a].name() == b; }
  };

  Merged MergeSameProcess(absl::Time now, MemberRecord& record, const Member& rumour);
  Merged MergeOtherProcess(absl::Time now, MemberRecord& record, const Member& rumour);
  Merged MergeAlive(MemberRecord& record, const Member& rumour);
  Merged MergeSuspect(absl::Time now, MemberRecord& record, const Member& rumour);
  Merged MergeGone(absl::Time now, MemberRecord& record, const Member& rumour);
  Merged Replace(absl::Time now, MemberRecord& record, const Member& rumour);
  MemberRecord& Add(const Member& rumour);
  void Remove(MemberNumber number);
  std::shared_ptr<const Description> Shared(Description description);
  // All changes of process, rank or state come through here.
  void Set(MemberRecord& record, std::shared_ptr<const Description> description, MemberState state);
  void Raise(MemberRecord& record, Rank rank);
  void List(MemberRecord& record);
  void Unlist(MemberRecord& record);
  std::vector<MemberNumber>::const_iterator PlaceOf(std::string_view name) const;
  Suspicion NewSuspicion(absl::Time now, const std::string& accuser) const;

  SwimOptions options_;
  DescriptionPool* shared_;
  Slots slots_;
  std::vector<MemberNumber> free_;   // Slots of nobody.
  std::vector<MemberNumber> order_;  // By name.
  absl::flat_hash_set<MemberNumber, NameHash, NameEqual> by_name_{0, NameHash{&slots_},
                                                                  NameEqual{&slots_}};
  GossipDigest digest_ = GossipDigest(kDigestBuckets);
  std::vector<MemberRecord*> suspects_;               // By name.
  mutable std::optional<absl::Time> next_suspicion_;  // Known until it may have become later.
  size_t here_ = 0;
};

}  // namespace troupe
