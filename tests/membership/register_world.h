// RegisterWorld: voters and proposers of a register, and a network that loses, doubles and reorders
// what they say. One random action a step; everything chosen must form one chain.
//
// Values carry their index in a table that knows every value's parent.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "troupe/membership/register_acceptor.h"
#include "troupe/membership/register_proposer.h"
#include "troupe/runtime/random.h"

namespace troupe {

enum class WorldMutation { kNone, kPromiseNotKept, kOneSetOnly, kBuildOnUnchosen, kAmnesia };

// What a run may do, drawn anew for each ("swarm").
struct WorldPlan {
  enum class Disk { kDurable, kNone } disk = Disk::kDurable;
  enum class Telling {
    kTold,
    kSilent
  } telling = Telling::kTold;  // Are voters told what is chosen.
  double voter_changes = 0.3;  // Share of proposals that change the voters.
  size_t acceptors = 4;
  size_t proposers = 2;
  static constexpr size_t kActions = 8;
  uint64_t weights[kActions] = {};
};
WorldPlan DrawPlan(Random& random, WorldMutation mutation);

class RegisterWorld {
 public:
  RegisterWorld(WorldPlan plan, Random random, WorldMutation mutation);

  void Step();
  // Repairs everything and lets one proposer work: false when it gets nowhere though it could.
  bool MakesProgressWhenHealed();

  const std::string& violation() const { return violation_; }
  uint64_t versions_chosen() const { return newest_; }
  uint64_t kept_ballots_used() const { return kept_used_; }
  uint64_t outcomes() const { return outcomes_; }
  uint64_t joint_changes() const { return joint_changes_; }

 private:
  struct Voter {
    VoterId id;
    bool up = true;
    RegisterAcceptor acceptor;
    AcceptorState disk;
  };
  struct Message {
    size_t proposer;
    size_t voter;
    std::optional<VoterRequest> request;  // Else it is a reply.
    std::optional<VoterReply> reply;
  };
  enum class Want { kRead, kChange, kChangeVoters };

  Want DrawWant();
  void AddVoter();
  void MakeProposer(size_t i);
  void StartProposal(size_t i, Want want);
  void Crash(size_t voter);
  void Deliver(const Message& message);
  void DeliverRequest(const Message& message);
  void Send(Message message);
  void Perform(size_t proposer, RegisterProposer::Effects effects);
  void Learned(const ValuePtr& value);
  ValuePtr NextValue(const ValuePtr& base, Want want, uint64_t draw);
  std::vector<VoterId> NewVoters(const RegisterValue& base, uint64_t draw) const;
  bool EveryQuorumLives() const;

  const WorldPlan plan_;
  const MembershipMutations& Mutations() const {
    static constexpr MembershipMutations kPromise{.promise_forgotten = true};
    static constexpr MembershipMutations kOneSet{.one_set_only = true};
    static constexpr MembershipMutations kUnchosen{.build_on_unchosen = true};
    switch (mutation_) {
      case WorldMutation::kPromiseNotKept:
        return kPromise;
      case WorldMutation::kOneSetOnly:
        return kOneSet;
      case WorldMutation::kBuildOnUnchosen:
        return kUnchosen;
      default:
        return kNoMembershipMutations;
    }
  }

