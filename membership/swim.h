// Swim: who is in the cluster and who is alive, as one node sees it.
//
// A pure state machine. The owner tells it what happened (a method per event), does what it finds
// in SwimActions afterwards, and calls OnTimer when NextDeadline has come. It opens no socket,
// reads no clock, and draws chance only from the Random it was given: same events, same actions.
//
//   every probe interval   ping the next member of a shuffled ring
//     no ack in time       ask helpers to ping it, and try the link
//       still nothing      suspect it, and tell everybody
//         not refuted      declare it dead, and tell everybody
//   every gossip interval  pass rumours on, while there are any
//   now and then           exchange everything with one member (push/pull)
//
// Nobody is declared dead on one failed ping, a member that is accused learns of it from whoever
// pings it and refutes by a higher incarnation, and a node whose own network is bad doubts itself
// first (awareness.h, suspicion.h). What is declared here is evidence: the register decides.
//
// Not thread-safe: one control loop. Errors: datagrams are never answered with one, they are
// counted. Source: Das, Gupta, Motivala, "SWIM", 2002; Dadgar, Phillips, Currey, "Lifeguard", 2017.
// The wire is gossip.capnp, every number is in swim_options.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "troupe/membership/awareness.h"
#include "troupe/membership/broadcast_queue.h"
#include "troupe/membership/description.h"
#include "troupe/membership/gossip_codec.h"
#include "troupe/membership/member.h"
#include "troupe/membership/member_list.h"
#include "troupe/membership/probe_ring.h"
#include "troupe/membership/probe_table.h"
#include "troupe/membership/push_pull_schedule.h"
#include "troupe/membership/swim_options.h"
#include "troupe/runtime/random.h"

namespace troupe {

// What happened, for the owner to know. `member` is whom it is about, as believed from now on.
struct SwimNotice {
  enum class Kind : uint8_t {
    // The membership changed.
    kJoined,      // New, or back from the dead.
    kReplaced,    // Another process has taken over the name; `previous` was the old one.
    kUpdated,     // Addresses, boot or metadata.
    kMapVersion,  // It holds a newer map than we knew of.
    kSuspected,
    kRefuted,   // Was suspect, is alive.
    kDied,      // `accusers` says how many had accused it, as far as heard here.
    kLeft,      // It said so itself.
    kConflict,  // Another living process claims `member`'s name and neither has the higher boot.
    // Evidence about a member, for the coordinator to weigh.
    kRefused,        // Its port answers that nobody is there; `detail` is "tcp" or "udp".
    kProbeAnswered,  // A probe begun on evidence: it lives. `round_trip` is set.
    kProbeFailed,    // A probe begun on evidence: silence.
    kNoDatagrams,    // Alive on the link, silent on datagrams: something drops them.
    // About ourselves.
    kAccused,         // Somebody (`member.accuser`) took us for suspect or dead; we refute.
    kNameHeld,        // `member` is another process under our name; to register, replace its boot.
    kSuperseded,      // The register gave our name to `member`: stop.
    kJoinedCluster,   // The first other node has answered or asked; `address` is its.
    kClusterLearned,  // A member's cluster id has become ours.
    kSeedFailed,      // `address` did not answer; `detail` says when it is tried again.
    kLeaveDone,       // All have been told, or the time for it is over.
    // Strangers.
    kWrongCluster,  // `address` and `member.id` belong to another cluster.
    kWrongVersion,  // `address` and `member.id` speak a protocol that we do not.
  };
  Kind kind;
  Member member;
  Member previous;
  int accusers = 0;
  absl::Duration round_trip;
  std::string address;
  std::string detail;
};

// What the owner must do now, in this order per list. Appended to, never cleared, by Swim.
struct SwimActions {
  struct SendDatagram {
    std::string to;
    std::vector<std::byte> bytes;
  };
  // Carry MakePushPull(exchange) to `address` and its answer to MergePushPull; or say
  // OnPushPullFailed.
  struct StartPushPull {
    uint64_t exchange;
    std::string address;
    std::string name;  // Empty: a seed.
  };
  // Ask `member` for a sign of life over the link and report OnLinkPing. A mere connect is no sign:
  // a stopped process accepts.
  struct StartLinkPing {
    uint64_t probe;
    Member member;
    absl::Duration limit;
  };
  std::vector<SendDatagram> datagrams;
  std::vector<StartPushPull> push_pulls;
  std::vector<StartLinkPing> link_pings;
  std::vector<SwimNotice> notices;
};

// Who we are when we start.
struct SwimSelf {
  std::string name;
  Id128 nonce;
  Boot boot = 0;
  std::string rpc_address;
  std::string gossip_address;
  std::string metadata;
  Id128 cluster;  // Zero: not known yet.
};

struct SwimCounters {
  uint64_t datagrams = 0;      // Arrived, of any kind.
  uint64_t malformed = 0;      // Dropped: did not decode within the bounds.
  uint64_t wrong_version = 0;  // Dropped.
  uint64_t wrong_cluster = 0;  // Dropped.
  uint64_t not_for_us = 0;     // Pings to another process at our address.
  uint64_t stray_acks = 0;     // Late, or of nobody we asked about.
  uint64_t implausible = 0;    // Rumours not believed.
  uint64_t probes = 0;
  uint64_t probes_failed = 0;
  uint64_t refutations = 0;
};

class Swim {
 public:
  // `self` and `options` must pass Check(); `random` is a stream of our own. `shared`, if any, is
  // of all the Swims of this process and outlives them.
  Swim(SwimOptions options, SwimSelf self, Random random, absl::Time now,
       DescriptionPool* shared = nullptr);
  static absl::Status Check(const SwimOptions& options, const SwimSelf& self);

