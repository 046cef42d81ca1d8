// Swim, together: clusters of machines on a simulated network, from one seed each.
//
// Every node is one Swim; datagrams take 0.1 to 2 ms and can be lost, links 1 ms. A link to a
// stopped process fails at once, as a refused connection does; to one that is cut off, after a
// while.
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "troupe/membership/swim.h"

namespace troupe {
namespace {

using ::testing::IsEmpty;
using Kind = SwimNotice::Kind;

class Net {
 public:
  struct Node {
    std::unique_ptr<Swim> swim;
    bool running = false;
    int life = 0;
    absl::Time timer = absl::InfiniteFuture();
    std::vector<std::pair<absl::Time, SwimNotice>> log;
  };

  explicit Net(uint64_t seed, SwimOptions options = LanFastProfile())
      : options_(options), random_(seed) {}

  // ---- The vocabulary.
  static std::string Name(int i) { return "n" + std::to_string(1000 + i); }

  void Start(const std::string& name, std::vector<std::string> seeds, Boot boot = 0) {
    Node& node = nodes_[name];
    SwimSelf self;
    self.name = name;
    self.nonce = random_.NextId();
    self.boot = boot;
    self.rpc_address = name + ":1";
    self.gossip_address = name + ":2";
    node.swim = std::make_unique<Swim>(options_, self, random_.Fork(name), now_);
    node.running = true;
    ++node.life;
    node.log.clear();
    for (std::string& seed : seeds) seed += ":1";
    node.swim->Join(now_, std::move(seeds));
    Arm(name);
  }
  void StartAll(int count) {
    for (int i = 0; i < count; ++i) {
      Start(Name(i), i == 0 ? std::vector<std::string>() : std::vector<std::string>{Name(0)});
    }
  }
  void Kill(const std::string& name) {
    nodes_[name].running = false;
    ++nodes_[name].life;
  }
  void With(const std::string& name,
            const std::function<void(Swim&, absl::Time, SwimActions&)>& act) {
    SwimActions actions;
    act(*nodes_[name].swim, now_, actions);
    Perform(name, std::move(actions));
  }
  // The chance that a datagram from one to the other is lost; 1 also cuts their links.
  std::function<double(const std::string&, const std::string&)> loss = [](auto&, auto&) {
    return 0.0;
  };

  void Run(absl::Duration duration) {
    absl::Time end = now_ + duration;
    while (!events_.empty() && events_.begin()->first.first <= end) {
      auto event = events_.extract(events_.begin());
      now_ = std::max(now_, event.key().first);
      event.mapped()();
    }
    now_ = end;
  }
  bool RunUntil(absl::Duration limit, const std::function<bool()>& done) {
    absl::Time end = now_ + limit;
    while (now_ < end) {
      if (done()) return true;
      Run(absl::Milliseconds(10));
    }
    return done();
  }

  // Every running node takes exactly the running ones for alive.
  bool Agree() const {
    std::set<std::string> running;
    for (const auto& [name, node] : nodes_) {
      if (node.running) running.insert(name);
    }
    for (const std::string& name : running) {
      if (AliveAt(name) != running) return false;
    }
    return true;
  }
  std::set<std::string> AliveAt(const std::string& name) const {
    std::set<std::string> alive;
    for (const Member& member : nodes_.at(name).swim->Members()) {
      if (member.state == MemberState::kAlive) alive.insert(member.id.name);
    }
    return alive;
  }
  bool AllSay(const std::string& name, MemberState state) const {
    for (const auto& [other, node] : nodes_) {
      if (!node.running || other == name) continue;
      auto member = node.swim->Find(name);
      if (!member.has_value() || member->state != state) return false;
    }
    return true;
  }
  // "observer>subject" of every notice of that kind.
  std::vector<std::string> Said(Kind kind) const {
    std::vector<std::string> said;
    for (const auto& [name, node] : nodes_) {
      for (const auto& [when, notice] : node.log) {
        if (notice.kind == kind) said.push_back(name + ">" + notice.member.id.name);
      }
    }
    return said;
  }
  void ForgetLogs() {
    for (auto& [name, node] : nodes_) node.log.clear();
  }
  Node& node(const std::string& name) { return nodes_.at(name); }
  uint64_t packets() const { return packets_; }
  absl::Time now() const { return now_; }

 private:
  void At(absl::Time when, std::function<void()> what) {
    events_[{when, next_event_++}] = std::move(what);
  }

  void Arm(const std::string& name) {
    Node& node = nodes_[name];
    absl::Time due = std::max(now_, node.swim->NextDeadline());
    if (due == node.timer) return;
    node.timer = due;
    At(due, [this, name, due, life = node.life] {
      Node& node = nodes_[name];
      if (!node.running || node.life != life || node.timer != due) return;
      node.timer = absl::InfinitePast();
      SwimActions actions;
      node.swim->OnTimer(now_, actions);
      Perform(name, std::move(actions));
    });
  }

