// Trade: one of the things that traders do, and what must come of it. TradeFloor: what all of these
// share: clients, traders, the calls that are open.
//
// Threads: the cluster's.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kj/async.h"
#include "troupe/sim/cluster.h"
#include "troupe/sim/traders.h"
#include "troupe/sim/traders/trader_book.h"

namespace troupe::sim {

// What an error says of the turn that it ended.
enum class Ended : uint8_t {
  kUndone,       // It was told to fail, and changed nothing.
  kInterrupted,  // What it had persisted stays; it does not go on.
  kUnknown,      // It took effect once, or not at all; perhaps later.
};

class TradeFloor {
 public:
  TradeFloor(Cluster& cluster, Random random, std::shared_ptr<const TradeMix> mix,
             Traders::Problem problem);

  Cluster& cluster() { return cluster_; }
  Random& random() { return random_; }
  const TradeMix& mix() const { return *mix_; }
  absl::Time Now() const { return cluster_.world().Now(); }
  void Problem(const std::string& checker, const std::string& what) { problem_(checker, what); }

  static const std::vector<std::string>& clients();
  // All that there are: those that trade, those that come to an end, those that begin deals.
  static const std::vector<std::string>& traders();
  static const std::vector<std::string>& mortals();
  static const std::vector<std::string>& brokers();
  static std::vector<std::string> Everyone();
  const std::string& AnyTrader() { return AnyOf(traders()); }
  const std::string& AnyOf(const std::vector<std::string>& names) {
    return names[random_.Below(names.size())];
  }

  Trader::Ref At(const std::string& client, const std::string& key);
  TransactOptions ForDeals() const;

  // A call. What it ends with is a problem, unless it is of a kind that faults explain.
  template <typename T, typename Answered>
  void Watch(const std::string& what, kj::Promise<T> promise, Answered answered,
             std::function<void(Ended)> failed = nullptr) {
    const uint64_t number = next_++;
    open_[number] = {what, Now()};
    tasks_.add(promise.then(
        [this, number, answered](T&& value) {
          open_.erase(number);
          ++answered_;
          answered(kj::mv(value));
        },
        [this, number, failed](kj::Exception&& e) {
          const Ended ended = Judge(open_.extract(number).mapped().what, e);
          if (failed) failed(ended);
        }));
  }
  template <typename Answered>
  void Watch(const std::string& what, Task<void> task, Answered answered,
             std::function<void(Ended)> failed = nullptr) {
    Watch(
        what, kj::mv(task).AsPromise().then([] { return true; }), [answered](bool) { answered(); },
        failed);
  }
  size_t open() const { return open_.size(); }
  std::string DescribeOpen() const;  // Who waits for what, and since when.
  uint64_t answered() const { return answered_; }
  kj::TaskSet& tasks() { return tasks_; }

 private:
  struct Open {
    std::string what;
    absl::Time since;
  };

  Ended Judge(const std::string& what, const kj::Exception& exception);

  Cluster& cluster_;
  Random random_;
  const std::shared_ptr<const TradeMix> mix_;
  Traders::Problem problem_;
  std::map<uint64_t, Open> open_;
  uint64_t next_ = 1;
  uint64_t answered_ = 0;
  struct Errors final : kj::TaskSet::ErrorHandler {
    explicit Errors(TradeFloor& f) : floor(f) {}
    void taskFailed(kj::Exception&& exception) override;
    TradeFloor& floor;
  } errors_{*this};
  kj::TaskSet tasks_;
};

using TraderBooks = std::map<std::string, TraderBook>;  // By key.

class Trade {
 public:
  explicit Trade(TradeFloor& floor) : floor_(floor) {}
  virtual ~Trade() noexcept(false) = default;

  virtual void Start() {}
  virtual void Next(const std::string& client) = 0;  // Begins a call or a few.
  // While no call is open: whether all that was under way has arrived. What must not be is a
  // problem; if it is the `last` time, so is what has not arrived.
  enum class Look : uint8_t { kOneOfMany, kLast };
  virtual bool Judge(const TraderBooks& books, Look look) = 0;

 protected:
  TradeFloor& floor_;
};

std::unique_ptr<Trade> MakePayments(TradeFloor& floor);
std::unique_ptr<Trade> MakeDeals(TradeFloor& floor);
std::unique_ptr<Trade> MakeSteps(TradeFloor& floor);
std::unique_ptr<Trade> MakeBulletins(TradeFloor& floor);
std::unique_ptr<Trade> MakeWatches(TradeFloor& floor);

}  // namespace troupe::sim
