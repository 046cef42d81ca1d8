// Workload: clients that call actors while faults happen, and notice what is lost, doubled, stale
// or out of order.
//
// Counters with one writer each and readers, registers with several writers, calls from actor to
// actor, bursts of calls by one caller. A call without an answer by its deadline may have taken
// effect once, at any time since it was made; what is answered must agree with everything answered
// before. Two callers have long deadlines and one short ones.
//
// Threads: that of the cluster. Goes before the cluster does.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "kj/async.h"
#include "troupe/actors/registry.h"
#include "troupe/runtime/random.h"
#include "troupe/sim/cluster.h"
#include "troupe/sim/history.h"
#include "troupe/sim/workload.capnp.h"

namespace troupe::sim {

struct WorkloadOptions {
  int counters = 5;
  int registers = 3;
  int pairs = 3;
  absl::Duration pause = absl::Milliseconds(60);  // Between two calls of one loop, on average.
};

class Workload {
 public:
  // Adds its clients to the cluster. `problem` is told, once for each, what must not be.
  Workload(Cluster& cluster, Random random, WorkloadOptions options,
           std::function<void(std::string)> problem);
  ~Workload() noexcept(false);

  static void Register(Registry& registry);

  void Start();
  // Begins no more calls.
  void Stop() { stopped_ = true; }
  bool idle() const { return open_.empty() && loops_ == 0; }
  // After idle() and healing: what the actors hold agrees with what was answered.
  void Check();
  // When idle(): the state of these shards is lost and was begun anew, so nothing known of their
  // actors counts. In the history these have new names from now on.
  void Forget(const std::set<ShardId>& shards);

  static const std::vector<std::string>& client_names();
  const History& history() const { return history_; }
  uint64_t answered() const { return answered_; }
  uint64_t unknown() const { return unknown_; }
  // Who waits for what, and since when; one line for each call, at most 20.
  std::string DescribeOpen();

 private:
  struct Counter {
    uint64_t life = 0;  // Raised by Forget().
    uint64_t asked = 0;
    uint64_t newest = 0;  // The highest value that was answered.
    uint64_t done = 0;    // Answered adds.
  };
  struct Open {
    std::string client, object, call;
    absl::Time since;
    History::Number number;
  };
  using Done = std::function<void(const uint64_t* value)>;  // Null: not known.

  Cell::Client Get(const std::string& client, const std::string& key);
  void Call(const std::string& client, const std::string& key, const std::string& call,
            uint64_t argument, Done done);
  kj::Promise<uint64_t> Send(const std::string& client, const std::string& key,
                             const std::string& call, uint64_t argument);
  void Returned(uint64_t id, uint64_t value, const Done& done);
  void Failed(uint64_t id, const kj::Exception& exception, const Done& done);
  void Later(const std::string& client, std::function<void()> next);

  void CountLoop(const std::string& client, const std::string& key);
  void ReadLoop(const std::string& key);
  void RegisterLoop(const std::string& client, const std::string& key);
  void PairLoop(int pair);
  void BurstLoop(const std::string& client, const std::string& key);
  void CheckCounter(const std::string& key, const Counter& counter);
  uint64_t Read(const std::string& key);

  Cluster& cluster_;
  Random random_;
  WorkloadOptions options_;
  std::function<void(std::string)> problem_;
  History history_;
  std::map<std::string, Counter> counters_;  // Those with adds, by key.
  std::map<uint64_t, Open> open_;
  uint64_t next_call_ = 1;
  uint64_t next_value_ = 1;  // Of registers; never written twice.
  size_t loops_ = 0;
  std::map<std::string, uint64_t> lives_;  // By key; raised by Forget().
  bool stopped_ = false;
  uint64_t answered_ = 0;
  uint64_t unknown_ = 0;
  struct Errors final : kj::TaskSet::ErrorHandler {
    explicit Errors(Workload& w) : workload(w) {}
    void taskFailed(kj::Exception&& exception) override;
    Workload& workload;
  } errors_{*this};
  kj::TaskSet tasks_;
};

}  // namespace troupe::sim
