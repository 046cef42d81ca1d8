// Swim, the part that exchanges views: push/pull, whole or by digests, and reconnecting.
#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "troupe/membership/swim.h"

namespace troupe {
namespace {

constexpr size_t kWholeMax = 32;   // Members; the digests of more are smaller than their list.
constexpr int kDraws = 64;         // For a living one; else the next round finds it.
constexpr size_t kToldOnMax = 64;  // What one who joins may have to tell everybody again.

}  // namespace

// ---- Push/pull.

GossipDigest Swim::Digest() const {
  GossipDigest digest = members_.digest();
  if (!superseded_) AddToDigest(self_, digest);
  return digest;
}

std::vector<Member> Swim::KnownWhere(
    const std::function<bool(const std::string& name)>& wanted) const {
  std::vector<Member> members;
  if (!superseded_ && wanted(self_.id.name)) members.push_back(self_);
  for (const MemberRecord& record : members_.records()) {
    if (wanted(record.name())) members.push_back(record.ToMember());
  }
  return members;
}

std::vector<Member> Swim::MembersOf(const std::vector<uint16_t>& buckets) const {
  if (buckets.empty()) return {};
  std::vector<bool> wanted(kDigestBuckets);
  for (uint16_t bucket : buckets) wanted[bucket] = true;
  return KnownWhere([&](const std::string& name) { return wanted[BucketOf(name)]; });
}

PushPull Swim::WholeView() const {
  return {Header(), KnownWhere([](const std::string&) { return true; })};
}

std::vector<std::byte> Swim::MakePushPull(uint64_t exchange) const {
  const std::vector<uint16_t> buckets = push_pulls_.BucketsOf(exchange);
  if (!buckets.empty()) return Encode(PushPull{Header(), MembersOf(buckets), {}, buckets});
  if (members_.cluster_size() <= kWholeMax) return Encode(WholeView());
  PushPull asking{Header(), {}, Digest(), {}};
  if (!superseded_) asking.members.push_back(self_);
  return Encode(asking);
}

PushPull Swim::AnswerTo(const PushPull& request) const {
  if (!request.buckets.empty()) return {Header(), {}};
  if (request.digests.empty()) return WholeView();
  PushPull answer{Header(), {}, {}, DifferingBuckets(request.digests, Digest())};
  answer.members = MembersOf(answer.buckets);
  return answer;
}

absl::StatusOr<std::vector<std::byte>> Swim::AnswerPushPull(absl::Time now, std::string_view from,
                                                            std::span<const std::byte> request,
                                                            SwimActions& actions) {
  absl::StatusOr<PushPull> push_pull = DecodePushPull(request);
  if (!push_pull.ok()) {
    Begin(now, actions);
    ++counters_.malformed;
    return push_pull.status();
  }
  absl::StatusOr<PushPull> answer = AnswerPushPull(now, from, *push_pull, actions);
  if (!answer.ok()) return answer.status();
  return Encode(*answer);
}

absl::StatusOr<PushPull> Swim::AnswerPushPull(absl::Time now, std::string_view from,
                                              const PushPull& request, SwimActions& actions) {
  Turn turn = Begin(now, actions);
  if (request.header.sender.nonce == self_.id.nonce) {
    return WholeView();  // We are our own seed; the asking side of us finds out.
  }
  if (!Admits(turn, request.header, from, true)) {
    return absl::FailedPreconditionError(
        absl::StrCat("push/pull refused: ", actions.notices.back().detail));
  }
  TakeInPushPull(turn, from, request);
  return AnswerTo(request);
}

absl::Status Swim::MergePushPull(absl::Time now, uint64_t id, std::span<const std::byte> answer,
                                 SwimActions& actions) {
  Turn turn = Begin(now, actions);
  std::optional<Exchange> exchange = push_pulls_.End(id);
  std::string address = exchange.has_value() ? exchange->address : "";
  absl::StatusOr<PushPull> push_pull = DecodePushPull(answer);
  if (!push_pull.ok()) {
    ++counters_.malformed;
    SeedFailed(turn, address);
    return push_pull.status();
  }
  if (push_pull->header.sender.nonce == self_.id.nonce) {
    push_pulls_.DropSeed(address);
    return absl::InvalidArgumentError(absl::StrCat("seed ", address, " is this node itself"));
  }
  if (!Admits(turn, push_pull->header, address, true)) {
    std::string detail = actions.notices.back().detail;
    SeedFailed(turn, address);
    return absl::FailedPreconditionError(absl::StrCat("push/pull with ", address, ": ", detail));
  }
  push_pulls_.SeedReached(address);
  TakeInPushPull(turn, address, *push_pull);
  // It has told us what it has where we differ; now it hears what we have.
  if (exchange.has_value() && exchange->buckets.empty() && !push_pull->buckets.empty()) {
    PushPullWith(turn, address, exchange->name, push_pull->buckets);
  }
  return absl::OkStatus();
}

void Swim::TakeInPushPull(Turn& turn, std::string_view from, const PushPull& push_pull) {
  if (!joined_) {
    joined_ = true;
    Member other;
    other.id = push_pull.header.sender;
    Notify(turn, SwimNotice::Kind::kJoinedCluster, other);
    turn.actions.notices.back().address = std::string(from);
  }
  const bool newcomer = members_.records().empty() && push_pull.members.size() > kToldOnMax;
  // Who knew nobody has nobody to pass it on to but those whom it comes from. In a small cluster it
  // does so all the same: where all come at once, each hears only of those before it.
  const Heard heard = newcomer ? Heard::kOnArrival : Heard::kInExchange;
  for (const Member& member : push_pull.members) TakeInPushed(turn, member, heard);
  if (!newcomer) return;
  const bool telling = queue_.Holds(self_.id.name);
  queue_.Clear();
  if (telling) Announce();
}

void Swim::TakeInPushed(Turn& turn, const Member& pushed, Heard heard) {
  const bool ours = pushed.id.name == self_.id.name;
  const MemberRecord* known = ours ? nullptr : members_.Find(pushed.id.name);
  const bool unknown = !ours && known == nullptr;
  // Somebody else's dead is our suspect: whoever lives gets its time to refute.
  if (pushed.state == MemberState::kDead) {
    if (unknown) return;
    if (!ours && known->id().nonce == pushed.id.nonce) {
      Member doubted = pushed;
      doubted.state = MemberState::kSuspect;
      TakeIn(turn, doubted, heard);
      return;
    }
  }
  if (pushed.state == MemberState::kSuspect && unknown && !pushed.gossip_address.empty() &&
      !pushed.rpc_address.empty()) {
    Member living = pushed;
    living.state = MemberState::kAlive;
    TakeIn(turn, living, heard);
  }
  TakeIn(turn, pushed, heard);
}

void Swim::OnPushPullFailed(absl::Time now, uint64_t id, SwimActions& actions) {
  Turn turn = Begin(now, actions);
  if (std::optional<Exchange> exchange = push_pulls_.End(id)) SeedFailed(turn, exchange->address);
}

void Swim::SeedFailed(Turn& turn, const std::string& address) {
  auto retry = push_pulls_.SeedFailed(turn.now, address, random_);
  if (!retry.has_value()) return;
  Notify(turn, SwimNotice::Kind::kSeedFailed, Member());
  turn.actions.notices.back().address = address;
  turn.actions.notices.back().detail = absl::StrCat(
      "no answer ", retry->attempts, " times, again in ", absl::FormatDuration(retry->in));
}

void Swim::PushPullWith(Turn& turn, const std::string& address, const std::string& name,
                        std::vector<uint16_t> buckets) {
  std::optional<Exchange> exchange = push_pulls_.Begin(turn.now, address, name, std::move(buckets));
  if (exchange.has_value()) turn.actions.push_pulls.push_back({exchange->id, address, name});
}

void Swim::PushPullRound(Turn& turn) {
  next_push_pull_ = turn.now + options_.push_pull_interval;
  if (self_.state == MemberState::kLeft) return;
  const MemberRecord* chosen = nullptr;
  for (int draws = 0; draws < kDraws && chosen == nullptr; ++draws) {
    const std::optional<MemberNumber> drawn = ring_.Draw(random_);
    if (drawn && members_.at(*drawn).state == MemberState::kAlive) chosen = &members_.at(*drawn);
  }
  if (chosen == nullptr) return;
  PushPullWith(turn, chosen->description->rpc_address, chosen->name());
}

bool Swim::LivesAt(const std::string& rpc_address) const {
  return std::ranges::any_of(members_.records(), [&](const MemberRecord& record) {
    return record.IsHere() && record.description->rpc_address == rpc_address;
  });
}

// Heals a partition: after it both sides take each other for dead, or have forgotten each other.
void Swim::Reconnect(Turn& turn) {
  next_reconnect_ = turn.now + options_.reconnect_interval * (0.5 + random_.Unit());
  for (MemberNumber gone : members_.Reap(turn.now)) ring_.Remove(gone);
  if (self_.state == MemberState::kLeft || superseded_) return;
  std::vector<std::pair<std::string, std::string>> lost;  // Address and name.
  for (const MemberRecord* dead : Others(MemberState::kDead)) {
    const std::string& address = dead->description->rpc_address;
    if (!address.empty()) lost.emplace_back(address, dead->name());
  }
  for (const auto& [address, seed] : push_pulls_.seeds()) {
    if (seed.reached) lost.emplace_back(address, "");
  }
  // One look at all, however many are lost.
  absl::flat_hash_set<std::string> missed;
  for (const auto& [address, name] : lost) missed.insert(address);
  for (const MemberRecord& record : members_.records()) {
    if (missed.empty()) return;
    if (record.IsHere()) missed.erase(record.description->rpc_address);
  }
  std::erase_if(lost, [&](const auto& one) { return !missed.contains(one.first); });
  if (lost.empty()) return;
  const auto& [address, name] = lost[random_.Below(lost.size())];
  PushPullWith(turn, address, name);
}

}  // namespace troupe
