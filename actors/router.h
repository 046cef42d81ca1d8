// Router: takes calls to where their actors are, and again elsewhere, until answered or too late.
//
// One per worker and one per client; single loop. The order of one caller's calls to one actor is
// kept (docs/protocol.md P6.9): they form a Lane with one path; when the path fails or the actor
// has moved, all that are unanswered are sent again in order on the new path, newer ones behind.
// Calls to an observer (P6.14) have no record, and are not sent again once they may have run; those
// to a pool (P6.18) have neither record nor order, and are sent again to another node.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "kj/async.h"
#include "troupe/actors/call.h"
#include "troupe/membership/cluster_state.h"
#include "troupe/rpc/link_pool.h"
#include "troupe/runtime/host.h"

namespace troupe {

// Numbers a client's calls, and knows the lowest that is not answered (P6.1).
class ClientSequence {
 public:
  explicit ClientSequence(Id128 client) : client_(client) {}
  ClientCall Next();
  void Complete(uint64_t sequence);
  uint64_t first_incomplete() const { return first_; }

 private:
  Id128 client_;
  uint64_t first_ = 1;
  std::deque<bool> complete_;  // From first_ on.
};

class Router {
 public:
  // What the Router cannot do itself.
  class Surroundings {
   public:
    // Runs a call in this process; it is the primary as far as the newest map tells.
    virtual void DispatchHere(kj::Own<InboundCall> call) = 0;
    // Whether this process is the client that the observer is of.
    virtual bool HasObserver(const ActorId&) const { return false; }
    // A newer map than ours exists, or ours leads nowhere: get one.
    virtual void NeedNewerMap(uint64_t than) = 0;
    // Why nodes cannot be reached: "; address: reason" for each. For errors.
    virtual std::string Troubles() const { return {}; }

   protected:
    ~Surroundings() = default;
  };

  // `self`: the boot of this process, 0 for a client. All references outlive the Router.
  Router(Host& host, LinkPool& links, Surroundings& surroundings, Boot self);
  ~Router() noexcept(false);
  KJ_DISALLOW_COPY(Router);

  class Lane;

  // A caller whose calls to one actor stay in order. Ends its calls when destroyed.
  class Caller {
   public:
    explicit Caller(Router& router);
    ~Caller() noexcept(false);
    KJ_DISALLOW_COPY(Caller);

    // `sequence`: of a client's call, to be completed with it; null for an actor's.
    kj::Promise<Payload> Call(CallHeader header, Payload params, absl::Time deadline,
                              ClientSequence* sequence);

   private:
    friend class Router;
    void SweepIdleLanes();
    Router& router_;
    std::map<ActorId, std::unique_ptr<Lane>> lanes_;
    size_t sweep_at_ = 1024;
  };

  void OnMap(SharedMap map);
  void OnLinkUp(const std::string& node);
  void OnLinkDown(const std::string& node, const std::string& detail);
  void OnAnswer(kj::Own<Frame> frame);

  const SharedMap& map() const { return map_; }
  size_t outstanding() const { return deadlines_.size(); }

 private:
  struct Outgoing;
  enum class Place { kHere, kNode, kNowhere, kLost };

  Place Locate(const Outgoing& call, std::string& node, std::string& why) const;
  Place LocateObserver(const Outgoing& call, std::string& node, std::string& why) const;
  Place LocatePool(const Outgoing& call, std::string& node, std::string& why) const;
  const std::vector<const NodeEntry*>& HostsOf(uint64_t type) const;
  kj::Maybe<kj::Exception> Refuse(const CallHeader& header, const Payload& params) const;
  void Submit(kj::Own<Outgoing> call);
  void Pump(Lane& lane);
  void Transmit(kj::Own<Outgoing> call, Place place, const std::string& node);
  void OnOutcome(uint64_t number, CallOutcome&& outcome);
  void Retract(kj::Own<Outgoing> call, std::string why);
  void RetractWhere(kj::Function<bool(const Outgoing&)> matches, const std::string& why);
  void Stall(Lane& lane);
  void Forget(const Outgoing& call);
  void Complete(kj::Own<Outgoing> call, CallOutcome&& outcome);
  void PumpStalled();
  void RetryLater();
  void WatchDeadlines();
  void Expire();
  std::string Explain(const Outgoing& call) const;

  Host& host_;
  LinkPool& links_;
  Surroundings& surroundings_;
  Boot self_;
  SharedMap map_;
  uint64_t next_serial_ = 1;
  uint64_t next_number_ = 1;
  uint64_t next_lane_ = 1;
  uint64_t next_pooled_;  // Begins at random: clients do not all begin with the same node.
  // Of hosts_map_, by type.
  mutable std::map<uint64_t, std::vector<const NodeEntry*>> hosts_;
  mutable SharedMap hosts_map_;
  const uint64_t origin_;  // Random: tells our lanes from those of others.
  absl::flat_hash_map<uint64_t, kj::Own<Outgoing>> in_flight_;      // By number, on whatever path.
  std::map<std::pair<absl::Time, uint64_t>, Outgoing*> deadlines_;  // By serial at equal times.
  size_t outstanding_bytes_ = 0;       // Parameters of all outstanding calls.
  std::map<uint64_t, Lane*> stalled_;  // By the lane's number.
  bool retrying_ = false;
  bool watching_deadlines_ = false;
  struct TaskErrors final : kj::TaskSet::ErrorHandler {
    explicit TaskErrors(const Log& log) : log(log) {}
    void taskFailed(kj::Exception&& exception) override;
    const Log& log;
  } task_errors_;
  kj::TaskSet tasks_;
};

}  // namespace troupe
