// StatusReport: what is counted, and what a person and a program are shown.
#include "status_report.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace troupe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

// Three nodes, boots 1 to 3, four shards that are where they should be.
ClusterState Cluster() {
  ClusterState map;
  map.version = 7;
  map.cluster = {1, 2};
  map.config = {3, 0, 4};
  map.roles = {{kDefaultRole, 4, 2}};
  for (const char* name : {"a", "b", "c"}) {
    NodeEntry node;
    node.name = name;
    node.boot = map.nodes.size() + 1;
    node.addresses = {std::string("127.0.0.1:710") + std::to_string(node.boot)};
    node.types = {7};
    map.nodes.push_back(node);
    map.voters.push_back({name, {}});
  }
  map.types = {{7, "Counter"}};
  map.shards.resize(4);
  for (size_t i = 0; i < 4; ++i) {
    map.shards[i].primary = 1 + i % 3;
    map.shards[i].isr = {1, 2, 3};
  }
  return map;
}

NodeAnswer AnswerOf(const char* node) {
  NodeAnswer answer;
  answer.node = node;
  answer.coordinator = "b";
  answer.map_version = 7;
  answer.actors = 10;
  answer.members = {{"a", "alive"}, {"b", "alive"}, {"c", "alive"}};
  return answer;
}

std::vector<NodeAnswer> Answers() { return {AnswerOf("a"), AnswerOf("b"), AnswerOf("c")}; }

TEST(StatusReport, CountsWhatEachNodeHas) {
  auto report = MakeStatusReport(Cluster(), Answers());
  ASSERT_EQ(report.nodes.size(), 3u);
  EXPECT_EQ(report.nodes[0].primaries, 2u);
  EXPECT_EQ(report.nodes[1].primaries, 1u);
  EXPECT_EQ(report.nodes[1].copies, 4u);
  EXPECT_EQ(report.nodes[2].answer.actors, 10u);
  EXPECT_EQ(report.coordinator, "b");
  EXPECT_THAT(report.isr_sizes, ElementsAre(Pair(3, 4)));
  EXPECT_TRUE(report.healthy());
}

TEST(StatusReport, NodeWithoutAllCopiesIsNotHealthy) {
  auto map = Cluster();
  map.shards[0].isr = {1, 2};
  map.shards[0].learners = {3};
  auto report = MakeStatusReport(map, Answers());
  EXPECT_FALSE(report.healthy());
  EXPECT_EQ(report.under_replicated, 1u);
  EXPECT_EQ(report.nodes[2].learners, 1u);
  EXPECT_THAT(report.isr_sizes, ElementsAre(Pair(2, 1), Pair(3, 3)));
  EXPECT_THAT(ToTable(report, Paint::kPlain), HasSubstr("1 with too few copies"));
}

TEST(StatusReport, TwoNodesCanHaveNoMoreThanTwoCopies) {
  auto map = Cluster();
  map.nodes[2].state = NodeState::kFenced;
  for (auto& shard : map.shards) {
    shard.primary = 1;
    shard.isr = {1, 2};
  }
  auto report = MakeStatusReport(map, Answers());
  EXPECT_TRUE(report.healthy());
  EXPECT_THAT(ToTable(report, Paint::kPlain), HasSubstr("with 2 of 3 copies"));
}

TEST(StatusReport, LostShardsAndThoseWithoutAPrimaryAreSaid) {
  auto map = Cluster();
  map.shards[0].state = ShardState::kLost;
  map.shards[0].primary = 0;
  map.shards[0].isr = {};
  map.shards[1].state = ShardState::kNoPrimary;
  map.shards[1].primary = 0;
  auto report = MakeStatusReport(map, Answers());
  EXPECT_FALSE(report.healthy());
  EXPECT_THAT(ToTable(report, Paint::kPlain), HasSubstr("1 LOST, 1 without a primary"));
  EXPECT_THAT(ToJson(report), HasSubstr("\"no_primary\":1,\"lost\":1"));
}

TEST(StatusReport, WorstViewOfAMemberIsShown) {
  auto answers = Answers();
  answers[1].members["c"] = "suspect";
  auto report = MakeStatusReport(Cluster(), answers);
  EXPECT_EQ(report.nodes[2].seen, "suspect");
  EXPECT_EQ(report.nodes[0].seen, "alive");
}

TEST(StatusReport, NodeThatDoesNotAnswerIsNamedWithTheReason) {
  auto answers = Answers();
  answers[2] = NodeAnswer();
  answers[2].node = "c";
  answers[2].trouble = "connection \"refused\"";
  auto report = MakeStatusReport(Cluster(), answers);
  EXPECT_THAT(ToTable(report, Paint::kPlain),
              HasSubstr("no answer from c: connection \"refused\""));
  EXPECT_THAT(ToJson(report),
              HasSubstr("\"answered\":false,\"trouble\":\"connection \\\"refused\\\"\""));
}

// The map is as old as the last majority: it still has them all.
TEST(StatusReport, IsNotHealthyWhenThoseWhoHoldTheCopiesAreGone) {
  auto answers = Answers();
  for (size_t i : {1, 2}) {
    answers[i] = NodeAnswer();
    answers[i].node = i == 1 ? "b" : "c";
    answers[i].trouble = "connection refused";
  }
  answers[0].members["b"] = answers[0].members["c"] = "dead";
  const auto report = MakeStatusReport(Cluster(), answers);
  EXPECT_FALSE(report.healthy());
  EXPECT_TRUE(report.stands_still);
  EXPECT_THAT(
      ToTable(report, Paint::kPlain),
      HasSubstr("up by the map, but not there: b c; without a majority of the voters nothing "
                "is decided"));
}

