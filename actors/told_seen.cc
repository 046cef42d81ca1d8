#include "troupe/actors/told_seen.h"

namespace troupe {

bool ToldSeen::Take(const ActorCall& call) {
  auto [it, fresh] = last_.try_emplace(call.caller);
  auto& last = it->second;
  if (!fresh) by_age_.erase(last.taken);
  last.taken = next_++;
  by_age_[last.taken] = call.caller;
  if (fresh && last_.size() > kToldSeenMax) {
    last_.erase(by_age_.begin()->second);
    by_age_.erase(by_age_.begin());
  }
  const TurnNumber turn{call.lineage, call.turn};
  if (turn < last.turn) return false;
  if (turn > last.turn) {
    last.turn = turn;
    last.ids.clear();
  }
  return last.ids.insert(call.id).second;
}

}  // namespace troupe
