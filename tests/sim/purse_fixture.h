// PurseFixture: a cluster of purses under a seed, and transactions that go on while things happen.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cluster_fixture.h"
#include "purse.h"
#include "troupe/actors/hold.h"

namespace troupe {

class PurseFixture : public ClusterFixture {
 protected:
  static constexpr uint64_t kPurses = 5;
  static constexpr int64_t kMoney = 100;  // In each at first.
  static constexpr int64_t kAll = kPurses * kMoney;

  PurseFixture() { registry_.Host<PurseActor>({.idle_timeout = absl::Seconds(2)}); }

  static std::string Name(uint64_t i) { return "p" + std::to_string(i); }
  Purse::Ref At(const std::string& key) { return client_->Get<Purse>(key); }
  Purse::LookReply Look(const std::string& key) { return cluster_->Await(At(key).Look()); }
  int64_t Balance(const std::string& key) { return Look(key).balance; }
  void Fund() {
    for (uint64_t i = 0; i < kPurses; ++i) cluster_->Await(At(Name(i)).Deposit(kMoney));
  }
  std::string PrimaryOf(const std::string& key) {
    return cluster_->PrimaryOf({capnp::typeId<Purse>(), key});
  }
  kj::Promise<void> After(absl::Duration pause) {
    return cluster_->world().machine("client").control().timer().afterDelay(
        absl::ToInt64Nanoseconds(pause) * kj::NANOSECONDS);
  }
  template <typename T>
  T Wait(Task<T> task) {
    return cluster_->Await(kj::mv(task));
  }
  void Wait(Task<void> task) {
    cluster_->Await(kj::mv(task).AsPromise().then([] { return 0; }), absl::Minutes(2));
  }

  static Task<void> MoveBody(Transaction& tx, std::string from, std::string to, int64_t amount) {
    co_await tx.Get<Purse>(from).Withdraw(amount);
    co_await tx.Get<Purse>(to).Deposit(amount);
  }
  static auto Moving(std::string from, std::string to, int64_t amount) {
    return [from, to, amount](Transaction& tx) { return MoveBody(tx, from, to, amount); };
  }
  // All that there is, as one transaction sees it.
  static Task<int64_t> SumBody(Transaction& tx) {
    int64_t sum = 0;
    for (uint64_t i = 0; i < kPurses; ++i) {
      auto seen = co_await tx.Get<Purse>(Name(i)).Look();
      sum += seen.balance;
    }
    co_return sum;
  }

  // ---- Transactions all along.
  struct Traffic {
    bool stop = false;
    size_t running = 0;
    TransactOptions options;
    uint64_t moved = 0, audited = 0;
    uint64_t unknown = 0;  // Whether they were done.
    uint64_t wrong = 0;    // Sums that are not all there is.
    std::string last_error;

    void NoteError(const kj::Exception& e) {
      last_error = Words(e);
      if (e.getType() != kj::Exception::Type::FAILED) ++unknown;
    }
  };
  Task<void> MoveOn(Traffic& traffic, Client& client, Random random) {
    ++traffic.running;
    while (!traffic.stop) {
      const uint64_t from = random.Below(kPurses);
      const uint64_t to = (from + 1 + random.Below(kPurses - 1)) % kPurses;
      const auto amount = static_cast<int64_t>(1 + random.Below(20));
      auto move = client.Transact(Moving(Name(from), Name(to), amount), traffic.options);
      auto outcome = co_await Settled(move);
      if (outcome.ok()) {
        ++traffic.moved;
      } else {
        traffic.NoteError(outcome.exception());
      }
      auto pause = After(absl::Milliseconds(static_cast<int64_t>(random.Below(30))));
      co_await pause;
    }
    --traffic.running;
  }
  Task<void> AuditOn(Traffic& traffic, Client& client) {
    ++traffic.running;
    while (!traffic.stop) {
      auto audit = client.Transact([](Transaction& tx) { return SumBody(tx); }, traffic.options);
      auto outcome = co_await Settled(audit);
      if (outcome.ok()) {
        ++traffic.audited;
        if (outcome.value() != kAll) ++traffic.wrong;
      }
      auto pause = After(absl::Milliseconds(15));
      co_await pause;
    }
    --traffic.running;
  }
  // The same, begun by an actor: `move` is answered once.
  Task<void> DelegateOn(Traffic& traffic, std::string clerk, Random random) {
    ++traffic.running;
    while (!traffic.stop) {
      const uint64_t from = random.Below(kPurses);
      const uint64_t to = (from + 1 + random.Below(kPurses - 1)) % kPurses;
      auto move = At(clerk).Move(Name(from), Name(to), static_cast<int64_t>(random.Below(9)));
      auto outcome = co_await Settled(move);
      if (outcome.ok()) {
        ++traffic.moved;
      } else {
        traffic.NoteError(outcome.exception());
      }
      auto pause = After(absl::Milliseconds(static_cast<int64_t>(random.Below(30))));
      co_await pause;
    }
    --traffic.running;
  }
  // The money that is there, once plain calls are answered: no hold is left then.
  int64_t PlainSum() {
    int64_t sum = 0;
    for (uint64_t i = 0; i < kPurses; ++i) sum += Balance(Name(i));
    return sum;
  }
};

}  // namespace troupe
