// Settings: where a value comes from, and what is said of one that cannot be.
#include "troupe/actors/settings.h"

#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "troupe/actors/node_settings.h"

namespace troupe {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Lt;
using testing::SizeIs;
using Words = std::vector<std::string>;

const NodeDefaults kDefaults{"node-abc", 4};

// What a node would be told, by all three sources; the file is "a.toml".
absl::StatusOr<Settings> Given(Words flags, Words environment = {}, std::string file = "") {
  if (!file.empty()) flags.insert(flags.begin(), "--config=a.toml");
  return Settings::Read(NodeSettingTable(kDefaults),
                        {std::move(flags), std::move(environment),
                         [file](const std::string& path) -> absl::StatusOr<std::string> {
                           if (path == "a.toml") return file;
                           return absl::NotFoundError("cannot read " + path);
                         }});
}

absl::StatusOr<NodeSettings> NodeGiven(Words flags, Words environment = {}, std::string file = "") {
  auto settings = Given(std::move(flags), std::move(environment), std::move(file));
  if (!settings.ok()) return settings.status();
  return ToNodeSettings(*settings);
}

std::string Complaint(Words flags, Words environment = {}, std::string file = "") {
  auto node = NodeGiven(std::move(flags), std::move(environment), std::move(file));
  return node.ok() ? "none" : std::string(node.status().message());
}

// ---- Sources

TEST(Settings, FlagCountsMoreThanEnvironmentThanFileThanDefault) {
  const Words flag = {"--listen=127.0.0.1:1"}, environment = {"TROUPE_LISTEN=127.0.0.1:2"};
  const std::string file = "listen = '127.0.0.1:3'";
  EXPECT_EQ(NodeGiven(flag, environment, file)->node.membership.listen, "127.0.0.1:1");
  EXPECT_EQ(NodeGiven({}, environment, file)->node.membership.listen, "127.0.0.1:2");
  EXPECT_EQ(NodeGiven({}, {}, file)->node.membership.listen, "127.0.0.1:3");
  EXPECT_EQ(NodeGiven({})->node.membership.listen, "127.0.0.1:7100");
}

TEST(Settings, TellWhereEachValueIsFrom) {
  auto settings = Given({"--workers", "2"}, {"TROUPE_ZONE=east"}, "\nreplicas = 5\n");
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->Find("workers").where, "flag --workers");
  EXPECT_EQ(settings->Find("zone").where, "TROUPE_ZONE");
  EXPECT_EQ(settings->Find("replicas").where, "a.toml line 2");
  EXPECT_EQ(settings->Find("shards").where, "default");
  EXPECT_EQ(settings->Find("workers").origin, SettingOrigin::kFlag);
  EXPECT_EQ(settings->Find("zone").origin, SettingOrigin::kEnvironment);
  EXPECT_EQ(settings->Find("replicas").origin, SettingOrigin::kFile);
  EXPECT_EQ(settings->Find("shards").origin, SettingOrigin::kDefault);
}

TEST(Settings, PrintListsAllAndIsAFileThatGivesTheSame) {
  auto settings = Given({"--join=a:1,b:2", "--print-config", "--trust-refused", "--scale=2.5"});
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->request(), Settings::Request::kPrint);
  const std::string printed = settings->Print();
  EXPECT_THAT(printed, HasSubstr("join = [\"a:1\", \"b:2\"]"));
  EXPECT_THAT(printed, HasSubstr("# flag --join\n"));
  auto again = Given({}, {}, printed);
  ASSERT_TRUE(again.ok()) << again.status();
  for (const auto& setting : settings->all()) {
    if (setting.info.name == "config") continue;
    EXPECT_EQ(again->List(setting.info.name), settings->List(setting.info.name));
  }
}

TEST(Settings, ValueFollowsItsFlagOrAnEqualsSign) {
  EXPECT_EQ(NodeGiven({"--name", "a"})->node.membership.node, "a");
  EXPECT_EQ(NodeGiven({"--name=a"})->node.membership.node, "a");
  EXPECT_EQ(NodeGiven({"--name=a", "--name=b"})->node.membership.node, "b");
  EXPECT_THAT(Complaint({"--name"}), AllOf(HasSubstr("--name"), HasSubstr("got nothing")));
}

TEST(Settings, SwitchNeedsNoValueAndTakesNone) {
  EXPECT_TRUE(NodeGiven({"--trust-refused"})->node.membership.trust_refused);
  EXPECT_FALSE(NodeGiven({"--trust-refused=false"})->node.membership.trust_refused);
  EXPECT_TRUE(NodeGiven({"--trust-refused", "--name=a"})->node.membership.trust_refused);
  EXPECT_TRUE(NodeGiven({}, {"TROUPE_TRUST_REFUSED=1"})->node.membership.trust_refused);
  EXPECT_TRUE(NodeGiven({}, {}, "trust-refused = true")->node.membership.trust_refused);
  EXPECT_THAT(Complaint({"--trust-refused=perhaps"}), HasSubstr("expected true or false"));
}

