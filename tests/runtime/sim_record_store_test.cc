// SimRecords: durable when it says so, a prefix of whole writes after a crash, and its faults.
#include "troupe/runtime/sim_record_store.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "kj/vector.h"
#include "sim_test_util.h"

namespace troupe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SimRecordStoreTest : public SimTest {
 protected:
  RecordStore& store() { return *world_.machine("a").record_store(); }
  SimRecords& records() { return world_.disk("a").record_store(); }
  kj::Promise<void> Write(std::vector<RecordChange> changes) {
    return store().Write(host("a"), std::move(changes));
  }
  kj::Promise<void> Put(std::string key, std::string value) {
    return Write({PutRecord{std::move(key), std::move(value)}});
  }
  // "key=value ...", or the kind of the error.
  std::string Scan(std::string_view begin = "", std::string_view end = "~") {
    std::string seen;
    auto status = store().Scan(begin, end, [&](std::string_view key, std::string_view value) {
      seen += (seen.empty() ? "" : " ") + std::string(key) + "=" + std::string(value);
    });
    return status.ok() ? seen : absl::StatusCodeToString(status.code());
  }
  void CrashAndRestart() {
    world_.Kill("a", SimDiskAfter::kKeep);
    world_.Restart("a");
  }
};

TEST_F(SimRecordStoreTest, WrittenRecordsSurviveAKill) {
  EXPECT_EQ(Scan(), "");
  auto start = world_.Now();
  Await(Put("k", "first"));
  EXPECT_GE(world_.Now() - start, world_.disk("a").write_min);
  EXPECT_EQ(Scan(), "k=first");
  CrashAndRestart();
  EXPECT_EQ(Scan(), "k=first");
  world_.Kill("a", SimDiskAfter::kErase);
  world_.Restart("a");
  EXPECT_EQ(Scan(), "");
}

TEST_F(SimRecordStoreTest, AMachineWithoutStorageHasNone) {
  EXPECT_EQ(world_.AddMachine("d", SimStorage::kNone).record_store(), nullptr);
}

TEST_F(SimRecordStoreTest, ScansARangeInTheOrderOfBytes) {
  Await(Write(
      {PutRecord{"b", "2"}, PutRecord{"c", "3"}, PutRecord{"a", "1"}, PutRecord{"a\xff", "4"}}));
  EXPECT_EQ(Scan(), "a=1 a\xff=4 b=2 c=3");
  EXPECT_EQ(Scan("a\xff", "c"), "a\xff=4 b=2");
  EXPECT_EQ(Scan("b", "b"), "");
  EXPECT_EQ(Scan("c", "a"), "");
}

TEST_F(SimRecordStoreTest, DoesTheChangesOfAWriteInTheirOrder) {
  Await(Write({PutRecord{"a", "1"}, PutRecord{"b", "1"}, PutRecord{"c", "1"}}));
  Await(Write({PutRecord{"b", "2"}, EraseRecords{"a", "c"}, PutRecord{"a", "3"}, EraseRecord{"c"},
               EraseRecord{"no such"}, EraseRecords{"z", "a"}}));
  EXPECT_EQ(Scan(), "a=3");
}

