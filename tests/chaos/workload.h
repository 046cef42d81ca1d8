// Workload: clients that read and change registers and counters, and the history of what they met.
//
// Several clients, each with several calls open at once and a time limit of its own, so that some
// calls end without a word on what became of them. An actor that has had many calls, or several of
// unknown outcome, is left for a fresh one: what has to be searched stays small.
// Threads: the loop of its Host. Deterministic in what is called, not in when.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kj/async.h"
#include "troupe/actors/client.h"
#include "troupe/runtime/host.h"
#include "troupe/runtime/random.h"
#include "troupe/runtime/task.h"
#include "troupe/sim/history.h"

namespace troupe::chaos {

struct WorkloadOptions {
  std::vector<std::string> nodes;
  uint64_t seed = 0;
  size_t clients = 6;
  size_t callers = 2;  // Of each client.
  size_t actors = 8;   // Called at a time; half of them registers.
};

class Workload {
 public:
  Workload(Host& host, WorkloadOptions options);
  ~Workload();
  KJ_DISALLOW_COPY(Workload);

  kj::Promise<void> Connected(absl::Duration limit);
  void Start();
  // No further calls; resolves when those under way have ended.
  Task<void> Stop();
  // Reads every actor there ever was, as the last operations of the history. After Stop().
  Task<void> ReadAll(absl::Duration limit);

  const sim::History& history() const { return history_; }
  uint64_t answered() const { return answered_; }
  uint64_t refused() const { return refused_; }
  uint64_t unknown() const { return unknown_; }
  // Errors that no fault explains, such as lost state, with how often each came. A read of
  // ReadAll() that was not answered is one.
  const std::map<std::string, uint64_t>& wrong() const { return wrong_; }

 private:
  enum class Kind : uint8_t { kRegister, kCounter };
  struct Subject {
    std::string key;
    Kind kind;
    size_t calls = 0;
    size_t unknown = 0;
  };
  struct Action {
    std::string call;
    std::vector<std::string> arguments;
  };

  Task<void> Caller(size_t client, std::string name, Random random);
  Task<bool> Perform(size_t client, std::string name, std::shared_ptr<Subject> subject,
                     Action action, absl::Duration limit);
  Action Choose(const Subject& subject, const std::string& name, Random& random);
  kj::Promise<std::string> Send(size_t client, const Subject& subject, const Action& action,
                                absl::Duration limit);
  std::shared_ptr<Subject> Pick(size_t slot);
  void Ended(sim::History::Number number, Subject& subject, const kj::Exception& why);

  Host& host_;
  const WorkloadOptions options_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::shared_ptr<Subject>> subjects_;  // By slot.
  std::vector<std::shared_ptr<Subject>> all_;
  std::map<std::string, std::string> last_seen_;  // By key of a register: what was read there.
  sim::History history_;
  uint64_t answered_ = 0, refused_ = 0, unknown_ = 0;
  uint64_t next_value_ = 0;
  std::map<std::string, uint64_t> wrong_;
  bool stopping_ = false;
  std::vector<kj::Promise<void>> callers_;
};

}  // namespace troupe::chaos
