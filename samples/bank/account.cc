#include "account.h"

#include <optional>

#include "kj/debug.h"

kj::Promise<void> AccountActor::deposit(DepositContext call) {
  call.getResults().setBalance(balance_ += call.getParams().getAmount());
  return kj::READY_NOW;
}

kj::Promise<void> AccountActor::transfer(TransferContext call) {
  const uint64_t amount = call.getParams().getAmount();
  KJ_REQUIRE(amount <= balance_, "the balance is too small", balance_, amount);
  balance_ -= amount;
  pending_.push_back({next_transfer_++, call.getParams().getTo().cStr(), amount});
  context().RequestResume();
  call.getResults().setBalance(balance_);
  return kj::READY_NOW;
}

kj::Promise<void> AccountActor::balance(BalanceContext call) {
  uint64_t pending = 0;
  for (const auto& transfer : pending_) pending += transfer.amount;
  call.getResults().setBalance(balance_);
  call.getResults().setPending(pending);
  return kj::READY_NOW;
}

kj::Promise<void> AccountActor::Resume(troupe::ResumeContext& work) { return BringPending(work); }

troupe::Task<void> AccountActor::BringPending(troupe::ResumeContext& work) {
  for (;;) {
    std::optional<Transfer> next;
    auto looked = work.InTurn([this, &next] {
      if (pending_.empty()) return context().CancelResume();
      next = pending_.front();
    });
    co_await looked;
    if (!next) co_return;

    // The same id each time, so that a second attempt is answered, not done again.
    auto payee = work.Get<Account>(next->to, troupe::Id128{0, next->number});
    auto request = payee.depositRequest();
    request.setAmount(next->amount);
    auto deposited = request.send();
    co_await deposited;

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
    pending_.push_back({transfer.getNumber(), transfer.getTo().cStr(), transfer.getAmount()});
  }
}
