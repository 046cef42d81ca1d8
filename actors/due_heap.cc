#include "troupe/actors/due_heap.h"

namespace troupe {

void DueHeap::Place(size_t at, Entry entry) {
  heap_[at] = entry;
  where_.find(*entry.actor)->second = at;
}

void DueHeap::Up(size_t at) {
  const Entry entry = heap_[at];
  for (; at > 0 && Before(entry, heap_[(at - 1) / 2]); at = (at - 1) / 2) {
    Place(at, heap_[(at - 1) / 2]);
  }
  Place(at, entry);
}

void DueHeap::Down(size_t at) {
  const Entry entry = heap_[at];
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && Before(heap_[child + 1], heap_[child])) ++child;
    if (!Before(heap_[child], entry)) break;
    Place(at, heap_[child]);
    at = child;
  }
  Place(at, entry);
}

void DueHeap::RemoveAt(size_t at) {
  const Entry last = heap_.back();
  where_.erase(*heap_[at].actor);
  heap_.pop_back();
  if (at == heap_.size()) return;
  Place(at, last);
  Down(at);
  Up(where_.find(*last.actor)->second);
}

void DueHeap::Set(const ActorId& actor, absl::Time due) {
  if (due == absl::InfiniteFuture()) return Erase(actor);
  auto [it, fresh] = where_.try_emplace(actor, heap_.size());
  if (fresh) {
    heap_.push_back({due, &it->first});
  } else {
    heap_[it->second].due = due;
    Down(it->second);
  }
  Up(it->second);
}

void DueHeap::Erase(const ActorId& actor) {
  auto it = where_.find(actor);
  if (it != where_.end()) RemoveAt(it->second);
}

void DueHeap::Clear() {
  heap_.clear();
  where_.clear();
}

absl::Time DueHeap::next() const {
  return heap_.empty() ? absl::InfiniteFuture() : heap_.front().due;
}

std::vector<ActorId> DueHeap::TakeDue(absl::Time now, size_t most) {
  std::vector<ActorId> out;
  while (out.size() < most && next() <= now && !heap_.empty()) {
    out.push_back(*heap_.front().actor);
    RemoveAt(0);
  }
  return out;
}

}  // namespace troupe