  const WorldMutation mutation_;
  Random random_;
  absl::Time now_ = absl::UnixEpoch();
  std::vector<Voter> voters_;
  std::vector<std::unique_ptr<RegisterProposer>> proposers_;
  std::vector<Message> network_;
  struct Entry {
    ValuePtr value;
    size_t parent;
  };
  std::vector<Entry> values_;
  std::vector<size_t> chosen_;  // By version: index of the value, kNobody if none is known.
  uint64_t newest_ = 0;
  uint64_t processes_ = 0, kept_used_ = 0, outcomes_ = 0, joint_changes_ = 0;
  bool healed_ = false;
  std::string violation_;
};

namespace world_internal {

inline constexpr size_t kNobody = SIZE_MAX;
inline constexpr size_t kVersionsMax = 60;
inline constexpr size_t kVotersEver = 10;
inline constexpr size_t kNetworkMax = 40;

inline size_t IndexOf(const ValuePtr& value) {
  uint32_t index = 0;
  std::memcpy(&index, value->contents.data(), sizeof index);
  return index;
}

inline ValuePtr MakeValue(uint64_t version, std::vector<VoterId> voters,
                          std::vector<VoterId> pending, size_t index) {
  auto value = std::make_shared<RegisterValue>();
  value->version = version;
  value->voters = std::move(voters);
  value->pending = std::move(pending);
  value->contents.resize(sizeof(uint32_t));
  auto narrow = static_cast<uint32_t>(index);
  std::memcpy(value->contents.data(), &narrow, sizeof narrow);
  return value;
}

}  // namespace world_internal
using namespace world_internal;

inline WorldPlan DrawPlan(Random& random, WorldMutation mutation) {
  WorldPlan plan;
  plan.acceptors = 4 + random.Below(3);
  plan.proposers = 2 + random.Below(2);
  if (random.Chance(0.4) && mutation != WorldMutation::kAmnesia) {
    plan.disk = WorldPlan::Disk::kNone;
  }
  if (random.Chance(0.5)) plan.telling = WorldPlan::Telling::kSilent;
  if (random.Chance(0.5)) plan.voter_changes = 0.8;
  uint64_t weights[WorldPlan::kActions] = {
      60,                   // deliver
      random.Below(6),      // lose
      4 + random.Below(8),  // propose something
      random.Below(4),      // proposer crashes
      random.Below(2),      // voter stops or returns
      random.Below(5),      // one proposer learns from another
      random.Below(12),     // propose on, with the ballot kept
      1 + random.Below(4),  // timers
  };
  std::copy(std::begin(weights), std::end(weights), plan.weights);
  return plan;
}

inline RegisterWorld::RegisterWorld(WorldPlan plan, Random random, WorldMutation mutation)
    : plan_(plan), mutation_(mutation), random_(random) {
  for (size_t i = 0; i < plan.acceptors; ++i) AddVoter();
  ValuePtr founding = MakeValue(1, {voters_[0].id, voters_[1].id, voters_[2].id}, {}, 0);
  values_.push_back({founding, kNobody});
  chosen_.assign(kVersionsMax + 2, kNobody);
  chosen_[1] = 0;
  newest_ = 1;
  for (size_t i = 0; i < 3; ++i) {
    voters_[i].acceptor.Step(AcceptRequest{{1, "founder", {1, 1}}, {}, founding, 1});
    voters_[i].disk = voters_[i].acceptor.state();
  }
  proposers_.resize(plan.proposers);
  for (size_t i = 0; i < plan.proposers; ++i) MakeProposer(i);
}

inline RegisterWorld::Want RegisterWorld::DrawWant() {
  if (random_.Chance(plan_.voter_changes)) return Want::kChangeVoters;
  return random_.Chance(0.7) ? Want::kChange : Want::kRead;
}

inline void RegisterWorld::AddVoter() {
  const auto& mutation = Mutations();
  size_t i = voters_.size();
  voters_.push_back(
      {{"v" + std::to_string(i), Id128{0, i + 1}}, true, RegisterAcceptor({}, mutation), {}});
}

// A process that knows no more than the founding value.
inline void RegisterWorld::MakeProposer(size_t i) {
  const auto& mutation = Mutations();
  ++processes_;
  proposers_[i] = std::make_unique<RegisterProposer>("p" + std::to_string(i), Id128{1, processes_},
                                                     values_[0].value, Random(random_.Next()),
                                                     ProposerTimings{}, mutation);
}

inline void RegisterWorld::Send(Message message) {
  if (network_.size() < kNetworkMax) network_.push_back(std::move(message));
}

inline void RegisterWorld::Perform(size_t proposer, RegisterProposer::Effects effects) {
  for (RegisterProposer::Send& send : effects.send) {
    bool told = std::holds_alternative<ChosenNotice>(send.request);
    if (told && plan_.telling == WorldPlan::Telling::kSilent) continue;
    Send({proposer, send.to.id.lo - 1, std::move(send.request), std::nullopt});
  }
  if (effects.outcome && effects.outcome->ok()) {
    ++outcomes_;
    Learned(**effects.outcome);
  }
  Learned(proposers_[proposer]->known());
}

// Whatever anybody takes for chosen, with its ancestors, is one chain.
inline void RegisterWorld::Learned(const ValuePtr& value) {
  for (size_t i = IndexOf(value); i != kNobody; i = values_[i].parent) {
    size_t& chosen = chosen_[values_[i].value->version];
    if (chosen == i) break;
    if (chosen != kNobody) {
      violation_ = "two values at version " + std::to_string(values_[i].value->version);
      return;
    }
    chosen = i;
    if (values_[i].parent != kNobody) {
      joint_changes_ += values_[i].value->voters != values_[values_[i].parent].value->voters;
    }
  }
  newest_ = std::max(newest_, value->version);
}

inline std::vector<VoterId> RegisterWorld::NewVoters(const RegisterValue& base,
                                                     uint64_t draw) const {
  std::vector<VoterId> live, wanted;
  for (const Voter& voter : voters_) {
    if (voter.up) live.push_back(voter.id);
  }
  Random random(draw);
  random.Shuffle(live);
  // One replaced, or all drawn anew: up to three leave at once.
  size_t kept = random.Below(3);
  for (const VoterId& voter : base.voters) {
    bool is_live = std::find(live.begin(), live.end(), voter) != live.end();
    if (is_live && wanted.size() < kept) wanted.push_back(voter);
  }
  for (const VoterId& voter : live) {
    if (wanted.size() >= (random.Chance(0.1) ? 1 : 3)) break;
    if (std::find(wanted.begin(), wanted.end(), voter) == wanted.end()) wanted.push_back(voter);
  }
  std::sort(wanted.begin(), wanted.end());
  return wanted;
}

inline ValuePtr RegisterWorld::NextValue(const ValuePtr& base, Want want, uint64_t draw) {
  if (base->version >= kVersionsMax || values_.size() >= 2 * kVersionsMax) return base;
  if (want == Want::kRead) return base;
  std::vector<VoterId> voters = base->voters, pending = base->pending;
  if (!pending.empty()) {
    if (draw % 3 != 2) voters = std::exchange(pending, {});
  } else if (want == Want::kChangeVoters) {
    pending = NewVoters(*base, draw);
    if (pending == voters) pending.clear();
  }
  ValuePtr next = MakeValue(base->version + 1, voters, pending, values_.size());
  values_.push_back({next, IndexOf(base)});
  return next;
}

inline void RegisterWorld::StartProposal(size_t i, Want want) {
  RegisterProposer& proposer = *proposers_[i];
  proposer.Cancel();
  kept_used_ += proposer.keeps_ballot();
  uint64_t draw = random_.Next();
  absl::Duration patience = random_.Chance(0.1) ? absl::Milliseconds(50) : absl::Seconds(60);
  Perform(i, proposer.Start(now_, now_ + patience, [this, want, draw](const ValuePtr& base) {
    return NextValue(base, want, draw);
  }));
}

inline void RegisterWorld::Crash(size_t i) {
  if (plan_.disk == WorldPlan::Disk::kNone) {
    if (!voters_[i].up || voters_.size() >= kVotersEver) return;
    voters_[i].up = false;
    AddVoter();  // The same computer, without memory: another voter.
    return;
  }
  if (mutation_ == WorldMutation::kAmnesia) {
    voters_[i].disk = {};
    voters_[i].acceptor = RegisterAcceptor();
    return;
  }
  voters_[i].up = !voters_[i].up;
  if (!voters_[i].up) return;
  const auto& mutation = Mutations();
  voters_[i].acceptor = RegisterAcceptor(voters_[i].disk, mutation);
}

inline void RegisterWorld::DeliverRequest(const Message& message) {
  Voter& voter = voters_[message.voter];
  if (!voter.up) return;
  RegisterAcceptor::Effects effects = voter.acceptor.Step(*message.request);
  using Persist = RegisterAcceptor::Persist;
  bool durable = plan_.disk == WorldPlan::Disk::kDurable && mutation_ != WorldMutation::kAmnesia;
  uint64_t luck = healed_ || plan_.weights[4] == 0 ? 99 : random_.Below(100);
  if (durable && effects.persist == Persist::kBeforeReply && luck == 0) return Crash(message.voter);
  if (effects.persist == Persist::kBeforeReply ||
      (effects.persist == Persist::kSoon && random_.Chance(0.5))) {
    voter.disk = voter.acceptor.state();
  }
  if (durable && effects.reply && luck == 1) return Crash(message.voter);
  if (effects.reply) {
    Send({message.proposer, message.voter, std::nullopt, std::move(effects.reply)});
  }
}

inline void RegisterWorld::Deliver(const Message& message) {
  if (message.request) return DeliverRequest(message);
  RegisterProposer& proposer = *proposers_[message.proposer];
  Perform(message.proposer, proposer.OnReply(now_, voters_[message.voter].id, *message.reply));
}

inline void RegisterWorld::Step() {
  uint64_t total = 0;
  for (uint64_t weight : plan_.weights) total += weight;
  uint64_t draw = random_.Below(total);
  size_t action = 0;
  while (draw >= plan_.weights[action]) draw -= plan_.weights[action++];
  size_t i = random_.Below(proposers_.size());
  switch (action) {
    case 0: {
      if (network_.empty()) return;
      size_t at = random_.Chance(0.33) ? 0 : random_.Below(network_.size());
      Message message = network_[at];
      if (!random_.Chance(0.1)) network_.erase(network_.begin() + static_cast<ptrdiff_t>(at));
      return Deliver(message);
    }
    case 1:
      if (network_.empty()) return;
      network_.erase(network_.begin() + static_cast<ptrdiff_t>(random_.Below(network_.size())));
      return;
    case 2:
      if (proposers_[i]->busy() && !random_.Chance(0.25)) return;
      return StartProposal(i, DrawWant());
    case 3:
      return MakeProposer(i);
    case 4:
      return Crash(random_.Below(voters_.size()));
    case 5: {
      if (proposers_[i]->busy()) return;
      proposers_[i]->Learn(proposers_[random_.Below(proposers_.size())]->known());
      return;
    }
    case 6:
      if (proposers_[i]->busy()) return;
      return StartProposal(i, random_.Chance(0.5) ? Want::kChange : DrawWant());
    default:
      if (!proposers_[i]->busy()) return;
      now_ = std::max(now_, proposers_[i]->wake());
      return Perform(i, proposers_[i]->Tick(now_));
  }
}

// Whether every set that was ever written still has a majority: what is lost with its voters is
// nobody's to bring back, and a value with it may have been chosen.
inline bool RegisterWorld::EveryQuorumLives() const {
  auto lives = [&](const std::vector<VoterId>& set) {
    auto up = std::count_if(set.begin(), set.end(),
                            [&](const VoterId& id) { return voters_[id.id.lo - 1].up; });
    return 2 * static_cast<size_t>(up) > set.size();
  };
  return std::all_of(values_.begin(), values_.end(), [&](const Entry& entry) {
    return lives(entry.value->voters) &&
           (entry.value->pending.empty() || lives(entry.value->pending));
  });
}

inline bool RegisterWorld::MakesProgressWhenHealed() {
  for (size_t i = 0; i < voters_.size(); ++i) {
    if (!voters_[i].up && plan_.disk == WorldPlan::Disk::kDurable) Crash(i);
  }
  healed_ = true;
  if (!EveryQuorumLives()) return true;
  network_.clear();
  for (const auto& proposer : proposers_) {
    proposer->Cancel();
    proposers_[0]->Learn(proposer->known());
  }
  uint64_t wanted = newest_ + 2;
  for (int round = 0; round < 40 && newest_ < wanted; ++round) {
    if (newest_ + 2 >= kVersionsMax || values_.size() + 40 >= 2 * kVersionsMax) return true;
    if (!proposers_[0]->busy()) StartProposal(0, Want::kChange);
    for (int i = 0; i < 200 && !network_.empty(); ++i) {
      Message message = network_.front();
      network_.erase(network_.begin());
      Deliver(message);
    }
    now_ = std::max(now_, std::min(now_ + absl::Seconds(1), proposers_[0]->wake()));
    Perform(0, proposers_[0]->Tick(now_));
  }
  return newest_ >= wanted;
}

}  // namespace troupe
