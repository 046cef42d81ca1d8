// DueHeap: which actor is due next, of many.
//
// Pure; not thread-safe. An actor has one due time; setting another moves it, so that the heap is
// never larger than its actors. Actors due at the same time come in the order of their ids: nothing
// depends on addresses. Source: Williams, "Algorithm 232: Heapsort", 1964.
#pragma once

#include <cstddef>
#include <vector>

#include "absl/container/node_hash_map.h"
#include "absl/time/time.h"
#include "troupe/actors/actor_id.h"

namespace troupe {

class DueHeap {
 public:
  // InfiniteFuture: as Erase().
  void Set(const ActorId& actor, absl::Time due);
  void Erase(const ActorId& actor);
  void Clear();

  absl::Time next() const;  // InfiniteFuture: there is none.
  // Takes out those due at `now`, earliest first, at most `most`.
  std::vector<ActorId> TakeDue(absl::Time now, size_t most);
  size_t size() const { return heap_.size(); }

 private:
  struct Entry {
    absl::Time due;
    const ActorId* actor;  // The key in where_, which does not move.
  };
  static bool Before(const Entry& a, const Entry& b) {
    return a.due != b.due ? a.due < b.due : *a.actor < *b.actor;
  }
  void Place(size_t at, Entry entry);
  void Up(size_t at);
  void Down(size_t at);
  void RemoveAt(size_t at);

  std::vector<Entry> heap_;
  absl::node_hash_map<ActorId, size_t> where_;
};

}  // namespace troupe
