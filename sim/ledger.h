// Ledgers: actors that remember all that was done to them, and clients that compare every answer
// with every other.
//
// An answer shows how many entries a ledger has and a hash of them in order. So all answers about
// one ledger must be of one history: equal lengths have equal hashes, what was answered before a
// call began is in its answer, no entry is there twice, and what failed is not there. That is
// linearizability of an append-only list, judged at each answer; Invariants compares the copies
// that could be elected with the same facts.
//
// Threads: the cluster's. Goes before the cluster does.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kj/async.h"
#include "troupe/actors/registry.h"
#include "troupe/runtime/random.h"
#include "troupe/sim/cluster.h"
#include "troupe/sim/history.h"
#include "troupe/sim/ledger.capnp.h"

namespace troupe::sim {

uint64_t ExtendHash(uint64_t hash, uint64_t entry);

// The facts about one ledger.
struct Book {
  std::map<uint64_t, uint64_t> hashes = {{0, 0}};  // By length, as answers showed them.
  uint64_t newest = 0;                             // The greatest length answered.
  std::set<uint64_t> answered;                     // Entries whose append was answered.
  std::set<uint64_t> asked;
  std::set<uint64_t> failing;  // Entries of calls that fail.
};

struct LedgerOptions {
  int ledgers = 4;
  size_t entries_max = 120;  // Of one; what is done to it costs time in its length.
  std::vector<std::string> clients = {"client1", "client2", "client3"};
  // Only reads. What a client has begun at a primary that is cut off holds back its own reads; so
  // stale reads show themselves to one that changes nothing.
  std::string reader = "reader";
  absl::Duration pause = absl::Milliseconds(16);  // Between two calls of one loop, on average.
  absl::Duration deadline = absl::Seconds(20);    // Of most calls; some have a tenth.
  double reads = 0.5, relays = 0.15, lingers = 0.1, failures = 0.05, bursts = 0.1;
};

class Ledgers {
 public:
  using Problem = std::function<void(const std::string& checker, const std::string& what)>;

  // Adds its clients to the cluster.
  Ledgers(Cluster& cluster, Random random, LedgerOptions options, Problem problem);
  ~Ledgers() noexcept(false);
  // What ledgers themselves tell: that this much was there when a call of theirs had left (P6.6).
  using Witness = std::function<void(const std::string& key, uint64_t length, uint64_t hash)>;
  static void Register(Registry& registry, std::shared_ptr<Witness> witness);
  void OnWitness(const std::string& key, uint64_t length, uint64_t hash);

  void Start();
  void Stop() { stopped_ = true; }
  bool idle() const { return open_ == 0; }
  // One more call of each client to each ledger, at once.
  void Everyone();
  // As many calls as that, of ledgers to each other.
  void Relays(int count);
  // After idle(): reads each ledger.
  void ReadAll();

  // A copy's state of a ledger; null: it has none.
  void CheckState(const std::string& who, const std::string& key, const std::string* state);
  // Rises with every answer: copies are compared when it has.
  uint64_t answered() const { return answered_; }
  const std::map<std::string, Book>& books() const { return books_; }
  const History& history() const { return history_; }
  static ActorId IdOf(const std::string& key) { return {capnp::typeId<Ledger>(), key}; }

 private:
  struct Call {
    std::string client, key;
    uint64_t entry = 0;   // 0: a read.
    uint64_t newest = 0;  // When it began.
    uint64_t order = 0;   // Among the appends of its client to this ledger.
    History::Number number = 0;
  };

  void Loop(const std::string& client);
  void Next(const std::string& client);
  Ledger::Client Get(const std::string& client, const std::string& key);
  Call Begin(const std::string& client, const std::string& key, uint64_t entry);
  void Append(const std::string& client, const std::string& key);
  void Read(const std::string& client, const std::string& key);
  void Relay(const std::string& client, const std::string& key, const std::string& to);
  void Linger(const std::string& client, const std::string& key);
  void Fail(const std::string& client, const std::string& key);
  void Close(const Call& call);
  void Returned(const Call& call, Page::Reader page);
  void Shown(const std::string& what, const std::string& key, Page::Reader page);
  void Fact(const std::string& what, const std::string& key, uint64_t length, uint64_t hash);
  void Ended(const Call& call, const kj::Exception& exception);
  void Watch(const Call& call, kj::Promise<void> promise);
  // The present ledger of that number: full ones are followed by new ones.
  std::string KeyOf(int ledger);
  std::string AnyKey();

  Cluster& cluster_;
  Random random_;
  const LedgerOptions options_;
  Problem problem_;
  History history_;
  std::map<std::string, Book> books_;
  std::map<int, int> successors_;  // By ledger: how many were full.
  std::map<std::pair<std::string, std::string>, std::pair<uint64_t, uint64_t>>
      in_order_;  // By client and key: the newest append answered, and its length.
  uint64_t next_entry_ = 1;
  uint64_t next_order_ = 1;
  uint64_t answered_ = 0;
  size_t open_ = 0;
  std::map<std::pair<std::string, std::string>, size_t> open_at_;  // By client and key.
  bool stopped_ = false;
  struct Errors final : kj::TaskSet::ErrorHandler {
    explicit Errors(Ledgers& l) : ledgers(l) {}
    void taskFailed(kj::Exception&& exception) override;
    Ledgers& ledgers;
  } errors_{*this};
  kj::TaskSet tasks_;
};

}  // namespace troupe::sim