  // ---- Time. After every other call the deadline may be earlier, even past: call OnTimer again.
  absl::Time NextDeadline() const;
  void OnTimer(absl::Time now, SwimActions& actions);

  // ---- Datagrams.
  void OnDatagram(absl::Time now, std::string_view from, std::span<const std::byte> bytes,
                  SwimActions& actions);
  // A send that did not go out. kLocal (no buffers, no descriptors) is our own ill health and
  // accuses nobody; kUnreachable is weak evidence.
  enum class SendFailure { kLocal, kUnreachable };
  void OnSendFailed(absl::Time now, std::string_view to, SendFailure failure, SwimActions& actions);
  enum class LinkPing { kAnswered, kFailed };
  void OnLinkPing(absl::Time now, uint64_t probe, LinkPing outcome, SwimActions& actions);

  // ---- Push/pull, over any reliable channel.
  std::vector<std::byte> MakePushPull(uint64_t exchange) const;
  // Takes in a request and returns the answer. InvalidArgument: not a push/pull, or our own;
  // FailedPrecondition: another cluster or version (also a notice).
  absl::StatusOr<std::vector<std::byte>> AnswerPushPull(absl::Time now, std::string_view from,
                                                        std::span<const std::byte> request,
                                                        SwimActions& actions);
  absl::StatusOr<PushPull> AnswerPushPull(absl::Time now, std::string_view from,
                                          const PushPull& request, SwimActions& actions);
  absl::Status MergePushPull(absl::Time now, uint64_t exchange, std::span<const std::byte> answer,
                             SwimActions& actions);
  void OnPushPullFailed(absl::Time now, uint64_t exchange, SwimActions& actions);

  // ---- Evidence from links. All but traffic makes us probe at once, directly and through helpers.
  enum class LinkEnd { kEof, kReset };
  void OnLinkLost(absl::Time now, std::string_view name, const Id128& nonce, LinkEnd end,
                  SwimActions& actions);
  void OnPeerRefused(absl::Time now, std::string_view name, const Id128& nonce,
                     SwimActions& actions);
  void OnDatagramRefused(absl::Time now, std::string_view address, SwimActions& actions);
  // Spares a probe, and keeps our own probe from accusing; never clears what others said.
  void OnTraffic(absl::Time now, std::string_view name, const Id128& nonce);
  // When anything last came from that process: refusals before it prove nothing.
  absl::Time LastSignOf(std::string_view name, const Id128& nonce) const;

  // ---- Ourselves.
  // Seeds to push/pull with: each until it has answered once, and again when its address is no
  // longer that of a living member. An empty list ends it. At most 256 are kept.
  void Join(absl::Time now, std::vector<std::string> seeds);
  // From here on we refute nothing. kLeaveDone follows; then the owner may stop.
  void Leave(absl::Time now, SwimActions& actions);
  absl::Status SetMetadata(absl::Time now, std::string metadata);
  // kAnnounce: as a rumour, for voters, whose version others weigh. kInHeaders: whom we speak to
  // hears it; were all to announce it, each change would cost each member as many rumours as there
  // are members.
  enum class MapNews { kAnnounce, kInHeaders };
  void SetMapVersion(absl::Time now, uint64_t map_version, MapNews news);
  void SetBoot(absl::Time now, Boot boot);  // The register has numbered us.
  void SetCluster(const Id128& cluster);    // Of another cluster than before: all members go.

