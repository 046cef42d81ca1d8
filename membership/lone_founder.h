// LoneFounder: notices that a node which founded its cluster alone is listed by another one.
//
// A node started without its seeds, or whose seeds named nobody yet, founds a cluster of itself.
// When a member of another one dials it, it reads that one's map: the one with more nodes is meant
// (of two lone ones, that with the lower id), and the other should stop and join (P2.11).
//
// Single loop.
#pragma once

#include <string>
#include <vector>

#include "kj/async.h"
#include "troupe/membership/control_links.h"
#include "troupe/membership/map_store.h"
#include "troupe/membership/self.h"

namespace troupe {

class LoneFounder final : private kj::TaskSet::ErrorHandler {
 public:
  class Owner {
   public:
    virtual void OnMeantCluster(const std::string& why, std::vector<std::string> addresses) = 0;

   protected:
    ~Owner() = default;
  };

  LoneFounder(Self& self, ControlLinks& links, MapStore& maps, Owner& owner);
  KJ_DISALLOW_COPY(LoneFounder);

  // A process that said hello to us; most are of our own cluster.
  void OnHello(const Introduction& theirs);

 private:
  void taskFailed(kj::Exception&& exception) override;
  bool IsAlone() const;
  void OnTheirMap(const ClusterState& theirs);

  Self& self_;
  ControlLinks& links_;
  MapStore& maps_;
  Owner& owner_;
  bool asking_ = false;
  absl::Time not_before_ = absl::InfinitePast();
  kj::TaskSet tasks_;
};

}  // namespace troupe
