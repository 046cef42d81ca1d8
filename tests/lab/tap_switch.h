// TapSwitch: an Ethernet switch in user space that can delay, lose, reorder and cut.
//
// Carries the frames of a NetworkLab made with Joint::kTaps, each ordered pair of hosts by a rule
// of its own; a kernel without netem needs nothing more. A thread of its own does it; SetRule() and
// the like are thread-safe. A pair holds at most kHeldMax frames, those beyond are lost, as in any
// switch. Which frames a rule loses depends on the seed and on the order of frames, thus on timing.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <queue>
#include <random>
#include <thread>
#include <vector>

#include "absl/time/time.h"

// What happens to frames from one host to another.
struct LinkRule {
  bool cut = false;
  absl::Duration delay = absl::ZeroDuration();
  absl::Duration jitter = absl::ZeroDuration();  // Up to so much more; order is kept.
  double loss = 0;                               // Share of the frames, 0 to 1.
  double reorder = 0;  // Share that comes `late` after its time, so that others overtake it.
  absl::Duration late = absl::ZeroDuration();
  double duplicate = 0;  // Share that comes twice.
  friend bool operator==(const LinkRule&, const LinkRule&) = default;
};

// Where rules are set: a switch of namespaces, or a stand-in on loopback.
class LinkRules {
 public:
  virtual ~LinkRules() = default;
  virtual size_t hosts() const = 0;
  virtual void SetRule(size_t from, size_t to, LinkRule rule) = 0;
  void SetAll(LinkRule rule);
};

class TapSwitch final : public LinkRules {
 public:
  static constexpr size_t kHeldMax = 4096;

  // The descriptors outlive it.
  TapSwitch(std::vector<int> taps, uint64_t seed);
  ~TapSwitch() override;
  TapSwitch(const TapSwitch&) = delete;
  TapSwitch& operator=(const TapSwitch&) = delete;

  size_t hosts() const override { return taps_.size(); }
  void SetRule(size_t from, size_t to, LinkRule rule) override;

 private:
  struct Pair {
    LinkRule rule;
    size_t held = 0;
    absl::Time last_due = absl::InfinitePast();
  };
  struct Held {
    absl::Time due;
    uint64_t number;
    size_t from, to;
    std::vector<uint8_t> frame;
    bool operator<(const Held& other) const {  // The one that is due first is the greatest.
      return due != other.due ? due > other.due : number > other.number;
    }
  };

  void Run();
  void Take(size_t from);
  void Carry(size_t from, size_t to, const uint8_t* frame, size_t size);
  void Hold(size_t from, size_t to, const uint8_t* frame, size_t size, absl::Time due);
  void SendDue(absl::Time now);
  bool Chance(double share);
  Pair& PairOf(size_t from, size_t to) { return pairs_[from * taps_.size() + to]; }

  const std::vector<int> taps_;
  std::mutex mutex_;  // Guards pairs_.
  std::vector<Pair> pairs_;
  std::priority_queue<Held> held_;
  uint64_t next_ = 0;
  std::mt19937_64 random_;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};
