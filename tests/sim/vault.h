// VaultActor: an account on disk, for the tests of durable types.
#pragma once

#include "troupe/rpc/status.h"
#include "vault.troupe.h"

namespace troupe {

class VaultActor final : public Vault::Actor {
  Task<uint64_t> Deposit(uint64_t amount) override { co_return balance_ += amount; }
  Task<uint64_t> Transfer(Vault::Ref to, uint64_t amount) override {
    if (amount > balance_) co_await Fail("the balance is too small");
    balance_ -= amount;
    context().Tell(to).Deposit(amount);
    co_return balance_;
  }
  Task<uint64_t> Balance() override { co_return balance_; }
  Task<void> Fill(uint32_t bytes) override {
    ballast_ = bytes;
    co_return;
  }
  void Save(VaultState::Builder out) const override {
    out.setBalance(balance_);
    if (ballast_ > 0) out.initBallast(ballast_);
  }
  void Load(VaultState::Reader in) override {
    balance_ = in.getBalance();
    ballast_ = in.getBallast().size();
  }

  uint64_t balance_ = 0;
  uint32_t ballast_ = 0;
};

}  // namespace troupe
