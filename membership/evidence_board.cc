#include "troupe/membership/evidence_board.h"

#include <algorithm>
#include <set>

namespace troupe {
namespace {

bool Lives(const NodeEntry& node) {
  return node.state == NodeState::kUp || node.state == NodeState::kDraining;
}

const NodeEntry* FindLiving(const ClusterState& map, const std::string& name, Boot boot) {
  const NodeEntry* node = map.FindNode(name);
  return node != nullptr && node->boot == boot && Lives(*node) ? node : nullptr;
}

// The computer a node is on, as far as its address tells.
std::string HostOf(const NodeEntry& node) {
  if (node.addresses.empty()) return node.name;
  const std::string& address = node.addresses.front();
  return address.substr(0, address.rfind(':'));
}

}  // namespace

void EvidenceBoard::Add(absl::Time now, const ClusterState& map, const EvidenceReport& report) {
  if (FindLiving(map, report.subject, report.boot) == nullptr) return;
  const NodeEntry* observer = map.FindNode(report.observer);
  if (observer == nullptr || report.observer == report.subject) return;
  if (!Lives(*observer) && report.kind != Sighting::kExited) return;  // Cut off itself, perhaps.
  Subject& subject = subjects_[report.subject];
  if (subject.boot != report.boot) {
    subject = Subject{};
    subject.boot = report.boot;
  }
  if (now - subject.last > options_.window) subject.first = now;
  subject.last = now;
  switch (report.kind) {
    case Sighting::kLost:
      subject.lost[report.observer] = now;
      break;
    case Sighting::kRefused:
      subject.refused[report.observer] = now;
      break;
    case Sighting::kExited:
      subject.exited = true;
      break;
    case Sighting::kDead:
      subject.dead = true;
      break;
    case Sighting::kSuspected:
      subject.suspected = true;
      return;  // Nothing to cut.
  }
  // What completes the picture late has gathered long enough.
  wake_ = std::min(wake_, std::max(now, subject.first + options_.gather));
}

// Two observers with established links, or the only other one, and a refusal. On one host two count
// as one, unless all nodes are there.
bool EvidenceBoard::AgreedByObservers(absl::Time now, const ClusterState& map,
                                      const std::string& node, const Subject& subject) const {
  std::set<std::string> all_hosts, hosts;
  size_t others = 0, observers = 0;
  for (const NodeEntry& other : map.nodes) {
    if (other.state == NodeState::kLeft) continue;
    all_hosts.insert(HostOf(other));
    if (other.name == node || other.state == NodeState::kFenced) continue;
    if (subjects_.contains(other.name) && subjects_.at(other.name).exited) continue;
    ++others;
    auto at = subject.lost.find(other.name);
    if (at == subject.lost.end() || now - at->second > options_.window) continue;
    ++observers;
    hosts.insert(HostOf(other));
  }
  const size_t counted = all_hosts.size() == 1 ? observers : hosts.size();
  return others > 0 && counted >= std::min<size_t>(2, others);
}

// Then it is the network, or we who report, that fails.
bool EvidenceBoard::MostAreLost(absl::Time now, const ClusterState& map) const {
  size_t living = 0, lost = 0;
  for (const NodeEntry& node : map.nodes) {
    if (!Lives(node)) continue;
    ++living;
    auto at = subjects_.find(node.name);
    if (at == subjects_.end() || at->second.boot != node.boot || at->second.exited) continue;
    lost += std::any_of(at->second.lost.begin(), at->second.lost.end(),
                        [&](const auto& seen) { return now - seen.second <= options_.window; });
  }
  return lost > 1 && 2 * lost > living - 1;
}

EvidenceBoard::Verdict EvidenceBoard::Judge(absl::Time now, const ClusterState& map,
                                            const std::string& node,
                                            const LastSign& last_sign) const {
  auto at = subjects_.find(node);
  if (at == subjects_.end()) return Verdict::kNothing;
  const Subject& subject = at->second;
  if (FindLiving(map, node, subject.boot) == nullptr) return Verdict::kNothing;
  if (subject.exited) return Verdict::kProven;
  if (subject.dead) return Verdict::kShown;
  const absl::Time sign = last_sign(node);
  bool refused = std::any_of(subject.refused.begin(), subject.refused.end(), [&](const auto& seen) {
    return seen.second >= sign && now - seen.second <= options_.window;
  });
  if (!refused || MostAreLost(now, map)) return Verdict::kNothing;
  if (!AgreedByObservers(now, map, node, subject)) return Verdict::kNothing;
  return options_.trust_refused ? Verdict::kProven : Verdict::kShown;
}

// What rests on the same kind of evidence fails together: a broken link is complete within a dial,
// silence within a suspicion.
EvidenceBoard::Grounds EvidenceBoard::GroundsOf(Verdict verdict, const Subject& subject) {
  if (verdict == Verdict::kProven) return Grounds::kProof;
  return subject.dead ? Grounds::kSilence : Grounds::kLinks;
}

absl::Duration EvidenceBoard::HoldOf(Grounds grounds) const {
  switch (grounds) {
    case Grounds::kProof:
      return absl::ZeroDuration();
    case Grounds::kLinks:
      return options_.hold_links;
    case Grounds::kSilence:
      return options_.hold_silent;
  }
  return absl::ZeroDuration();
}

// Whether somebody is accused, but not enough, so that a moment later the cut may be larger. Whom
// we have heard since is only badly connected, and who is half shown for longer than a hold stays
// so.
bool EvidenceBoard::IsHeld(absl::Time now, const ClusterState& map, Grounds grounds,
                           const LastSign& last_sign) const {
  if (grounds == Grounds::kProof) return false;
  return std::any_of(subjects_.begin(), subjects_.end(), [&](const auto& entry) {
    const auto& [name, subject] = entry;
    if (Judge(now, map, name, last_sign) != Verdict::kNothing) return false;
    if (FindLiving(map, name, subject.boot) == nullptr) return false;
    if (grounds == Grounds::kSilence && subject.suspected) return true;
    const bool broken = !subject.lost.empty() && now - subject.last <= options_.window;
    return broken && now - subject.first < options_.hold_links && last_sign(name) < subject.last;
  });
}

std::vector<Command> EvidenceBoard::TakeCut(absl::Time now, const ClusterState& map,
                                            const LastSign& last_sign) {
  std::vector<Command> cut;
  if (now < wake_) return cut;
  wake_ = absl::InfiniteFuture();
  std::map<Grounds, bool> held;  // Asked once: it looks at everybody.
  for (auto& [name, subject] : subjects_) {
    const Verdict verdict = Judge(now, map, name, last_sign);
    if (verdict == Verdict::kNothing) {
      subject.shown = absl::InfiniteFuture();
      continue;
    }
    subject.shown = std::min(subject.shown, now);
    const Grounds grounds = GroundsOf(verdict, subject);
    const absl::Time limit = subject.shown + HoldOf(grounds);
    auto [waits, unknown] = held.try_emplace(grounds, false);
    if (unknown) waits->second = IsHeld(now, map, grounds, last_sign);
    if (now < limit && waits->second) {
      wake_ = std::min({wake_, limit, now + options_.gather});
      continue;
    }
    cut.push_back(Fence{
        name, subject.boot, map.FindNode(name)->generation,
        grounds == Grounds::kProof ? Fence::Grounds::kProofOfDeath : Fence::Grounds::kEvidence});
  }
  if (!cut.empty()) wake_ = std::min(wake_, now + options_.again);
  return cut;
}

void EvidenceBoard::Refute(const std::string& node) {
  auto at = subjects_.find(node);
  if (at != subjects_.end() && !at->second.exited) subjects_.erase(at);
}

void EvidenceBoard::OnMap(const ClusterState& map) {
  std::erase_if(subjects_, [&](const auto& entry) {
    return FindLiving(map, entry.first, entry.second.boot) == nullptr;
  });
}

}  // namespace troupe
