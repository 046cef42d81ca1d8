// Membership under a nemesis: processes die, stand still, are cut off and come back at random; all
// maps that anybody is told form one history, and what is healed is whole again in bounded time.
#include <algorithm>

#include "membership_world.h"

namespace troupe {
namespace {

using Names = std::vector<std::string>;

class MembershipNemesis : public testing::TestWithParam<uint64_t> {};

INSTANTIATE_TEST_SUITE_P(Seed, MembershipNemesis, testing::ValuesIn(SeedsOr(1, 6)));

class Nemesis {
 public:
  // At most `down_max` nodes are dead or cut off at a time.
  Nemesis(MembershipWorld& world, Names names, size_t down_max)
      : world_(world), names_(std::move(names)), down_max_(down_max) {}

  void Step() {
    Random& random = world_.world().random();
    const std::string name = names_[random.Below(names_.size())];
    const bool up = !dead_.contains(name) && !cut_.contains(name) && !paused_.contains(name);
    const bool may = dead_.size() + cut_.size() + paused_.size() < down_max_;
    switch (random.Below(6)) {
      case 0:
        if (up && may) Kill(name);
        break;
      case 1:
        if (up && may) {  // Faster than anybody notices.
          world_.Kill(name);
          world_.Restart(name);
          WaitUntilSafe();
        }
        break;
      case 2:
        if (up && may) {
          world_.world().Isolate(name);
          cut_.insert(name);
        }
        break;
      case 3:
        if (up && may) {
          world_.world().Pause(name);
          paused_.insert(name);
        }
        break;
      default:
        Heal(name);
    }
  }
  void HealAll() {
    for (const auto& name : names_) Heal(name);
  }

 private:
  void Kill(const std::string& name) {
    world_.Kill(name);
    dead_.insert(name);
  }
  // A voter in memory that restarts has forgotten: one at a time, or a majority forgets.
  void WaitUntilSafe() {
    if (world_.disks() == Disks::kKept) return;
    Names up = names_;
    std::erase_if(up, [this](const std::string& name) {
      return dead_.contains(name) || cut_.contains(name) || paused_.contains(name);
    });
    EXPECT_TRUE(
        world_.Until([&] { return world_.Formed(up) && VotersLive(up); }, absl::Seconds(60)))
        << world_.Log();
  }
  bool VotersLive(const Names& up) {
    const auto map = world_[up[0]].map();
    if (!map->pending.empty()) return false;
    for (const auto& voter : map->voters) {
      const NodeEntry* entry = map->FindNode(voter.node);
      if (entry == nullptr || entry->nonce != voter.id) return false;
    }
    return true;
  }
  void Heal(const std::string& name) {
    if (dead_.erase(name) != 0) {
      world_.Restart(name);
      WaitUntilSafe();
    }
    if (paused_.erase(name) != 0) world_.world().Resume(name);
    if (cut_.erase(name) == 0) return;
    for (const auto& other : names_) {
      if (!cut_.contains(other)) world_.world().Heal(name, other);
    }
  }

  MembershipWorld& world_;
  const Names names_;
  const size_t down_max_;
  std::set<std::string> dead_, cut_, paused_;
};

void Torment(MembershipWorld& world, const Names& names, size_t down_max) {
  world.AddMachines(names);
  for (const auto& name : names) {
    world.Start(name, world.OptionsOf(name, names, static_cast<uint32_t>(names.size())));
  }
  ASSERT_TRUE(world.Until([&] { return world.Formed(names); }, absl::Seconds(10))) << world.Log();
  world.world().RunFor(absl::Seconds(2));
  Nemesis nemesis(world, names, down_max);
  Random& random = world.world().random();
  for (int i = 0; i < 40; ++i) {
    nemesis.Step();
    world.world().RunFor(absl::Milliseconds(20) + absl::Seconds(3) * random.Unit() * random.Unit());
  }
  nemesis.HealAll();
  const size_t voters = names.size() >= 5 ? 5 : 3;
  EXPECT_TRUE(world.Until([&] { return world.Formed(names) && world.Voters(names[0]) == voters; },
                          absl::Seconds(120)))
      << world.Log();
}

// Founding while everything fails: at most one cluster comes of it, and in the end one does.
void FoundUnderFire(MembershipWorld& world) {
  const Names names = {"a", "b", "c"};
  world.AddMachines(names);
  for (const auto& name : names) world.Start(name, world.OptionsOf(name, names, 3));
  Random& random = world.world().random();
  std::set<std::string> cut;
  auto founded = [&] {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return world[name].map() != nullptr; });
  };
  for (int i = 0; i < 30; ++i) {
    world.world().RunFor(absl::Milliseconds(random.Chance(0.5) ? 5 : 700) * random.Unit());
    const std::string name = names[random.Below(3)];
    // What is founded in memory alone must not be forgotten by most.
    if (random.Chance(0.5)) {
      if (world.disks() == Disks::kNone && founded()) continue;
      world.Kill(name);
      world.world().RunFor(absl::Milliseconds(500) * random.Unit());
      world.Restart(name);
    } else if (cut.erase(name) != 0) {
      for (const auto& other : names) {
        if (!cut.contains(other)) world.world().Heal(name, other);
      }
    } else if (cut.empty()) {
      world.world().Isolate(name);
      cut.insert(name);
    }
  }
  world.world().HealAll();
  EXPECT_TRUE(world.Until([&] { return world.Formed(names); }, absl::Seconds(60))) << world.Log();
}

TEST_P(MembershipNemesis, FoundsOneClusterInMemory) {
  MembershipWorld world(GetParam());
  FoundUnderFire(world);
}

TEST_P(MembershipNemesis, FoundsOneClusterOnDisks) {
  MembershipWorld world(GetParam(), {}, Disks::kKept);
  FoundUnderFire(world);
}

TEST_P(MembershipNemesis, LeavesOneHistoryAndAWholeClusterOfFive) {
  MembershipWorld world(GetParam());
  Torment(world, {"a", "b", "c", "d", "e"}, 1);
}

TEST_P(MembershipNemesis, LeavesOneHistoryAndAWholeClusterOnDisks) {
  MembershipWorld world(GetParam(), {}, Disks::kKept);
  Torment(world, {"a", "b", "c"}, 3);
}

TEST_P(MembershipNemesis, LossAndReorderingChangeNothing) {
  SimOptions options;
  options.link.loss = 0.05;
  options.link.duplicate = 0.05;
  options.link.reorder = 0.05;
  MembershipWorld world(GetParam(), options);
  Torment(world, {"a", "b", "c", "d", "e"}, 1);
}

}  // namespace
}  // namespace troupe
