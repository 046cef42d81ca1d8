// TraderBook: what one trader knows; the state of its actor, and what is asked of it at the end.
//
// A value.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "trader.troupe.h"

namespace troupe::sim {

struct TraderBook {
  using Named = std::vector<std::pair<std::string, uint64_t>>;
  using Counts = std::map<std::string, uint64_t>;

  static TraderBook From(TraderState::Reader in);
  friend bool operator==(const TraderBook& a, const TraderBook& b) = default;
  void Write(TraderState::Builder out) const;

  // The first thing that is wrong is kept.
  void Wrong(std::string what) {
    if (wrong.empty()) wrong = std::move(what);
  }

  int64_t cash = 0;
  std::vector<uint64_t> deals, brokered, notes;
  Counts sent, received;
  std::vector<uint64_t> begun, marked, ended;
  uint64_t announced = 0;
  Named items;
  Counts watches;
  Named dropped, notices;
  uint64_t serial = 0;
  Named guests;
  std::string wrong;
};

}  // namespace troupe::sim
