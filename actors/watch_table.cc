#include "troupe/actors/watch_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace troupe {
namespace {

// What telling takes in an outbox beside the key: see Told::bytes(), and call.capnp.
constexpr size_t kUnwatchBytes = 96 + 64;
constexpr size_t kNoticeBytes = 96 + 96 + kNoticeTextMax;

template <typename List, typename Matches>
auto FindIf(List& list, Matches matches) {
  return std::find_if(list.begin(), list.end(), matches);
}

absl::Status CheckBytes(const WatchLists& lists, size_t more) {
  const size_t bytes = lists.bytes() + more;
  if (bytes <= kWatchesBytesMax) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("what an actor keeps of watches would be ",
                                                   bytes, " bytes; at most ", kWatchesBytesMax,
                                                   ", which shorter keys leave room in"));
}

}  // namespace

const char* Name(Notice::Why why) {
  switch (why) {
    case Notice::Why::kErased:
      return "erased";
    case Notice::Why::kStopped:
      return "stopped";
    case Notice::Why::kSuspended:
      return "suspended";
    case Notice::Why::kStateLost:
      return "state lost";
    case Notice::Why::kNodeGone:
      return "node gone";
    case Notice::Why::kRefused:
      return "refused";
  }
  return "unknown";
}

bool WatchLists::HasDue() const {
  return std::ranges::any_of(watched, [](const auto& watch) { return watch.ended.has_value(); });
}

size_t WatchLists::bytes() const {
  size_t out = 0;
  for (const auto& watch : watched) out += watch.bytes();
  for (const auto& watcher : watchers) out += watcher.bytes();
  return out;
}

void WatchTable::Take(WatchLists lists) {
  lists_ = lists.empty() ? nullptr : std::make_shared<const WatchLists>(std::move(lists));
}

absl::Status WatchTable::Watch(Watched watch) {
  WatchLists lists = Copy();
  auto at = std::ranges::lower_bound(lists.watched, watch.target, {}, &Watched::target);
  if (at != lists.watched.end() && at->target == watch.target) {
    *at = std::move(watch);
    Take(std::move(lists));
    return absl::OkStatus();
  }
  if (lists.watched.size() >= kWatchedMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("an actor watches at most ", kWatchedMax, " others: unwatch one before"));
  }
  if (auto room = CheckBytes(lists, watch.bytes()); !room.ok()) return room;
  lists.watched.insert(at, std::move(watch));
  Take(std::move(lists));
  return absl::OkStatus();
}

std::optional<Watched> WatchTable::Unwatch(const ActorId& target) {
  if (Find(target) == nullptr) return std::nullopt;
  WatchLists lists = Copy();
  auto at = FindIf(lists.watched, [&](const auto& watch) { return watch.target == target; });
  std::optional<Watched> out = std::move(*at);
  lists.watched.erase(at);
  Take(std::move(lists));
  return out;
}

const Watched* WatchTable::Find(const ActorId& target) const {
  if (lists_ == nullptr) return nullptr;
  auto at = std::ranges::lower_bound(lists_->watched, target, {}, &Watched::target);
  return at == lists_->watched.end() || at->target != target ? nullptr : &*at;
}

const Watched* WatchTable::FindDue() const {
  if (lists_ == nullptr) return nullptr;
  auto at = FindIf(lists_->watched, [](const auto& watch) { return watch.ended.has_value(); });
  return at == lists_->watched.end() ? nullptr : &*at;
}

void WatchTable::Registered(Id128 id, ShardId shard, uint64_t lineage) {
  WatchLists lists = Copy();
  auto at = FindIf(lists.watched, [&](const auto& watch) { return watch.id == id; });
  if (at == lists.watched.end() || at->ended) return;
  at->shard = shard;
  at->since = lineage;
  Take(std::move(lists));
}

bool WatchTable::End(Id128 id, Notice::Why why, std::string_view text) {
  WatchLists lists = Copy();
  auto at = FindIf(lists.watched, [&](const auto& watch) { return watch.id == id; });
  if (at == lists.watched.end() || at->ended) return false;
  at->ended = why;
  // The notice counts; of very many at once the words do not.
  const std::string words = NoticeText(text);
  if (CheckBytes(lists, words.size()).ok()) at->text = words;
  Take(std::move(lists));
  return true;
}

