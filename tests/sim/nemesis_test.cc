// Random faults on whole clusters, by seed: nothing answered is lost, nothing is done twice.
//
// Each seed draws its own cluster, faults and moments. TROUPE_SEEDS=A..B runs others than the few
// that every build runs; a failure prints its seed.
#include "../seeds.h"
#include "cluster_fixture.h"

namespace troupe {
namespace {

class NemesisTest : public ClusterFixture {
 protected:
  // Calls that add at two actors, whichever dies in between.
  void Pair(int i) {
    auto request = client_->Get<Counter>("from" + std::to_string(i % 6)).addToRequest();
    request.setOther("to" + std::to_string(i % 6));
    request.setBy(1);
    ++pairs_open_;
    tasks_.add(request.send().then(
        [this](auto&&) {
          --pairs_open_;
          ++pairs_done_;
        },
        [this](kj::Exception&& e) {
          --pairs_open_;
          ADD_FAILURE() << Words(e) << ", seed " << GetParam();
        }));
  }

  // Several calls at once to one actor: each must find what those before it left, in order.
  void Burst() {
    for (int i = 0; i < 8; ++i) {
      auto request = client_->Get<Counter>("burst").addRequest();
      request.setBy(1);
      const uint64_t expected = ++burst_sent_;
      ++bursts_open_;
      tasks_.add(request.send().then(
          [this, expected](auto&& reply) {
            --bursts_open_;
            EXPECT_EQ(reply.getValue(), expected) << "out of order, seed " << GetParam();
          },
          [this](kj::Exception&& e) {
            --bursts_open_;
            ADD_FAILURE() << "burst: " << Words(e) << ", seed " << GetParam();
          }));
    }
  }
  void Bursts(Traffic& traffic) {
    if (traffic.stop) return;
    if (bursts_open_ < 100) Burst();
    auto& timer = cluster_->world().machine("client").control().timer();
    tasks_.add(timer.afterDelay(4 * kj::MILLISECONDS).then([this, &traffic] { Bursts(traffic); }));
  }

  // Reads all the time: none may be older than what was answered before it began, nor newer than
  // what can have been asked for.
  void Read(Traffic& traffic, const std::string& key) {
    if (traffic.stop) {
      --readers_;
      return;
    }
    const uint64_t least = traffic.newest[key];
    tasks_.add(reader_->Get<Counter>(key).getRequest().send().then(
        [this, &traffic, key, least](auto&& reply) {
          EXPECT_GE(reply.getValue(), least) << key << ", a stale read; seed " << GetParam();
          EXPECT_LE(reply.getValue(), traffic.newest[key] + 1) << key << ", seed " << GetParam();
          ++reads_;
          auto& timer = cluster_->world().machine("reader").control().timer();
          tasks_.add(timer.afterDelay(3 * kj::MILLISECONDS).then([this, &traffic, key] {
            Read(traffic, key);
          }));
        },
        [this](kj::Exception&& e) {
          --readers_;
          ADD_FAILURE() << "read: " << Words(e) << ", seed " << GetParam();
        }));
  }

  std::string Anyone(Random& random) {
    return cluster_->names()[random.Below(cluster_->names().size())];
  }

  // One fault, and its end; at most one node is away at a time, so nothing may be lost.
  void Fault(Random& random) {
    const std::string victim = Anyone(random);
    const auto while_away = absl::Milliseconds(static_cast<int64_t>(random.Below(3000)));
    switch (random.Below(6)) {
      case 0:
        cluster_->Kill(victim);
        cluster_->Run(while_away);
        cluster_->Restart(victim);
        break;
      case 1:
        cluster_->Kill(victim);
        cluster_->Restart(victim);
        break;
      case 2:
        cluster_->Pause(victim);
        cluster_->Run(while_away);
        cluster_->Resume(victim);
        break;
      case 3:
        for (const auto& other : cluster_->names()) {
          if (other != victim) cluster_->world().Cut(victim, other);
        }
        cluster_->Run(while_away);
        cluster_->Heal();
        break;
      case 4: {
        const std::string other = Anyone(random);
        if (other != victim) cluster_->world().CutOneWay(victim, other);
        cluster_->Run(while_away);
        cluster_->Heal();
        break;
      }
      case 5:
        for (const auto& other : cluster_->names()) {
          if (other != victim) cluster_->world().ResetConnections(victim, other);
        }
        cluster_->Run(while_away);
        break;
    }
  }

  size_t pairs_open_ = 0;
  uint64_t pairs_done_ = 0;
  Client* reader_ = nullptr;
  size_t readers_ = 0;
  uint64_t reads_ = 0;
  uint64_t burst_sent_ = 0;
  size_t bursts_open_ = 0;
};

TEST_P(NemesisTest, LosesAndDoublesNothing) {
  Random random(GetParam() * 7919);
  auto options = Options();
  options.workers = 1 + random.Below(2);
  if (random.Chance(0.3)) {
    options.world.link.loss = 0.05;
    options.world.link.duplicate = 0.02;
    options.world.link.reorder = 0.05;
  }
  std::vector<std::string> names = {"a", "b", "c"};
  if (random.Chance(0.3)) names.insert(names.end(), {"d", "e"});
  Start(names, options);
  Traffic traffic;
  DriveMany(traffic, 10);
  reader_ = &cluster_->AddClient("reader");
  for (int i = 0; i < 10; ++i) {
    ++readers_;
    Read(traffic, "k" + std::to_string(i));
  }
  Bursts(traffic);
  for (int round = 0; round < 4; ++round) {
    cluster_->Run(absl::Milliseconds(static_cast<int64_t>(random.Below(800))));
    for (int i = 0; i < 6; ++i) Pair(i);
    Fault(random);
    ASSERT_TRUE(cluster_->Settle(absl::Seconds(90)))
        << cluster_->Describe() << "\nseed " << GetParam();
  }
  const uint64_t pairs = 24;
  ASSERT_TRUE(cluster_->RunUntil([&] { return pairs_open_ == 0; }, absl::Seconds(60)));
  EXPECT_EQ(pairs_done_, pairs) << "seed " << GetParam();
  StopAndCheck(traffic);
  ASSERT_TRUE(cluster_->RunUntil([&] { return bursts_open_ == 0; }, absl::Seconds(60)));
  ASSERT_TRUE(cluster_->RunUntil([&] { return readers_ == 0; }, absl::Seconds(60)));
  EXPECT_GT(reads_, 100u);
  uint64_t from = 0, to = 0;
  for (int i = 0; i < 6; ++i) {
    from += Get("from" + std::to_string(i));
    to += Get("to" + std::to_string(i));
  }
  EXPECT_EQ(from, pairs) << "seed " << GetParam();
  EXPECT_EQ(to, pairs) << "seed " << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Seeds, NemesisTest, ::testing::ValuesIn(SeedsOr(1, 12)));

}  // namespace
}  // namespace troupe
