// Durable shards: groups of their own, and copies that go on under the next run of their node.
#include <algorithm>
#include <set>

#include "capnp/message.h"
#include "durable_fixture.h"
#include "gmock/gmock.h"
#include "troupe/membership/cluster_codec.h"
#include "troupe/membership/hosted_types.h"
#include "troupe/membership/limits.h"
#include "troupe/membership/recovery.h"
#include "troupe/runtime/random.h"

namespace troupe {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kDenied = absl::StatusCode::kPermissionDenied;
constexpr auto kRefused = absl::StatusCode::kFailedPrecondition;
const HostedType kArchive{91, "Archive", "disk", true}, kIndex{92, "Index", "disk"};

std::string WhyNot(const ClusterState& state, const Command& command) {
  const absl::Status status = Apply(state, command).status();
  EXPECT_EQ(status.code(), kInvalid) << status;
  return std::string(status.message());
}

// The one durable shard of a, b and c (copies 1, 2, 3), led by the given copy.
constexpr ShardId kOnDisk = 1;
ClusterState OneDurable(CopyId primary) {
  ClusterState state = DurableCluster(3);
  state.shards[kOnDisk].isr = {1, 2, 3};
  state.shards[kOnDisk].primary = primary;
  return state;
}
const ShardEntry& OnDisk(const ClusterState& state) { return state.shards[kOnDisk]; }

// ---- Groups

TEST(DurableGroups, OfFoundersStandBehindTheRolesOtherShards) {
  const ClusterState state = DurableCluster(3, 4, 3, {kThing, kLedger, kArchive, kIndex});
  ASSERT_TRUE(Validate(state).ok()) << Validate(state);
  ASSERT_EQ(state.roles.size(), 4u);
  EXPECT_EQ(state.roles[0], (RoleEntry{"default", 4, 2, false}));
  EXPECT_EQ(state.roles[1], (RoleEntry{"default", 4, 2, true}));
  EXPECT_EQ(state.roles[2], (RoleEntry{"disk", 4, 2, false}));
  EXPECT_EQ(state.roles[3], (RoleEntry{"disk", 4, 2, true}));
  EXPECT_EQ(state.RoleOfType(kThing.id), 0u);
  EXPECT_EQ(state.RoleOfType(kLedger.id), 1u);
  EXPECT_EQ(state.RoleOfType(kArchive.id), 3u);
  EXPECT_FALSE(state.IsDurable(3));
  EXPECT_TRUE(state.IsDurable(4));
  EXPECT_EQ(Describe(state.roles[3]), "disk, on disk");
}

TEST(DurableGroups, AreAppendedWithTheFormatByTheFirstNodeThatHostsATypeOfThem) {
  ClusterState state = MakeCluster(3, 4);
  EXPECT_EQ(state.format, 1u);
  Do(state, Rejoin("d", 40, 0));
  EXPECT_EQ(state.format, 1u);
  Do(state, Restart(state, "e", 41));
  EXPECT_EQ(state.format, kDurableFormat);
  ASSERT_EQ(state.shards.size(), 8u);
  for (ShardId id = 4; id < 8; ++id) EXPECT_THAT(state.shards[id].isr, ElementsAre(5));
  EXPECT_TRUE(Validate(state).ok()) << Validate(state);
  Do(state, FenceOf(state, "e"));
  EXPECT_EQ(state.format, kDurableFormat) << "never falls";
}

TEST(DurableGroups, KeepToNodesThatHostDurableTypes) {
  ClusterState state = DurableCluster(2, 4);
  Do(state, Joining("c", {kThing}));
  Repair(state);
  for (ShardId id = 0; id < 4; ++id) EXPECT_THAT(state.shards[id].isr, ElementsAre(1, 2, 3));
  for (ShardId id = 4; id < 8; ++id) EXPECT_THAT(state.shards[id].isr, ElementsAre(1, 2));
  EXPECT_EQ(state.min_isr(0), 2u);
  EXPECT_EQ(state.min_isr(4), 1u) << "of the group's own hosts";
  const absl::Status refused = Apply(state, AddLearner{4, state.shards[4].epoch, 3}).status();
  EXPECT_EQ(refused.code(), kRefused);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("no types of role default, on disk"));
}

