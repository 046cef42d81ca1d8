// Generated from money.capnp by capnpc-troupe. To change it, change the schema.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "money.capnp.h"
#include "kj/function.h"
#include "troupe/actors/actor.h"

namespace kinds {

// Calls Named actors, wherever they are. A value: copy it, compare it, keep it, send it.
// Its methods are templates so that those which a file does not call cost it nothing.
class Named::Ref : public troupe::RefTo<Named> {
 public:
  using RefTo::RefTo;
  static constexpr char kName[] = "Named";

  // Read-only.
  template <typename = void>
  troupe::Task<std::string> Name() const;
};

// An amount in a currency.
struct Money::Value {
  int64_t units = 0;
  std::string currency = "EUR";

  static Value Read(Money::Reader in_);
  void Write(Money::Builder out_) const;
  friend bool operator==(const Value&, const Value&) = default;
};

// What has a name.
//
// What such an actor derives from. It keeps nothing from one activation to the next.
class Named::Actor : public troupe::TypedActor<Named> {
 public:
  // Read-only.
  virtual troupe::Task<std::string> Name() = 0;

  // Takes the calls that arrive to the methods above.
  template <typename = void>
  static troupe::Dispatched Dispatch(
      Actor& self_, uint64_t interface_, uint16_t method_, troupe::AnyCall call_);
};

}  // namespace kinds

#include "money.troupe-inl.h"
