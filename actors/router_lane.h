// Router::Lane and Router::Outgoing: what a Router keeps of the calls of one caller to one actor.
//
// Internal to actors/router*.cc.
#pragma once

#include <map>
#include <string>

#include "troupe/actors/router.h"

namespace troupe {

// The calls of one caller to one actor.
class Router::Lane {
 public:
  Lane(uint64_t number, bool to_observer) : number(number), to_observer(to_observer) {}
  bool idle() const { return in_flight == 0 && waiting.empty(); }

  const uint64_t number;
  const bool to_observer;
  size_t in_flight = 0;
  uint32_t attempt = 0;
  bool stalled = false;  // Nothing is sent until all in flight have come back; then anew.
  Place place = Place::kNowhere;
  std::string node;
  std::map<uint64_t, kj::Own<Outgoing>> waiting;  // By serial: the order of the caller.
};

struct Router::Outgoing {
  uint64_t serial = 0;
  uint64_t number = 0;  // On the path it was sent last.
  Lane* lane = nullptr;
  std::string node;  // Empty: sent here.
  Boot boot = 0;     // The run of the node that it was sent to.
  CallHeader header;
  Payload params;
  absl::Time started;
  absl::Time deadline;
  kj::Own<kj::PromiseFulfiller<Payload>> fulfiller;
  ClientSequence* sequence = nullptr;
  int attempts = 0;
  std::string trouble;  // Why it is not answered yet.
};

}  // namespace troupe
