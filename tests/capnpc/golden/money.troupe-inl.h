// Generated from money.capnp by capnpc-troupe: how money.troupe.h, which includes this, does it.
#pragma once

#include "troupe/actors/generated.h"

namespace kinds {

inline Money::Value Money::Value::Read(Money::Reader in_) {
  Value value_;
  value_.units = in_.getUnits();
  value_.currency = troupe::ToString(in_.getCurrency());
  return value_;
}

inline void Money::Value::Write(Money::Builder out_) const {
  out_.setUnits(units);
  troupe::Fill(out_.initCurrency(troupe::Room(currency)), currency);
}

template <typename>
troupe::Task<std::string> Named::Ref::Name() const {
  troupe::OutCall call_(*this, 0xd7a46118eb391623u, 0);
  call_.Params<Named::NameParams>();
  return call_.Send<std::string>([](capnp::AnyPointer::Reader results_) {
    return troupe::ToString(results_.getAs<Named::NameResults>().getName());
  });
}

template <typename>
troupe::Dispatched Named::Actor::Dispatch(
    Actor& self_, uint64_t interface_, uint16_t method_, troupe::AnyCall call_) {
  if (interface_ == 0xd7a46118eb391623u) {
    switch (method_) {
      case 0: {  // name
        return troupe::Answer<std::string>(
            self_.Name(), call_,
            [](capnp::AnyPointer::Builder results_, const std::string& value_) {
              auto out_ = results_.initAs<Named::NameResults>();
              troupe::Fill(out_.initName(troupe::Room(value_)), value_);
            });
      }
    }
  }
  // Says that there is no such method.
  return self_.Named::Server::dispatchCall(interface_, method_, call_);
}

}  // namespace kinds
