// Membership: one node's part in the cluster, on its control loop.
//
// Joins the pieces that decide (Swim, RegisterAcceptor, RegisterProposer, Coordinator) with what
// waits: datagrams, control links, timers, the data directory. Gives the node its boot and everyone
// the newest map; takes commands to whichever voter coordinates.
//
// Threads: the control loop only. Rules: docs/protocol.md P1, P2, P5.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "kj/async.h"
#include "troupe/membership/cluster_state.h"
#include "troupe/membership/gossip_seal.h"
#include "troupe/membership/register_acceptor.h"
#include "troupe/membership/swim_options.h"
#include "troupe/rpc/link.h"
#include "troupe/runtime/host.h"

namespace troupe {

struct MembershipOptions {
  std::string cluster_name = "troupe";
  std::string node;                // Unique in the cluster.
  std::string listen;              // host:port of TCP and, the same, of gossip.
  std::string advertise;           // What others dial; empty: `listen` as bound.
  std::vector<std::string> seeds;  // host:port or name:port; empty: found a cluster alone.
  uint32_t expect = 1;             // Found only together with this many nodes, once.
  bool joins_only = false;         // Knows that there is a cluster: found none.
  std::string zone;
  std::vector<std::string> roles;
  std::vector<HostedType> types;  // That this node hosts, sorted by id; none: it gets no shards.
  ClusterConfig config;           // Counts when this node founds.
  SwimOptions swim;
  GossipKeys gossip_keys;  // Empty: gossip is neither encrypted nor authenticated.
  GossipSecrecy gossip_secrecy = GossipSecrecy::kRequired;         // Counts where there are keys.
  const MembershipMutations* mutations = &kNoMembershipMutations;  // In production: none.
  bool trust_refused = false;  // --trust-refused: strong evidence counts as proof (P5).
};

// What others see of a member, for `troupe status`.
struct MemberView {
  std::string name;
  Boot boot = 0;
  std::string state;  // alive, suspect, dead, left
  std::string address;
};

class Membership {
 public:
  // Told on the control loop, in order. Exceptions are errors of ours.
  class Watcher {
   public:
    // A newer chosen map. Also when only this node's own state changed (FENCED: stop actors).
    virtual void OnMap(const SharedMap& map) = 0;
    // Registered: from now on this process is `boot`. Called again after a new registration.
    virtual void OnRegistered(Boot boot) = 0;
    // This process is no member any more, or should not be one of the cluster that it founded
    // alone: end this Membership, drop what the data directory has of it, and join by `addresses`.
    struct Outcast {
      enum class Kind : uint8_t {
        kPutOut,  // The register goes on in a newer generation, without this process (P2.12).
        kAlone,   // Its cluster is itself, and another lists it (P2.11). Not if it has answered.
      } kind = Kind::kPutOut;
      std::string why;
      std::vector<std::string> addresses;
    };
    virtual void OnOutcast(const Outcast& outcast) = 0;
    // This process can be no member beside those that are: it hosts other types (P1.7), in words.
    // It has given up joining: end it.
    virtual void OnUnfit(const std::string& why) = 0;

   protected:
    ~Watcher() = default;
  };

  // `machine`, `watcher` outlive it. Binds its gossip socket in Start().
  Membership(Machine& machine, MembershipOptions options, Watcher& watcher);
  ~Membership() noexcept(false);

  // Begins to listen for gossip and to join or found. `address` is where this node's TCP listener
  // is bound (the gossip socket takes the same host and port). Errors: AlreadyExists for a port in
  // use, InvalidArgument for options that contradict each other, DataLoss for a damaged directory,
  // FailedPrecondition for another node's. Joining goes on for ever; OnRegistered() tells the end.
  absl::Status Start(const std::string& address);

  // A control link that another node dialed; already welcomed.
  void OnControlLink(kj::Own<Link> link);
  // Who we are, for hellos on any lane.
  Introduction Introduce() const;
  // Whether a peer that says hello may be welcomed: refuses processes known to be replaced (P1.6).
  std::optional<RefusalReason> JudgePeer(const Introduction& theirs);

  SharedMap map() const;  // Null before the first.
  Boot boot() const;      // 0 before registration.
  std::string coordinator() const;
  // This node as a voter, and what it holds as one.
  VoterId voter() const;
  const AcceptorState& acceptor() const;
  std::vector<MemberView> members() const;

  // Takes a command to the coordinator, again to others while it is not answered (P2.7). Resolves
  // once a value that shows its effect is chosen (then map() is at least as new), rejects with
  // Words that tell why it was refused. Gives up after `limit`.
  kj::Promise<void> Submit(Command command, absl::Duration limit = absl::Seconds(10));

  // A write-back of the register begun after this call (P4.2): resolves to what it chose. Those
  // asked within one round share the next.
  kj::Promise<SharedMap> Confirm();

  // Evidence from data links of the workers (P5).
  enum class Evidence : uint8_t { kClosed, kReset, kRefused, kUnreachable };
  void OnEvidence(const std::string& node, Boot boot, Evidence evidence);
  void OnTraffic(const std::string& node, Boot boot);

  // The keys of gossip from now on; see GossipKeys for how to change one without a gap.
  // FailedPrecondition: from none to some or back, which takes a restart.
  absl::Status SetGossipKeys(GossipKeys keys);
  GossipSealCounters gossip_seal() const;

  // Leaves the voters, the map and gossip (P2.13). Resolves when that is chosen, or when nobody is
  // left to choose it; until then this node is a member and serves. If that takes longer than
  // `patience`, log and notice() say why.
  kj::Promise<void> Leave(absl::Duration patience);
  // No other node is here that anything could be handed over to. Needs a map.
  bool IsAlone() const;
  // Says in the log, now and then, and in notice() why a node that was told to end does not.
  void SayStays(const std::string& why);

  // What the operator should know, in words; empty: nothing. For `troupe status`.
  std::string notice() const;
  void SetNotice(std::string notice);
  // Forgets the cluster that the data directory knows, but not whose directory it is. Only between
  // the end of a Membership and the start of the next.
  static kj::Promise<void> ForgetCluster(Machine& machine);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace troupe