TEST(DurableGroups, AreComparedApartFromTheOthersOfTheRole) {
  const HostedType other{94, "Other"}, more{95, "More", kDefaultRole, true};
  const ClusterState state = DurableCluster(1, 4, 3, {kThing, other, kLedger});
  EXPECT_EQ(CodeOf(state, Restart(state, "x", 40, {kThing, kLedger, more})), absl::StatusCode::kOk);
  EXPECT_THAT(WhyNot(state, Restart(state, "x", 40, {kThing, more})),
              AllOf(HasSubstr("hosts More (on disk), Thing"), HasSubstr("Ledger (on disk)"),
                    HasSubstr("durable types apart")));
}

TEST(DurableGroups, CountAmongTheRolesThatThereMayBe) {
  const ClusterState state = MakeCluster(1);
  Types types;
  for (uint64_t i = 1; 2 * i < kRolesMax; ++i) {
    types.push_back({100 + 2 * i, "T", absl::StrCat("r", i)});
    types.push_back({101 + 2 * i, "T", absl::StrCat("r", i), true});
  }
  types.push_back({500, "T", kDefaultRole, true});
  EXPECT_EQ(CodeOf(state, Restart(state, "x", 40, types)), absl::StatusCode::kOk);
  types.push_back({501, "T", "one-more", true});
  EXPECT_THAT(WhyNot(state, Restart(state, "x", 40, types)),
              AllOf(HasSubstr("would be 33"),
                    HasSubstr("groups of shards (of a role's durable types, and ")));
}

TEST(DurableTypes, StayDurable) {
  ClusterState state = DurableCluster(2);
  HostedType ledger = kLedger, thing = kThing;
  ledger.durable = false;
  thing.durable = true;
  EXPECT_THAT(WhyNot(state, Restart(state, "x", 40, {kThing, ledger})),
              AllOf(HasSubstr("node x keeps Ledger in memory"),
                    HasSubstr("its actors are in shards that are kept on disk"),
                    HasSubstr("a type is durable for good or never")));
  EXPECT_THAT(WhyNot(state, Restart(state, "x", 40, {thing, kLedger})),
              HasSubstr("keeps Thing on disk"));
  for (const char* node : {"a", "b"}) Do(state, FenceOf(state, node));
  EXPECT_EQ(CodeOf(state, Restart(state, "a", 40, {kThing, ledger})), kInvalid);
}

TEST(DurableTypes, NeedStorage) {
  const ClusterState state = DurableCluster(2);
  Register command = Restart(state, "x", 40);
  command.storage = {};
  EXPECT_THAT(WhyNot(state, command),
              AllOf(HasSubstr("node x hosts Ledger (on disk), but has no data directory"),
                    HasSubstr("start it with --data-dir")));
  command.types = {kThing};
  EXPECT_EQ(CodeOf(state, command), absl::StatusCode::kOk);
}

// ---- The wire

TEST(DurableCodec, CarriesGroupsAndTypes) {
  const ClusterState from = MakeCluster(3, 4);
  ClusterState to = from;
  const Register command = Restart(to, "d", 40, {kThing, kLedger, kArchive});
  Do(to, command);
  absl::StatusOr<ClusterState> whole = DecodeClusterState(Encode(to));
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(*whole, to);
  absl::StatusOr<Command> decoded = DecodeCommand(Encode(Command(command)));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(std::get<Register>(*decoded).types, command.types);
  EXPECT_EQ(ApplyDiff(from, Diff(from, to)).status().code(), kRefused)
      << "a difference is within one format: the whole value is asked for";
  ClusterState later = to;
  Do(later, FenceOf(later, "a"));
  absl::StatusOr<ClusterState> patched = ApplyDiff(to, Diff(to, later));
  ASSERT_TRUE(patched.ok()) << patched.status();
  EXPECT_EQ(*patched, later);
}

