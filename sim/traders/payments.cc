// Payments: what traders tell each other.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "troupe/sim/traders/trade.h"

namespace troupe::sim {
namespace {

class Payments final : public Trade {
 public:
  using Trade::Trade;

 private:
  void Next(const std::string& client) override {
    auto& random = floor_.random();
    const std::string from = floor_.AnyTrader(), to = floor_.AnyTrader();
    const std::string also = random.Chance(0.3) ? floor_.AnyTrader() : "";
    const bool fails = random.Chance(0.1);
    const std::string how = fails ? "fail" : random.Chance(0.1) ? "leave" : "";
    const int count = random.Chance(0.1) ? 4 : 1;
    for (int i = 0; i < count; ++i) {
      const auto what = absl::StrCat("a payment of ", from, " to ", to);
      floor_.Watch(what, floor_.At(client, from).Pay(to, also, how).AsPromise(),
                   [this, fails, what, from, to](uint64_t number) {
                     if (fails) floor_.Problem("failed turn", what + " that fails was answered");
                     auto& newest = answered_[{from, to}];
                     newest = std::max(newest, number);
                   });
    }
  }

  bool Judge(const TraderBooks& books, Look look) override {
    for (const auto& [pair, newest] : answered_) {
      const auto& sent = books.at(pair.first).sent;
      const auto found = sent.find(pair.second);
      const uint64_t number = found == sent.end() ? 0 : found->second;
      if (number >= newest) continue;
      floor_.Problem("lost write",
                     absl::StrCat(pair.first, " knows of ", number, " payments to ", pair.second,
                                  "; the answer to one was that it was number ", newest));
    }
    bool arrived = true;
    for (const auto& payer : TradeFloor::traders()) {
      for (const auto& payee : TradeFloor::traders()) {
        arrived =
            Compare(payer, books.at(payer).sent, payee, books.at(payee).received, look) && arrived;
      }
    }
    return arrived;
  }
  // The payee itself says when one is twice there, or out of order.
  bool Compare(const std::string& payer, TraderBook::Counts sent, const std::string& payee,
               TraderBook::Counts received, Look look) {
    const uint64_t told = sent[payee], taken = received[payer];
    if (told == taken) return true;
    if (look == Look::kLast) {
      floor_.Problem("told calls", absl::StrCat(payer, " has told ", payee, " of ", told,
                                                " payments, which has taken ", taken));
    }
    return false;
  }

  std::map<std::pair<std::string, std::string>, uint64_t> answered_;  // The newest number.
};

}  // namespace

std::unique_ptr<Trade> MakePayments(TradeFloor& floor) { return std::make_unique<Payments>(floor); }

}  // namespace troupe::sim