  // ---- The view. Members() is sorted by name and includes ourselves.
  std::vector<Member> Members() const;
  std::optional<Member> Find(std::string_view name) const;
  const Member& self() const { return self_; }
  const Id128& cluster() const { return cluster_; }
  int health() const {
    return awareness_.score();
  }  // 0 is good; above 2 do not trust our evidence.
  const SwimCounters& counters() const { return counters_; }

 private:
  // One event being handled.
  struct Turn {
    absl::Time now;
    SwimActions& actions;
  };
  enum class Urgency { kRoutine, kEvidence };

  // swim.cc: time, sending, ourselves.
  void Send(Turn& turn, const std::string& to, std::string_view receiver, GossipBody body,
            std::vector<Member> first);
  void Notify(Turn& turn, SwimNotice::Kind kind, const Member& member);
  GossipHeader Header() const;
  void Announce();  // Queues the rumour about ourselves.
  void Gossip(Turn& turn);
  bool GoesToAll() const;
  bool IsTarget(const Turn& turn, const MemberRecord& record) const;
  std::vector<const MemberRecord*> AllTargets(const Turn& turn);
  std::vector<const MemberRecord*> SomeTargets(const Turn& turn);
  int SendsMax() const;
  void FinishLeaving(Turn& turn);
  Turn Begin(absl::Time now, SwimActions& actions);

  // swim_probe.cc: probing.
  void ProbeNext(Turn& turn);
  void StartProbe(Turn& turn, const MemberRecord& target, Urgency urgency);
  void ProbeOnEvidence(Turn& turn, std::string_view name, const Id128& nonce);
  void AskForHelp(Turn& turn, Probe& probe);
  void FailProbe(Turn& turn, uint64_t sequence);
  void RunProbes(Turn& turn);
  void Handle(Turn& turn, const GossipHeader& header, std::string_view from, const Ping& ping,
              std::vector<Member> first);
  void Handle(Turn& turn, const GossipHeader& header, const PingAck& ack);
  void Handle(Turn& turn, const GossipHeader& header, std::string_view from,
              const PingReq& request);
  void Handle(Turn& turn, const GossipHeader& header, const Nack& nack);

  // swim_rumour.cc: what others say.
  enum class Accused { kNo, kYes };
  // kOnArrival: in the exchange from which we, who knew nobody, hear of everybody.
  enum class Heard { kAsRumour, kInExchange, kOnArrival };
  Accused TakeIn(Turn& turn, const Member& rumour,
                 Heard heard = Heard::kAsRumour);  // kYes: it speaks ill of us.
  Accused TakeInAboutSelf(Turn& turn, const Member& rumour);
  void TakeInAboutName(Turn& turn, const Member& rumour);
  void TakeInPushed(Turn& turn, const Member& pushed, Heard heard);
  void Act(Turn& turn, const Merged& merged, const Member& rumour, Heard heard);
  void BuryExpired(Turn& turn);
  std::vector<Member> FactsFor(const MemberId& receiver) const;
  bool Admits(Turn& turn, const GossipHeader& header, std::string_view from, bool meant_for_us);
  void TakeInPushPull(Turn& turn, std::string_view from, const PushPull& push_pull);

  // swim_exchange.cc: push/pull.
  GossipDigest Digest() const;
  std::vector<Member> KnownWhere(const std::function<bool(const std::string& name)>& wanted) const;
  std::vector<Member> MembersOf(const std::vector<uint16_t>& buckets) const;
  PushPull WholeView() const;
  PushPull AnswerTo(const PushPull& request) const;
  void PushPullWith(Turn& turn, const std::string& address, const std::string& name,
                    std::vector<uint16_t> buckets = {});
  void PushPullRound(Turn& turn);
  void Reconnect(Turn& turn);
  void SeedFailed(Turn& turn, const std::string& address);
  std::vector<const MemberRecord*> Others(MemberState state) const;
  bool LivesAt(const std::string& rpc_address) const;

  const SwimOptions options_;
  Member self_;
  Id128 cluster_;
  Random random_;
  MemberList members_;
  ProbeRing ring_;
  ProbeTable probes_;
  BroadcastQueue queue_;
  Awareness awareness_;
  PushPullSchedule push_pulls_;
  SwimCounters counters_;

  absl::Time next_probe_;
  absl::Time next_gossip_;
  absl::Time next_push_pull_;
  absl::Time next_reconnect_;
  absl::Time leave_until_ = absl::InfiniteFuture();   // Set while leaving.
  absl::Time announce_again_ = absl::InfinitePast();  // Not before: two claimants must not flood.
  absl::Time local_failure_ = absl::InfinitePast();   // Counted last.
  Id128 name_holder_;                                 // Said in kNameHeld last.
  absl::Time last_event_;
  bool joined_ = false;
  bool superseded_ = false;
};

}  // namespace troupe
