// TurnLog: which turns ran in a harness, for probes and for the reader of a test that failed.
//
// Keeps the last kTurnsKept. Single-threaded; times are virtual.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "troupe/actors/actor_id.h"

namespace troupe::testing {

inline constexpr size_t kTurnsKept = 10'000;

class TurnLog {
 public:
  using Number = uint64_t;

  enum class Kind : uint8_t { kCall, kOwn };  // The latter: a timer, a reminder, OnActivate.

  // `what`: "add(by = 2)".
  Number Begin(absl::Time now, Kind kind, const ActorId& actor, std::string actor_name,
               std::string what);
  void End(Number number, absl::Time now, std::string how);
  // What Save wrote at the turn's end.
  void Saved(Number number, std::string state);

  // The calls of that actor, in the order in which they began.
  std::vector<std::string> CallsOf(const ActorId& actor) const;
  // One line each: those that have not ended; the last `most` of all.
  std::string DescribeOpen(absl::Time now) const;
  std::string DescribeLast(absl::Time start, size_t most) const;

 private:
  struct Entry {
    Number number;
    absl::Time begun;
    Kind kind;
    ActorId actor;
    std::string actor_name, what;
    std::string end = {};    // Empty: it runs.
    std::string state = {};  // Empty: nothing was written.
  };
  Entry* Find(Number number);

  std::deque<Entry> entries_;  // Numbers rise by one.
  Number next_ = 1;
};

}  // namespace troupe::testing
