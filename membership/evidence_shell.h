// EvidenceShell: turns what this node sees of others' deaths into reports, and reports into fences.
//
// As an observer: a link that ends makes it dial once more, at most 100 ms, to see whether the port
// refuses; processes of its own computer it watches to their end. What it saw goes to every voter.
// As the coordinator: what the EvidenceBoard holds shown becomes Fence commands.
//
// Single loop. Rules: docs/protocol.md P5.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "kj/async.h"
#include "troupe/membership/alarm.h"
#include "troupe/membership/control_links.h"
#include "troupe/membership/evidence_board.h"
#include "troupe/membership/gossip_shell.h"
#include "troupe/membership/map_store.h"
#include "troupe/membership/register_shell.h"
#include "troupe/membership/self.h"

namespace troupe {

class EvidenceShell final : private kj::TaskSet::ErrorHandler {
 public:
  class Owner {
   public:
    virtual bool Coordinates() = 0;
    virtual void OnVerdict() = 0;  // Who coordinates may be another now.

   protected:
    ~Owner() = default;
  };

  EvidenceShell(Self& self, ControlLinks& links, GossipShell& gossip, MapStore& maps,
                RegisterShell& shell, Owner& owner);
  KJ_DISALLOW_COPY(EvidenceShell);

  // ---- What this node sees.
  void OnPeer(const Introduction& peer);
  void OnLost(const std::string& node, Boot boot, LinkEnd end);
  void OnRefused(const std::string& node, Boot boot);
  void OnUnreachable(const std::string& node, Boot boot);
  void OnDied(const std::string& node, Boot boot);                // The failure detector's verdict.
  void OnSuspected(const std::string& node, const Id128& nonce);  // Its doubt.
  void OnAlive(const std::string& node, const Id128& nonce);      // It has refuted that.

  // ---- What others see.
  void OnReport(const Introduction& peer, Frame& frame);

  void OnNewMap();
  void OnNewOrder() { alarm_.SetNoLaterThan(board_.wake()); }
  bool IsGone(const std::string& node) const;
  // Whether that very process answers at its address: then whoever says that it has the data lock
  // of it has a copy of the directory (P1.5).
  kj::Promise<bool> Answers(const NodeEntry& node);
  // The command that fences whoever holds that name, if it is known to be dead now; asks it if it
  // is not (P1.2). Nothing: it lives, or cannot be told.
  kj::Promise<std::vector<Command>> FenceIfDead(const NodeEntry& node);

 private:
  void taskFailed(kj::Exception&& exception) override;
  // The boot of that process, if it is current and alive in the map; 0: not.
  Boot Current(const std::string& node, Boot boot) const;
  // Whether gossip has that process neither as alive nor as suspected.
  bool IsAbsent(const std::string& node, const Id128& nonce) const;
  void Report(const std::string& node, Boot boot, Sighting kind);
  void Tell(const std::string& node, Boot boot, Sighting kind);
  void DialAgain(const NodeEntry& node);
  void Cut();
  bool AwaitsProof(const Fence& fence);
  void LookForAbsent();
  void LookAround(const std::string& suspect);
  absl::Time LastSign(const std::string& node) const;
  void Probe(const std::string& node, const Id128& nonce, LinkEnd end);
  EvidenceBoard::LastSign Signs() const;

  Self& self_;
  ControlLinks& links_;
  GossipShell& gossip_;
  MapStore& maps_;
  RegisterShell& shell_;
  Owner& owner_;
  EvidenceBoard board_;
  std::set<std::string> dialing_;
  std::set<std::pair<std::string, Id128>> watched_;
  std::map<std::string, absl::Time> absent_since_;
  std::map<std::pair<std::string, Sighting>, std::pair<Boot, absl::Time>> reported_;
  std::map<std::string, std::pair<Boot, absl::Time>> shown_since_;
  std::map<std::string, std::string> said_;  // The last fence that was logged, by node.
  absl::Time looked_around_ = absl::InfinitePast();
  Alarm alarm_;
  Alarm absence_alarm_;
  kj::TaskSet tasks_;
};

}  // namespace troupe
