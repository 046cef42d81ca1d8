// ShardWalk, part two: the world - network, register, nodes and their faults.
#pragma once

#include <algorithm>
#include <utility>

#include "shard_walk.h"
#include "shard_walk_calls.h"

namespace troupe {

// ---- Setting up

inline ShardWalk::ShardWalk(uint32_t setup, const ReplicaMutations& mutations, bool durable)
    : mutations_(mutations), durable_(durable) {
  count_ = 3 + static_cast<int>(setup % 3);
  uint32_t min_isr = setup / 3 % 4 == 0 ? 1 : 2;
  static constexpr int kSilenceMs[] = {20, 60, 300};
  options_.silence_min = absl::Milliseconds(kSilenceMs[setup / 12 % 3]);
  options_.resend_after = absl::Milliseconds(3);
  options_.repeat_after = absl::Milliseconds(10);
  options_.resign_after = absl::Milliseconds(400);
  options_.mutations = &mutations_;
  options_.durable = durable_;

  std::vector<Founder> founders;
  for (int i = 0; i < count_; ++i) {
    Founder founder;
    founder.name = "n" + std::to_string(i);
    founder.nonce = {static_cast<uint64_t>(i) + 1, 1};
    founder.types = {{77, "Word", kDefaultRole, durable_}};
    if (durable_) founder.storage = {static_cast<uint64_t>(i) + 1, disks_[i].id};
    founders.push_back(founder);
  }
  ClusterConfig config;
  config.shards = 1;
  config.min_isr_setting = min_isr;
  register_ = std::make_shared<const ClusterState>(Found({1, 1}, config, founders));
  history_.push_back(register_);
  nodes_.resize(static_cast<size_t>(count_));
  for (int i = 0; i < count_; ++i) {
    nodes_[i].drift = static_cast<int>(setup / 36 / static_cast<uint32_t>(1 + 2 * i) % 3) - 1;
    Boots(i, static_cast<Boot>(i) + 1);
  }
  for (int i = 0; i < count_; ++i) Show(i, register_->version);
}

inline ShardWalk::~ShardWalk() = default;

inline void ShardWalk::Boots(int node, Boot boot) {
  Node& n = nodes_[node];
  n.boot = boot;
  owner_[boot] = node;
  n.actors = std::make_unique<Actors>();
  n.replica = std::make_unique<ShardReplica>(0, boot, options_, *n.actors);
  if (!durable_ || disks_[node].lineage == 0) return;
  ++restores;
  n.replica->Restore(Clock(node), disks_[node].Read(Clock(node)));
}

// ---- Disks

inline void ShardWalk::Disk::Do(const DiskWrite& write) {
  if (write.anew) actors.clear();
  for (const DiskWrite::Put& put : write.puts) {
    auto& records = actors[put.update->actor];
    for (uint32_t i = 1; i <= put.erased; ++i) records.erase(i);
    records[put.index] = put.update;
  }
  for (const DiskWrite::Erase& gone : write.erased) actors.erase(gone.actor);
  lineage = write.lineage;
  position = write.position;
  mark = write.mark;
}

inline RestoredCopy ShardWalk::Disk::Read(absl::Time now) const {
  RestoredCopy out;
  out.lineage = lineage;
  out.position = position;
  for (const auto& [actor, records] : actors) {
    for (const auto& [index, update] : records) {
      if (out.store.Apply(*update) != ActorStore::Outcome::kApplied) std::abort();
      out.book.Know(*update, index);
    }
  }
  out.store.RaiseMark(mark);
  out.store.AgeRecords(now);
  return out;
}

inline void ShardWalk::WriteToDisk(int node, size_t most) {
  if (!durable_ || !Runs(node) || nodes_[node].replica == nullptr) return;
  Disk& disk = disks_[node];
  for (; most > 0 && !disk.waiting.empty() && violation_.empty(); --most) {
    const DiskWrite write = std::move(disk.waiting.front());
    disk.waiting.pop_front();
    disk.Do(write);
    Say("node " + std::to_string(node) + " has written " + std::to_string(write.number));
    ReplicaEffects out;
    nodes_[node].replica->OnWritten(Clock(node), write.number, out);
    Take(node, out);
  }
}

inline bool ShardWalk::over() const {
  return shard().state == ShardState::kLost || shard().epoch > 60 || owner_.size() > 40;
}

inline absl::Time ShardWalk::Clock(int node) const {
  return absl::FromUnixMicros(time_us_ * (100 + nodes_[node].drift) / 100);
}

inline int ShardWalk::NodeOf(CopyId copy) const {
  auto it = owner_.find(copy);
  if (it == owner_.end()) return -1;
  return nodes_[it->second].boot == copy && nodes_[it->second].up ? it->second : -1;
}

// ---- Register and maps

inline bool ShardWalk::Change(const Command& command) {
  auto applied = Apply(*register_, command);
  Say("register: " + Describe(command) + (applied.ok() ? "" : " refused"));
  if (!applied.ok() || !applied->changed) return false;
  register_ = std::make_shared<const ClusterState>(std::move(applied->state));
  history_.push_back(register_);
  for (int i = 0; i < count_; ++i) {
    owner_[register_->FindNode("n" + std::to_string(i))->boot] = i;
  }
  if (verbose_) {
    std::string text = "  => v" + std::to_string(register_->version) + " epoch " +
                       std::to_string(shard().epoch) + " primary " +
                       std::to_string(shard().primary) + " no_wait " +
                       std::to_string(shard().no_wait);
    for (auto [name, set] : {std::pair{" isr", &shard().isr}, std::pair{" elr", &shard().elr},
                             std::pair{" learners", &shard().learners}}) {
      text += name;
      for (CopyId copy : *set) text += " " + std::to_string(copy);
    }
    Say(text);
  }
  return true;
}

inline void ShardWalk::Show(int node, uint64_t version) {
  Node& n = nodes_[node];
  if (version <= n.map_version) return;
  const ClusterState& map = *history_[version - history_.front()->version];
  n.map_version = version;
  if (n.boot == 0) {
    const NodeEntry* entry = map.FindNode("n" + std::to_string(node));
    if (entry == nullptr || entry->nonce != Id128{static_cast<uint64_t>(node) + 1, n.nonce}) return;
    Boots(node, entry->boot);
    Say("node " + std::to_string(node) + " is boot " + std::to_string(n.boot));
  }
  ReplicaEffects out;
  n.replica->OnMap(Clock(node), ViewOf(map, 0, n.boot), out);
  Say("node " + std::to_string(node) + " sees map " + std::to_string(version));
  Take(node, out);
}

inline void ShardWalk::FenceNode(int node, uint32_t r, bool at_once) {
  const NodeEntry& entry = *register_->FindNode("n" + std::to_string(node));
  // Proof only of what is dead: that very process.
  bool dead = NodeOf(entry.boot) < 0;
  Fence fence{entry.name, entry.boot, entry.generation,
              dead && r % 2 ? Fence::Grounds::kProofOfDeath : Fence::Grounds::kEvidence};
  if (at_once) {
    Change(fence);
  } else {
    commands_.push_back(fence);
  }
}

inline void ShardWalk::Crash(int node, uint32_t r) {
  Node& n = nodes_[node];
  Say("node " + std::to_string(node) + " crashes");
  if (durable_) {
    Disk& disk = disks_[node];
    size_t left = disk.waiting.empty() ? 0 : r % (disk.waiting.size() + 1);
    for (const DiskWrite& write : disk.waiting) {
      if (left-- == 0) break;
      disk.Do(write);
    }
    disk.waiting.clear();
    if (r / 16 % 16 == 0) {
      Say("node " + std::to_string(node) + " loses its disk");
      disk = Disk{disk.id + 1, 0, {}, {}, {}, {}};
    }
  }
  Node fresh;
  fresh.up = false;
  fresh.nonce = n.nonce + 1;
  fresh.drift = n.drift;
  fresh.reach = n.reach;
  fresh.cut_from_register = n.cut_from_register;
  n = std::move(fresh);
}

inline void ShardWalk::Isolate(int node) {
  Say("node " + std::to_string(node) + " is isolated");
  for (Node& other : nodes_) other.reach &= ~(1u << node);
  nodes_[node].reach = 1u << node;
  nodes_[node].cut_from_register = true;
}

inline int ShardWalk::ActingPrimary(bool old) const {
  for (int i = 0; i < count_; ++i) {
    if (!Runs(i) || nodes_[i].replica == nullptr || nodes_[i].replica->epoch() == 0) continue;
    if ((nodes_[i].replica->epoch() < shard().epoch) == old) return i;
  }
  return -1;
}

// ---- Network

inline void ShardWalk::Post(Sent sent) {
  if (network_.size() < 200) network_.push_back(std::move(sent));
}

inline bool ShardWalk::Deliverable(const Sent& sent, bool* dead) const {
  int to = sent.request.has_value() ? sent.request->node : OwnerOf(sent.message.target);
  int from = sent.request.has_value() ? to : OwnerOf(sent.from);
  *dead = !nodes_[to].up;
  return *dead || (!nodes_[to].paused && (nodes_[to].reach >> from & 1));
}

inline void ShardWalk::Deliver(const Sent& sent) {
  if (sent.request.has_value()) {
    if (Runs(sent.request->node)) Serve(sent.request->node, *sent.request, false);
    return;
  }
  int node = OwnerOf(sent.message.target);
  Node& n = nodes_[node];
  if (!Runs(node) || n.replica == nullptr) return;
  if (verbose_) Say(std::to_string(sent.from) + " -> " + Describe(sent.message));
  ReplicaEffects out;
  n.replica->OnMessage(Clock(node), sent.from, sent.message, out);
  Take(node, out);
  CheckStore(node);
}

// ---- What replicas want done

inline void ShardWalk::Take(int node, ReplicaEffects& out) {
  Node& n = nodes_[node];
  for (DiskWrite& write : out.write) disks_[node].waiting.push_back(std::move(write));
  for (auto& sent : out.send) {
    if (std::holds_alternative<Ack>(sent.message.body)) CheckSynced(node, sent.message);
    if (!owner_.contains(sent.to)) continue;
    Post({n.boot, std::move(sent.message), std::nullopt});
  }
  for (HoldToken token : out.released) {
    auto held = n.held.find(token);
    if (held == n.held.end()) return Fail("a token was released twice");
    Answer(node, held->second);
    n.held.erase(held);
  }
  for (auto& [token, failure] : out.failed) {
    if (n.held.erase(token) == 0) return Fail("a token failed after it was released");
  }
  for (const ServingChange& change : out.serving) {
    if (change.kind == ServingChange::Kind::kStart) n.serving = true;
    if (change.kind == ServingChange::Kind::kStop) {
      n.serving = false;
      n.actors->all().clear();
      if (!n.held.empty()) Fail("answers are held by a copy that does not serve");
    }
  }
  for (const Command& command : out.propose) {
    if (std::holds_alternative<AlterIsr>(command)) {
      joins += std::get<AlterIsr>(command).isr.size() > shard().isr.size();
    }
    moves += std::holds_alternative<MovePrimary>(command);
    if (commands_.size() < 30) commands_.push_back(command);
    Say("node " + std::to_string(node) + " proposes " + Describe(command));
  }
  if (out.confirm_read.has_value()) n.confirm = out.confirm_read;
}

inline void ShardWalk::TickNode(int node) {
  Node& n = nodes_[node];
  if (!Runs(node) || n.replica == nullptr) return;
  ReplicaEffects out;
  n.replica->Tick(Clock(node), n.stalled, out);
  n.replica->Settle(Clock(node), out);
  Take(node, out);
  CheckStore(node);
}

inline void ShardWalk::CollectAll(int node) {
  Node& n = nodes_[node];
  if (!Runs(node) || n.replica == nullptr) return;
  ReplicaEffects out;
  for (CopyId peer : n.replica->Peers()) n.replica->CollectFor(Clock(node), peer, out);
  n.replica->Settle(Clock(node), out);
  Take(node, out);
  CheckStore(node);
}

// The write-back sees the register at some moment after it was asked for; its answer may be late.
inline void ShardWalk::Confirm(int node, bool at_once) {
  Node& n = nodes_[node];
  if (!Runs(node) || n.replica == nullptr || n.cut_from_register) return;
  if (n.confirm.has_value()) {
    confirmations_.push_back({node, n.boot, *n.confirm, register_});
    n.confirm.reset();
    if (!at_once) return;
  }
  for (size_t i = 0; i < confirmations_.size(); ++i) {
    if (confirmations_[i].node != node) continue;
    Confirmation done = confirmations_[i];
    confirmations_.erase(confirmations_.begin() + static_cast<ptrdiff_t>(i));
    if (done.boot != n.boot) return;
    ReplicaEffects out;
    n.map_version = std::max(n.map_version, done.seen->version);
    n.replica->OnReadConfirmed(Clock(node), done.id, ViewOf(*done.seen, 0, n.boot), out);
    Take(node, out);
    return;
  }
}

inline void ShardWalk::Heal() {
  Say("HEAL");
  for (int round = 0; round < 1500 && violation_.empty(); ++round) {
    if (shard().state == ShardState::kLost || owner_.size() > 60) return;
    Do({Act::kHeal, 0, 0, 0});
    for (uint32_t i = 0; i < static_cast<uint32_t>(count_); ++i) {
      nodes_[i].up = true;
      Do({Act::kResume, i, 0, 0});
      Do({Act::kRejoin, i, 0, 0});
      Do({Act::kAddLearner, i, 1, 0});
      for (uint32_t actor : {0, 1}) FinishTurn(static_cast<int>(i), static_cast<int>(actor));
    }
    time_us_ += 10'000;
    Do({Act::kWork, 0, 0, ~0u});
    for (int i = 0; i < 5; ++i) Do({Act::kPump, 23, 0, 0});
    int primary = ActingPrimary(false);
    if (primary < 0 || !nodes_[primary].replica->Admit(CallKind::kMutating).ok()) continue;
    // Temporary actors are written to, so that batches flow; a read must come back.
    TouchTemp(primary);
    if (calls_.size() < kCallsMax + 5 && round % 20 == 0) {
      calls_.push_back({false, 0, 0, sequences_[0]++, answered_[0].size(), false});
    }
    if (calls_.empty() || calls_.back().write) continue;
    uint64_t before = answers;
    Serve(primary, {primary, static_cast<int>(calls_.size()) - 1, 0}, false);
    if (answers > before) return;
  }
  if (violation_.empty()) Fail("does not serve after healing");
}

// ---- Steps

inline void ShardWalk::Do(const Step& step) {
  auto [act, a, b, c] = step;
  int node = static_cast<int>(a % static_cast<uint32_t>(count_));
  Node& n = nodes_[node];
  auto boots = [&](int i) { return register_->FindNode("n" + std::to_string(i))->boot; };
  switch (act) {
    case Act::kDeliver: {
      if (network_.empty()) return;
      size_t i = b % 3 ? a % network_.size() : 0;
      bool dead = false;
      if (!Deliverable(network_[i], &dead)) return;
      Sent sent = network_[i];
      if (dead || c % 12) network_.erase(network_.begin() + static_cast<ptrdiff_t>(i));
      if (!dead) Deliver(sent);
      return;
    }
    case Act::kDrop:
      if (!network_.empty()) {
        network_.erase(network_.begin() + static_cast<ptrdiff_t>(a % network_.size()));
      }
      return;
    case Act::kApply: {
      if (commands_.empty()) return;
      size_t i = a % commands_.size();
      Command command = commands_[i];
      if (b % 8) commands_.erase(commands_.begin() + static_cast<ptrdiff_t>(i));
      if (c % 10) Change(command);
      return;
    }
    case Act::kShowMap: {
      if (!Runs(node) || n.map_version >= register_->version || n.cut_from_register) return;
      uint64_t low = std::max(n.map_version + 1, history_.front()->version);
      Show(node, b % 3 ? register_->version : low + c % (register_->version - low + 1));
      return;
    }
    case Act::kTime: {
      static constexpr int kTenths[] = {10,   30,   100,  400,  1200, 2230,
                                        2260, 2450, 2480, 2490, 2510, 20};
      time_us_ += kTenths[a % 12] * 100;
      if (b % 4) {
        for (int i = 0; i < count_; ++i) TickNode(i);
      }
      return;
    }
    case Act::kCall:
      return CallSomewhere(step);
    case Act::kTemp:
      return TouchTemp(node);
    case Act::kCollect: {
      for (int i = 0; i < count_; ++i) {
        int which = (node + i) % count_;
        ShardReplica* replica = nodes_[which].replica.get();
        if (!Runs(which) || replica == nullptr || replica->epoch() == 0) continue;
        if (c % 4) {
          CollectAll(which);
        } else if (auto peers = replica->Peers(); !peers.empty()) {
          ReplicaEffects out;
          replica->CollectFor(Clock(which), Pick(peers, b), out);
          Take(which, out);
        }
        if (c % 3) return;
      }
      return;
    }
    case Act::kTick:
      return TickNode(node);
    case Act::kAddLearner: {
      Command add = AddLearner{0, shard().epoch, boots(node)};
      if (b % 2) {
        Change(add);
      } else {
        commands_.push_back(add);
      }
      return;
    }
    case Act::kMove: {
      int primary = ActingPrimary(false);
      if (primary < 0 || shard().isr.empty()) return;
      ReplicaEffects out;
      (void)nodes_[primary].replica->BeginMove(Clock(primary), Pick(shard().isr, b), out);
      Take(primary, out);
      return;
    }
    case Act::kRejoin: {
      if (!Runs(node)) return;
      const NodeEntry& entry = *register_->FindNode("n" + std::to_string(node));
      if (n.boot == 0) {
        Register command;
        command.node = entry.name;
        command.nonce = {static_cast<uint64_t>(node) + 1, n.nonce};
        command.replaces = entry.boot;
        command.types = register_->types;
        if (durable_) command.storage = {static_cast<uint64_t>(node) + 1, disks_[node].id};
        command.holds_data_lock = entry.nonce != command.nonce;  // The old process is dead.
        commands_.push_back(command);
      } else if (entry.boot == n.boot && entry.state == NodeState::kFenced) {
        commands_.push_back(Unfence{entry.name, entry.boot, entry.generation});
      }
      return;
    }
    case Act::kConfirm:
      return Confirm(node, b % 2);
    case Act::kFence: {
      if (c % 64 == 7 && node == 0) {
        const NodeEntry& entry = *register_->FindNode("n0");
        Change(Drain{entry.name, entry.boot});
        return;
      }
      int whom = b % 2 && shard().primary != 0 ? OwnerOf(shard().primary) : node;
      return FenceNode(whom, c, c % 3);
    }
    case Act::kCrash:
      if (c % 4 == 3 && shard().primary != 0) node = OwnerOf(shard().primary);
      if (!nodes_[node].up || (nodes_[node].boot == 0 && b % 2)) return;
      Crash(node, c >> 4);
      nodes_[node].up = b % 3;
      return;
    case Act::kRestart:
      n.up = true;
      return;
    case Act::kPause:
      if (!Runs(node)) return;
      Say("node " + std::to_string(node) + " pauses");
      n.paused = true;
      n.paused_at = Clock(node);
      return;
    case Act::kResume:
      if (!n.paused) return;
      Say("node " + std::to_string(node) + " resumes");
      n.paused = false;
      n.stalled += Clock(node) - n.paused_at;
      return;
    case Act::kPartition: {
      uint32_t side = a % (1u << count_);
      for (int i = 0; i < count_ && b % 2; ++i) nodes_[i].reach = side >> i & 1 ? side : ~side;
      if (b % 2 == 0) n.reach = c;
      return;
    }
    case Act::kHeal:
      for (Node& each : nodes_) each.reach = ~0u, each.cut_from_register = false;
      return;
    case Act::kPump:
      for (uint32_t left = a % 24; left > 0 && violation_.empty(); --left) {
        size_t i = 0;
        bool dead = false;
        while (i < network_.size() && !Deliverable(network_[i], &dead)) ++i;
        if (i == network_.size()) return;
        Sent sent = std::move(network_[i]);
        network_.erase(network_.begin() + static_cast<ptrdiff_t>(i));
        if (!dead) Deliver(sent);
      }
      return;
    case Act::kWork: {
      time_us_ += 1000;
      if (b % 4 == 0) {
        for (const Command& command : std::exchange(commands_, {})) Change(command);
      }
      for (int i = 0; i < count_; ++i) {
        bool sees = b % 8 == 0 && (c >> i & 1) && Runs(i) && !nodes_[i].cut_from_register;
        if (sees) Show(i, register_->version);
      }
      for (int i = 0; i < count_; ++i) {
        TickNode(i);
        CollectAll(i);
        if ((b & 8) == 0) WriteToDisk(i, SIZE_MAX);
        if (b % 4 == 0) Confirm(i, true);
      }
      return Do({Act::kPump, 20, 0, 0});
    }
    case Act::kIsolate: {
      int whom = b % 4 && shard().primary != 0 ? OwnerOf(shard().primary) : node;
      Isolate(whom);
      if (c % 2) FenceNode(whom, c >> 1, true);
      return;
    }
    case Act::kMend:
      if (a % 2) return Do({Act::kHeal, 0, 0, 0});
      nodes_[a / 2 % static_cast<uint32_t>(count_)].cut_from_register = false;
      return;
    case Act::kDisk:
      return WriteToDisk(node, b % 4 == 0 ? SIZE_MAX : 1 + b % 2);
    case Act::kReadAtOld: {
      int old = ActingPrimary(true);
      if (old < 0) return;
      int actor = static_cast<int>(b % 2);
      for (int i : {0, 1}) {
        const StoredActor* held = nodes_[old].replica->store().Find(WalkActor(i));
        if (answered_[i].size() > (held == nullptr ? 0 : held->state->size())) actor = i;
      }
      int call = NewCall(false, actor, static_cast<int>(c % 2));
      if (call >= 0) Serve(old, {old, call, 0}, c % 5 == 0);
      return;
    }
    case Act::kFinishTurn:
      if (Runs(node)) FinishTurn(node, static_cast<int>(b % 2));
      return;
    case Act::kReconnect:
      if (Runs(node) && n.replica != nullptr) {
        for (CopyId peer : n.replica->Peers()) n.replica->OnPeerConnected(peer);
      }
      return;
    case Act::kPassivate:
      if (Runs(node) && n.serving) n.actors->DropIdle();
      return;
    case Act::kEnd:
      return Heal();
  }
}

}  // namespace troupe
