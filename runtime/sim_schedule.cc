#include "troupe/runtime/internal/sim_schedule.h"

#include <cstring>
#include <utility>

#include "kj/debug.h"

namespace troupe::internal {
namespace {

// More entries than this at one instant is a loop in which time stands still.
constexpr uint64_t kInstantMax = 2'000'000;

}  // namespace

void SimSchedule::Insert(Queue& queue, Key key, Entry&& entry) {
  places_[entry.id] = Place{&queue, key};
  queue.emplace(key, kj::mv(entry));
}

SimSchedule::Id SimSchedule::At(int64_t when, SimEvent kind, SimGate* gate,
                                kj::Function<void()> run) {
  if (gate != nullptr && gate->dead_) return 0;
  Id id = ++last_id_;
  Insert(queue_, Key{std::max(when, now_), ++last_order_}, Entry{id, kind, gate, kj::mv(run)});
  return id;
}

SimSchedule::Id SimSchedule::Wake(SimGate& gate, kj::Function<void()> run) {
  if (gate.dead_) return 0;
  if (gate.paused_) return At(now_, SimEvent::kWake, &gate, kj::mv(run));
  run();
  return 0;
}

void SimSchedule::Cancel(Id id) {
  auto place = places_.find(id);
  if (place == places_.end()) return;
  auto [queue, key] = place->second;
  places_.erase(place);
  auto entry = queue->extract(key);  // Destroyed after the tables agree: its captures may call us.
}

bool SimSchedule::RunNext(int64_t limit) {
  auto next = queue_.begin();
  if (next == queue_.end() || next->first.when > limit) {
    if (limit > now_) at_this_instant_ = 0;
    now_ = std::max(now_, limit);
    return false;
  }
  if (next->first.when > now_) at_this_instant_ = 0;
  now_ = next->first.when;
  CountAtThisInstant();
  auto node = queue_.extract(next);
  Entry& entry = node.mapped();
  if (entry.gate != nullptr && entry.gate->paused_) {
    Insert(entry.gate->held_, node.key(), kj::mv(entry));
    return true;
  }
  places_.erase(entry.id);
  Mix(static_cast<uint64_t>(now_));
  Mix(static_cast<uint64_t>(entry.kind));
  Mix(entry.gate == nullptr ? 0 : entry.gate->gate_id_);
  entry.run();
  return true;
}

void SimSchedule::CountAtThisInstant() {
  KJ_REQUIRE(++at_this_instant_ < kInstantMax, "simulated time stands still: something loops",
             now_);
}

void SimSchedule::Pause(SimGate& gate) { gate.paused_ = true; }

void SimSchedule::Resume(SimGate& gate) {
  gate.paused_ = false;
  Queue held = std::exchange(gate.held_, {});
  for (auto& [key, entry] : held) Insert(queue_, Key{now_, ++last_order_}, kj::mv(entry));
}

void SimSchedule::Kill(SimGate& gate) {
  gate.dead_ = true;
  Queue doomed = std::exchange(gate.held_, {});
  for (auto it = queue_.begin(); it != queue_.end();) {
    auto here = it++;
    if (here->second.gate == &gate) doomed.insert(queue_.extract(here));
  }
  for (auto& [key, entry] : doomed) places_.erase(entry.id);
}

void SimSchedule::Clear() {
  Queue doomed =
      std::exchange(queue_, {});  // What its captures do when they go must find no trace.
  places_.clear();
}

void SimSchedule::Mix(uint64_t value) {
  uint64_t z = hash_ ^ (value + 0x9E3779B97F4A7C15ull + (hash_ << 6) + (hash_ >> 2));
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  hash_ = z ^ (z >> 27);
}

void SimSchedule::Mix(std::span<const std::byte> bytes) {
  uint64_t hash = 0xcbf29ce484222325ull ^ bytes.size();
  for (size_t i = 0; i < bytes.size(); i += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min(sizeof word, bytes.size() - i));
    hash = (hash ^ word) * 0x9E3779B97F4A7C15ull;
    hash ^= hash >> 29;
  }
  Mix(hash);
}

}  // namespace troupe::internal