  void Perform(const std::string& name, SwimActions actions) {
    for (auto& notice : actions.notices) nodes_[name].log.emplace_back(now_, std::move(notice));
    for (auto& datagram : actions.datagrams) SendDatagram(name, std::move(datagram));
    for (auto& one : actions.push_pulls) CarryPushPull(name, one);
    for (auto& ping : actions.link_pings) CarryLinkPing(name, ping);
    Arm(name);
  }

  static std::string NodeAt(const std::string& address) {
    return address.substr(0, address.rfind(':'));
  }
  bool Cut(const std::string& a, const std::string& b) const {
    return loss(a, b) >= 1 || loss(b, a) >= 1;
  }

  void SendDatagram(const std::string& from, SwimActions::SendDatagram datagram) {
    ++packets_;
    std::string to = NodeAt(datagram.to);
    if (random_.Chance(loss(from, to))) return;
    absl::Duration latency = absl::Microseconds(100 + random_.Below(1900));
    At(now_ + latency, [this, from, to, bytes = std::move(datagram.bytes)] {
      Node& node = nodes_[to];
      if (!node.running) return;
      SwimActions actions;
      node.swim->OnDatagram(now_, from + ":2", bytes, actions);
      Perform(to, std::move(actions));
    });
  }

  void CarryPushPull(const std::string& from, const SwimActions::StartPushPull& one) {
    std::string to = NodeAt(one.address);
    auto fail = [this, from, exchange = one.exchange, life = nodes_[from].life] {
      if (nodes_[from].life != life || !nodes_[from].running) return;
      With(from, [&](Swim& swim, absl::Time now, SwimActions& out) {
        swim.OnPushPullFailed(now, exchange, out);
      });
    };
    if (Cut(from, to)) return At(now_ + absl::Seconds(1), fail);
    At(now_ + absl::Milliseconds(1), [=, this, exchange = one.exchange, life = nodes_[from].life] {
      if (!nodes_[from].running || nodes_[from].life != life) return;
      if (!nodes_[to].running) return fail();
      std::vector<std::byte> request = nodes_[from].swim->MakePushPull(exchange);
      SwimActions answering;
      auto answer = nodes_[to].swim->AnswerPushPull(now_, from + ":1", request, answering);
      Perform(to, std::move(answering));
      if (!answer.ok()) return fail();
      At(now_ + absl::Milliseconds(1), [=, this] {
        if (!nodes_[from].running || nodes_[from].life != life) return;
        With(from, [&](Swim& swim, absl::Time now, SwimActions& out) {
          EXPECT_TRUE(swim.MergePushPull(now, exchange, *answer, out).ok());
        });
      });
    });
  }

  void CarryLinkPing(const std::string& from, const SwimActions::StartLinkPing& ping) {
    std::string to = NodeAt(ping.member.rpc_address);
    if (Cut(from, to)) return;
    At(now_ + absl::Milliseconds(2), [=, this, probe = ping.probe, nonce = ping.member.id.nonce] {
      if (!nodes_[from].running) return;
      bool there = nodes_[to].running && nodes_[to].swim->self().id.nonce == nonce;
      With(from, [&](Swim& swim, absl::Time now, SwimActions& out) {
        swim.OnLinkPing(now, probe, there ? Swim::LinkPing::kAnswered : Swim::LinkPing::kFailed,
                        out);
      });
    });
  }

