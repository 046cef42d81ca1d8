// Payload: a whole Cap'n Proto message in standard framing, immutable and shared.
//
// What calls carry and records keep. What refs it holds are named behind it (actors/call.capnp,
// RefTable). Copies share the bytes, from any thread.
#pragma once

#include <memory>
#include <utility>

#include "capnp/message.h"
#include "capnp/serialize.h"
#include "kj/array.h"
#include "kj/memory.h"
#include "troupe/rpc/words.h"

namespace troupe {

class Frame;

class Payload {
 public:
  Payload() = default;  // Empty: no message.

  static Payload Of(capnp::MessageBuilder& message) {
    return Own(capnp::messageToFlatArray(message));
  }
  static Payload Own(kj::Array<capnp::word> from) {
    auto words = std::make_shared<kj::Array<capnp::word>>(kj::mv(from));
    const kj::ArrayPtr<const capnp::word> view = *words;
    return Payload(std::move(words), view);
  }

  // The frame's payload, sharing its bytes: they pin the chunk they arrived in.
  static Payload Of(kj::Own<Frame> frame);

  // Copies; for bytes that are kept longer than what they came in.
  static Payload Copy(kj::ArrayPtr<const capnp::word> from) {
    return Own(CopyWords(from));
  }

  bool empty() const { return words_.size() == 0; }
  kj::ArrayPtr<const capnp::word> words() const { return words_; }
  size_t size_bytes() const { return words_.size() * sizeof(capnp::word); }

 private:
  Payload(std::shared_ptr<const void> owner, kj::ArrayPtr<const capnp::word> words)
      : owner_(std::move(owner)), words_(words) {}

  std::shared_ptr<const void> owner_;
  kj::ArrayPtr<const capnp::word> words_;
};

}  // namespace troupe
