#include "troupe/testing/call_faults.h"

#include <algorithm>

namespace troupe::testing {

std::optional<CallFault> CallFaults::Take(const ActorId& actor, const std::string& method) {
  auto it = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& waiting) {
    return waiting.actor == actor && (waiting.method.empty() || waiting.method == method);
  });
  if (it == waiting_.end()) return std::nullopt;
  CallFault fault = std::move(it->fault);
  waiting_.erase(it);
  return fault;
}

}  // namespace troupe::testing
