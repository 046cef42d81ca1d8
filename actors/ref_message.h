// OutgoingMessage, IncomingMessage: Cap'n Proto messages in which refs of actors are values.
//
// In memory a ref is a capability. In words (a payload, a record, a snapshot) it is an index into a
// table of names behind the message: RefTable of call.capnp. Nothing else that is a capability can
// be in them: what lives in one process would not outlive it.
//
// Single loop. Errors are thrown as kj::Exception.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "capnp/any.h"
#include "capnp/capability.h"
#include "capnp/message.h"
#include "capnp/serialize.h"
#include "troupe/actors/call_origin.h"
#include "troupe/rpc/payload.h"

namespace troupe {

inline constexpr size_t kRefsMax = 1 << 16;  // Of one message.

class OutgoingMessage {
 public:
  explicit OutgoingMessage(unsigned first_segment_words = 64) : message_(first_segment_words) {}
  KJ_DISALLOW_COPY(OutgoingMessage);

  capnp::AnyPointer::Builder root() { return refs_.imbue(message_.getRoot<capnp::AnyPointer>()); }

  // Of what it will be in words, but for the refs.
  size_t size_bytes() {
    return capnp::computeSerializedSizeInWords(message_) * sizeof(capnp::word);
  }

  // FAILED when a capability in it is not a ref of an actor, or there are too many.
  // `state_version`: of a snapshot.
  kj::Array<capnp::word> ToWords(uint32_t state_version = 0);
  Payload Take() { return Payload::Own(ToWords()); }

 private:
  capnp::MallocMessageBuilder message_;
  capnp::BuilderCapabilityTable refs_;
};

class IncomingMessage {
 public:
  // Calls by the refs in it are made by `origin`; null: it has none, or they are not to be called.
  IncomingMessage(Payload payload, kj::Own<CallOrigin> origin);
  KJ_DISALLOW_COPY(IncomingMessage);

  // FAILED when the refs are malformed. Valid as long as this.
  capnp::AnyPointer::Reader root();
  // Of a snapshot: what it was written with.
  uint32_t state_version();

 private:
  Payload payload_;
  kj::Own<CallOrigin> origin_;
  capnp::FlatArrayMessageReader reader_;
  std::optional<capnp::ReaderCapabilityTable> refs_;
};

// A response that keeps the words that it reads from.
class ResponseMessage final : public capnp::ResponseHook {
 public:
  ResponseMessage(Payload payload, kj::Own<CallOrigin> origin)
      : message_(std::move(payload), kj::mv(origin)) {}
  capnp::AnyPointer::Reader root() { return message_.root(); }

 private:
  IncomingMessage message_;
};

// Throws when the words are not a message with, at most, a table of refs behind it.
void CheckMessage(kj::ArrayPtr<const capnp::word> words);

}  // namespace troupe
