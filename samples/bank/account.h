// AccountActor: a bank account whose transfers survive the death of anyone involved.
#pragma once

#include "bank.troupe.h"

class AccountActor final : public Account::Actor {
  Task<uint64_t> Deposit(uint64_t amount) override { co_return balance_ += amount; }
  Task<uint64_t> Transfer(Account::Ref to, uint64_t amount) override {
    if (amount > balance_) co_await troupe::Fail("the balance is too small");
    balance_ -= amount;
    context().Tell(to).Deposit(amount);
    co_return balance_;
  }
  Task<uint64_t> Balance() override { co_return balance_; }
  void Save(AccountState::Builder out) const override { out.setBalance(balance_); }
  void Load(AccountState::Reader in) override { balance_ = in.getBalance(); }
  uint64_t balance_ = 0;
};
