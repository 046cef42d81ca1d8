// Durable shards with what is on the disks: whatever was answered is at every primary that serves.
//
// A small world around Apply: disks that outlive processes, a primary that brings the copies in
// sync to its state once per epoch (P3.9) and answers when all have it (P3.5), learners that catch
// up.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "durable_fixture.h"
#include "troupe/runtime/random.h"

namespace troupe {
namespace {

constexpr ShardId kOnDisk = 1;

class World {
 public:
  World(uint64_t seed, const MembershipMutations& mutations)
      : random_(seed),
        mutations_(mutations),
        state_(DurableCluster(1 + random_.Below(5), 1, 1 + random_.Below(4))) {
    for (const NodeEntry& node : state_.nodes) alive_.insert(node.name);
  }

  // What went wrong; empty: nothing.
  std::string Step() {
    switch (random_.Below(16)) {
      case 0:
        alive_.erase(AnyName());
        break;
      case 1:
      case 2:
        Restart();
        break;
      case 3:
      case 4: {  // The dead, and now and then one that lives.
        const NodeEntry& node = AnyNode();
        const bool proven = !alive_.contains(node.name) && random_.Chance(0.5);
        if (alive_.contains(node.name) && random_.Chance(0.7)) break;
        Try(FenceOf(state_, node.name,
                    proven ? Fence::Grounds::kProofOfDeath : Fence::Grounds::kEvidence));
        break;
      }
      case 5:
        for (const NodeEntry& node : std::vector(state_.nodes)) {
          if (node.state == NodeState::kFenced && Lives(node.boot)) {
            Try(UnfenceOf(state_, node.name));
          }
        }
        break;
      case 6:
        for (const Command& command : PlanRepairs(state_, 8)) Try(command);
        break;
      case 7:
        return CatchUp();
      case 8:  // A copy leaves the set.
        Try(AlterOf(state_, kOnDisk, Without(shard().isr)));
        break;
      case 9:
        if (random_.Chance(0.3)) {
          Try(MovePrimary{kOnDisk, shard().epoch, shard().isr_version, shard().primary, 0});
        }
        break;
      case 10:
        if (random_.Chance(0.1)) {
          Try(SetConfig{0, static_cast<uint32_t>(1 + random_.Below(3))});
        }
        break;
      case 11:
        if (random_.Chance(0.1)) Leave();
        break;
      default:
        return Write();
    }
    if (shard().state == ShardState::kLost) return Lost();
    return "";
  }

  int answered() const { return last_; }
  int renamed() const { return renamed_; }
  int lost() const { return lost_; }

 private:
  const ShardEntry& shard() const { return state_.shards[kOnDisk]; }
  const NodeEntry& AnyNode() { return state_.nodes[random_.Below(state_.nodes.size())]; }
  std::string AnyName() { return AnyNode().name; }

  void Try(const Command& command) {
    auto applied = Apply(state_, command, mutations_);
    if (applied.ok()) state_ = std::move(applied->state);
  }

  // Whether the process of that boot runs.
  bool Lives(CopyId copy) const {
    const NodeEntry* node = state_.FindBoot(copy);
    return node != nullptr && alive_.contains(node->name);
  }
  bool AllLive(const CopySet& set) const {
    return std::all_of(set.begin(), set.end(), [this](CopyId copy) { return Lives(copy); });
  }
  std::vector<int>& DiskOf(CopyId copy) { return disks_[state_.FindBoot(copy)->storage]; }

  CopySet Without(CopySet set) {
    std::erase_if(set, [this](CopyId copy) {
      return copy != shard().primary && random_.Chance(Lives(copy) ? 0.2 : 0.8);
    });
    return set;
  }

  void Restart() {
    const NodeEntry node = AnyNode();
    if (alive_.contains(node.name)) return;
    Register command = troupe::Restart(state_, node.name, ++nonces_);
    if (random_.Chance(0.05)) {
      command.storage = Id128{6, nonces_};
      gone_.insert(node.storage);
    }
    if (random_.Chance(0.1)) command.types = {kThing};
    renamed_ += Contains(Union(shard().isr, shard().elr), node.boot);
    alive_.insert(node.name);
    Try(command);
  }

