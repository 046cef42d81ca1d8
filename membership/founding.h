// Founding: the first value of the register, agreed on by all the nodes it lists.
//
//   founder                                 each other founder
//   invite   ->                             candidate: who it is, what it hosts
//   offer    -> (the value)                 accepted, durably; from now on bound
//   accepts itself, last: the value counts; all get it as their map
//
// The founder is the lowest name among the nodes seen that expect the same number. Who is bound
// asks the others what became of it. Bound it stays until the value counts, or until its founder,
// or a listed node that has not accepted it, says that it never will (docs/protocol.md P2.11). A
// node that expects one and has no seeds founds alone.
//
// Single loop. Ends with the first map, whoever founded it.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "kj/async.h"
#include "troupe/membership/alarm.h"
#include "troupe/membership/cluster_state.h"
#include "troupe/membership/control.capnp.h"
#include "troupe/membership/control_links.h"
#include "troupe/membership/map_store.h"
#include "troupe/membership/member.h"
#include "troupe/membership/register_shell.h"
#include "troupe/membership/self.h"

namespace troupe {

class Founding final : private kj::TaskSet::ErrorHandler {
 public:
  class Owner {
   public:
    virtual std::vector<Member> Seen() const = 0;       // With ourselves, by name.
    virtual bool MayFoundAlone() const = 0;             // There is no seed but ourselves.
    virtual void OnFounded(const ValuePtr& value) = 0;  // It counts: our first map.
    // We host other types than those we would found with, or all host nothing (P1.7).
    virtual void OnUnfit(const std::string& why) = 0;

   protected:
    ~Owner() = default;
  };

  Founding(Self& self, ControlLinks& links, MapStore& maps, RegisterShell& shell, Owner& owner);
  KJ_DISALLOW_COPY(Founding);

  // What gossip tells of a node that would found, and what is read from it.
  static std::string Metadata(uint32_t expect);
  static uint32_t ExpectOf(const Member& member);

  void Start();
  void OnNewView() { alarm_.SetNoLaterThan(self_.Now()); }
  bool bound() const { return bound_.has_value(); }
  bool IsBoundTo(const Id128& cluster) const { return bound_ && bound_->cluster == cluster; }
  void OnRequest(LinkNumber from, const Introduction& peer, Frame& frame);

 private:
  struct Bound {  // By an acceptance that may come to count.
    Id128 cluster;
    std::string founder;
    ClusterState state;
    ValuePtr value;
    absl::Time ask_at;  // Not before: the others may not have their offer yet.
  };
  struct Attempt {  // As founder.
    uint64_t number = 0;
    std::vector<std::string> others;
    std::vector<Founder> candidates;
    Id128 cluster;
    ValuePtr value;                   // Null while inviting.
    std::vector<std::string> agreed;  // Others that accepted, sorted.
    bool counts = false;
  };
  struct Said {
    enum class Kind { kNothing, kCandidate, kAccepted, kRefused, kChosen } kind = Kind::kNothing;
    std::string text;
    Founder candidate;
    ValuePtr value;
  };

  static constexpr absl::Duration kTick = absl::Milliseconds(100);

  void taskFailed(kj::Exception&& exception) override;
  static Ballot BallotOf(const std::string& founder, const Id128& cluster);
  void Tick();
  void FoundAlone();
  void Accepted(ValuePtr value);

  // As founder.
  void SayWhoIsThere(const std::vector<Member>& seen);
  void BeginAttempt(const std::vector<Member>& seen);
  void Compose();
  void GiveUpAs(const std::string& unfit, const std::string& why);
  void Offer();
  void OnOffered(uint64_t attempt, const std::string& node, const Said& said);
  void GiveUp(const std::string& why);

  // As one who is bound.
  void Bind(const std::string& founder, const ClusterState& state, const ValuePtr& value);
  void AskAround();
  void OnAsked(const Id128& cluster, const std::string& node, const Said& said);
  void Release(const std::string& why);

  kj::Promise<Said> Ask(const std::string& node,
                        kj::Function<void(wire::control::Founding::Builder)> fill);
  static Said Read(wire::control::FoundingAnswer::Reader in);
  void OnOffer(LinkNumber from, const Introduction& peer, wire::control::Founding::Reader in);
  void OnAsk(const Id128& cluster, wire::control::FoundingAnswer::Builder out);
  void Reply(LinkNumber to, uint64_t number,
             kj::Function<void(wire::control::FoundingAnswer::Builder)> fill);
  void Refuse(const Id128& cluster);

  Self& self_;
  ControlLinks& links_;
  MapStore& maps_;
  RegisterShell& shell_;
  Owner& owner_;
  std::optional<Bound> bound_;
  std::optional<Attempt> attempt_;
  uint64_t attempts_ = 0;
  std::deque<Id128> refused_;  // Cluster ids that we said we never accept.
  absl::Time not_before_ = absl::InfinitePast();
  absl::Time said_at_ = absl::InfinitePast();
  bool alone_under_way_ = false;
  Alarm alarm_;
  kj::TaskSet tasks_;
};

}  // namespace troupe
