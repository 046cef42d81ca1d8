// AccountActor: a bank account whose transfers survive the death of anyone involved.
//
// A transfer begins with a turn that takes the amount and writes it down as pending, in one state.
// Resume() then brings each pending amount to its payee, under an id made from the transfer's
// number, and crosses it off. A node that takes over in between finds the pending ones in the state
// and resumes; the payee knows the id and is credited once.
#pragma once

#include <cstdint>
#include <deque>

#include "bank.troupe.h"

class AccountActor final : public Account::Actor {
 private:
  struct Pending {
    uint64_t number;
    Account::Ref to;
    uint64_t amount;
  };

  Task<uint64_t> Deposit(uint64_t amount) override;
  Task<uint64_t> Transfer(Account::Ref to, uint64_t amount) override;
  Task<Account::BalanceReply> Balance() override;
  kj::Promise<void> Resume(troupe::ResumeContext& work) override { return BringPending(work); }
  Task<void> BringPending(troupe::ResumeContext& work);
  void Save(AccountState::Builder out) const override;
  void Load(AccountState::Reader in) override;

  uint64_t balance_ = 0;
  std::deque<Pending> pending_;
  uint64_t next_transfer_ = 1;
};