void WatchTable::Remove(Id128 id) {
  WatchLists lists = Copy();
  std::erase_if(lists.watched, [&](const auto& watch) { return watch.id == id; });
  Take(std::move(lists));
}

bool WatchTable::EndByMap(const ClusterState& map) {
  if (lists_ == nullptr) return false;
  std::vector<Id128> ended;
  for (const auto& watch : lists_->watched) {
    if (!watch.ended && EndShown(watch, map)) ended.push_back(watch.id);
  }
  for (const auto& id : ended) {
    const auto& watch = *FindIf(lists_->watched, [&](const auto& w) { return w.id == id; });
    const auto why = *EndShown(watch, map);
    if (why == Notice::Why::kStateLost) {
      End(id, why, absl::StrCat("all copies of shard ", watch.shard, " were lost"));
    } else if (watch.since == 0) {
      End(id, why, absl::StrCat("node ", watch.target.key, " is not in the cluster"));
    } else {
      const auto* node = map.FindNode(watch.target.key);
      const bool again = node != nullptr && node->boot != watch.since;
      End(id, why,
          absl::StrCat("node ", watch.target.key, " (boot ", watch.since, ") ",
                       again             ? "was started anew"
                       : node == nullptr ? "has left"
                                         : absl::StrCat("is ", Name(node->state))));
    }
  }
  return !ended.empty();
}

absl::Status WatchTable::AddWatcher(const Watcher& watcher) {
  WatchLists lists = Copy();
  auto at = std::ranges::lower_bound(lists.watchers, watcher.actor, {}, &Watcher::actor);
  if (at != lists.watchers.end() && at->actor == watcher.actor) {
    *at = watcher;
    Take(std::move(lists));
    return absl::OkStatus();
  }
  if (lists.watchers.size() >= kWatchersMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("an actor is watched by at most ", kWatchersMax, " others"));
  }
  if (auto room = CheckBytes(lists, watcher.bytes()); !room.ok()) return room;
  lists.watchers.insert(at, watcher);
  Take(std::move(lists));
  return absl::OkStatus();
}

void WatchTable::RemoveWatcher(const Watcher& watcher) {
  WatchLists lists = Copy();
  std::erase(lists.watchers, watcher);
  Take(std::move(lists));
}

std::vector<Watcher> WatchTable::TakeWatchers() {
  WatchLists lists = Copy();
  auto out = std::exchange(lists.watchers, {});
  Take(std::move(lists));
  return out;
}

std::vector<Watched> WatchTable::TakeWatched() {
  WatchLists lists = Copy();
  auto out = std::exchange(lists.watched, {});
  Take(std::move(lists));
  return out;
}

OutboxReserve WatchTable::reserve() const {
  OutboxReserve out;
  if (lists_ == nullptr) return out;
  for (const auto& watch : lists_->watched) {
    if (watch.is_node() || watch.ended) continue;
    ++out.entries;
    out.bytes += kUnwatchBytes + watch.target.key.size();
  }
  for (const auto& watcher : lists_->watchers) {
    ++out.entries;
    out.bytes += kNoticeBytes + watcher.actor.key.size();
  }
  return out;
}

std::optional<Notice::Why> EndShown(const Watched& watch, const ClusterState& map) {
  if (watch.is_node()) {
    const auto* node = watch.since == 0 ? nullptr : map.FindBoot(watch.since);
    const bool there =
        node != nullptr && (node->state == NodeState::kUp || node->state == NodeState::kDraining);
    return there ? std::nullopt : std::optional(Notice::Why::kNodeGone);
  }
  if (watch.since == 0 || watch.shard >= map.shards.size()) return std::nullopt;
  const auto& entry = map.shards[watch.shard];
  const bool lost = entry.lineage > watch.since ||
                    (entry.lineage == watch.since && entry.state == ShardState::kLost);
  return lost ? std::optional(Notice::Why::kStateLost) : std::nullopt;
}

std::string NoticeText(std::string_view text) {
  if (text.size() <= kNoticeTextMax) return std::string(text);
  static constexpr std::string_view kCut = "…";
  size_t end = kNoticeTextMax - kCut.size();
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return absl::StrCat(std::string(text.substr(0, end)), std::string(kCut));
}

}  // namespace troupe
