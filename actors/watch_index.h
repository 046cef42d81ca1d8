// WatchIndex: which actors of a shard watch a node, or an actor of some other shard, so that a new
// map costs a look at each watched node and shard, not at each actor.
//
// Pure; not thread-safe. Belongs to a copy of a shard while it serves.
#pragma once

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "troupe/actors/watch_table.h"

namespace troupe {

class WatchIndex {
 public:
  // What the actor watches now; nothing when it is null or nothing in it can be ended by a map.
  void Set(const ActorId& actor, const WatchSnapshot& lists);
  void Clear();
  bool empty() const { return watchers_.empty(); }

  // Those of which a watch has ended by this map; in order of their ids.
  std::set<ActorId> EndedBy(const ClusterState& map) const;

 private:
  // What a map can end: a run of a node, or a shard's lineage as an actor of it was watched.
  struct Subject {
    std::string node;
    ShardId shard = 0;
    uint64_t since = 0;
    friend auto operator<=>(const Subject&, const Subject&) = default;
  };
  static Watched AsWatch(const Subject& subject);

  absl::flat_hash_map<ActorId, std::vector<Subject>> watchers_;
  std::map<Subject, std::set<ActorId>> by_subject_;
};

}  // namespace troupe
