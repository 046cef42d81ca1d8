// The shard protocol under random walks: it holds, and without any one of its rules it does not.
//
// Half of the walks begin with a directed prefix (leases granted, then the primary isolated and
// fenced; a learner near the ISR; a handoff under way; a backup two batches ahead; a slow grant),
// because lease faults are rare in walks that only wander. TROUPE_WALK_STEPS sets how far to go,
// TROUPE_WALK_SEED where to begin.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "gtest/gtest.h"
#include "shard_walk.h"
#include "shard_walk_calls.h"
#include "shard_walk_world.h"
#include "troupe/runtime/random.h"

namespace troupe {
namespace {

struct Totals {
  uint64_t steps = 0, runs = 0, answers = 0, reads = 0, leased = 0, joins = 0, moves = 0;
  uint64_t restores = 0;
  std::string violation;
  uint32_t setup = 0;
  std::vector<Step> trace;
};

uint32_t Draw(Random& random) { return static_cast<uint32_t>(random.Next() >> 16); }

// By Act: how often, in a walk that wanders and in one that follows a prefix.
constexpr int kWander[kActs] = {40, 1, 10, 14, 5, 24, 3,  10, 5, 3, 1, 8, 8, 3, 2,
                                4,  2, 4,  3,  4, 14, 24, 2,  3, 8, 8, 3, 2, 14};
constexpr int kFocus[kActs] = {12, 0, 12, 24, 2, 12, 1,  6, 6, 5,  1, 5, 4, 2, 2,
                               2,  0, 0,  0,  1, 8,  40, 1, 2, 12, 6, 1, 1, 10};

std::vector<int> Weights(Random& random, bool focused, bool durable) {
  std::vector<int> weights(kActs);
  for (int i = 0; i < (durable ? kActs : static_cast<int>(Act::kDisk)); ++i) {
    uint64_t q = random.Below(6);
    int swarm = q == 0 ? (i >= 8 ? 0 : 1) : q == 1 ? 1 : q == 2 ? 2 : q == 3 ? 4 : 3;
    weights[i] = focused ? kFocus[i] * static_cast<int>(1 + random.Below(3)) : kWander[i] * swarm;
  }
  return weights;
}

// Of a crash: nothing that waits reaches the disk, and the disk stays.
constexpr uint32_t kNothingWritten = 840 << 4;

// A working cluster to begin with, and then a situation that faults need.
std::vector<Step> Prefix(Random& random, int which) {
  std::vector<Step> steps;
  auto add = [&](Act act, uint32_t a = 0, uint32_t b = 0, uint32_t c = 0) {
    steps.push_back({act, a, b, c});
  };
  auto work = [&](bool commands) { add(Act::kWork, 0, commands ? 0 : 1, ~0u); };
  work(true), work(true), work(true);
  auto learners = [&] {
    for (uint32_t i = 0; i < 5; ++i) add(Act::kAddLearner, i, 1);
    work(true), work(false), work(false);
  };
  auto show = [&] {
    for (uint32_t i = 0; i < 5; ++i) add(Act::kShowMap, i, 1);
  };
  auto rejoin = [&] {
    uint32_t node = Draw(random) % 5;
    add(Act::kCrash, node, 1), add(Act::kRejoin, node);
    work(true), work(true);
    add(Act::kAddLearner, node, 1), show();
    for (int i = 0; i < 3; ++i) work(false);
    return node;
  };
  auto write = [&](uint32_t actor) { add(Act::kCall, 1, 129 + 2 * actor, 1 | (1 << 12)); };
  switch (which) {
    case 0:  // The primary is cut off under lease, and fenced.
      write(0), work(false), work(false);
      add(Act::kIsolate, 0, 1, 1 | Draw(random));
      break;
    case 1:  // The same, with learners near.
      learners();
      if (random.Below(2)) add(Act::kTick, Draw(random));
      add(Act::kIsolate, 0, 1, Draw(random));
      work(false), work(false);
      break;
    case 2:  // Fenced, and learners added to the next epoch at once.
      add(Act::kIsolate, 0, 1, 1);
      work(true);
      for (uint32_t i = 0; i < 5; ++i) add(Act::kAddLearner, i, 1);
      work(true), work(false), work(false);
      break;
    case 3:  // A handoff under way; perhaps done, and the old primary does not hear of it.
      add(Act::kMove, 0, Draw(random));
      work(false);
      if (random.Below(2)) {
        add(Act::kIsolate, 0, 1, 0), add(Act::kApply, 0, 0, 1), show();
        for (int i = 0; i < 3; ++i) work(false);
        write(0), work(false), work(false);
        add(Act::kReadAtOld, 0, 0, 1);
      } else if (random.Below(2)) {
        add(Act::kApply, 0, 0, 1);
      }
      break;
    case 4:  // One backup has two batches, another none.
      write(0), add(Act::kCollect, 0, 0, 0), add(Act::kPump, 3);
      write(1), add(Act::kCollect, 0, 0, 0), add(Act::kPump, 3);
      add(Act::kIsolate, 0, 1, 1);
      add(Act::kTime, 10, 0), add(Act::kTime, 10, 0);
      break;
    case 5:  // Grants given at once and heard of late; then the primary is cut off.
      add(Act::kTime, 4, 1), add(Act::kPump, 2);
      add(Act::kTime, 3 + Draw(random) % 2, 0);
      add(Act::kPump, 4);
      add(Act::kIsolate, 0, 1, 1);
      show();
      add(Act::kPump, 20), work(false), add(Act::kTime, 4, 1), work(false);
      if (random.Below(2)) add(Act::kTime, 0, 1);
      write(0), work(false), work(false);
      add(Act::kReadAtOld, 0, 0, 1);
      break;
    case 6: {  // A node that would be preferred comes back and is about to join the ISR.
      uint32_t node = rejoin();
      work(false), add(Act::kTick, 0), add(Act::kTick, 1), add(Act::kTick, 2);
      if (random.Below(2)) add(Act::kApply, 0, 1, 1);
      write(Draw(random) % 2);
      if (random.Below(2)) add(Act::kPartition, node, 0, 1u << node);
      add(Act::kCollect, 0, 0, 1), add(Act::kPump, 2 + Draw(random) % 8);
      if (random.Below(2)) add(Act::kIsolate, 0, 1, 1), add(Act::kPartition, node, 0, ~0u);
      break;
    }
    case 7: {  // The same; its own grant runs out before it is elected.
      uint32_t node = rejoin();
      for (uint32_t i = 0; i < 5; ++i) add(Act::kTick, i);
      add(Act::kPartition, node, 0, 1u << node);
      for (int i = 0; i < 4; ++i) add(Act::kTime, 3 + Draw(random) % 2, 1), add(Act::kPump, 20);
      add(Act::kApply, 0, 1, 1);
      add(Act::kIsolate, 0, 1, 1), add(Act::kPartition, node, 0, ~0u);
      show(), work(false), work(false), work(false), work(false);
      write(0), work(false), work(false);
      add(Act::kReadAtOld, 0, 0, 1);
      break;
    }
    case 8:  // One backup has a batch, is elected, and has sent it to nobody.
      write(0), add(Act::kCollect, 0, Draw(random), 0), add(Act::kPump, 1);
      add(Act::kIsolate, 0, 1, 1);
      show();
      add(Act::kPump, 6);
      for (int i = 0; i < 3; ++i) add(Act::kTime, 4, 1), add(Act::kPump, 6);
      for (int i = 0; i < 2; ++i) {
        add(Act::kCall, 1, 128, 1 | (1 << 12));
        for (uint32_t node = 0; node < 5; ++node) add(Act::kConfirm, node, 1);
        add(Act::kFence, 0, 1, 1), show();
        for (int k = 0; k < 4; ++k) work(false), add(Act::kTime, 4, 1);
      }
      add(Act::kCall, 1, 128, 1 | (1 << 12));
      break;
    case 10: {  // In sync before its disk has what made it so; then that is all there is.
      uint32_t node = Draw(random) % 5;
      add(Act::kFence, node, 0, 1), show(), work(true);
      write(0), work(false), work(false);
      add(Act::kRejoin, node), work(true);
      add(Act::kAddLearner, node, 1), show();
      for (int i = 0; i < 5; ++i) {
        add(Act::kWork, 0, 8, ~0u);
        for (uint32_t other = 0; other < 5; ++other) {
          if (other != node) add(Act::kDisk, other, 0);
        }
      }
      add(Act::kCrash, node, 1, kNothingWritten), add(Act::kRejoin, node);
      for (int i = 0; i < 3; ++i) work(true);
      for (int i = 0; i < 2; ++i) {
        add(Act::kCrash, 0, 0, kNothingWritten | 3), add(Act::kFence, 0, 1, 1), show();
        for (int k = 0; k < 4; ++k) work(true), add(Act::kTime, 4, 1);
      }
      add(Act::kCall, 1, 128, 1 | (1 << 12));
      break;
    }
    case 11:  // The primary is cut off under lease; its heir starts anew before it has waited.
      write(0), work(false), work(false);
      add(Act::kIsolate, 0, 1, 1), show();
      add(Act::kCrash, 0, 1, kNothingWritten | 3);
      for (uint32_t i = 0; i < 5; ++i) add(Act::kRejoin, i);
      for (int i = 0; i < 4; ++i) work(true);
      write(0), work(false), work(false);
      add(Act::kReadAtOld, 0, 0, 1);
      break;
    default: {  // Fenced; while the next primary waits others join, and one of them follows it.
      add(Act::kIsolate, 0, 1, 1), show(), work(false);
      rejoin();
      for (uint32_t i = 0; i < 5; ++i) add(Act::kAddLearner, i, 1);
      work(true), work(false), work(true), work(true);
      add(Act::kCrash, 0, 3, 3), add(Act::kFence, 0, 1, 1);
      show(), work(false), work(false), work(false);
      write(0), work(false), work(false);
      add(Act::kReadAtOld, 0, 0, 1);
      break;
    }
  }
  return steps;
}

Totals Walk(uint64_t seed, uint64_t steps_max, const ReplicaMutations& mutations, int prefix = -1,
            bool durable = false) {
  Totals totals;
  Random random(seed * 1000003 + 17);
  while (totals.steps < steps_max) {
    uint32_t setup = Draw(random);
    ShardWalk walk(setup, mutations, durable);
    bool focused = prefix >= 0 || random.Below(2) == 0;
    std::vector<int> weights = Weights(random, focused, durable);
    uint64_t sum = 0;
    for (int weight : weights) sum += static_cast<uint64_t>(weight);
    std::vector<Step> steps;
    if (focused)
      steps =
          Prefix(random, prefix >= 0 ? prefix : static_cast<int>(random.Below(durable ? 12 : 10)));
    uint64_t length = steps.size() + (focused ? 40 + random.Below(80) : 100 + random.Below(400));
    for (uint64_t i = 0; i < length; ++i) {
      if (i >= steps.size()) {
        auto pick = static_cast<int64_t>(random.Below(sum));
        int act = 0;
        while (pick >= weights[act]) pick -= weights[act++];
        steps.push_back({static_cast<Act>(act), Draw(random), Draw(random), Draw(random)});
      }
      walk.Do(steps[i]);
      ++totals.steps;
      if (!walk.violation().empty() || walk.over()) break;
    }
    if (walk.violation().empty() && totals.runs % 8 == 0) {
      steps.push_back({Act::kEnd});
      walk.Do(steps.back());
    }
    ++totals.runs;
    totals.answers += walk.answers;
    totals.reads += walk.reads;
    totals.leased += walk.leased_reads;
    totals.joins += walk.joins;
    totals.moves += walk.moves;
    totals.restores += walk.restores;
    if (walk.violation().empty()) continue;
    totals.violation = walk.violation();
    totals.setup = setup;
    totals.trace = steps;
    break;
  }
  return totals;
}

std::string Replay(uint32_t setup, const std::vector<Step>& steps,
                   const ReplicaMutations& mutations, bool durable, bool verbose) {
  ShardWalk walk(setup, mutations, durable);
  if (verbose) walk.set_verbose();
  for (const Step& step : steps) {
    walk.Do(step);
    if (!walk.violation().empty()) break;
  }
  return walk.violation();
}

// Leaves out steps while the same thing still goes wrong.
std::vector<Step> Shrink(uint32_t setup, std::vector<Step> steps, const ReplicaMutations& mutations,
                         const std::string& violation, bool durable) {
  for (size_t chunk = steps.size() / 2; chunk > 0; chunk = chunk > 1 ? chunk / 2 : 0) {
    for (size_t i = 0; i + chunk <= steps.size();) {
      std::vector<Step> fewer(steps.begin(), steps.begin() + static_cast<ptrdiff_t>(i));
      fewer.insert(fewer.end(), steps.begin() + static_cast<ptrdiff_t>(i + chunk), steps.end());
      if (Replay(setup, fewer, mutations, durable, false) == violation) {
        steps = std::move(fewer);
      } else {
        i += chunk;
      }
    }
  }
  return steps;
}

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

void ExpectHolds(bool durable) {
  uint64_t seed = FromEnvironment("TROUPE_WALK_SEED", 1);
  Totals totals = Walk(seed, FromEnvironment("TROUPE_WALK_STEPS", 1'000'000), kNoMutations,
                       static_cast<int>(FromEnvironment("TROUPE_WALK_PREFIX", 99)) == 99
                           ? -1
                           : static_cast<int>(FromEnvironment("TROUPE_WALK_PREFIX", 99)),
                       durable);
  std::printf(
      "seed %llu: %llu steps, %llu runs, %llu answers, %llu reads, %llu under lease, "
      "%llu joins, %llu moves, %llu restores\n",
      static_cast<unsigned long long>(seed), static_cast<unsigned long long>(totals.steps),
      static_cast<unsigned long long>(totals.runs), static_cast<unsigned long long>(totals.answers),
      static_cast<unsigned long long>(totals.reads), static_cast<unsigned long long>(totals.leased),
      static_cast<unsigned long long>(totals.joins), static_cast<unsigned long long>(totals.moves),
      static_cast<unsigned long long>(totals.restores));
  if (!totals.violation.empty()) {
    auto steps = Shrink(totals.setup, totals.trace, kNoMutations, totals.violation, durable);
    Replay(totals.setup, steps, kNoMutations, durable, true);
  }
  EXPECT_EQ(totals.violation, "");
  EXPECT_GT(totals.answers, totals.steps / 100) << "the walk does too little to mean anything";
  EXPECT_GT(totals.leased, 0u);
  EXPECT_EQ(totals.restores > 0, durable);
}

TEST(ShardModel, HoldsUnderRandomWalks) { ExpectHolds(false); }
TEST(ShardModel, HoldsUnderRandomWalksWhenCopiesAreOnDisk) { ExpectHolds(true); }

struct Mutation {
  const char* name;
  bool ReplicaMutations::*flag;
  int prefix;  // That leads there; -1: any.
  uint64_t steps_max;
  bool durable = false;
};

class ShardModelWithout : public testing::TestWithParam<Mutation> {};

TEST_P(ShardModelWithout, IsFoundOut) {
  const Mutation& mutation = GetParam();
  ReplicaMutations mutations;
  mutations.*mutation.flag = true;
  uint64_t steps = FromEnvironment("TROUPE_MUTATION_STEPS", mutation.steps_max);
  Totals totals = Walk(FromEnvironment("TROUPE_WALK_SEED", 1), steps, mutations, mutation.prefix,
                       mutation.durable);
  std::printf("%s: %s after %llu steps\n", mutation.name,
              totals.violation.empty() ? "NOT FOUND" : totals.violation.c_str(),
              static_cast<unsigned long long>(totals.steps));
  if (std::getenv("TROUPE_WALK_VERBOSE") != nullptr && !totals.violation.empty()) {
    auto trace = Shrink(totals.setup, totals.trace, mutations, totals.violation, mutation.durable);
    Replay(totals.setup, trace, mutations, mutation.durable, true);
  }
  EXPECT_NE(totals.violation, "");
}

using M = ReplicaMutations;
INSTANTIATE_TEST_SUITE_P(
    Rule, ShardModelWithout,
    testing::Values(
        Mutation{"accept_old_epochs", &M::accept_old_epochs, -1, 3'000'000},
        Mutation{"lease_from_receipt", &M::lease_from_receipt, 5, 3'000'000},
        Mutation{"grow_before_tail", &M::grow_before_tail, -1, 3'000'000},
        Mutation{"grow_in_lease_wait", &M::grow_in_lease_wait, 9, 3'000'000},
        Mutation{"record_outside_batch", &M::record_outside_batch, -1, 3'000'000},
        Mutation{"no_union", &M::no_union, 6, 3'000'000},
        Mutation{"released_by_shrink", &M::released_by_shrink, -1, 3'000'000},
        Mutation{"min_isr_at_admission", &M::min_isr_at_admission, -1, 3'000'000},
        Mutation{"answer_before_reconciled", &M::answer_before_reconciled, 8, 3'000'000},
        Mutation{"no_lease_wait", &M::no_lease_wait, 0, 3'000'000},
        Mutation{"move_while_serving", &M::move_while_serving, 3, 3'000'000},
        Mutation{"pending_not_electable", &M::pending_not_electable, 7, 3'000'000},
        Mutation{"mark_ahead", &M::mark_ahead, -1, 3'000'000},
        Mutation{"no_restamp", &M::no_restamp, -1, 3'000'000},
        Mutation{"acknowledged_unwritten", &M::acknowledged_unwritten, -1, 3'000'000, true},
        Mutation{"synced_unwritten", &M::synced_unwritten, 10, 3'000'000, true},
        Mutation{"leads_at_once", &M::leads_at_once, 11, 3'000'000, true}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace troupe
