#include "tap_switch.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace {

constexpr size_t kFrameMax = 2048;  // An Ethernet frame of 1,500 bytes, and some.
constexpr int kFramesAtOnce = 64;   // Of one host, before the others have their turn.
constexpr int kLookAroundMs = 50;   // For the end.

// Of no clock that somebody sets.
absl::Time Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return absl::TimeFromTimespec(now);
}

}  // namespace

void LinkRules::SetAll(LinkRule rule) {
  for (size_t from = 0; from < hosts(); ++from) {
    for (size_t to = 0; to < hosts(); ++to) SetRule(from, to, rule);
  }
}

TapSwitch::TapSwitch(std::vector<int> taps, uint64_t seed)
    : taps_(std::move(taps)),
      pairs_(taps_.size() * taps_.size()),
      random_(seed),
      thread_([this] { Run(); }) {}

TapSwitch::~TapSwitch() {
  ending_ = true;
  thread_.join();
}

void TapSwitch::SetRule(size_t from, size_t to, LinkRule rule) {
  const std::lock_guard lock(mutex_);
  PairOf(from, to).rule = rule;
}

void TapSwitch::Run() {
  std::vector<pollfd> polled;
  for (int tap : taps_) polled.push_back({tap, POLLIN, 0});
  while (!ending_) {
    timespec pause{0, kLookAroundMs * 1'000'000};
    if (!held_.empty()) {
      const auto left = std::clamp(held_.top().due - Now(), absl::ZeroDuration(),
                                   absl::Milliseconds(kLookAroundMs));
      pause = absl::ToTimespec(left);
    }
    ppoll(polled.data(), polled.size(), &pause, nullptr);
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < polled.size(); ++i) {
      if (polled[i].revents != 0) Take(i);
    }
    SendDue(Now());
  }
}

void TapSwitch::Take(size_t from) {
  uint8_t frame[kFrameMax];
  for (int i = 0; i < kFramesAtOnce; ++i) {
    const ssize_t size = read(taps_[from], frame, sizeof frame);
    if (size < 14) return;
    // The sixth byte of the destination is the host's number; bit 0 of the first means: to several.
    if ((frame[0] & 1) != 0) {
      for (size_t to = 0; to < taps_.size(); ++to) {
        if (to != from) Carry(from, to, frame, static_cast<size_t>(size));
      }
    } else if (frame[5] >= 1 && frame[5] <= taps_.size() && frame[5] - 1u != from) {
      Carry(from, frame[5] - 1u, frame, static_cast<size_t>(size));
    }
  }
}

void TapSwitch::Carry(size_t from, size_t to, const uint8_t* frame, size_t size) {
  Pair& pair = PairOf(from, to);
  const LinkRule& rule = pair.rule;
  if (rule.cut || Chance(rule.loss) || pair.held >= kHeldMax) return;
  const absl::Time now = Now();
  if (rule == LinkRule() && pair.held == 0) {
    [[maybe_unused]] auto sent = write(taps_[to], frame, size);
    return;
  }
  absl::Time due = now + rule.delay;
  if (rule.jitter > absl::ZeroDuration()) {
    due += rule.jitter * std::uniform_real_distribution<double>(0, 1)(random_);
  }
  due = std::max(due, pair.last_due);
  if (Chance(rule.reorder)) {
    due += rule.late;
  } else {
    pair.last_due = due;
  }
  Hold(from, to, frame, size, due);
  if (Chance(rule.duplicate)) Hold(from, to, frame, size, due);
}

void TapSwitch::Hold(size_t from, size_t to, const uint8_t* frame, size_t size, absl::Time due) {
  ++PairOf(from, to).held;
  held_.push({due, next_++, from, to, std::vector<uint8_t>(frame, frame + size)});
}

void TapSwitch::SendDue(absl::Time now) {
  while (!held_.empty() && held_.top().due <= now) {
    const Held& held = held_.top();
    Pair& pair = PairOf(held.from, held.to);
    --pair.held;
    // What was under way when the link was cut is lost with it.
    if (!pair.rule.cut) {
      [[maybe_unused]] auto sent = write(taps_[held.to], held.frame.data(), held.frame.size());
    }
    held_.pop();
  }
}

bool TapSwitch::Chance(double share) {
  return share > 0 && std::uniform_real_distribution<double>(0, 1)(random_) < share;
}
