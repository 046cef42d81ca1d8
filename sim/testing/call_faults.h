// CallFaults: what is to happen to calls that have not come yet.
//
// One fault is for one call: the next of its actor, or of one of its methods. Those of one actor
// are met in the order in which they were asked for. Single-threaded.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "troupe/actors/actor_id.h"

namespace troupe::testing {

struct CallFault {
  enum class Kind : uint8_t { kFails, kWaits, kLosesAnswer, kKillsNode } kind;
  std::string error = {};                       // Of kFails.
  absl::Duration after = absl::ZeroDuration();  // Of kWaits and kKillsNode.
};

class CallFaults {
 public:
  // `method`: as the schema has it; empty: any.
  void Add(ActorId actor, std::string method, CallFault fault) {
    waiting_.push_back({std::move(actor), std::move(method), std::move(fault)});
  }
  std::optional<CallFault> Take(const ActorId& actor, const std::string& method);

  struct Waiting {
    ActorId actor;
    std::string method;
    CallFault fault;
  };
  const std::list<Waiting>& waiting() const { return waiting_; }

 private:
  std::list<Waiting> waiting_;
};

}  // namespace troupe::testing
