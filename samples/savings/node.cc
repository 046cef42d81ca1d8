// savings: an account whose state is on the disks of the nodes that have its copies.
#include "savings.troupe.h"
#include "troupe/actors/main.h"

class SavingsActor final : public Savings::Actor {
  Task<uint64_t> Deposit(uint64_t amount) override { co_return balance_ += amount; }
  Task<uint64_t> Withdraw(uint64_t amount) override {
    if (amount > balance_) co_await troupe::Fail("the balance is too small");
    co_return balance_ -= amount;
  }
  Task<uint64_t> Balance() override { co_return balance_; }
  void Save(SavingsState::Builder out) const override { out.setBalance(balance_); }
  void Load(SavingsState::Reader in) override { balance_ = in.getBalance(); }
  uint64_t balance_ = 0;
};

int main(int argc, char** argv) { return troupe::Main(argc, argv).Host<SavingsActor>().Run(); }
