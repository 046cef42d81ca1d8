#include "troupe/testing/turn_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace troupe::testing {

TurnLog::Number TurnLog::Begin(absl::Time now, Kind kind, const ActorId& actor,
                               std::string actor_name, std::string what) {
  if (entries_.size() == kTurnsKept) entries_.pop_front();
  entries_.push_back({next_, now, kind, actor, std::move(actor_name), std::move(what)});
  return next_++;
}

TurnLog::Entry* TurnLog::Find(Number number) {
  if (entries_.empty() || number < entries_.front().number) return nullptr;
  return &entries_[number - entries_.front().number];
}

void TurnLog::End(Number number, absl::Time now, std::string how) {
  Entry* entry = Find(number);
  if (entry == nullptr || !entry->end.empty()) return;
  entry->end = std::move(how);
  if (now > entry->begun) {
    absl::StrAppend(&entry->end, ", after ", absl::FormatDuration(now - entry->begun));
  }
}

void TurnLog::Saved(Number number, std::string state) {
  if (Entry* entry = Find(number)) entry->state = std::move(state);
}

std::vector<std::string> TurnLog::CallsOf(const ActorId& actor) const {
  std::vector<std::string> out;
  for (const auto& entry : entries_) {
    if (entry.kind == Kind::kCall && entry.actor == actor) out.push_back(entry.what);
  }
  return out;
}

std::string TurnLog::DescribeOpen(absl::Time now) const {
  std::string out;
  for (const auto& entry : entries_) {
    if (!entry.end.empty()) continue;
    absl::StrAppend(&out, "\n  ", entry.actor_name, ": ", entry.what, ", for ",
                    absl::FormatDuration(now - entry.begun));
  }
  return out;
}

std::string TurnLog::DescribeLast(absl::Time start, size_t most) const {
  std::string out;
  for (size_t i = entries_.size() - std::min(most, entries_.size()); i < entries_.size(); ++i) {
    const auto& entry = entries_[i];
    absl::StrAppendFormat(&out, "\n  %.3f s  %s: %s: %s",
                          absl::ToDoubleSeconds(entry.begun - start), entry.actor_name, entry.what,
                          entry.end.empty() ? "has not ended" : entry.end);
    if (!entry.state.empty()) absl::StrAppend(&out, "; Save wrote ", entry.state);
  }
  return out;
}

}  // namespace troupe::testing
