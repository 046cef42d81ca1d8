// AccountActor: a bank account whose transfers survive the death of anyone involved.
//
// A transfer begins with a turn that takes the amount and writes it down as pending, in one state.
// Resume() then brings each pending amount to its payee, under an id made from the transfer's
// number, and crosses it off. A node that takes over in between finds the pending ones in the state
// and resumes; the payee knows the id and is credited once.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "bank.capnp.h"
#include "troupe/actors/actor.h"
#include "troupe/runtime/task.h"

class AccountActor final : public troupe::Actor<Account, AccountState> {
 private:
  struct Transfer {
    uint64_t number;
    std::string to;
    uint64_t amount;
  };

  kj::Promise<void> deposit(DepositContext call) override;
  kj::Promise<void> transfer(TransferContext call) override;
  kj::Promise<void> balance(BalanceContext call) override;
  kj::Promise<void> Resume(troupe::ResumeContext& work) override;
  troupe::Task<void> BringPending(troupe::ResumeContext& work);
  void Save(AccountState::Builder out) const override;
  void Load(AccountState::Reader in) override;

  uint64_t balance_ = 0;
  std::deque<Transfer> pending_;
  uint64_t next_transfer_ = 1;
};