  SwimOptions options_;
  Random random_;
  absl::Time now_ = absl::FromUnixSeconds(1000);
  std::map<std::string, Node> nodes_;
  std::map<std::pair<absl::Time, uint64_t>, std::function<void()>> events_;
  uint64_t next_event_ = 0;
  uint64_t packets_ = 0;
};

// Size and seed.
class SwimCluster : public ::testing::TestWithParam<std::tuple<int, int>> {
 protected:
  int size() const { return std::get<0>(GetParam()); }
  uint64_t seed() const { return static_cast<uint64_t>(std::get<1>(GetParam())); }
};
INSTANTIATE_TEST_SUITE_P(Small, SwimCluster,
                         ::testing::Combine(::testing::Values(3, 5), ::testing::Range(1, 11)));
INSTANTIATE_TEST_SUITE_P(Large, SwimCluster,
                         ::testing::Combine(::testing::Values(50), ::testing::Values(1)));

TEST_P(SwimCluster, JoiningAtOnceConverges) {
  Net net(seed());
  net.StartAll(size());
  // Whom gossip misses, the first round of push/pull tells.
  EXPECT_TRUE(net.RunUntil(absl::Seconds(5), [&] { return net.Agree(); }));
  EXPECT_THAT(net.Said(Kind::kDied), IsEmpty());
}

TEST_P(SwimCluster, ASilentCrashIsFoundInTime) {
  Net net(seed());
  net.StartAll(size());
  ASSERT_TRUE(net.RunUntil(absl::Seconds(10), [&] { return net.Agree(); }));
  net.Run(absl::Seconds(3));
  std::string victim = Net::Name(size() - 1);
  net.Kill(victim);
  // One round of the ring at worst, and the longest suspicion.
  EXPECT_TRUE(
      net.RunUntil(absl::Seconds(4), [&] { return net.AllSay(victim, MemberState::kDead); }));
  EXPECT_TRUE(net.Agree());  // And nobody else.
}

TEST_P(SwimCluster, ARestartFasterThanDetectionIsTakenInByItsNewBoot) {
  Net net(seed());
  net.StartAll(size());
  ASSERT_TRUE(net.RunUntil(absl::Seconds(10), [&] { return net.Agree(); }));
  for (Boot boot = 1; boot <= 3; ++boot) {
    net.Kill(Net::Name(1));
    net.Run(absl::Milliseconds(30));
    net.Start(Net::Name(1), {Net::Name(0), Net::Name(2)}, boot);
    auto taken_in = [&] {
      for (int i = 0; i < size(); ++i) {
        auto member = net.node(Net::Name(i)).swim->Find(Net::Name(1));
        if (!member || member->id.boot != boot || member->state != MemberState::kAlive)
          return false;
      }
      return true;
    };
    EXPECT_TRUE(net.RunUntil(absl::Seconds(2), taken_in)) << "boot " << boot;
  }
  EXPECT_TRUE(net.RunUntil(absl::Seconds(5), [&] { return net.Agree(); }));
}

TEST_P(SwimCluster, ARestartBeforeAnyRegistrationFollowsItsDeadPredecessor) {
  Net net(seed());
  net.StartAll(size());
  ASSERT_TRUE(net.RunUntil(absl::Seconds(10), [&] { return net.Agree(); }));
  net.Kill(Net::Name(1));
  net.Start(Net::Name(1), {Net::Name(0)});
  Id128 nonce = net.node(Net::Name(1)).swim->self().id.nonce;
  EXPECT_TRUE(net.RunUntil(absl::Seconds(20), [&] {
    for (int i = 0; i < size(); ++i) {
      if (net.node(Net::Name(i)).swim->Find(Net::Name(1))->id.nonce != nonce) return false;
    }
    return net.Agree();
  }));
}

TEST_P(SwimCluster, HealsAfterALongPartition) {
  Net net(seed());
  net.StartAll(size());
  ASSERT_TRUE(net.RunUntil(absl::Seconds(10), [&] { return net.Agree(); }));
  auto side = [this](const std::string& name) { return name < Net::Name(size() / 2); };
  auto whole = net.loss;
  net.loss = [side](auto& a, auto& b) { return side(a) == side(b) ? 0.0 : 1.0; };
  net.Run(absl::Minutes(1));
  EXPECT_EQ(net.AliveAt(Net::Name(0)).size(), static_cast<size_t>(size() / 2));
  net.loss = whole;
  EXPECT_TRUE(net.RunUntil(absl::Seconds(40), [&] { return net.Agree(); }));
}

TEST_P(SwimCluster, LeavingIsToldToAllAndIsNotDeath) {
  Net net(seed());
  net.StartAll(size());
  ASSERT_TRUE(net.RunUntil(absl::Seconds(10), [&] { return net.Agree(); }));
  net.ForgetLogs();
  std::string leaver = Net::Name(1);
  net.With(leaver, [](Swim& swim, absl::Time now, SwimActions& out) { swim.Leave(now, out); });
  EXPECT_TRUE(net.RunUntil(absl::Seconds(2), [&] { return !net.Said(Kind::kLeaveDone).empty(); }));
  net.Kill(leaver);
  EXPECT_TRUE(
      net.RunUntil(absl::Seconds(6), [&] { return net.AllSay(leaver, MemberState::kLeft); }));
  net.Run(absl::Seconds(10));
  EXPECT_THAT(net.Said(Kind::kDied), IsEmpty());
}

TEST_P(SwimCluster, WholeClusterRestartConverges) {
  Net net(seed());
  net.StartAll(size());
  ASSERT_TRUE(net.RunUntil(absl::Seconds(10), [&] { return net.Agree(); }));
  for (int i = 0; i < size(); ++i) net.Kill(Net::Name(i));
  net.StartAll(size());  // Gossip of the old runs is still in flight.
  EXPECT_TRUE(net.RunUntil(absl::Seconds(20), [&] { return net.Agree(); }));
}

class SwimQuiet : public SwimCluster {};
INSTANTIATE_TEST_SUITE_P(Small, SwimQuiet,
                         ::testing::Combine(::testing::Values(3, 5), ::testing::Range(1, 4)));
INSTANTIATE_TEST_SUITE_P(Large, SwimQuiet,
                         ::testing::Combine(::testing::Values(20), ::testing::Values(1)));

TEST_P(SwimQuiet, NobodyDiesInTenMinutesWithoutFaultsAndTheCostIsConstant) {
  Net net(seed());
  net.StartAll(size());
  ASSERT_TRUE(net.RunUntil(absl::Seconds(10), [&] { return net.Agree(); }));
  net.Run(absl::Seconds(10));
  net.ForgetLogs();
  uint64_t before = net.packets();
  net.Run(absl::Minutes(10));
  EXPECT_TRUE(net.Agree());
  EXPECT_THAT(net.Said(Kind::kSuspected), IsEmpty());
  // A ping and an ack per interval and node, nothing else.
  EXPECT_LE(net.packets() - before, static_cast<uint64_t>(size()) * 2 * 5 * 600 * 101 / 100);
}

TEST_P(SwimQuiet, NobodyDiesWithATenthOfTheDatagramsLost) {
  Net net(seed());
  net.loss = [](auto&, auto&) { return 0.1; };
  net.StartAll(size());
  ASSERT_TRUE(net.RunUntil(absl::Seconds(20), [&] { return net.Agree(); }));
  net.Run(absl::Minutes(10));
  EXPECT_THAT(net.Said(Kind::kDied), IsEmpty());
  EXPECT_TRUE(net.RunUntil(absl::Seconds(10), [&] { return net.Agree(); }));
}

TEST_P(SwimQuiet, NodeThatHearsAlmostNothingEvictsNobodyElse) {
  Net net(seed());
  net.StartAll(size());
  ASSERT_TRUE(net.RunUntil(absl::Seconds(10), [&] { return net.Agree(); }));
  net.ForgetLogs();
  std::string deaf = Net::Name(1);
  net.loss = [deaf](auto&, auto& to) { return to == deaf ? 0.8 : 0.0; };
  net.Run(absl::Minutes(2));
  for (const std::string& said : net.Said(Kind::kDied)) {
    EXPECT_TRUE(said.ends_with(">" + deaf)) << said;
  }
}

TEST_P(SwimQuiet, NodeThatHearsNothingIsFoundDeadThoughItStillSpeaks) {
  Net net(seed());
  net.StartAll(size());
  ASSERT_TRUE(net.RunUntil(absl::Seconds(10), [&] { return net.Agree(); }));
  std::string deaf = Net::Name(1);
  net.loss = [deaf](auto&, auto& to) { return to == deaf ? 1.0 : 0.0; };
  EXPECT_TRUE(net.RunUntil(absl::Seconds(6), [&] { return net.AllSay(deaf, MemberState::kDead); }));
  net.loss = [](auto&, auto&) { return 0.0; };
  EXPECT_TRUE(net.RunUntil(absl::Seconds(30), [&] { return net.Agree(); }));
}

TEST(SwimClusterOnce, ManyCrashingTogetherAreFoundAndNobodyElse) {
  for (int dead : {12, 16}) {  // A quarter, a third.
    Net net(9);
    net.StartAll(48);
    ASSERT_TRUE(net.RunUntil(absl::Seconds(10), [&] { return net.Agree(); }));
    net.Run(absl::Seconds(3));
    net.ForgetLogs();
    for (int i = 0; i < dead; ++i) net.Kill(Net::Name(47 - i));
    EXPECT_TRUE(net.RunUntil(absl::Seconds(12), [&] { return net.Agree(); }));
    for (const std::string& said : net.Said(Kind::kDied)) {
      EXPECT_GE(said.substr(said.find('>') + 1), Net::Name(48 - dead)) << said;
    }
  }
}

TEST(SwimClusterOnce, AHundredJoiningInParallelConverge) {
  Net net(5);
  net.StartAll(100);
  EXPECT_TRUE(net.RunUntil(absl::Seconds(5), [&] { return net.Agree(); }));
}

TEST(SwimClusterOnce, TheSameSeedGivesTheSameHistory) {
  auto history = [](uint64_t seed) {
    Net net(seed);
    net.loss = [](auto&, auto&) { return 0.2; };
    net.StartAll(7);
    net.Run(absl::Seconds(60));
    return net.packets();
  };
  EXPECT_EQ(history(3), history(3));
  EXPECT_NE(history(3), history(4));
}

}  // namespace
}  // namespace troupe
