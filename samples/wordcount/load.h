// Load: calls `add` once per word, a fixed number in flight, and what the callers met.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/time/time.h"
#include "kj/async.h"
#include "troupe/actors/client.h"
#include "troupe/runtime/host.h"
#include "wordcount.troupe.h"

class Load {
 public:
  // Both outlive it; `words` is gone through again and again.
  Load(troupe::Host& host, troupe::Client& client, const std::vector<std::string>& words,
       size_t in_flight);

  // Begins; runs whole passes over the words until StopAfterPass().
  void Start();
  void StopAfterPass() { stopping_ = true; }
  kj::Promise<void> Done() { return done_.addBranch(); }

  uint64_t answered() const { return answered_; }
  uint64_t errors() const { return errors_; }
  uint64_t passes() const { return passes_; }
  double progress() const {  // Of the present pass, 0 to 1.
    return static_cast<double>(next_) / static_cast<double>(words_.size());
  }
  const std::string& last_error() const { return last_error_; }

  // The longest that a call which was open at `since`, or began later, has waited since then.
  // Calls still open count as far as they got. Resets nothing; ask once per kill.
  void MarkKill(absl::Time at);
  absl::Duration GapSinceKill() const;

 private:
  void Fill();
  void Send(size_t word);
  void Answered(size_t slot, kj::Maybe<kj::Exception> failure);
  Word::Ref& RefOf(const std::string& word);

  troupe::Host& host_;
  troupe::Client& client_;
  const std::vector<std::string>& words_;
  const size_t in_flight_max_;
  std::unordered_map<std::string, Word::Ref> refs_;
  std::vector<absl::Time> began_;  // By slot; infinite future: free.
  std::vector<size_t> free_slots_;
  size_t next_ = 0;
  uint64_t answered_ = 0;
  uint64_t errors_ = 0;
  uint64_t passes_ = 0;
  std::string last_error_;
  bool stopping_ = false;
  bool finished_ = false;
  absl::Time kill_ = absl::InfiniteFuture();
  absl::Duration gap_ = absl::ZeroDuration();
  kj::Own<kj::PromiseFulfiller<void>> done_fulfiller_;
  kj::ForkedPromise<void> done_;
  struct Errors final : kj::TaskSet::ErrorHandler {
    void taskFailed(kj::Exception&& e) override { KJ_LOG(ERROR, e); }
  } errors_handler_;
  kj::TaskSet tasks_;
};