TEST(DurableCodec, RefusesADurableGroupInAnOlderFormat) {
  ClusterState state = DurableCluster(3);
  state.format = 1;
  EXPECT_EQ(DecodeClusterState(Encode(state)).status().code(), kInvalid);
}

TEST(DurableCodec, GivesOlderCoordinatorsNoRegisterThatTheyWouldReadWrong) {
  const auto kind = [](const Register& command) {
    capnp::MallocMessageBuilder message;
    auto out = message.initRoot<wire::Command>();
    Write(Command(command), out);
    return out.asReader().which();
  };
  const ClusterState state = DurableCluster(1);
  EXPECT_EQ(kind(Restart(state, "x", 40)), wire::Command::REGISTER_DURABLE);
  EXPECT_EQ(kind(Restart(state, "x", 40, {kThing})), wire::Command::REGISTER);
}

// ---- Renaming

TEST(Renaming, GivesTheNextRunThePlaceInSyncInANewEpoch) {
  ClusterState state = OneDurable(1);
  Do(state, Restart(state, "b", 50));
  const CopyId b = BootOf(state, "b");
  EXPECT_THAT(OnDisk(state).isr, ElementsAre(1, 3, b));
  EXPECT_THAT(OnDisk(state).elr, IsEmpty());
  EXPECT_EQ(OnDisk(state).primary, 1u) << "it lives";
  EXPECT_EQ(OnDisk(state).epoch, 2u) << "what was under way to b is in doubt";
  EXPECT_EQ(OnDisk(state).isr_version, 2u);
  EXPECT_EQ(OnDisk(state).no_wait, 2u);
  EXPECT_THAT(state.shards[0].isr, ElementsAre(1, 3)) << "what was in memory is gone";
  EXPECT_TRUE(Validate(state).ok()) << Validate(state);
}

TEST(Renaming, LeavesTheLeadWithTheNode) {
  ClusterState state = OneDurable(1);
  Do(state, Restart(state, "a", 50));
  const CopyId a = BootOf(state, "a");
  EXPECT_THAT(OnDisk(state).isr, ElementsAre(2, 3, a));
  EXPECT_EQ(OnDisk(state).primary, a);
  EXPECT_EQ(OnDisk(state).epoch, 2u);
  EXPECT_EQ(OnDisk(state).no_wait, 1u);
}

TEST(Renaming, LeavesTheLeadToAnotherIfTheNextRunHostsNothingOfIt) {
  ClusterState state = OneDurable(1);
  Do(state, Restart(state, "a", 50, {kThing}));
  EXPECT_TRUE(Contains(OnDisk(state).isr, BootOf(state, "a"))) << "its disk has it all the same";
  EXPECT_NE(OnDisk(state).primary, BootOf(state, "a"));
  EXPECT_EQ(OnDisk(state).state, ShardState::kActive);
}

TEST(Renaming, OfAnElectableCopyLeavesTheEpoch) {
  ClusterState state = OneDurable(1);
  Do(state, FenceOf(state, "b"));
  Do(state, FenceOf(state, "c"));
  ASSERT_THAT(OnDisk(state).isr, ElementsAre(1));
  ASSERT_THAT(OnDisk(state).elr, ElementsAre(3));
  const ShardEntry before = OnDisk(state);
  Do(state, Restart(state, "c", 50));
  EXPECT_THAT(OnDisk(state).elr, ElementsAre(BootOf(state, "c")));
  EXPECT_EQ(OnDisk(state).epoch, before.epoch);
  EXPECT_EQ(OnDisk(state).isr_version, before.isr_version);
  Do(state, FenceOf(state, "a"));
  EXPECT_EQ(OnDisk(state).primary, BootOf(state, "c")) << "it has all that was answered";
}

