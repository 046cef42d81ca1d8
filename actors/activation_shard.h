// ActivationShard: what an activation asks of the shard that it is in.
//
// Single loop; outlives the activation.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "kj/function.h"
#include "troupe/actors/actor_id.h"
#include "troupe/actors/loop_watch.h"
#include "troupe/actors/shard_replica.h"
#include "troupe/actors/turn_slice.h"
#include "troupe/actors/watch_table.h"
#include "troupe/membership/cluster_state.h"

namespace troupe {

class Activation;
class Router;

class ActivationShard {
 public:
  // Where the shard stands: part of the ids of the calls that turns make.
  virtual uint64_t lineage() const = 0;
  virtual Epoch epoch() const = 0;

  virtual void Dirty(const ActorId& actor) = 0;
  virtual void Stage(const ActorId& actor, ActorChange change) = 0;
  // `done` runs when what the token waits for is safe, with ok; or when this copy has stopped
  // serving, without. Possibly at once.
  using Done = kj::Function<void(bool ok)>;
  virtual void Hold(const ActorId& actor, HoldKind kind, ReadTicket ticket, Done done) = 0;
  virtual ReadTicket StartRead() = 0;
  virtual Router& router() = 0;
  virtual const ReplicaMutations& mutations() const = 0;
  virtual std::string NameOf(const ActorId& actor) const = 0;  // For errors.
  virtual const std::string& node() const = 0;                 // The same.
  virtual TurnSlice& slice() = 0;
  virtual LoopWatch& loop_watch() = 0;
  virtual const ClusterState& map() const = 0;

  // To be looked after (Look) until it says that there is no need.
  virtual void Watch(Activation& activation) = 0;
  // It is over, in order: to be dropped, and what is left in its mailbox given to a new one.
  virtual void Retire(Activation& activation) = 0;
  // When to call Remind(), by the wall clock; InfiniteFuture: never.
  virtual void RemindAt(const ActorId& actor, absl::Time due) = 0;
  virtual void OnSuspended(const ActorId& actor, bool suspended) = 0;
  // Whom it watches by now: OnWatchedEnd() is to be called when a map shows an end of them.
  virtual void SetWatches(const ActorId& actor, const WatchSnapshot& watches) = 0;

 protected:
  ~ActivationShard() = default;
};

}  // namespace troupe
