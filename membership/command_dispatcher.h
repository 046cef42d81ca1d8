// CommandDispatcher: takes this node's commands to whichever voter coordinates, until answered.
//
// Pure; not thread-safe. A command unanswered after `retry` goes to the next voter as well, and so
// on round; commands are idempotent, so both may carry it out (docs/protocol.md P2.7).
#pragma once

#include <map>
#include <span>
#include <vector>

#include "troupe/membership/coordinator.h"

namespace troupe {

struct DispatcherOptions {
  absl::Duration retry_min = absl::Milliseconds(100);  // Or two round trips, if that is more.
  size_t outstanding_max = 4096;                       // Beyond it: ResourceExhausted.
};

class CommandDispatcher {
 public:
  explicit CommandDispatcher(DispatcherOptions options = {}) : options_(options) {}

  struct Send {
    VoterId to;
    std::vector<CommandItem> items;
  };
  struct Effects {
    std::vector<Send> send;
    std::vector<CommandAnswer> done;  // Final: by a quorum's word, or given up at the deadline.
  };

  // Without a command: confirms the map. The id of the answer is what it returns in `id`.
  Effects Submit(absl::Time now, absl::Time deadline, std::optional<Command> command, uint64_t& id);
  Effects OnAnswers(absl::Time now, std::span<const CommandAnswer> answers);
  // Whom to ask, as CoordinatorOrder has it. When the first is another, or the same came back,
  // what is unanswered goes there at once.
  Effects OnOrder(absl::Time now, std::vector<VoterId> order);
  // The link to this voter broke: what it was asked last is asked of the next.
  Effects OnVoterLost(absl::Time now, const VoterId& voter);
  void OnRoundTrip(absl::Duration round_trip) { round_trip_ = round_trip; }
  Effects Tick(absl::Time now);
  absl::Time wake() const;

  size_t outstanding() const { return waiting_.size(); }

 private:
  struct Waiting {
    std::optional<Command> command;
    absl::Time deadline;
    absl::Time retry_at;
    size_t asked = 0;  // How many voters so far; the next one's place in the order.
    VoterId last;
  };

  absl::Duration Retry() const { return std::max(options_.retry_min, 2 * round_trip_); }
  void Ask(absl::Time now, uint64_t id, Waiting& waiting, Effects& out);

  const DispatcherOptions options_;
  absl::Duration round_trip_ = absl::ZeroDuration();
  std::vector<VoterId> order_;
  uint64_t next_id_ = 1;
  std::map<uint64_t, Waiting> waiting_;
};

}  // namespace troupe
