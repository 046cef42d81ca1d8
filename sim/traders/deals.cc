// Deals: transactions of traders.
#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "troupe/sim/traders/trade.h"

namespace troupe::sim {
namespace {

constexpr int kDealersMax = 4;  // Clients that die, in one run.
constexpr absl::Duration kDealerLife = absl::Milliseconds(400);

struct Deal {
  enum class Outcome : uint8_t { kUnknown, kDone, kUndone } outcome = Outcome::kUnknown;
  std::vector<std::string> parties;
  std::vector<int64_t> amounts;  // Zero in all.
  std::string note;              // Who is told of it; empty: nobody.
  std::string broker;            // Who begins it; empty: a client.
  size_t fails_after = 0;        // Calls; 0: it does not fail.
};

Task<void> MoveAll(Transaction& tx, uint64_t number, Deal deal) {
  for (size_t i = 0; i < deal.parties.size(); ++i) {
    std::string note;
    if (i == 0) note = deal.note;
    auto moved = tx.Get<Trader>(deal.parties[i]).Move(number, deal.amounts[i], note);
    co_await moved;
    if (i + 1 == deal.fails_after) co_await Fail("told to fail");
  }
}

struct Account {
  int64_t cash = 0;
  std::vector<uint64_t> deals;
};
using Accounts = std::map<std::string, Account>;

Task<Accounts> ReadAll(Transaction& tx) {
  Accounts out;
  for (const auto& key : TradeFloor::traders()) {
    auto shown = tx.Get<Trader>(key).Show();
    auto reply = co_await shown;
    Account& account = out[key];
    account.cash = reply.getState().getCash();
    for (uint64_t deal : reply.getState().getDeals()) account.deals.push_back(deal);
  }
  co_return out;
}

bool Has(const std::vector<uint64_t>& list, uint64_t one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

class Deals final : public Trade {
 public:
  using Trade::Trade;

 private:
  void Next(const std::string& client) override {
    const double kind = floor_.random().Unit();
    if (kind < 0.2) return Audit(client);
    if (kind < 0.25 && dealers_ < kDealersMax) return SendDealer();
    Begin(client, kind < 0.6 ? floor_.AnyOf(TradeFloor::brokers()) : "");
  }

  uint64_t Add(const std::string& broker) {
    deals_[next_] = Draw(broker);
    return next_++;
  }
  NamedTask<void> Transact(const std::string& client, uint64_t number) {
    return floor_.cluster().client(client).Transact(
        [number, deal = deals_[number]](Transaction& tx) { return MoveAll(tx, number, deal); },
        floor_.ForDeals());
  }
  void Begin(const std::string& client, const std::string& broker) {
    const uint64_t number = Add(broker);
    const Deal& deal = deals_[number];
    const std::string what = absl::StrCat("deal ", number);
    const auto answered = [this, number] {
      if (deals_[number].fails_after != 0) {
        floor_.Problem("failed turn", absl::StrCat("deal ", number, " that fails came about"));
      }
      deals_[number].outcome = Deal::Outcome::kDone;
    };
    const auto failed = [this, number](Ended ended) {
      if (ended == Ended::kUndone) deals_[number].outcome = Deal::Outcome::kUndone;
    };
    if (broker.empty()) {
      auto done = Transact(client, number);
      return floor_.Watch(what, Task<void>(kj::mv(done)), answered, failed);
    }
    auto call =
        floor_.At(client, broker).Broker(number, deal.parties[0], deal.parties[1], deal.amounts[1]);
    floor_.Watch(what, kj::mv(call), answered, failed);
  }
  Deal Draw(const std::string& broker) {
    auto& random = floor_.random();
    Deal deal;
    deal.broker = broker;
    deal.parties = TradeFloor::traders();
    random.Shuffle(deal.parties);
    deal.parties.resize(broker.empty() ? 2 + random.Below(2) : 2);
    int64_t rest = 0;
    for (size_t i = 1; i < deal.parties.size(); ++i) {
      deal.amounts.push_back(1 + static_cast<int64_t>(random.Below(20)));
      rest += deal.amounts.back();
    }
    deal.amounts.insert(deal.amounts.begin(), -rest);
    if (!broker.empty()) return deal;
    if (random.Chance(0.4)) deal.note = floor_.AnyTrader();
    if (random.Chance(0.15)) deal.fails_after = 1 + random.Below(deal.parties.size());
    return deal;
  }

  // A client that begins some deals and dies; what has become of them nobody knows.
  void SendDealer() {
    const std::string name = absl::StrCat("dealer", ++dealers_);
    auto& world = floor_.cluster().world();
    const auto life = kDealerLife * floor_.random().Unit();
    world.After(absl::ZeroDuration(), [this, name, alive = std::weak_ptr(alive_)] {
      if (alive.expired()) return;
      floor_.cluster().AddClient(name);
      for (int i = 0; i < 3; ++i) {
        auto ended = Transact(name, Add("")).AsPromise().catch_([](kj::Exception&&) {});
        of_dealers_[name].push_back(ended.eagerlyEvaluate(nullptr));
      }
    });
    world.After(life + absl::Milliseconds(1), [this, name, alive = std::weak_ptr(alive_)] {
      if (alive.expired()) return;
      floor_.cluster().RemoveClient(name);
      of_dealers_.erase(name);
    });
  }

  void Audit(const std::string& client) {
    auto audit = floor_.cluster().client(client).Transact(
        [](Transaction& tx) { return ReadAll(tx); }, floor_.ForDeals());
    std::set<uint64_t> before;
    for (const auto& [number, deal] : deals_) {
      if (deal.outcome == Deal::Outcome::kDone) before.insert(number);
    }
    floor_.Watch(
        "an audit", Task<Accounts>(kj::mv(audit)).AsPromise(), [this, before](Accounts&& accounts) {
          if (const auto wrong = Wrong(accounts); !wrong.empty()) {
            floor_.Problem("transactions", "a transaction that reads all sees " + wrong);
          }
          for (uint64_t number : before) {
            const auto& party = deals_[number].parties[0];
            if (Has(accounts[party].deals, number)) continue;
            floor_.Problem("stale read", absl::StrCat(party, " shows nothing of deal ", number,
                                                      ", which was answered before"));
          }
        });
  }

  // All of a deal or nothing. What is wrong; empty: nothing.
  std::string Wrong(const Accounts& accounts) {
    int64_t sum = 0;
    std::set<uint64_t> seen;
    for (const auto& [key, account] : accounts) {
      sum += account.cash;
      seen.insert(account.deals.begin(), account.deals.end());
    }
    for (uint64_t number : seen) {
      const Deal& deal = deals_[number];
      if (deal.outcome == Deal::Outcome::kUndone) {
        return absl::StrCat("deal ", number, ", which ended with its own error");
      }
      for (const auto& party : deal.parties) {
        if (Has(accounts.at(party).deals, number)) continue;
        return absl::StrCat("deal ", number, " of ", absl::StrJoin(deal.parties, ", "),
                            " and not at ", party);
      }
    }
    return sum == 0 ? "" : absl::StrCat(sum, " in all, not 0");
  }

  bool Judge(const TraderBooks& books, Look look) override {
    Accounts accounts;
    for (const auto& key : TradeFloor::traders()) {
      accounts[key] = {books.at(key).cash, books.at(key).deals};
    }
    bool arrived = true;
    for (const auto& [number, deal] : deals_) {
      const auto& has = [&](const std::string& key) { return Has(accounts[key].deals, number); };
      if (deal.outcome == Deal::Outcome::kDone && !has(deal.parties[0])) {
        floor_.Problem("lost write", absl::StrCat(deal.parties[0], " has nothing of deal ", number,
                                                  ", which was answered"));
      }
      if (!deal.broker.empty() && deal.outcome == Deal::Outcome::kDone &&
          !Has(books.at(deal.broker).brokered, number)) {
        floor_.Problem("lost write", absl::StrCat(deal.broker, " has not noted deal ", number));
      }
      if (!deal.note.empty()) {
        arrived =
            CompareNote(number, deal, has(deal.parties[0]), books.at(deal.note), look) && arrived;
      }
    }
    // They are not read at one moment: what clients have given up may still come about meanwhile.
    const auto wrong = Wrong(accounts);
    if (!wrong.empty() && look == Look::kLast) {
      floor_.Problem("transactions", "at the end there is " + wrong);
    }
    return arrived && wrong.empty();
  }
  bool CompareNote(uint64_t number, const Deal& deal, bool done, const TraderBook& told,
                   Look look) {
    const bool has = Has(told.notes, number);
    if (has == done) return true;
    if (look == Look::kLast) {
      floor_.Problem("transactions",
                     absl::StrCat(deal.note, has ? " was" : " was not", " told of deal ", number,
                                  done ? " that came about" : " that did not come about"));
    }
    return false;
  }

  std::map<uint64_t, Deal> deals_;
  uint64_t next_ = 1;
  int dealers_ = 0;
  std::map<std::string, std::vector<kj::Promise<void>>> of_dealers_;
  const std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace

std::unique_ptr<Trade> MakeDeals(TradeFloor& floor) { return std::make_unique<Deals>(floor); }

}  // namespace troupe::sim
