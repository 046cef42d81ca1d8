// What a test reads of messages: "(by = 2, to = Account/alice)".
//
// Errors: none; what is too large to be read is told by its size.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "capnp/any.h"
#include "capnp/dynamic.h"
#include "capnp/schema.h"
#include "troupe/actors/actor_id.h"

namespace troupe::testing {

// How a ref is shown; the type of its actor may be unknown.
using ActorNamer = std::function<std::string(const ActorId&)>;

enum class ListOrder : uint8_t {
  kAsWritten,
  kSorted,  // For comparing what was walked in the order of an unordered container.
};

// Fields that are null pointers are left out; structs of more than 32 KiB are shown by their size.
std::string TextOf(capnp::DynamicStruct::Reader value, const ActorNamer& name,
                   ListOrder order = ListOrder::kAsWritten);
std::string TextOf(capnp::AnyPointer::Reader value, capnp::StructSchema schema,
                   const ActorNamer& name, ListOrder order = ListOrder::kAsWritten);

}  // namespace troupe::testing
