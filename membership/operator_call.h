// Operator calls: what only a person may decide, as the command `troupe` asks it of a node.
//
// Values, their wire form, and the call. Any loop. Messages: control.capnp.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "kj/async.h"
#include "troupe/membership/cluster_state.h"
#include "troupe/membership/control.capnp.h"
#include "troupe/runtime/host.h"

namespace troupe {

struct OperatorRequest {
  enum class Kind : uint8_t {
    kRecoverShards,  // LOST shards start again, empty; no shards named: all that are LOST.
    kDeclareLost,    // Shards without a primary wait no longer for their copies.
    kNewGeneration,  // The node asked founds the next generation of the register.
  } kind = Kind::kRecoverShards;
  std::vector<ShardId> shards;
};

struct OperatorReply {
  absl::Status status;  // Why it was not done.
  std::vector<ShardId> shards;
  uint64_t version = 0;
  uint64_t generation = 0;
};

void Encode(const OperatorRequest& request, wire::control::Operator::Builder out);
absl::StatusOr<OperatorRequest> Decode(wire::control::Operator::Reader in);
void Encode(const OperatorReply& reply, wire::control::OperatorAnswer::Builder out);
OperatorReply Decode(wire::control::OperatorAnswer::Reader in);

// Asks the node at `address`. Never rejects: Unavailable when there is none, DeadlineExceeded.
kj::Promise<OperatorReply> AskNode(Host& host, std::string address, std::string cluster_name,
                                   OperatorRequest request, absl::Duration limit);

}  // namespace troupe