  void Leave() {
    const NodeEntry node = AnyNode();
    Try(AdoptPendingVoters{state_.pending});
    Try(Drain{node.name, node.boot});
    for (int i = 0; i < 2; ++i) {
      for (const Command& command : PlanRepairs(state_, 1)) Try(command);
    }
    Try(troupe::Leave{node.name, node.boot});
    if (state_.FindNode(node.name)->state == NodeState::kLeft) alive_.erase(node.name);
  }

  // A new primary makes all copies in sync like its own.
  std::string Reconcile(bool& serves) {
    const ShardEntry& now = shard();
    serves = now.state == ShardState::kActive && AllLive(now.isr);
    if (!serves || served_ == now.epoch) return "";
    served_ = now.epoch;
    const std::vector<int> own = DiskOf(now.primary);
    for (int id : answered_) {
      if (std::find(own.begin(), own.end(), id) == own.end()) {
        return absl::StrCat("answer ", id, " is not at copy ", now.primary, ", which leads epoch ",
                            now.epoch);
      }
    }
    for (CopyId copy : now.isr) DiskOf(copy) = own;
    return "";
  }

  // Of what is written all copies get it and it is answered, or some get it and the primary dies.
  std::string Write() {
    bool serves = false;
    if (std::string wrong = Reconcile(serves); !wrong.empty() || !serves) return wrong;
    const bool all = random_.Chance(0.8);
    ++last_;
    for (CopyId copy : shard().isr) {
      if (all || random_.Chance(0.5)) DiskOf(copy).push_back(last_);
    }
    if (all && shard().isr.size() >= state_.min_isr(kOnDisk)) answered_.push_back(last_);
    if (!all) alive_.erase(state_.FindBoot(shard().primary)->name);
    return "";
  }

  std::string CatchUp() {
    bool serves = false;
    if (std::string wrong = Reconcile(serves); !wrong.empty() || !serves) return wrong;
    for (CopyId copy : shard().learners) {
      if (!Lives(copy)) continue;
      DiskOf(copy) = DiskOf(shard().primary);
      CopySet grown = shard().isr;
      Insert(grown, copy);
      Try(AlterOf(state_, kOnDisk, grown));
      return "";
    }
    return "";
  }

  // It is begun anew; none of the disks that were thrown away can be missed.
  std::string Lost() {
    if (gone_.empty()) return "lost though no disk is gone";
    Try(Recover{kOnDisk, shard().lineage});
    if (shard().state == ShardState::kLost) return "";  // Nobody can have it now.
    ++lost_;
    answered_.clear();
    disks_.clear();
    gone_.clear();
    return "";
  }

  Random random_;
  const MembershipMutations mutations_;
  ClusterState state_;
  std::set<std::string> alive_;              // Nodes whose registered process runs.
  std::map<Id128, std::vector<int>> disks_;  // What each storage has of the shard.
  std::set<Id128> gone_;
  std::vector<int> answered_;
  Epoch served_ = 0;
  uint64_t nonces_ = 1000;
  int last_ = 0, renamed_ = 0, lost_ = 0;
};

std::string Walk(const MembershipMutations& mutations, uint64_t seeds, std::vector<int>* seen) {
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    World world(seed, mutations);
    for (int i = 0; i < 600; ++i) {
      if (std::string wrong = world.Step(); !wrong.empty()) {
        return absl::StrCat("seed ", seed, ", step ", i, ": ", wrong);
      }
    }
    if (seen != nullptr) {
      (*seen)[0] += world.answered();
      (*seen)[1] += world.renamed();
      (*seen)[2] += world.lost();
    }
  }
  return "";
}

TEST(DurableContents, AreAtEveryPrimaryThatServes) {
  std::vector<int> seen(3);
  EXPECT_EQ(Walk(kNoMembershipMutations, 400, &seen), "");
  EXPECT_GT(seen[0], 10'000) << "writes";
  EXPECT_GT(seen[1], 2'000) << "copies renamed";
  EXPECT_GT(seen[2], 20) << "shards lost with their disks";
}

TEST(DurableContents, AreFoundMissingWhenCopiesAreRenamedThoughTheirStorageIsGone) {
  MembershipMutations mutations;
  mutations.rename_any_storage = true;
  EXPECT_NE(Walk(mutations, 400, nullptr), "");
}

TEST(DurableContents, AreFoundMissingWhenElrIsNotEmptied) {
  MembershipMutations mutations;
  mutations.elr_never_emptied = true;
  EXPECT_NE(Walk(mutations, 400, nullptr), "");
}

}  // namespace
}  // namespace troupe