TEST(Settings, ListsAreSeparatedByCommasOrGivenInParts) {
  EXPECT_THAT(NodeGiven({"--join", "a:1, b:2,"})->node.membership.seeds, ElementsAre("a:1", "b:2"));
  EXPECT_THAT(NodeGiven({"--join", "a:1", "--join", "b:2"})->node.membership.seeds,
              ElementsAre("a:1", "b:2"));
  EXPECT_THAT(NodeGiven({}, {}, "join = ['a:1', 'b:2']")->node.membership.seeds,
              ElementsAre("a:1", "b:2"));
  EXPECT_THAT(NodeGiven({"--join=a:1"}, {"TROUPE_JOIN=b:2"})->node.membership.seeds,
              ElementsAre("a:1"));
  EXPECT_THAT(NodeGiven({"--join="}, {"TROUPE_JOIN=b:2"})->node.membership.seeds, IsEmpty());
}

TEST(Settings, FileIsNamedByFlagOrEnvironment) {
  EXPECT_THAT(Complaint({"--config", "b.toml"}),
              AllOf(HasSubstr("cannot read b.toml"), HasSubstr("flag --config")));
  EXPECT_THAT(Complaint({}, {"TROUPE_CONFIG=b.toml"}), HasSubstr("TROUPE_CONFIG"));
}

TEST(Settings, HelpComesBeforeAnyComplaintAndListsEverything) {
  auto settings = Given({"--nonsense", "--help"});
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->request(), Settings::Request::kHelp);
  EXPECT_THAT(settings->all(), SizeIs(Lt(40u)));
  for (const auto& setting : settings->all()) {
    EXPECT_THAT(settings->Help("x"), HasSubstr("--" + setting.info.name));
  }
}

// ---- Mistakes

TEST(Settings, UnknownNamesAreRefusedWithTheNearestKnown) {
  EXPECT_EQ(Complaint({"--lisen", "x"}), "unknown flag --lisen; the nearest known is --listen");
  EXPECT_EQ(Complaint({}, {"TROUPE_REPLICA=3"}),
            "unknown environment variable TROUPE_REPLICA; the nearest known is TROUPE_REPLICAS");
  EXPECT_EQ(Complaint({}, {}, "\ndata_dir = '/x'"),
            "a.toml line 2: unknown key \"data_dir\"; the nearest known is \"data-dir\"");
  EXPECT_THAT(Complaint({}, {"TROUPE_data-dir=x"}), HasSubstr("TROUPE_DATA_DIR"));
  EXPECT_EQ(Complaint({}, {"PATH=/bin", "TROUP=1"}), "none");
}

TEST(Settings, WordsThatAreNoFlagsAreRefused) {
  EXPECT_THAT(Complaint({"listen"}), HasSubstr("got \"listen\""));
  EXPECT_THAT(Complaint({"-x"}), HasSubstr("got \"-x\""));
  EXPECT_THAT(Complaint({"--"}), HasSubstr("got \"--\""));
}

TEST(Settings, BadValuesSayWhatWasExpectedAndWhereTheyAreFrom) {
  EXPECT_EQ(Complaint({"--workers=many"}),
            "workers: expected a number from 1 to 256, got \"many\" (flag --workers)");
  EXPECT_EQ(Complaint({}, {"TROUPE_WORKERS=257"}),
            "workers: expected a number from 1 to 256, got \"257\" (TROUPE_WORKERS)");
  EXPECT_EQ(Complaint({}, {}, "workers = -1"),
            "workers: expected a number from 1 to 256, got \"-1\" (a.toml line 1)");
  const std::map<std::string, std::string> bad = {
      {"--listen=localhost:1", "a numeric address"},
      {"--listen=unix:/x", "a numeric address"},
      {"--listen=127.0.0.1:65536", "a numeric address"},
      {"--join=a", "host:port"},
      {"--join=a:1,:2", "host:port"},
      {"--join=a:0", "host:port"},
      {"--advertise=a", "host:port"},
      {"--name=", "letters"},
      {"--name=a b", "letters"},
      {"--cluster=a/b", "letters"},
      {"--expect=0", "from 1 to 64"},
      {"--expect=3x", "from 1 to 64"},
      {"--expect=", "from 1 to 64"},
      {"--replicas=17", "from 1 to 16"},
      {"--shards=0", "from 1 to 65536"},
      {"--profile=fast", "lan-fast, lan, wan or ci"},
      {"--scale=0", "from 0.1 to 100"},
      {"--scale=nan", "from 0.1 to 100"},
      {"--scale=1x", "from 0.1 to 100"},
      {"--drain-limit=5", "such as 30s"},
      {"--gossip-secrecy=no", "required, send or accept"},
      {"--drain-limit=-5s", "such as 30s"},
      {"--log-level=loud", "debug, info, warning or error"},
  };
  for (const auto& [flag, expected] : bad)
    EXPECT_THAT(Complaint({flag}), HasSubstr(expected)) << flag;
}