TEST(Renaming, ElectsTheCopyThatAShardWaitsFor) {
  ClusterState state = OneDurable(1);
  for (const char* node : {"a", "b", "c"}) Do(state, FenceOf(state, node));
  ASSERT_EQ(OnDisk(state).state, ShardState::kNoPrimary);
  ASSERT_THAT(OnDisk(state).isr, ElementsAre(3));
  ASSERT_THAT(OnDisk(state).elr, ElementsAre(2));
  const Epoch epoch = OnDisk(state).epoch;
  Do(state, Restart(state, "a", 50));
  EXPECT_EQ(OnDisk(state).state, ShardState::kNoPrimary) << "a was without the others' last word";
  Do(state, Restart(state, "c", 51));
  EXPECT_EQ(OnDisk(state).state, ShardState::kActive);
  EXPECT_EQ(OnDisk(state).primary, BootOf(state, "c"));
  EXPECT_EQ(OnDisk(state).epoch, epoch + 1);
}

TEST(Renaming, IsNotForLearners) {
  ClusterState state = DurableCluster(2, 1);
  Do(state, Restart(state, "c", 40));
  Do(state, AddLearner{kOnDisk, 1, BootOf(state, "c")});
  const uint64_t isr_version = OnDisk(state).isr_version;
  Do(state, Restart(state, "c", 41));
  EXPECT_THAT(OnDisk(state).learners, IsEmpty());
  EXPECT_EQ(OnDisk(state).isr_version, isr_version + 1) << "who was to add it fails for ever";
  EXPECT_TRUE(Do(state, AddLearner{kOnDisk, 1, BootOf(state, "c")}));
}

TEST(Renaming, IsNotForAnotherStorage) {
  ClusterState state = OneDurable(1);
  Register command = Restart(state, "b", 50);
  command.storage = Id128{6, 6};
  Do(state, command);
  EXPECT_THAT(OnDisk(state).isr, ElementsAre(1, 3));
  EXPECT_EQ(OnDisk(state).epoch, 1u);
}

TEST(Renaming, OfTheLastCopyFailsWithItsDisk) {
  ClusterState state = OneDurable(1);
  for (const char* node : {"a", "b", "c"}) Do(state, FenceOf(state, node));
  for (const char* node : {"b", "c"}) {
    Register command = Restart(state, node, 50 + node[0]);
    command.storage = Id128{6, static_cast<uint64_t>(node[0])};
    Do(state, command);
  }
  EXPECT_EQ(OnDisk(state).state, ShardState::kLost);
}

TEST(Renaming, NeedsTheDataLock) {
  ClusterState state = OneDurable(1);
  Register command = Restart(state, "b", 50);
  command.holds_data_lock = false;
  EXPECT_EQ(CodeOf(state, command), kDenied);
  Do(state, FenceOf(state, "b"));
  EXPECT_EQ(CodeOf(state, command), kDenied) << "nor is the storage of a fenced process taken over";
  command.storage = Id128{6, 6};
  EXPECT_EQ(CodeOf(state, command), absl::StatusCode::kOk);
}

TEST(Renaming, IsNotForAnotherName) {
  ClusterState state = OneDurable(1);
  Register command = Restart(state, "z", 50);
  command.storage = StorageOf("b");
  EXPECT_EQ(CodeOf(state, command), kRefused) << "b is UP and has it";
  Do(state, FenceOf(state, "b"));
  Do(state, command);
  EXPECT_FALSE(Contains(OnDisk(state).isr, BootOf(state, "z")));
}

TEST(Renaming, MakesWhatWasUnderWayFail) {
  const ClusterState before = OneDurable(1);
  ClusterState state = before;
  Do(state, Restart(state, "b", 50));
  EXPECT_EQ(CodeOf(state, AlterOf(before, kOnDisk, {1, 2})), kRefused);
  EXPECT_EQ(CodeOf(state, MovePrimary{kOnDisk, 1, 1, 1, 2}), kRefused);
  EXPECT_EQ(CodeOf(state, FenceOf(before, "b")), kRefused) << "of the run before";
  EXPECT_EQ(CodeOf(state, DeclareLost{kOnDisk, 1, 1}), kRefused);
}

TEST(Renaming, BringsAllBackWhenAllAreKilledAtOnce) {
  ClusterState state = DurableCluster(3, 8);
  uint64_t nonce = 50;
  for (const char* node : {"b", "a", "c"}) Do(state, Restart(state, node, ++nonce));
  for (ShardId id = 0; id < state.shards.size(); ++id) {
    const ShardEntry& shard = state.shards[id];
    if (!state.IsDurable(id)) {
      EXPECT_EQ(shard.state, ShardState::kLost) << id;
      continue;
    }
    EXPECT_EQ(shard.state, ShardState::kActive) << id;
    EXPECT_EQ(shard.isr.size(), 3u) << id;
  }
}