TEST(StatusReport, SuspendedActorsAreCountedAndNamed) {
  auto answers = Answers();
  EXPECT_THAT(ToTable(MakeStatusReport(Cluster(), answers), Paint::kPlain),
              Not(HasSubstr("suspended")));
  answers[1].suspended = 20;
  answers[1].suspended_actors = {"Counter/x: a timer failed: \"why\""};
  const auto report = MakeStatusReport(Cluster(), answers);
  const std::string table = ToTable(report, Paint::kPlain);
  EXPECT_THAT(table, HasSubstr("suspended actors: 20 (mend what each says; troupe resume "));
  EXPECT_THAT(table, HasSubstr("  Counter/x: a timer failed: \"why\", on b\n  ...\n"));
  EXPECT_THAT(ToJson(report), HasSubstr("\"suspended\":20,\"suspended_actors\":"
                                        "[\"Counter/x: a timer failed: \\\"why\\\"\"]"));
}

TEST(StatusReport, ShowsWhatNodesHostAndWhatNoNodeHostsAnyMore) {
  auto map = Cluster();
  map.types = {{7, "Counter"}, {8, "Word"}, {9, "Old"}};
  map.nodes[1].types = {7, 8};
  map.nodes[2].types = {};
  for (auto& shard : map.shards) {
    shard.isr = {1, 2};
    shard.primary = 2;
  }
  const auto report = MakeStatusReport(map, Answers());
  EXPECT_TRUE(report.healthy()) << "two can hold copies";
  const std::string table = ToTable(report, Paint::kPlain);
  EXPECT_THAT(table, HasSubstr("types    Counter, Word; hosted by no node now: Old\n"));
  EXPECT_THAT(table, testing::ContainsRegex("\na .* Counter +0 "));
  EXPECT_THAT(table, testing::ContainsRegex("\nb .* all +4 "));
  EXPECT_THAT(table, testing::ContainsRegex("\nc .* none +0 "));
  EXPECT_THAT(table, HasSubstr("with 2 of 3 copies: no more nodes that could hold them are up"));
  EXPECT_THAT(ToJson(report), HasSubstr("\"types\":[\"Counter\",\"Word\"],\"primaries\":4"));
}

TEST(StatusReport, CountsTheCopiesOfEachRoleByItself) {
  auto map = Cluster();
  map.types = {{7, "Counter"}, {9, "Trainer", "gpu"}};
  map.nodes[2].types = {7, 9};
  map.roles.push_back({"gpu", 1, 1});
  map.shards.emplace_back();
  map.shards[4].primary = 3;
  map.shards[4].isr = {3};
  auto report = MakeStatusReport(map, Answers());
  EXPECT_TRUE(report.healthy()) << "one node has the role";
  const std::string table = ToTable(report, Paint::kPlain);
  EXPECT_THAT(table, HasSubstr("role     default: 4 shards, at least 2 to answer\n"
                               "role     gpu: 1 shards, at least 1 to answer\n"));
  EXPECT_THAT(table, HasSubstr("with 1 of 3 copies: no more nodes that could hold them are up"));
  EXPECT_THAT(
      ToJson(report),
      HasSubstr("\"roles\":[{\"name\":\"default\",\"shards\":4,\"min_isr\":2,\"durable\":false},"));
  map.nodes[1].types = {7, 9};
  EXPECT_FALSE(MakeStatusReport(map, Answers()).healthy());
}

TEST(StatusReport, ShowsWhichShardsAreOnDisk) {
  auto map = Cluster();
  map.types = {{7, "Ledger", kDefaultRole, true}};
  map.roles = {{kDefaultRole, 4, 2, true}};
  const auto report = MakeStatusReport(map, Answers());
  EXPECT_THAT(ToTable(report, Paint::kPlain),
              HasSubstr("role     default, on disk: 4 shards, at least 2 to answer\n"));
  EXPECT_THAT(ToJson(report), HasSubstr("\"min_isr\":2,\"durable\":true}"));
  EXPECT_THAT(ToJson(report), HasSubstr("\"role\":\"default\",\"durable\":true}"));
}

TEST(StatusReport, NodesThatLeftAreNotShown) {
  auto map = Cluster();
  map.nodes[1].state = NodeState::kLeft;
  EXPECT_EQ(MakeStatusReport(map, Answers()).nodes.size(), 2u);
}

TEST(StatusReport, JsonIsOneLineAndPlainTextHasNoColours) {
  auto report = MakeStatusReport(Cluster(), Answers());
  const std::string json = ToJson(report);
  EXPECT_EQ(json.find('\n'), json.size() - 1);
  EXPECT_THAT(
      json,
      HasSubstr(
          "\"coordinator\":\"b\",\"voters\":[\"a\",\"b\",\"c\"],"
          "\"healthy\":true,\"nodes_up\":3,\"hosts_up\":3,\"types\":[{\"id\":"
          "\"0x0000000000000007\",\"name\":\"Counter\",\"role\":\"default\",\"durable\":false}],"
          "\"actors\":30"));
  EXPECT_THAT(ToTable(report, Paint::kPlain), Not(HasSubstr("\x1b")));
  EXPECT_THAT(ToTable(report, Paint::kColours), HasSubstr("\x1b[32mup"));
}

TEST(StatusReport, EmptyClusterIsShownToo) {
  EXPECT_THAT(ToTable(MakeStatusReport(ClusterState(), {}), Paint::kPlain),
              HasSubstr("nobody now"));
  EXPECT_THAT(ToJson(MakeStatusReport(ClusterState(), {})), HasSubstr("\"nodes\":[]}"));
}

}  // namespace
}  // namespace troupe
