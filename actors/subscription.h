// Subscription: an observer of a client that reads a topic, for as long as this is there.
//
// Messages are read in batches, by their numbers: none is given twice, and what is missing is seen.
// A client whose link breaks, or that is away for a while, goes on where it was, with what the log
// of the topic still has. The topic waits for the object: who is slow lags behind, and then misses
// the oldest. What is missed is counted, and told to an object whose interface extends Listener
// (topic.capnp), ahead of the next message.
//
// Belongs to the loop of the client, which outlives it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kj/async.h"
#include "kj/memory.h"
#include "kj/refcount.h"
#include "troupe/actors/actor_id.h"
#include "troupe/runtime/task.h"

namespace troupe {

class Client;

class Subscription {
 public:
  Subscription() noexcept;  // Of nothing.
  Subscription(Subscription&&) noexcept;
  Subscription& operator=(Subscription&&) noexcept;
  // Unsubscribes, without waiting for that.
  ~Subscription() noexcept;

  // The number of the message that comes next: what to give as `from` to go on another time.
  uint64_t next() const;
  uint64_t missed() const;  // So far.

  class Reading;
  // Of ClientTopic::Subscribe().
  static Task<Subscription> Begin(Client& client, ActorId topic, std::string name, ActorId observer,
                                  std::optional<uint64_t> from);

 private:
  explicit Subscription(kj::Own<Reading> reading) noexcept;
  void End();
  kj::Own<Reading> reading_;
};

}  // namespace troupe
