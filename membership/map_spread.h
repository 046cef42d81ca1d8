// MapSpread: brings newly chosen maps to all nodes, and to this one those that it misses.
//
// Whoever gets a value chosen tells everybody it has a link to, as a difference. Whoever hears of a
// newer version than its own pulls it, after a moment in which the news may still come (P2.10).
//
// Single loop.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "kj/async.h"
#include "troupe/membership/alarm.h"
#include "troupe/membership/control_links.h"
#include "troupe/membership/map_store.h"
#include "troupe/membership/self.h"

namespace troupe {

class MapSpread final : private kj::TaskSet::ErrorHandler {
 public:
  class Owner {
   public:
    // Into the MapStore, and what follows from it.
    virtual void TakeNews(uint64_t base, std::span<const std::byte> bytes) = 0;

   protected:
    ~Owner() = default;
  };

  MapSpread(Self& self, ControlLinks& links, MapStore& maps, Owner& owner);
  KJ_DISALLOW_COPY(MapSpread);

  void TellAll();  // Our map, chosen just now.
  // `node` has, or knows of, a map of that version.
  enum class Patience { kAtOnce, kAMoment };
  void Heard(const std::string& node, uint64_t version, Patience patience);
  void OnNewMap();
  void OnDialedUp(const std::string& node);

  void OnNews(const Introduction& peer, Frame& frame);
  void OnPull(LinkNumber from, Frame& frame);

 private:
  void taskFailed(kj::Exception&& exception) override;
  void Pull();
  void TellWhole(const std::string& node);

  Self& self_;
  ControlLinks& links_;
  MapStore& maps_;
  Owner& owner_;
  std::map<std::string, uint64_t> newer_;  // Who is said to have which version above ours.
  bool pulling_ = false;
  Alarm alarm_;
  kj::TaskSet tasks_;
};

}  // namespace troupe
