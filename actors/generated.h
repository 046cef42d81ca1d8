// What the code that capnpc-troupe writes is made of: OutCall makes a call, Answer() answers one.
//
// Included by x.troupe-inl.h alone. Both are templates of the type of the result, not of the
// method: most methods share theirs, and a method more costs the compiler little.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "absl/time/time.h"
#include "capnp/any.h"
#include "capnp/blob.h"
#include "capnp/capability.h"
#include "kj/async.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/any_ref.h"
#include "troupe/actors/ref_message.h"
#include "troupe/runtime/task.h"

namespace troupe {

class OutCall {
 public:
  // `deadline`: of the method, by its schema; zero: none. A deadline of the ref goes before it.
  OutCall(const AnyRef& ref, uint64_t interface_id, uint16_t method_id,
          absl::Duration deadline = absl::ZeroDuration());

  template <typename Struct>
  typename Struct::Builder Params() {
    return message_.root().initAs<Struct>();
  }

  template <typename Reader>
  void SetParams(Reader params) {
    message_.root().setAs<capnp::FromReader<Reader>>(params);
  }

  // Of the parameters, as far as they are written.
  size_t size_bytes() { return message_.size_bytes(); }

  // Once. What cannot be sent rejects.
  Task<void> Send() { return SendMessage().ignoreResult(); }
  template <typename T>
  Task<T> Send(T (*read)(capnp::AnyPointer::Reader)) {
    auto origin = Origin();
    return SendMessage().then([read, origin = kj::mv(origin)](Payload&& payload) mutable {
      IncomingMessage message(std::move(payload), kj::mv(origin));
      return read(message.root());
    });
  }
  template <typename Struct>
  Task<capnp::Response<Struct>> SendForResponse() {
    auto origin = Origin();
    return SendMessage().then([origin = kj::mv(origin)](Payload&& payload) mutable {
      auto message = kj::heap<ResponseMessage>(std::move(payload), kj::mv(origin));
      auto results = message->root().template getAs<Struct>();
      return capnp::Response<Struct>(results, kj::mv(message));
    });
  }

 private:
  kj::Promise<Payload> SendMessage();
  kj::Own<CallOrigin> Origin() const { return Share(ref_.origin_); }

  const AnyRef& ref_;
  const uint64_t interface_id_;
  const uint16_t method_id_;
  const absl::Duration deadline_;
  OutgoingMessage message_;
};

inline Dispatched Answer(Task<void> task) { return {kj::mv(task), false}; }

inline Dispatched AnswerStream(Task<void> task) { return {kj::mv(task), true}; }

template <typename T>
Dispatched Answer(Task<T> task, AnyCall call, void (*write)(capnp::AnyPointer::Builder, const T&)) {
  return {kj::mv(task).AsPromise().then(
              [call, write](T&& value) mutable { write(call.getResults(), value); }),
          false};
}

inline std::string ToString(capnp::Text::Reader text) { return {text.begin(), text.size()}; }
inline std::string ToString(capnp::Data::Reader data) {
  const auto chars = data.asChars();
  return {chars.begin(), chars.size()};
}

// Into room of the same size.
inline unsigned Room(std::string_view bytes) { return static_cast<unsigned>(bytes.size()); }
template <typename Builder>
void Fill(Builder out, std::string_view bytes) {
  if (!bytes.empty()) std::memcpy(out.begin(), bytes.data(), bytes.size());
}

}  // namespace troupe
