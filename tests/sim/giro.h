// GiroActor: accounts that pay by telling each other. For tests: an office can have them fail.
#pragma once

#include <map>
#include <string>

#include "giro.troupe.h"

namespace troupe {

// What the actors of a test are told beside their calls. Outlives the cluster.
struct GiroOffice {
  std::map<std::string, int> overloaded;  // How often the account refuses to receive for now.
  std::map<std::string, int> failing;     // The same, for good.
  bool stops_between_steps = false;       // A walk does not end.
  bool fails_between_steps = false;       // It throws.
  uint64_t walks = 0;                     // Begun.
};

class GiroActor final : public Giro::Actor {
 public:
  explicit GiroActor(GiroOffice& office) : office_(office) {}

 private:
  Task<uint64_t> Pay(capnp::List<capnp::Text>::Reader to, uint64_t amount) override {
    uint64_t payments = 0;
    for (auto payee : to) {
      PayOne(payee.cStr(), amount);
      ++payments;
    }
    co_return payments;
  }
  Task<void> Receive(std::string from, uint64_t number, uint64_t amount) override {
    balance_ += static_cast<int64_t>(amount);
    if (number != ++payers_[from]) ++out_of_order_;
    if (office_.overloaded[Key()]-- > 0) {
      co_await Fail(kj::Exception::Type::OVERLOADED, "the counter is closed for now");
    }
    if (office_.failing[Key()]-- > 0) co_await Fail("this account is frozen");
  }
  Task<void> PayAndFail(std::string to) override {
    PayOne(to, 1);
    co_await Fail("told to fail");
  }
  Task<void> PayAndLeave(std::string to, bool erase) override {
    PayOne(to, 1);
    if (erase) {
      context().Erase();
    } else {
      context().Deactivate();
    }
    co_return;
  }
  Task<Giro::LookReply> Look() override { co_return {balance_, paid_, out_of_order_}; }

  Task<uint64_t> Walk() override {
    ++office_.walks;
    ++steps_;
    PayOne("toll", 1);
    co_await context().Persisted();
    co_await Between();
    co_return ++steps_;
  }
  Task<Giro::WalkOnReply> WalkOn() override {
    ++office_.walks;
    const bool interrupted = context().Interrupted();
    if (!interrupted) {
      ++steps_;
      co_await context().Persisted();
    }
    co_await Between();
    co_return {++steps_, interrupted};
  }
  Task<void> Peek() override { co_await context().Persisted(); }

  Task<void> Between() {
    if (office_.stops_between_steps) co_await kj::Promise<void>(kj::NEVER_DONE);
    if (office_.fails_between_steps) co_await Fail("stumbled");
  }
  void PayOne(const std::string& to, uint64_t amount) {
    balance_ -= static_cast<int64_t>(amount);
    ++paid_;
    context().Tell<Giro>(to).Receive(Key(), ++payees_[to], amount);
  }
  std::string Key() { return std::string(context().key()); }

  static void Write(const std::map<std::string, uint64_t>& from,
                    capnp::List<GiroState::Numbered>::Builder out) {
    unsigned i = 0;
    for (const auto& [name, number] : from) {
      out[i].setName(name);
      out[i++].setNumber(number);
    }
  }
  void Save(GiroState::Builder out) const override {
    out.setBalance(balance_);
    out.setPaid(paid_);
    out.setOutOfOrder(out_of_order_);
    out.setSteps(steps_);
    Write(payees_, out.initPayees(static_cast<unsigned>(payees_.size())));
    Write(payers_, out.initPayers(static_cast<unsigned>(payers_.size())));
  }
  void Load(GiroState::Reader in) override {
    balance_ = in.getBalance();
    paid_ = in.getPaid();
    out_of_order_ = in.getOutOfOrder();
    steps_ = in.getSteps();
    for (auto payee : in.getPayees()) payees_[payee.getName()] = payee.getNumber();
    for (auto payer : in.getPayers()) payers_[payer.getName()] = payer.getNumber();
  }

  GiroOffice& office_;
  int64_t balance_ = 0;
  uint64_t paid_ = 0;
  uint64_t out_of_order_ = 0;
  uint64_t steps_ = 0;
  std::map<std::string, uint64_t> payees_;
  std::map<std::string, uint64_t> payers_;
};

}  // namespace troupe
