#include "troupe/actors/hold.h"

#include <utility>

namespace troupe {

size_t Hold::bytes() const {
  size_t out = 128 + first.key.size() + (state == nullptr ? 0 : state->size());
  if (reminders == nullptr) return out;
  for (const auto& reminder : *reminders) out += 64 + reminder.name.size();
  return out;
}

bool operator==(const Hold& a, const Hold& b) {
  const auto none = [](const ReminderTable::Snapshot& list) {
    return list == nullptr || list->empty();
  };
  const bool same_reminders =
      none(a.reminders) ? none(b.reminders) : !none(b.reminders) && *a.reminders == *b.reminders;
  const bool same_state =
      a.state == nullptr ? b.state == nullptr : b.state != nullptr && *a.state == *b.state;
  return a.id == b.id && a.age == b.age && a.limit == b.limit && a.first == b.first &&
         a.grant == b.grant && a.resume == b.resume && a.resume_since == b.resume_since &&
         same_state && same_reminders;
}

const SharedHold& NoHold() {
  static const auto kNone = std::make_shared<const Hold>();
  return kNone;
}

HoldVerdict Judge(const Hold* hold, const TransactionStamp& call) {
  if (hold == nullptr) return call.grant ? HoldVerdict::kGone : HoldVerdict::kTakes;
  if (hold->id == call.id) {
    return call.grant && call.grant != hold->grant ? HoldVerdict::kGone : HoldVerdict::kRuns;
  }
  if (call.grant) return HoldVerdict::kGone;
  const bool older = std::pair(call.age, call.id) < std::pair(hold->age, hold->id);
  return older ? HoldVerdict::kWaits : HoldVerdict::kConflict;
}

}  // namespace troupe
