// Swim, the part that probes: pings, helpers, and what the outcome means.
#include <algorithm>
#include <utility>

#include "troupe/membership/swim.h"

namespace troupe {

void Swim::ProbeNext(Turn& turn) {
  absl::Duration interval = awareness_.Stretch(options_.probe_interval);
  next_probe_ = turn.now + interval;
  bool spared = false;
  auto wanted = [&](MemberNumber member) {
    const MemberRecord& record = members_.at(member);
    if (!record.IsHere() || probes_.FindProbeOf(record.name()) != nullptr) return false;
    // A suspect is pinged all the same: the ping tells it so.
    bool fresh = record.state == MemberState::kAlive && record.traffic > turn.now - interval;
    spared = spared || fresh;
    return !fresh;
  };
  std::optional<MemberNumber> next = ring_.Next(wanted, random_);
  if (next.has_value()) {
    StartProbe(turn, members_.at(*next), Urgency::kRoutine);
  } else if (spared) {
    awareness_.Apply(-1);  // Everyone is heard: as good as an ack.
  }
}

void Swim::StartProbe(Turn& turn, const MemberRecord& target, Urgency urgency) {
  bool urgent = urgency == Urgency::kEvidence;
  Probe probe;
  probe.sequence = probes_.NewSequence();
  probe.target = target.id();
  probe.sent = turn.now;
  probe.direct_due = turn.now + options_.probe_timeout;
  probe.deadline = turn.now + (urgent ? 2 * options_.probe_timeout
                                      : awareness_.Stretch(options_.probe_interval));
  probe.urgent = urgent;
  ++counters_.probes;
  Send(turn, target.description->gossip_address, target.name(),
       Ping{probe.sequence, target.name(), target.id().nonce}, FactsFor(target.id()));
  Probe& added = probes_.AddProbe(std::move(probe));
  if (urgent) AskForHelp(turn, added);
}

void Swim::ProbeOnEvidence(Turn& turn, std::string_view name, const Id128& nonce) {
  MemberRecord* record = members_.Find(name, nonce);
  if (record == nullptr || record->state != MemberState::kAlive) return;
  record->traffic = absl::InfinitePast();  // What was seen before the evidence spares nothing now.
  if (Probe* probe = probes_.FindProbeOf(name)) {
    probe->urgent = true;
    probe->deadline = std::min(probe->deadline, turn.now + 2 * options_.probe_timeout);
    if (!probe->indirect) AskForHelp(turn, *probe);
    return;
  }
  StartProbe(turn, *record, Urgency::kEvidence);
}

void Swim::AskForHelp(Turn& turn, Probe& probe) {
  probe.indirect = true;
  const MemberRecord* target = members_.Find(probe.target.name, probe.target.nonce);
  if (target == nullptr) return;
  std::vector<const MemberRecord*> helpers = Others(MemberState::kAlive);
  std::erase_if(helpers,
                [&](const MemberRecord* helper) { return helper->name() == probe.target.name; });
  random_.Shuffle(helpers);
  size_t wanted = static_cast<size_t>(std::max(0, options_.indirect_checks));
  if (helpers.size() > wanted) helpers.resize(wanted);
  for (const MemberRecord* helper : helpers) {
    probe.helpers.push_back(helper->name());
    Send(turn, helper->description->gossip_address, helper->name(),
         PingReq{probe.sequence, probe.target.name, probe.target.nonce}, FactsFor(helper->id()));
  }
  turn.actions.link_pings.push_back(
      {probe.sequence, target->ToMember(), probe.deadline - turn.now});
}

void Swim::RunProbes(Turn& turn) {
  for (const Relay& relay : probes_.TakeDueRelays(turn.now)) {
    Send(turn, relay.asker_address, relay.asker_name, Nack{relay.asker_sequence},
         FactsFor({relay.asker_name, relay.asker_nonce, 0}));
  }
  // A timer that comes so late that both are due still asks nobody for help in vain.
  for (uint64_t sequence : probes_.Failed(turn.now)) FailProbe(turn, sequence);
  for (uint64_t sequence : probes_.DueForHelp(turn.now))
    AskForHelp(turn, *probes_.FindProbe(sequence));
}

void Swim::FailProbe(Turn& turn, uint64_t sequence) {
  Probe probe = *probes_.FindProbe(sequence);
  probes_.EndProbe(sequence);
  MemberRecord* record = members_.Find(probe.target.name, probe.target.nonce);
  if (record == nullptr || !record->IsHere()) return;
  if (probe.reached_by_link || record->traffic > probe.sent) {
    Notify(turn, SwimNotice::Kind::kNoDatagrams, record->ToMember());
    return;
  }
  ++counters_.probes_failed;
  if (probe.urgent) Notify(turn, SwimNotice::Kind::kProbeFailed, record->ToMember());
  // Helpers that cannot reach the target say so; those that say nothing we cannot reach ourselves.
  bool sick = awareness_.score() >= options_.sick_score;
  int missing = static_cast<int>(probe.helpers.size()) - static_cast<int>(probe.nacked.size());
  awareness_.Apply(probe.helpers.empty() ? 1 : missing);
  if (++record->failed_probes < options_.sick_patience && sick) return;
  TakeIn(turn, Accusation(record->ToMember(), MemberState::kSuspect, self_.id.name));
}

// ---- What arrives.

void Swim::Handle(Turn& turn, const GossipHeader& header, std::string_view from, const Ping& ping,
                  std::vector<Member> first) {
  if (ping.nonce != self_.id.nonce || ping.name != self_.id.name) {
    ++counters_.not_for_us;
    return;
  }
  Send(turn, std::string(from), header.sender.name, PingAck{ping.sequence, self_.id.nonce},
       std::move(first));
}

void Swim::Handle(Turn& turn, const GossipHeader&, const PingAck& ack) {
  if (std::optional<Relay> relay = probes_.TakeRelay(ack.sequence)) {
    if (relay->target_nonce == ack.nonce) {
      Send(turn, relay->asker_address, relay->asker_name, PingAck{relay->asker_sequence, ack.nonce},
           FactsFor({relay->asker_name, relay->asker_nonce, 0}));
    } else {
      probes_.AddRelay(std::move(*relay));
      ++counters_.stray_acks;
    }
    return;
  }
  Probe* probe = probes_.FindProbe(ack.sequence);
  if (probe == nullptr || probe->target.nonce != ack.nonce || probe->deadline <= turn.now) {
    ++counters_.stray_acks;
    return;
  }
  awareness_.Apply(-1);
  if (MemberRecord* record = members_.Find(probe->target.name, ack.nonce)) {
    record->failed_probes = 0;
    if (probe->urgent) {
      Notify(turn, SwimNotice::Kind::kProbeAnswered, record->ToMember());
      turn.actions.notices.back().round_trip = turn.now - probe->sent;
    }
  }
  probes_.EndProbe(ack.sequence);
}

void Swim::Handle(Turn& turn, const GossipHeader& header, std::string_view from,
                  const PingReq& request) {
  const MemberId& asker = header.sender;
  MemberRecord* target = members_.Find(request.name, request.nonce);
  Relay relay{probes_.NewSequence(),
              request.nonce,
              asker.name,
              asker.nonce,
              std::string(from),
              request.sequence,
              turn.now + options_.probe_timeout};
  uint64_t sequence = relay.sequence;
  if (target == nullptr || target->description->gossip_address.empty() ||
      !probes_.AddRelay(std::move(relay))) {
    Send(turn, std::string(from), asker.name, Nack{request.sequence}, FactsFor(asker));
    return;
  }
  Send(turn, target->description->gossip_address, request.name,
       Ping{sequence, request.name, request.nonce}, FactsFor(target->id()));
}

void Swim::Handle(Turn&, const GossipHeader& header, const Nack& nack) {
  Probe* probe = probes_.FindProbe(nack.sequence);
  if (probe == nullptr) return;
  const std::string& helper = header.sender.name;
  bool asked =
      std::find(probe->helpers.begin(), probe->helpers.end(), helper) != probe->helpers.end();
  bool again = std::find(probe->nacked.begin(), probe->nacked.end(), helper) != probe->nacked.end();
  if (asked && !again) probe->nacked.push_back(helper);
}

// ---- Evidence.

void Swim::OnLinkPing(absl::Time, uint64_t probe, LinkPing outcome, SwimActions&) {
  Probe* found = probes_.FindProbe(probe);
  if (found != nullptr && outcome == LinkPing::kAnswered) found->reached_by_link = true;
}

void Swim::OnLinkLost(absl::Time now, std::string_view name, const Id128& nonce, LinkEnd,
                      SwimActions& actions) {
  Turn turn = Begin(now, actions);
  ProbeOnEvidence(turn, name, nonce);
}

void Swim::OnPeerRefused(absl::Time now, std::string_view name, const Id128& nonce,
                         SwimActions& actions) {
  Turn turn = Begin(now, actions);
  MemberRecord* record = members_.Find(name, nonce);
  if (record == nullptr || !record->IsHere()) return;
  Notify(turn, SwimNotice::Kind::kRefused, record->ToMember());
  actions.notices.back().detail = "tcp";
  ProbeOnEvidence(turn, name, nonce);
}

void Swim::OnDatagramRefused(absl::Time now, std::string_view address, SwimActions& actions) {
  Turn turn = Begin(now, actions);
  std::vector<MemberId> refused;
  for (const MemberRecord& record : members_.records()) {
    if (!record.IsHere() || record.description->gossip_address != address) continue;
    Notify(turn, SwimNotice::Kind::kRefused, record.ToMember());
    actions.notices.back().detail = "udp";
    refused.push_back(record.id());
  }
  for (const MemberId& id : refused) ProbeOnEvidence(turn, id.name, id.nonce);
}

void Swim::OnSendFailed(absl::Time now, std::string_view to, SendFailure failure,
                        SwimActions& actions) {
  Turn turn = Begin(now, actions);
  std::vector<MemberId> there;
  for (const MemberRecord& record : members_.records()) {
    if (record.description->gossip_address == to) there.push_back(record.id());
  }
  if (failure == SendFailure::kUnreachable) {
    for (const MemberId& id : there) ProbeOnEvidence(turn, id.name, id.nonce);
    return;
  }
  for (const MemberId& id : there) probes_.EndProbesOf(id.name);  // It was never really asked.
  if (now - local_failure_ < options_.probe_interval) return;     // One shortage, one point.
  local_failure_ = now;
  awareness_.Apply(1);
}

void Swim::OnTraffic(absl::Time now, std::string_view name, const Id128& nonce) {
  if (MemberRecord* record = members_.Find(name, nonce)) record->traffic = now;
}

absl::Time Swim::LastSignOf(std::string_view name, const Id128& nonce) const {
  const MemberRecord* record = members_.Find(name);
  if (record == nullptr || record->id().nonce != nonce) return absl::InfinitePast();
  return std::max<absl::Time>(record->traffic, record->datagram);
}

}  // namespace troupe
