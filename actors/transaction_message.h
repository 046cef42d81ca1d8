// What a transaction says to its participants, as values (transaction.capnp is the wire form).
//
// Decoding throws kj::Exception for what is malformed or out of bounds.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "troupe/actors/call.h"
#include "troupe/actors/hold.h"
#include "troupe/rpc/payload.h"

namespace troupe {

inline constexpr size_t kParticipantsMax = 64;  // Of one transaction.

struct TransactedCall {
  TransactionStamp stamp;
  uint64_t interface_id = 0;
  uint16_t method_id = 0;
  Payload params;
};

struct TransactedAnswer {
  struct Done {
    Grant grant;
    std::variant<Payload, kj::Exception> outcome;
  };
  struct Conflict {
    std::string holder;
  };
  struct Gone {
    std::string hold;
  };
  std::variant<Done, Conflict, Gone> body;
};

struct Participant {
  ActorId actor;
  Grant grant;
};

struct CommitRequest {
  Id128 id;
  Grant grant;
  std::vector<Participant> others;
};

struct CommitReply {
  bool committed = false;
  std::string trouble;
};

struct HoldName {
  Id128 id;
  Grant grant;
};

enum class Decision : uint8_t { kUndecided, kCommitted, kAborted };

Payload Encode(const TransactedCall& from);
Payload Encode(const TransactedAnswer& from);
Payload Encode(const CommitRequest& from);
Payload Encode(const CommitReply& from);
Payload Encode(const HoldName& from);
Payload Encode(Decision from);

TransactedCall DecodeTransactedCall(const Payload& in);
TransactedAnswer DecodeTransactedAnswer(const Payload& in);
CommitRequest DecodeCommitRequest(const Payload& in);
CommitReply DecodeCommitReply(const Payload& in);
HoldName DecodeHoldName(const Payload& in);
Decision DecodeDecision(const Payload& in);

// A call that is part of a transaction, as the call that it carries: with its method, parameters
// and stamp, answered as the one that came. Null, and answered FAILED, when it is malformed.
kj::Own<InboundCall> UnwrapTransacted(kj::Own<InboundCall> call);

}  // namespace troupe
