// HeldAnswers: what waits to leave, and the dirty actors whose next batch it waits for.
//
// Pure; owned by a primary for one epoch. An answer waits first for the image of its actor to be
// cut into a batch, then for that batch to be complete, and a read perhaps for its confirmation
// (docs/protocol.md P3.5, P4.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "troupe/actors/shard_replica.h"

namespace troupe {

class HeldAnswers {
 public:
  struct Held {
    HoldToken token;
    uint64_t confirmation = 0;  // 0: needs none.
  };

  void MarkDirty(const ActorId& actor) { Slot(actor).live = true; }
  void Stage(const ActorId& actor, ActorChange change);

  // `seq`: of the batch that last changed the actor; for when nothing newer is on its way.
  void Hold(Held held, const ActorId& actor, HoldKind kind, uint64_t seq);

  // Gives the changes for the batch `seq`, of dirty actors in the order they became dirty, about
  // `bytes_max` at most; their answers now wait for `seq`. Actors in mid-turn stay dirty.
  std::vector<std::pair<ActorId, ActorChange>> Cut(ActorSource& source, uint64_t seq,
                                                   size_t bytes_max);

  // Takes out what may leave: batch at most `complete`, confirmation at most `confirmed`.
  void Release(uint64_t complete, uint64_t confirmed, std::vector<HoldToken>& out);
  // Everything that is held.
  std::vector<HoldToken> TakeAll();

  bool dirty() const { return !order_.empty(); }
  bool empty() const { return !dirty() && waiting_.empty() && unconfirmed_.empty(); }

 private:
  struct Dirty {
    bool live = false;                  // Changed since the staged image, or since the last batch.
    std::vector<Held> for_live;         // Wait for the image after the staged one.
    std::optional<ActorChange> staged;  // To be in the next batch.
    size_t record_bytes = 0;            // Of the staged change.
    std::vector<Held> for_staged;
  };
  Dirty& Slot(const ActorId& actor);

  absl::flat_hash_map<ActorId, Dirty> dirty_;
  std::vector<ActorId> order_;                      // Keys of dirty_.
  std::multimap<uint64_t, Held> waiting_;           // By the batch they need.
  std::multimap<uint64_t, HoldToken> unconfirmed_;  // Batch complete; by the confirmation.
};

}  // namespace troupe
