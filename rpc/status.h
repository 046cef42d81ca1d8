// Status bridge: the one place where absl::Status and kj::Exception turn into each other, and into
// the wire's Failure.
//
// The exception's type is the advice: DISCONNECTED retry elsewhere, OVERLOADED retry later,
// UNIMPLEMENTED give up, FAILED report.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "kj/exception.h"
#include "troupe/rpc/wire.capnp.h"

namespace troupe {

inline constexpr size_t kFailureTextBytesMax = 4 << 10;  // Of an error that travels or is kept.

// The words of a kj::Exception without file, line and context: what a user should read.
std::string Words(const kj::Exception& exception);

absl::Status ToStatus(const kj::Exception& exception);
kj::Exception ToException(const absl::Status& status);

// A text over the limit is cut, between characters, and ends in "…".
void EncodeFailure(const kj::Exception& exception, wire::Failure::Builder out);
kj::Exception DecodeFailure(wire::Failure::Reader in);

// Throwing costs much more than returning; both make exceptions without a stack trace.
kj::Exception Failed(std::string_view text);
kj::Exception Overloaded(std::string_view text);
kj::Exception Disconnected(std::string_view text);
kj::Exception Unimplemented(std::string_view text);

}  // namespace troupe
