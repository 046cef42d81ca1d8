// PurseActor: money that moves in transactions.
#pragma once

#include <string>

#include "purse.troupe.h"

namespace troupe {

class PurseActor final : public Purse::Actor {
 private:
  Task<int64_t> Deposit(int64_t amount) override {
    ++deposits_;
    co_return balance_ += amount;
  }
  Task<int64_t> Withdraw(int64_t amount) override {
    if (amount > balance_) co_await Fail("there is less in this purse");
    co_return balance_ -= amount;
  }
  Task<Purse::LookReply> Look() override { co_return {balance_, deposits_, rings_, resumed_}; }

  Task<uint64_t> Move(std::string from, std::string to, int64_t amount) override {
    auto moved = context().Transact([&](Transaction& tx) -> Task<void> {
      co_await tx.Get<Purse>(from).Withdraw(amount);
      co_await tx.Get<Purse>(to).Deposit(amount);
    });
    co_await moved;
    co_return ++moves_;
  }
  Task<void> Pass(std::string to, int64_t amount) override {
    balance_ -= amount;
    context().Tell<Purse>(to).Deposit(amount);
    co_return;
  }
  Task<void> Try(std::string what) override {
    ++moves_;
    if (what == "erase") context().Erase();
    if (what == "deactivate") context().Deactivate();
    if (what == "persist") co_await context().Persisted();
    if (what == "call") co_await context().Get<Purse>("other").Deposit(1);
    if (what == "transact") {
      auto nested = context().Transact([](Transaction&) -> Task<void> { co_return; });
      co_await nested;
    }
    if (what == "fail") co_await Fail("told to fail");
    if (what == "resume") context().RequestResume();
    if (what == "ring") context().SetReminder("bell", {.after = absl::Milliseconds(100)});
    if (what == "silence") context().CancelReminder("bell");
  }
  Task<void> Fill(uint32_t bytes) override {
    filling_.assign(bytes, 'x');
    co_return;
  }

  Task<void> OnReminder(const DueReminder&) override {
    ++rings_;
    co_return;
  }
  Task<void> Resume(ResumeContext& work) override {
    auto turn = work.InTurn([this] {
      ++resumed_;
      context().CancelResume();
    });
    co_await turn;
  }

  void Save(PurseState::Builder out) const override {
    out.setBalance(balance_);
    out.setDeposits(deposits_);
    out.setMoves(moves_);
    out.setRings(rings_);
    out.setResumed(resumed_);
    out.setFilling(
        kj::arrayPtr(reinterpret_cast<const kj::byte*>(filling_.data()), filling_.size()));
  }
  void Load(PurseState::Reader in) override {
    balance_ = in.getBalance();
    deposits_ = in.getDeposits();
    moves_ = in.getMoves();
    rings_ = in.getRings();
    resumed_ = in.getResumed();
    filling_.assign(in.getFilling().size(), 'x');
  }

  int64_t balance_ = 0;
  uint64_t deposits_ = 0;
  uint64_t moves_ = 0;
  uint64_t rings_ = 0;
  uint64_t resumed_ = 0;
  std::string filling_;
};

}  // namespace troupe
