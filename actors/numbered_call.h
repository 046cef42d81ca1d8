// NumberedCall: one of a sequence of calls by which an actor serves one callee.
//
// For actors that are part of troupe and keep, for each of many callees, a number up to which it
// has been served: topics. The callee is asked under a name of the sequence's own, so a callee that
// does not answer holds back the records of no other (docs/protocol.md P6.19).
#pragma once

#include <cstdint>

#include "troupe/actors/actor_id.h"
#include "troupe/rpc/payload.h"

namespace troupe {

struct NumberedCall {
  ActorId target;
  uint64_t interface_id = 0;
  uint16_t method_id = 0;
  Payload params;

  // The same when the call is made again. Numbers rise within a sequence, and one that was answered
  // is not given to another call while the caller keeps its state.
  uint64_t sequence = 0;
  uint64_t number = 0;
  uint64_t part = 0;  // Of that number; each is a call.
  // What the caller's state says is answered: every lower number. None of them is asked again.
  uint64_t oldest = 0;
  bool told = true;  // As Tell makes it: to an observer at most once, answered when it is there.
};

}  // namespace troupe