TEST(Settings, BadValueHiddenByAFlagIsStillAMistake) {
  EXPECT_THAT(Complaint({"--workers=1"}, {"TROUPE_WORKERS=many"}), HasSubstr("TROUPE_WORKERS"));
}

TEST(Settings, BadFilesNameTheLine) {
  EXPECT_THAT(Complaint({}, {}, "zone = 'a'\nx = = 1"), HasSubstr("a.toml line 2: not TOML"));
  EXPECT_THAT(Complaint({}, {}, "[node]\nzone = 'a'"), HasSubstr("got a table"));
  EXPECT_THAT(Complaint({}, {}, "zone = 1979-05-27"), HasSubstr("expected text"));
}

// ---- What cannot be together

TEST(NodeSettings, OffLoopbackANodeMustBeToldThatItIsInsecure) {
  EXPECT_THAT(Complaint({"--listen=10.0.0.1:7100"}),
              AllOf(HasSubstr("--insecure"), HasSubstr("TLS"), HasSubstr("flag --listen")));
  EXPECT_THAT(Complaint({"--listen=[::]:7100", "--advertise=a:1"}), HasSubstr("--insecure"));
  EXPECT_EQ(Complaint({"--listen=10.0.0.1:7100", "--insecure"}), "none");
  for (const char* address : {"127.0.0.1:1", "127.8.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"}) {
    EXPECT_EQ(Complaint({"--listen", address}), "none") << address;
    EXPECT_TRUE(IsLoopback(address)) << address;
  }
  for (const char* address : {"0.0.0.0:1", "[::]:1", "128.0.0.1:1", "[::ffff:10.0.0.1]:1", "a:1"}) {
    EXPECT_FALSE(IsLoopback(address)) << address;
  }
}

TEST(NodeSettings, AddressThatNobodyCanDialNeedsAnother) {
  EXPECT_THAT(Complaint({"--listen=0.0.0.0:7100", "--insecure"}), HasSubstr("advertise"));
  EXPECT_EQ(Complaint({"--listen=0.0.0.0:7100", "--insecure", "--advertise=a.example:7100"}),
            "none");
  EXPECT_THAT(Complaint({"--join=10.0.0.1:7100"}), HasSubstr("cannot dial this one back"));
  EXPECT_EQ(Complaint({"--join=10.0.0.1:7100", "--advertise=10.0.0.2:7100"}), "none");
  EXPECT_EQ(Complaint({"--join=127.0.0.1:7101,some-name:7100"}), "none");
}

TEST(NodeSettings, NumbersThatContradictEachOtherAreRefused) {
  EXPECT_THAT(Complaint({"--min-isr=3", "--replicas=2"}),
              HasSubstr("at most replicas, which is 2"));
  EXPECT_EQ(Complaint({"--min-isr=2", "--replicas=2"}), "none");
}

TEST(NodeSettings, DataDirectoryBelongsToANamedNode) {
  EXPECT_THAT(Complaint({"--data-dir=/x"}), HasSubstr("setting name"));
  EXPECT_EQ(*NodeGiven({"--data-dir=/x", "--name=a"})->data_directory, "/x");
  EXPECT_FALSE(NodeGiven({})->data_directory.has_value());
}

TEST(NodeSettings, BecomeTheOptionsOfANode) {
  auto node = NodeGiven({"--name=a", "--cluster=c", "--zone=z", "--roles=x,y", "--expect=3",
                         "--workers=2", "--replicas=5", "--min-isr=3", "--shards=64",
                         "--profile=lan", "--scale=2", "--log-level=debug", "--drain-limit=1m"});
  ASSERT_TRUE(node.ok()) << node.status();
  const auto& membership = node->node.membership;
  EXPECT_EQ(membership.cluster_name, "c");
  EXPECT_EQ(membership.zone, "z");
  EXPECT_THAT(membership.roles, ElementsAre("x", "y"));
  EXPECT_EQ(membership.expect, 3u);
  EXPECT_EQ(membership.config, (ClusterConfig{5, 3, 64}));
  EXPECT_EQ(membership.swim.probe_interval, absl::Seconds(2));
  EXPECT_EQ(node->node.workers, 2u);
  EXPECT_EQ(node->log_level, LogLevel::kDebug);
  EXPECT_EQ(node->drain_limit, absl::Minutes(1));
}

TEST(NodeSettings, DefaultsAreAllCoresButOneAndADrawnName) {
  EXPECT_EQ(NodeGiven({})->node.workers, 3u);
  EXPECT_EQ(NodeGiven({})->node.membership.node, "node-abc");
  auto small = Settings::Read(NodeSettingTable({"x", 1}), {});
  EXPECT_EQ(small->Text("workers"), "1");
}

}  // namespace
}  // namespace troupe
