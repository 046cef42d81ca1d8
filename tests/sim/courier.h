// CourierActor: an account that brings what it transfers in Resume().
//
// A transfer begins with a turn that takes the amount and writes it down as pending, in one state.
// Resume() then brings each pending amount to its payee, under an id made from the transfer's
// number, and crosses it off. A node that takes over in between finds the pending ones in the state
// and resumes; the payee knows the id and is credited once.
#pragma once

#include <cstdint>
#include <deque>

#include "courier.troupe.h"

class CourierActor final : public Courier::Actor {
 private:
  struct Pending {
    uint64_t number;
    Courier::Ref to;
    uint64_t amount;
  };

  Task<uint64_t> Deposit(uint64_t amount) override;
  Task<uint64_t> Transfer(Courier::Ref to, uint64_t amount) override;
  Task<Courier::BalanceReply> Balance() override;
  troupe::Task<void> Resume(troupe::ResumeContext& work) override { return BringPending(work); }
  Task<void> BringPending(troupe::ResumeContext& work);
  void Save(CourierState::Builder out) const override;
  void Load(CourierState::Reader in) override;

  uint64_t balance_ = 0;
  std::deque<Pending> pending_;
  uint64_t next_transfer_ = 1;
};
