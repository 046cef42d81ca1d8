// Cluster codec: what was encoded comes back; what is damaged, foreign or newer is refused.
#include "troupe/membership/cluster_codec.h"

#include "capnp/serialize.h"
#include "cluster_fixture.h"
#include "troupe/membership/limits.h"
#include "troupe/runtime/random.h"

namespace troupe {
namespace {

// The encoding of `state` after `change` has been at it.
template <typename Function>
Bytes Encoded(const ClusterState& state, Function change) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<wire::ClusterState>();
  Write(state, root);
  change(root);
  auto words = capnp::messageToFlatArray(message);
  auto bytes = std::as_bytes(std::span(words.begin(), words.size()));
  return Bytes(bytes.begin(), bytes.end());
}

TEST(ClusterCodec, RoundTrips) {
  ClusterState state = MakeCluster(4, 256);
  state.nodes[1].roles = {"voter", "gpu"};
  state.nodes[1].zone = std::string("with\0nul", 8);
  state.nodes[2].storage = Id128{3, 4};
  Bytes bytes = Encode(state);
  EXPECT_LT(bytes.size(), 64u << 10);
  absl::StatusOr<ClusterState> decoded = DecodeClusterState(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, state);
}

// As a program of before hosted types wrote it.
TEST(ClusterCodec, ReadsAValueOfBeforeTypes) {
  ClusterState state = MakeCluster(3);
  Bytes bytes = Encoded(state, [](wire::ClusterState::Builder out) {
    out.disownTypes();
    out.disownRoles();
    for (auto node : out.getNodes()) node.disownTypes();
  });
  absl::StatusOr<ClusterState> decoded = DecodeClusterState(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  state.types.clear();
  for (NodeEntry& node : state.nodes) node.types.clear();
  EXPECT_EQ(*decoded, state) << "all but the types, the copies too";
  EXPECT_TRUE(Apply(*decoded, Rejoin("d", 40, 0)).ok());
}

TEST(ClusterCodec, RefusesTypesThatNoStateHas) {
  ClusterState state = MakeCluster(3);
  using Builder = wire::ClusterState::Builder;
  auto code = [&](auto change) {
    return DecodeClusterState(Encoded(state, change)).status().code();
  };
  auto invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code([](Builder b) { b.disownTypes(); }), invalid) << "nodes host what is not there";
  EXPECT_EQ(code([](Builder b) { b.initTypes(kTypesMax + 1); }), invalid);
  EXPECT_EQ(code([](Builder b) { b.getTypes()[0].setName(""); }), invalid);
  EXPECT_EQ(code([](Builder b) { b.getTypes()[0].setName(std::string(300, 'n')); }), invalid);
  EXPECT_EQ(code([](Builder b) { b.getNodes()[1].initTypes(kTypesMax + 1); }), invalid);
  EXPECT_EQ(code([](Builder b) {
              auto types = b.getNodes()[1].initTypes(2);
              types.set(0, 77);
              types.set(1, 77);
            }),
            invalid);
  EXPECT_EQ(code([](Builder b) {
              auto types = b.initTypes(2);
              types[0].setId(77);
              types[1].setId(3);
              types[0].setName("Thing");
              types[1].setName("Other");
            }),
            invalid)
      << "not sorted";
}

TEST(ClusterCodec, SaysThatAFormatIsNewerAndStillReadsTheHeader) {
  ClusterState state = MakeCluster(3);
  Bytes bytes = Encoded(state, [](wire::ClusterState::Builder out) {
    out.setFormat(kClusterFormat + 1);
    out.disownShards();
  });
  EXPECT_EQ(DecodeClusterState(bytes).status().code(), absl::StatusCode::kUnimplemented);
  absl::StatusOr<ClusterHeader> header = DecodeClusterHeader(bytes);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->format, kClusterFormat + 1);
  EXPECT_EQ(header->version, state.version);
  EXPECT_EQ(header->voters, state.voters);
}

TEST(ClusterCodec, RefusesWhatNoStateIs) {
  ClusterState state = MakeCluster(3);
  using Builder = wire::ClusterState::Builder;
  auto code = [&](auto change) {
    return DecodeClusterState(Encoded(state, change)).status().code();
  };
  auto invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code([](Builder b) { b.setVersion(0); }), invalid);
  EXPECT_EQ(code([](Builder b) { b.setVersion(2); }), invalid);  // Lower than a boot.
  EXPECT_EQ(code([](Builder b) { b.initVoters(0); }), invalid);
  EXPECT_EQ(code([](Builder b) { b.initVoters(kVotersMax + 1); }), invalid);
  EXPECT_EQ(code([](Builder b) { b.initNodes(kNodesMax + 1); }), invalid);
  EXPECT_EQ(code([](Builder b) { b.initShards(kShardsMax + 1); }), invalid);
  EXPECT_EQ(code([](Builder b) { b.getConfig().setShards(0); }), invalid);
  EXPECT_EQ(code([](Builder b) { b.getRoles()[0].setShards(5); }), invalid);
  EXPECT_EQ(code([](Builder b) { b.getRoles()[0].setMinIsr(0); }), invalid);
  EXPECT_EQ(code([](Builder b) { b.getRoles()[0].setName(""); }), invalid);
  EXPECT_EQ(code([](Builder b) { b.initRoles(kRolesMax + 1); }), invalid);
  EXPECT_EQ(code([](Builder b) { b.getTypes()[0].setRole("gpu"); }), invalid) << "has no shards";
  EXPECT_EQ(code([](Builder b) { b.getShards()[3].setPrimary(9); }), invalid);
  EXPECT_EQ(code([](Builder b) { b.getShards()[3].setEpoch(0); }), invalid);
  EXPECT_EQ(code([](Builder b) { b.getShards()[3].getIsr().set(0, 77); }), invalid);
  EXPECT_EQ(code([](Builder b) { b.getShards()[3].setState(static_cast<wire::ShardState>(9)); }),
            invalid);
  EXPECT_EQ(code([](Builder b) { b.getNodes()[1].setName("zzz"); }), invalid);
  EXPECT_EQ(code([](Builder b) { b.getNodes()[1].setBoot(1); }), invalid);
  EXPECT_EQ(code([](Builder b) { b.getNodes()[1].setZone(std::string(300, 'z')); }), invalid);
  EXPECT_EQ(code([](Builder) {}), absl::StatusCode::kOk);
}

