// Generated from account.capnp by capnpc-troupe: how account.troupe.h, which includes this, does it.
#pragma once

#include "troupe/actors/generated.h"

template <typename>
troupe::Task<uint64_t> Account::Ref::Deposit(uint64_t amount) const {
  troupe::OutCall call_(*this, 0xbdcfd1fab044aa15u, 0);
  auto params_ = call_.Params<Account::DepositParams>();
  params_.setAmount(amount);
  return call_.Send<uint64_t>([](capnp::AnyPointer::Reader results_) {
    return results_.getAs<Account::DepositResults>().getBalance();
  });
}

template <typename>
troupe::Task<uint64_t> Account::Ref::Balance() const {
  troupe::OutCall call_(*this, 0xbdcfd1fab044aa15u, 1);
  call_.Params<Account::BalanceParams>();
  return call_.Send<uint64_t>([](capnp::AnyPointer::Reader results_) {
    return results_.getAs<Account::BalanceResults>().getBalance();
  });
}

template <typename>
troupe::Dispatched Account::Actor::Dispatch(
    Actor& self_, uint64_t interface_, uint16_t method_, troupe::AnyCall call_) {
  if (interface_ == 0xbdcfd1fab044aa15u) {
    switch (method_) {
      case 0: {  // deposit
        auto params_ = call_.getParams().getAs<Account::DepositParams>();
        return troupe::Answer<uint64_t>(
            self_.Deposit(params_.getAmount()), call_,
            [](capnp::AnyPointer::Builder results_, const uint64_t& value_) {
              results_.initAs<Account::DepositResults>().setBalance(value_);
            });
      }
      case 1: {  // balance
        return troupe::Answer<uint64_t>(
            self_.Balance(), call_,
            [](capnp::AnyPointer::Builder results_, const uint64_t& value_) {
              results_.initAs<Account::BalanceResults>().setBalance(value_);
            });
      }
    }
  }
  // Says that there is no such method.
  return self_.Account::Server::dispatchCall(interface_, method_, call_);
}
