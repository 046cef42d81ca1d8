#include "courier.h"

#include <optional>

#include "kj/debug.h"

troupe::Task<uint64_t> CourierActor::Deposit(uint64_t amount) { co_return balance_ += amount; }

troupe::Task<uint64_t> CourierActor::Transfer(Courier::Ref to, uint64_t amount) {
  KJ_REQUIRE(amount <= balance_, "the balance is too small", balance_, amount);
  balance_ -= amount;
  pending_.push_back({next_transfer_++, to, amount});
  context().RequestResume();
  co_return balance_;
}

troupe::Task<Courier::BalanceReply> CourierActor::Balance() {
  uint64_t pending = 0;
  for (const auto& transfer : pending_) pending += transfer.amount;
  co_return {balance_, pending};
}

troupe::Task<void> CourierActor::BringPending(troupe::ResumeContext& work) {
  for (;;) {
    std::optional<Pending> next;
    auto looked = work.InTurn([this, &next] {
      if (pending_.empty()) return context().CancelResume();
      next = pending_.front();
    });
    co_await looked;
    if (!next) co_return;

    // The same id each time, so that a second attempt is answered, not done again.
    co_await work.Get<Courier>(next->to, troupe::Id128{0, next->number}).Deposit(next->amount);

    auto crossed_off = work.InTurn([this] { pending_.pop_front(); });
    co_await crossed_off;
  }
}

void CourierActor::Save(CourierState::Builder out) const {
  out.setBalance(balance_);
  out.setNextTransfer(next_transfer_);
  auto list = out.initPending(static_cast<unsigned>(pending_.size()));
  for (unsigned i = 0; i < list.size(); ++i) {
    list[i].setNumber(pending_[i].number);
    list[i].setTo(pending_[i].to);
    list[i].setAmount(pending_[i].amount);
  }
}

void CourierActor::Load(CourierState::Reader in) {
  balance_ = in.getBalance();
  next_transfer_ = in.getNextTransfer();
  for (auto transfer : in.getPending()) {
    pending_.push_back({transfer.getNumber(), transfer.getTo(), transfer.getAmount()});
  }
}
