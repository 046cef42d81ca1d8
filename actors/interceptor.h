// Interceptor: code that runs before and after the calls that a node's actors are given: to look at
// them, to refuse them, to add to their metadata.
//
//   class Audit final : public troupe::Interceptor {
//     void Before(troupe::CallInfo& call) override { ... throw what refuses it ... }
//     void After(const troupe::CallInfo& call, const troupe::CallResult& result) override { ... }
//   };
//   return troupe::Main(argc, argv).Intercept(std::make_shared<Audit>()).Host<...>().Run();
//
// Calls of actors and pools, by whoever; not those to observers and children, the framework's own
// (watches, `troupe resume`), and not a call that is known: its recorded answer is given.
//
// Threads: both run on the loop of the actor's worker, so those of one interceptor on several at a
// time, and must not block. Of several interceptors the first that was registered is the outermost.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "kj/exception.h"
#include "troupe/actors/actor_id.h"
#include "troupe/actors/call_metadata.h"
#include "troupe/runtime/random.h"

namespace troupe {

struct CallInfo {
  ActorId actor;
  std::string type;          // "Account"
  std::string method;        // "Account.deposit"
  std::string node;          // Where it is to run.
  CallMetadata received;     // As it came.
  CallMetadata metadata;     // What its turn hands on; Before() may change it.
  bool by_actor = false;     // By an actor of the cluster, on whatever behalf; else by a client.
  ActorId caller;            // Which actor, where that is known; type 0: not.
  absl::Duration time_left;  // Until its deadline.
  absl::Time arrived;        // Of the wall clock.
  Random* random = nullptr;  // Of the loop; in simulation it follows from the seed.
};

struct CallResult {
  const kj::Exception* error = nullptr;  // Null: it succeeded. Of what its caller is told.
  bool moved = false;     // It did not run here: its caller sends it again elsewhere.
  absl::Duration queued;  // Until its turn began, or it ended without one.
  absl::Duration ran;     // Its turn.
  absl::Duration held;    // From then until its answer left: copies had to have it.
};

class Interceptor {
 public:
  virtual ~Interceptor() = default;
  // When the call has arrived, before it waits for its turn. An exception refuses it: that is its
  // answer, nothing has run and nothing is recorded.
  virtual void Before(CallInfo&) {}
  // Once for each Before() that did not throw, when the call is answered.
  virtual void After(const CallInfo&, const CallResult&) {}
};

using Interceptors = std::vector<std::shared_ptr<Interceptor>>;

}  // namespace troupe