TEST(ClusterCodec, SurvivesDamage) {
  Random random(1);
  ClusterState state = MakeCluster(3);
  ClusterState next = state;
  Do(next, FenceOf(next, "a"));
  std::vector<Bytes> good = {Encode(state), Diff(state, next),
                             Encode(Command(FenceOf(state, "a")))};
  for (int i = 0; i < 6000; ++i) {
    Bytes bytes = good[i % good.size()];
    for (uint64_t n = 1 + random.Below(3); n > 0; --n) {
      bytes[random.Below(bytes.size())] = static_cast<std::byte>(random.Below(256));
    }
    if (random.Chance(0.3)) bytes.resize(random.Below(bytes.size()));
    // Anything may come out but a crash.
    (void)DecodeClusterState(bytes);
    (void)DecodeClusterHeader(bytes);
    (void)DecodeCommand(bytes);
    (void)ApplyDiff(state, bytes);
  }
}

TEST(ClusterDiff, CarriesOnlyWhatChanged) {
  ClusterState from = MakeCluster(3, 256), to = from;
  Do(to, AlterOf(to, 17, {to.shards[17].primary}));
  Bytes diff = Diff(from, to);
  EXPECT_LT(diff.size(), 1024u);
  absl::StatusOr<ClusterState> patched = ApplyDiff(from, diff);
  ASSERT_TRUE(patched.ok()) << patched.status();
  EXPECT_EQ(*patched, to);
}

TEST(ClusterDiff, CarriesTheTypesOnlyWhenTheyChange) {
  std::vector<HostedType> types;
  for (uint64_t id = 1; id <= 200; ++id) types.push_back({id, "ATypeWithALongishName"});
  std::vector<Founder> founders = {MakeFounder("a", 1)};
  founders.front().types = types;
  const ClusterState from = Found(Id128{7, 7}, ClusterConfig{}, founders);
  ClusterState fenced = from, upgraded = from;
  Do(fenced, FenceOf(fenced, "a"));
  types.push_back({1000, "Another"});
  Register command = Rejoin("a", 40, 1);
  command.types = types;
  Do(upgraded, command);
  const Bytes without = Diff(from, fenced), with = Diff(from, upgraded);
  EXPECT_LT(without.size() + 200 * 24, with.size());
  for (const auto& [diff, to] : {std::pair(without, fenced), std::pair(with, upgraded)}) {
    absl::StatusOr<ClusterState> patched = ApplyDiff(from, diff);
    ASSERT_TRUE(patched.ok()) << patched.status();
    EXPECT_EQ(*patched, to);
  }
}

TEST(ClusterDiff, CarriesANewRoleWithItsShards) {
  const ClusterState from = MakeCluster(3, 12);
  ClusterState to = from;
  Register command = Rejoin("g", 40, 0);
  command.types.push_back({100, "Trainer", "gpu"});
  Do(to, command);
  ASSERT_EQ(to.shards.size(), 24u);
  absl::StatusOr<ClusterState> patched = ApplyDiff(from, Diff(from, to));
  ASSERT_TRUE(patched.ok()) << patched.status();
  EXPECT_EQ(*patched, to);
  absl::StatusOr<ClusterState> whole = DecodeClusterState(Encode(to));
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(*whole, to);
}

TEST(ClusterDiff, AppliesOnlyToItsBase) {
  ClusterState from = MakeCluster(3), to = from;
  Do(to, FenceOf(to, "a"));
  Bytes diff = Diff(from, to);
  EXPECT_EQ(ApplyDiff(to, diff).status().code(), absl::StatusCode::kFailedPrecondition);
  ClusterState foreign = from;
  foreign.cluster = Id128{8, 8};
  EXPECT_EQ(ApplyDiff(foreign, diff).status().code(), absl::StatusCode::kFailedPrecondition);
  ClusterState older = from;
  older.generation = 2;
  EXPECT_EQ(ApplyDiff(older, diff).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ClusterDiff, CarriesNodesThatAreGone) {
  ClusterState from = MakeCluster(4, 1), to = from;
  to.nodes.pop_back();
  to.version += 1;
  for (ShardEntry& shard : to.shards) {
    shard.isr = {1};
    shard.primary = 1;
  }
  to.roles[0].min_isr = 1;
  absl::StatusOr<ClusterState> patched = ApplyDiff(from, Diff(from, to));
  ASSERT_TRUE(patched.ok()) << patched.status();
  EXPECT_EQ(*patched, to);
}

}  // namespace
}  // namespace troupe
