// Generated from account.capnp by capnpc-troupe. To change it, change the schema.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "account.capnp.h"
#include "kj/function.h"
#include "troupe/actors/actor.h"

// Calls Account actors, wherever they are. A value: copy it, compare it, keep it, send it.
// Its methods are templates so that those which a file does not call cost it nothing.
class Account::Ref : public troupe::RefTo<Account> {
 public:
  using RefTo::RefTo;
  static constexpr char kName[] = "Account";

  // Adds to the balance.
  template <typename = void>
  troupe::Task<uint64_t> Deposit(uint64_t amount) const;

  // Read-only.
  template <typename = void>
  troupe::Task<uint64_t> Balance() const;
};

// What such an actor derives from. Save() and Load() keep its state as AccountState.
class Account::Actor : public troupe::TypedActor<Account, AccountState> {
 public:
  // Adds to the balance.
  virtual troupe::Task<uint64_t> Deposit(uint64_t amount) = 0;

  // Read-only.
  virtual troupe::Task<uint64_t> Balance() = 0;

  // Takes the calls that arrive to the methods above.
  template <typename = void>
  static troupe::Dispatched Dispatch(
      Actor& self_, uint64_t interface_, uint16_t method_, troupe::AnyCall call_);
};

#include "account.troupe-inl.h"