// Nodes are killed and come back in any order, with fences when somebody is there to see it.
TEST(Renaming, LosesNothingHoweverNodesAreKilledAndComeBack) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const size_t nodes = 1 + random.Below(5);
    ClusterState state = DurableCluster(nodes, 4, 1 + random.Below(3));
    std::set<std::string> dead;
    uint64_t nonce = 100;
    const auto restart = [&](const std::string& node) {
      Do(state, Restart(state, node, ++nonce));
      dead.erase(node);
    };
    for (int step = 0; step < 60; ++step) {
      const std::string node(1, static_cast<char>('a' + random.Below(nodes)));
      if (!dead.contains(node)) {
        dead.insert(node);
      } else if (random.Chance(0.5)) {
        if (state.FindNode(node)->state == NodeState::kUp) Do(state, FenceOf(state, node));
      } else {
        restart(node);
      }
      if (dead.empty() && random.Chance(0.5)) Repair(state);
      ASSERT_TRUE(Validate(state).ok()) << Validate(state);
    }
    for (const std::string& node : std::set(dead)) restart(node);
    for (ShardId id = 0; id < state.shards.size(); ++id) {
      if (!state.IsDurable(id)) continue;
      ASSERT_EQ(state.shards[id].state, ShardState::kActive) << id;
      for (CopyId copy : state.shards[id].isr) ASSERT_TRUE(state.IsUp(copy));
    }
  }
}

// ---- The next generation of the register

Remains RemainsOf(const ClusterState& map, const std::string& node, const Id128& nonce) {
  return {node, nonce, std::make_shared<const ClusterState>(map), {}, map.FindNode(node)->storage};
}
Founder FounderOf(const ClusterState& map, const std::string& node, const Id128& nonce) {
  const NodeEntry& entry = *map.FindNode(node);
  return {entry.name,  nonce,         entry.addresses,  entry.zone,
          entry.roles, entry.storage, {kThing, kLedger}};
}

TEST(NextGeneration, KeepsDurableCopiesOnTheDiskOfAFounderThatWasRestarted) {
  const ClusterState before = DurableCluster(3, 4);
  const Id128 nonce{9, 9};
  auto next =
      NextGeneration(before, 2, FounderOf(before, "c", nonce), {{RemainsOf(before, "c", nonce)}});
  ASSERT_TRUE(next.ok()) << next.status();
  for (ShardId id = 0; id < 8; ++id) {
    const ShardEntry& shard = next->shards[id];
    if (!next->IsDurable(id)) {
      EXPECT_EQ(shard.state, ShardState::kLost);
      continue;
    }
    EXPECT_THAT(shard.isr, ElementsAre(BootOf(*next, "c")));
    EXPECT_EQ(shard.primary, BootOf(*next, "c"));
    EXPECT_GT(shard.epoch, before.shards[id].epoch + (1u << 15)) << "no disk has promised so much";
  }
}

TEST(NextGeneration, KeepsThoseOfOtherSurvivorsUntilTheyRegister) {
  const ClusterState before = DurableCluster(3, 4, 1);
  const Id128 b{9, 8}, c{9, 9};
  auto next = NextGeneration(before, 2, FounderOf(before, "c", c),
                             {{RemainsOf(before, "c", c), RemainsOf(before, "b", b)}});
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->FindNode("b")->state, NodeState::kFenced);
  EXPECT_EQ(next->FindNode("a")->state, NodeState::kLeft);
  Do(*next, Restart(*next, "b", 60));
  for (ShardId id = 4; id < 8; ++id) {
    const bool gone = before.shards[id].primary == 1;
    EXPECT_EQ(next->shards[id].state, gone ? ShardState::kLost : ShardState::kActive) << id;
  }
}

}  // namespace
}  // namespace troupe
