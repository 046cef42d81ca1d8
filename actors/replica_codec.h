// The wire form of ReplicaMessage (replication.capnp).
//
// Ages travel instead of times, so both directions need the local clock. What arrives is bounded
// before it is believed.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "troupe/actors/replica_message.h"
#include "troupe/actors/replication.capnp.h"

namespace troupe {

void Encode(const ReplicaMessage& from, absl::Time now, wire::ReplicaMessage::Builder out);

// Errors: InvalidArgument names what is over its bound or of an unknown kind. `in` is not kept.
absl::StatusOr<ReplicaMessage> DecodeReplicaMessage(wire::ReplicaMessage::Reader in,
                                                    absl::Time now);

}  // namespace troupe
