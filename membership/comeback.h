// Comeback: a fenced node that lives asks to be UP again, once it is well connected.
//
// It needs probes both ways with a majority of the nodes that are UP (with all, of fewer than
// four), and waits the longer the oftener it was fenced lately (docs/protocol.md P3.11).
//
// Single loop.
#pragma once

#include <deque>
#include <memory>

#include "absl/time/time.h"
#include "kj/async.h"
#include "kj/function.h"
#include "troupe/membership/alarm.h"
#include "troupe/membership/control_links.h"
#include "troupe/membership/map_store.h"
#include "troupe/membership/register_shell.h"
#include "troupe/membership/self.h"

namespace troupe {

class Comeback final : private kj::TaskSet::ErrorHandler {
 public:
  // `unfit` is told why when nodes are there meanwhile beside which this one can be no member.
  using Unfit = kj::Function<void(const std::string& why)>;
  Comeback(Self& self, ControlLinks& links, MapStore& maps, RegisterShell& shell, Unfit unfit);
  KJ_DISALLOW_COPY(Comeback);

  void OnNewMap();

 private:
  struct Round {  // Of probes.
    size_t asked = 0;
    size_t answered = 0;
    size_t both_ways = 0;
  };

  void taskFailed(kj::Exception&& exception) override;
  const NodeEntry* Fenced() const;  // Our entry, if it says FENCED.
  void Tick();
  void Probe();
  void Count(Round& round);
  void Ask();

  Self& self_;
  ControlLinks& links_;
  MapStore& maps_;
  RegisterShell& shell_;
  Unfit unfit_;
  std::deque<absl::Time> comebacks_;  // Within the last ten minutes.
  absl::Time held_until_ = absl::InfinitePast();
  uint64_t generation_ = 0;  // Of the fencing under way; +1, so that 0 is none.
  bool asking_ = false;
  Alarm alarm_;
  kj::TaskSet tasks_;
};

}  // namespace troupe
