// WatchTable: whom one actor watches, and by whom it is watched.
//
// Pure; not thread-safe. Part of the actor's replicated state: a turn's changes are in the batch of
// the turn, an actor's end and what its watchers are told of it are in one, and a watch goes in the
// batch of the turn that is its notice (docs/protocol.md P6.16).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "troupe/actors/actor_id.h"
#include "troupe/actors/notice.h"
#include "troupe/actors/outbox.h"
#include "troupe/membership/cluster_state.h"

namespace troupe {

// A watch, as the watcher has it. Of a node: type 0, and the node's name as key.
struct Watched {
  ActorId target;
  Id128 id;           // Of this watch, unlike any other of the same two.
  ShardId shard = 0;  // Of an actor that knows that it is watched: where, ...
  // ... and in which lineage; 0: it does not know yet. Of a node: its boot.
  uint64_t since = 0;
  std::optional<Notice::Why> ended;  // Its notice is due.
  std::string text;

  bool is_node() const { return target.type == 0; }
  size_t bytes() const { return 80 + target.key.size() + text.size(); }
  friend bool operator==(const Watched&, const Watched&) = default;
};

// The same, as the watched has it.
struct Watcher {
  ActorId actor;
  Id128 id;
  size_t bytes() const { return 48 + actor.key.size(); }
  friend bool operator==(const Watcher&, const Watcher&) = default;
};

struct WatchLists {
  std::vector<Watched> watched;   // By target.
  std::vector<Watcher> watchers;  // By actor.
  bool empty() const { return watched.empty() && watchers.empty(); }
  bool HasDue() const;
  size_t bytes() const;
  friend bool operator==(const WatchLists&, const WatchLists&) = default;
};
using WatchSnapshot = std::shared_ptr<const WatchLists>;  // Null, or empty: none.

class WatchTable {
 public:
  WatchTable() = default;
  explicit WatchTable(WatchSnapshot lists) : lists_(std::move(lists)) {}

  // ---- The watcher's side
  // ResourceExhausted, naming the bound. Replaces a watch of that target.
  absl::Status Watch(Watched watch);
  // What it was; nothing when it is not watched.
  std::optional<Watched> Unwatch(const ActorId& target);
  const Watched* Find(const ActorId& target) const;  // Null: not watched.
  const Watched* FindDue() const;                    // Null: no notice is due.
  // By the watch's id: one that is not there is passed over, as is one that is due already.
  void Registered(Id128 id, ShardId shard, uint64_t lineage);
  bool End(Id128 id, Notice::Why why, std::string_view text);  // True: its notice is due now.
  void Remove(Id128 id);                                       // Its notice has been given.
  // What the map shows to have ended is due. True: something is due that was not.
  bool EndByMap(const ClusterState& map);

  // ---- The watched's side
  // ResourceExhausted: there are as many as there may be. Replaces an earlier watch of that actor.
  absl::Status AddWatcher(const Watcher& watcher);
  void RemoveWatcher(const Watcher& watcher);  // Unless it has begun another watch since.
  std::vector<Watcher> TakeWatchers();

  std::vector<Watched> TakeWatched();

  bool empty() const { return lists_ == nullptr || lists_->empty(); }
  bool HasDue() const { return lists_ != nullptr && lists_->HasDue(); }
  // For every end to be told at once.
  OutboxReserve reserve() const;

  // Shared, never changed: the table goes on with a copy. Null when nothing is left.
  const WatchSnapshot& snapshot() const { return lists_; }

 private:
  WatchLists Copy() const { return lists_ == nullptr ? WatchLists() : *lists_; }
  void Take(WatchLists lists);

  WatchSnapshot lists_;
};

// Whether, and in which words, this map shows that the watched has ended.
std::optional<Notice::Why> EndShown(const Watched& watch, const ClusterState& map);

// At most kNoticeTextMax bytes, at a boundary of UTF-8.
std::string NoticeText(std::string_view text);

}  // namespace troupe