TEST_F(SimRecordStoreTest, WhatWaitsIsWrittenTogetherAndEndsInOrder) {
  std::vector<int> ended;
  std::vector<absl::Time> times;
  kj::Vector<kj::Promise<void>> writes;
  for (int i = 0; i < 10; ++i) {
    writes.add(Put("k", absl::StrCat(i))
                   .then([&, i]() {
                     ended.push_back(i);
                     times.push_back(world_.Now());
                   })
                   .eagerlyEvaluate(nullptr));
  }
  world_.RunFor(kSoon);
  EXPECT_THAT(ended, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  EXPECT_LT(times[0], times[1]);  // It was under way before the others came.
  EXPECT_EQ(times[1], times[9]);
  EXPECT_EQ(Scan(), "k=9");
}

TEST_F(SimRecordStoreTest, DroppedWriteGoesOn) {
  { auto forgotten = Put("k", "v"); }
  world_.RunFor(kSoon);
  EXPECT_EQ(Scan(), "k=v");
}

TEST_F(SimRecordStoreTest, PausedProcessLearnsOfItsWriteUponResume) {
  Pending<void> write(Put("k", "v"));
  world_.Pause("a");
  world_.RunFor(kSoon);
  EXPECT_FALSE(write.done());
  EXPECT_EQ(Scan(), "k=v");
  world_.Resume("a");
  world_.RunFor(absl::Microseconds(10));
  EXPECT_TRUE(write.done());
}

// Writes 0, 1, ... of a loop put "<loop><number>a" and "<loop><number>b".
class SimRecordCrashTest : public SimRecordStoreTest {
 protected:
  static constexpr int kWrites = 6;

  void WriteFrom(Host& host, const std::string& loop) {
    for (int i = 0; i < kWrites; ++i) {
      const std::string key = absl::StrCat(loop, i);
      auto dropped = store().Write(host, {PutRecord{key + "a", ""}, PutRecord{key + "b", ""}});
    }
  }
  // How many are there: all from the first on, each whole.
  int Kept(const std::string& loop) {
    int kept = 0;
    while (records().contents().contains(absl::StrCat(loop, kept, "a"))) ++kept;
    size_t all = 0;
    for (const auto& [key, value] : records().contents()) all += key.starts_with(loop) ? 1 : 0;
    for (int i = 0; i < kept; ++i) {
      EXPECT_TRUE(records().contents().contains(absl::StrCat(loop, i, "b")));
    }
    EXPECT_EQ(all, 2u * static_cast<size_t>(kept)) << Scan();
    return kept;
  }
};

TEST_F(SimRecordCrashTest, ACrashLeavesOfEachLoopAPrefixOfWholeWrites) {
  std::array<int, kWrites + 1> control{}, worker{};
  bool differ = false;
  for (int round = 0; round < 200; ++round) {
    Machine& machine = world_.machine("a");
    Await(machine.StartWorkers(1, [](size_t, Host&) { return kj::Own<WorkerBody>(); }));
    if (round % 2 == 1) world_.disk("a").Set(SimDiskFault::kTorn);  // Without effect.
    WriteFrom(machine.control(), "c");
    WriteFrom(machine.worker(0), "w");
    CrashAndRestart();
    EXPECT_TRUE(store().Scan("", "~", [](auto, auto) {}).ok());
    const int c = Kept("c"), w = Kept("w");
    ++control.at(static_cast<size_t>(c));
    ++worker.at(static_cast<size_t>(w));
    differ = differ || c != w;
    Await(Write({EraseRecords{"", "~"}}));
  }
  EXPECT_THAT(control, testing::Each(testing::Gt(0)));
  EXPECT_THAT(worker, testing::Each(testing::Gt(0)));
  EXPECT_TRUE(differ);
}

TEST_F(SimRecordCrashTest, WhatIsResolvedIsKept) {
  for (int round = 0; round < 50; ++round) {
    Pending<void> first(Put("x", absl::StrCat(round)));
    WriteFrom(host("a"), "c");
    ASSERT_TRUE(world_.RunUntil([&]() { return first.done(); }, kSoon));
    CrashAndRestart();
    EXPECT_EQ(Scan("x", "y"), absl::StrCat("x=", round));
    Kept("c");
    Await(Write({EraseRecords{"c", "d"}}));
  }
}

TEST_F(SimRecordCrashTest, AFailingDiskLeavesAPrefixAndRejectsForGood) {
  std::array<int, kWrites + 1> kept{};
  for (int round = 0; round < 200; ++round) {
    Pending<void> first(Put("x", ""));  // The others wait for it, and are then done together.
    WriteFrom(host("a"), "c");
    ASSERT_TRUE(world_.RunUntil([&]() { return first.done(); }, kSoon));
    Pending<void> last(Put("z", "never"));
    world_.disk("a").Set(SimDiskFault::kFail);
    EXPECT_EQ(Scan(), "UNAVAILABLE");
    world_.RunFor(kSoon);
    ASSERT_TRUE(last.failed());
    world_.disk("a").Clear(SimDiskFault::kFail);
    EXPECT_THROW(Await(Put("z", "never")), kj::Exception);
    ++kept.at(static_cast<size_t>(Kept("c")));
    EXPECT_EQ(Scan("z", "~"), "");
    CrashAndRestart();
    Await(Write({EraseRecords{"", "~"}}));
  }
  EXPECT_THAT(kept, testing::Each(testing::Gt(0)));
}

TEST_F(SimRecordStoreTest, AFullDiskKeepsNothingAndRejectsUntilTheProcessStartsAnew) {
  Await(Put("k", "old"));
  world_.disk("a").Set(SimDiskFault::kFull);
  Pending<void> first(Put("k", "new")), second(Put("l", "new"));
  world_.RunFor(kSoon);
  ASSERT_TRUE(first.failed() && second.failed());
  EXPECT_THAT(first.error().getDescription().cStr(), HasSubstr("no space left on device"));
  world_.disk("a").Clear(SimDiskFault::kFull);
  EXPECT_THROW(Await(Put("k", "new")), kj::Exception);
  EXPECT_EQ(Scan(), "k=old");
  CrashAndRestart();
  EXPECT_EQ(Scan(), "k=old");
  Await(Put("k", "new"));
  EXPECT_EQ(Scan(), "k=new");
}

TEST_F(SimRecordStoreTest, AFailingDiskCannotBeRead) {
  Await(Put("k", "v"));
  world_.disk("a").Set(SimDiskFault::kFail);
  EXPECT_EQ(Scan(), "UNAVAILABLE");
  world_.disk("a").Clear(SimDiskFault::kFail);
  EXPECT_EQ(Scan(), "k=v");
}

TEST_F(SimRecordStoreTest, StalledDiskGoesOnWhenItClears) {
  Pending<void> under_way(Put("k", "1"));
  world_.disk("a").Set(SimDiskFault::kStall);
  Pending<void> behind(Put("k", "2"));
  world_.RunFor(absl::Minutes(1));
  EXPECT_FALSE(under_way.done() || behind.done());
  world_.disk("a").Clear(SimDiskFault::kStall);
  world_.RunFor(kSoon);
  EXPECT_TRUE(under_way.done() && behind.done());
  EXPECT_EQ(Scan(), "k=2");
}

TEST_F(SimRecordStoreTest, ADamagedRecordIsDataLossUntilItIsPutAnewOrErased) {
  Await(Write({PutRecord{"a", "1"}, PutRecord{"b", "2"}, PutRecord{"c", "3"}}));
  records().Damage("b");
  records().Damage("no such");
  EXPECT_EQ(Scan(), "DATA_LOSS");
  EXPECT_EQ(Scan("a", "b"), "a=1");
  EXPECT_EQ(Scan("c", "~"), "c=3");
  CrashAndRestart();
  EXPECT_EQ(Scan(), "DATA_LOSS");
  Await(Put("b", "new"));
  EXPECT_EQ(Scan(), "a=1 b=new c=3");
  records().Damage("b");
  Await(Write({EraseRecord{"b"}}));
  EXPECT_EQ(Scan(), "a=1 c=3");
  records().Damage("c");
  Await(Write({EraseRecords{"b", "d"}, PutRecord{"d", "4"}}));
  EXPECT_EQ(Scan(), "a=1 d=4");
}

TEST_F(SimRecordStoreTest, ACopyOfTheDiskHasTheRecords) {
  Await(Write({PutRecord{"a", "1"}, PutRecord{"b", "2"}}));
  records().Damage("b");
  world_.Kill("b", SimDiskAfter::kKeep);
  world_.disk("b").CopyFrom(world_.disk("a"));
  world_.Restart("b");
  std::string seen;
  auto& copy = *world_.machine("b").record_store();
  EXPECT_TRUE(copy.Scan("a", "b", [&](auto, auto value) { seen += value; }).ok());
  EXPECT_EQ(seen, "1");
  EXPECT_EQ(copy.Scan("", "~", [](auto, auto) {}).code(), absl::StatusCode::kDataLoss);
}

TEST(SimRecordStoreSeeds, EqualSeedsLeaveEqualRecords) {
  auto run = [](uint64_t seed) {
    SimWorld world(seed);
    world.AddMachine("a");
    for (int i = 0; i < 20; ++i) {
      Machine& machine = world.machine("a");
      for (int j = 0; j < 5; ++j) {
        auto dropped = machine.record_store()->Write(
            machine.control(), {PutRecord{absl::StrCat(i, "/", j), absl::StrCat(j)}});
      }
      world.RunFor(absl::Milliseconds(i % 4));
      world.Kill("a", SimDiskAfter::kKeep);
      world.Restart("a");
    }
    std::string kept;
    for (const auto& [key, value] : world.disk("a").record_store().contents()) kept += key + " ";
    return std::pair(kept, world.trace_hash());
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

}  // namespace
}  // namespace troupe
