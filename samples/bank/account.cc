#include "account.h"

#include <optional>

#include "kj/debug.h"

troupe::Task<uint64_t> AccountActor::Deposit(uint64_t amount) { co_return balance_ += amount; }

troupe::Task<uint64_t> AccountActor::Transfer(Account::Ref to, uint64_t amount) {
  KJ_REQUIRE(amount <= balance_, "the balance is too small", balance_, amount);
  balance_ -= amount;
  pending_.push_back({next_transfer_++, to, amount});
  context().RequestResume();
  co_return balance_;
}

troupe::Task<Account::BalanceReply> AccountActor::Balance() {
  uint64_t pending = 0;
  for (const auto& transfer : pending_) pending += transfer.amount;
  co_return {balance_, pending};
}

troupe::Task<void> AccountActor::BringPending(troupe::ResumeContext& work) {
  for (;;) {
    std::optional<Pending> next;
    auto looked = work.InTurn([this, &next] {
      if (pending_.empty()) return context().CancelResume();
      next = pending_.front();
    });
    co_await looked;
    if (!next) co_return;

    // The same id each time, so that a second attempt is answered, not done again.
    co_await work.Get<Account>(next->to, troupe::Id128{0, next->number}).Deposit(next->amount);

    auto crossed_off = work.InTurn([this] { pending_.pop_front(); });
    co_await crossed_off;
  }
}

void AccountActor::Save(AccountState::Builder out) const {
  out.setBalance(balance_);
  out.setNextTransfer(next_transfer_);
  auto list = out.initPending(static_cast<unsigned>(pending_.size()));
  for (unsigned i = 0; i < list.size(); ++i) {
    list[i].setNumber(pending_[i].number);
    list[i].setTo(pending_[i].to);
    list[i].setAmount(pending_[i].amount);
  }
}

void AccountActor::Load(AccountState::Reader in) {
  balance_ = in.getBalance();
  next_transfer_ = in.getNextTransfer();
  for (auto transfer : in.getPending()) {
    pending_.push_back({transfer.getNumber(), transfer.getTo(), transfer.getAmount()});
  }
}
