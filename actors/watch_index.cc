#include "troupe/actors/watch_index.h"

#include <algorithm>

namespace troupe {

void WatchIndex::Set(const ActorId& actor, const WatchSnapshot& lists) {
  if (auto it = watchers_.find(actor); it != watchers_.end()) {
    for (const auto& subject : it->second) {
      auto at = by_subject_.find(subject);
      at->second.erase(actor);
      if (at->second.empty()) by_subject_.erase(at);
    }
    watchers_.erase(it);
  }
  if (lists == nullptr) return;
  std::vector<Subject> subjects;
  for (const auto& watch : lists->watched) {
    if (watch.ended) continue;
    if (watch.is_node()) {
      subjects.push_back({watch.target.key, 0, watch.since});
    } else if (watch.since != 0) {
      subjects.push_back({"", watch.shard, watch.since});
    }
  }
  std::sort(subjects.begin(), subjects.end());
  subjects.erase(std::unique(subjects.begin(), subjects.end()), subjects.end());
  for (const auto& subject : subjects) by_subject_[subject].insert(actor);
  if (!subjects.empty()) watchers_.emplace(actor, std::move(subjects));
}

void WatchIndex::Clear() {
  watchers_.clear();
  by_subject_.clear();
}

Watched WatchIndex::AsWatch(const Subject& subject) {
  Watched watch;
  // Of whichever actor of the shard.
  watch.target = subject.node.empty() ? ActorId{1, ""} : ActorId{0, subject.node};
  watch.shard = subject.shard;
  watch.since = subject.since;
  return watch;
}

std::set<ActorId> WatchIndex::EndedBy(const ClusterState& map) const {
  std::set<ActorId> out;
  for (const auto& [subject, actors] : by_subject_) {
    if (EndShown(AsWatch(subject), map)) out.insert(actors.begin(), actors.end());
  }
  return out;
}

}  // namespace troupe
