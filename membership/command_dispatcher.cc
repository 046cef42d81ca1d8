#include "troupe/membership/command_dispatcher.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace troupe {

// Adds the command to what goes to the next voter in turn.
void CommandDispatcher::Ask(absl::Time now, uint64_t id, Waiting& waiting, Effects& out) {
  waiting.retry_at = now + Retry();
  if (order_.empty()) return;
  waiting.last = order_[waiting.asked++ % order_.size()];
  auto at = std::find_if(out.send.begin(), out.send.end(),
                         [&](const Send& send) { return send.to == waiting.last; });
  if (at == out.send.end()) at = out.send.insert(at, Send{waiting.last, {}});
  at->items.push_back({id, waiting.command});
}

CommandDispatcher::Effects CommandDispatcher::Submit(absl::Time now, absl::Time deadline,
                                                     std::optional<Command> command, uint64_t& id) {
  Effects out;
  id = next_id_++;
  if (waiting_.size() >= options_.outstanding_max) {
    out.done.push_back({id, 0,
                        absl::ResourceExhaustedError(absl::StrCat(
                            options_.outstanding_max, " commands are unanswered already"))});
    return out;
  }
  Waiting& waiting = waiting_[id];
  waiting.command = std::move(command);
  waiting.deadline = deadline;
  Ask(now, id, waiting, out);
  return out;
}

CommandDispatcher::Effects CommandDispatcher::OnAnswers(absl::Time now,
                                                        std::span<const CommandAnswer> answers) {
  Effects out;
  for (const CommandAnswer& answer : answers) {
    auto at = waiting_.find(answer.id);
    if (at == waiting_.end()) continue;  // Another voter was first.
    if (answer.version != 0) {
      out.done.push_back(answer);
      waiting_.erase(at);
    } else if (at->second.asked < order_.size()) {
      Ask(now, answer.id, at->second, out);  // That voter cannot; the others are asked at once,
    }                                        // and all of them again when the retry is due.
  }
  return out;
}

CommandDispatcher::Effects CommandDispatcher::OnOrder(absl::Time now, std::vector<VoterId> order) {
  Effects out;
  bool same_first = !order.empty() && !order_.empty() && order.front() == order_.front();
  order_ = std::move(order);
  if (same_first) return out;
  for (auto& [id, waiting] : waiting_) {
    waiting.asked = 0;
    Ask(now, id, waiting, out);
  }
  return out;
}

CommandDispatcher::Effects CommandDispatcher::OnVoterLost(absl::Time now, const VoterId& voter) {
  Effects out;
  for (auto& [id, waiting] : waiting_) {
    if (waiting.last == voter && waiting.asked < order_.size()) Ask(now, id, waiting, out);
  }
  return out;
}

CommandDispatcher::Effects CommandDispatcher::Tick(absl::Time now) {
  Effects out;
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    auto& [id, waiting] = *at;
    if (now >= waiting.deadline) {
      out.done.push_back({id, 0,
                          absl::DeadlineExceededError(
                              "no voter answered in time; the command may still take effect")});
      at = waiting_.erase(at);
      continue;
    }
    if (now >= waiting.retry_at) Ask(now, id, waiting, out);
    ++at;
  }
  return out;
}

absl::Time CommandDispatcher::wake() const {
  absl::Time wake = absl::InfiniteFuture();
  for (const auto& [id, waiting] : waiting_) {
    wake = std::min({wake, waiting.deadline, waiting.retry_at});
  }
  return wake;
}

}  // namespace troupe
