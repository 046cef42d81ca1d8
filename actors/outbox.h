// Outbox: the calls that an actor has told others and that are not answered yet (Tell).
//
// Pure; not thread-safe. Part of the actor's replicated state: what a turn tells is in the batch of
// the turn, leaves once that is safe, and stays until it has been answered (docs/protocol.md P6.6).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "troupe/actors/actor_id.h"
#include "troupe/actors/call_metadata.h"
#include "troupe/rpc/payload.h"
#include "troupe/runtime/ids.h"

namespace troupe {

// Of one actor. With the largest state and the most records it still fits a frame.
inline constexpr size_t kOutboxMax = 4096;
inline constexpr size_t kOutboxBytesMax = 768 << 10;

// The turn that told it, and its place among what that turn told: rises within an actor's life.
struct ToldNumber {
  uint64_t turn = 0;
  uint32_t index = 0;
  friend auto operator<=>(const ToldNumber&, const ToldNumber&) = default;
};

// Room that is kept free, so that what must be told can be (P6.16).
struct OutboxReserve {
  size_t entries = 0;
  size_t bytes = 0;
};

struct Told {
  ToldNumber number;
  ActorId target;
  uint64_t interface_id = 0;
  uint16_t method_id = 0;
  Id128 id;  // Of the call, on whichever node it is made.
  Payload params;
  CallMetadata metadata = {};

  size_t bytes() const {
    return 96 + target.key.size() + params.size_bytes() + metadata.bytes() +
           48 * metadata.entries().size();
  }
  friend bool operator==(const Told& a, const Told& b);
};
using SharedTold = std::shared_ptr<const Told>;

struct OutboxList {
  std::vector<SharedTold> entries;  // By number.
  size_t bytes = 0;                 // Of all of them.
  friend bool operator==(const OutboxList& a, const OutboxList& b);
};
using OutboxSnapshot = std::shared_ptr<const OutboxList>;  // Null, or empty: nothing.

// What turns one list into a later one of the same actor.
struct OutboxChanges {
  std::vector<SharedTold> added;
  std::vector<ToldNumber> done;  // Rising.
  size_t bytes() const;
};

class Outbox {
 public:
  Outbox() = default;
  explicit Outbox(OutboxSnapshot list);

  // ResourceExhausted, naming the bound. `told` has a higher number than all before it. `reserve`:
  // room that is kept for others.
  absl::Status Add(Told told, OutboxReserve reserve = {});
  bool HasRoom(OutboxReserve reserve) const;
  void Remove(const std::set<ToldNumber>& done);  // Those that are not there are passed over.

  // What that turn and later ones have told, but for what is to be kept.
  void RemoveSince(
      uint64_t turn, bool (*keep)(const Told&) = [](const Told&) { return false; });

  bool empty() const { return list_ == nullptr || list_->entries.empty(); }
  const std::vector<SharedTold>& entries() const;
  ToldNumber last() const;  // (0, 0): nothing.
  ToldNumber LastBefore(uint64_t turn) const;
  uint64_t OldestTurn() const;  // Max: nothing.

  // Shared, never changed: the outbox goes on with a copy.
  OutboxSnapshot snapshot() const { return list_; }

 private:
  OutboxList& Own();

  std::shared_ptr<OutboxList> list_;  // Changed only when nobody else has it.
};

OutboxChanges Difference(const OutboxSnapshot& before, const OutboxSnapshot& after);
// Null when nothing is left.
OutboxSnapshot Apply(const OutboxSnapshot& before, const OutboxChanges& changes);

}  // namespace troupe
