// SimDisk: durable when it says so, old or new after a crash, one process at a time, and its
// faults.
#include "troupe/runtime/sim_disk.h"

#include "sim_test_util.h"
#include "troupe/runtime/internal/sim_machine.h"

namespace troupe {
namespace {

class SimDiskTest : public SimTest {
 protected:
  DataDirectory& directory() { return *world_.machine("a").data_directory(); }
  std::string Read(std::string_view name = "identity") {
    auto contents = directory().Read(name);
    if (!contents.ok()) return std::string(absl::StatusCodeToString(contents.status().code()));
    return contents->has_value() ? Text(**contents) : "(none)";
  }
  kj::Promise<void> Write(std::string_view text, std::string_view name = "identity") {
    return directory().Write(name, Bytes(text));
  }
  void CrashAndRestart() {
    world_.Kill("a", SimDiskAfter::kKeep);
    world_.Restart("a");
  }
};

TEST_F(SimDiskTest, WrittenContentsSurviveAKill) {
  EXPECT_EQ(Read(), "(none)");
  auto start = world_.Now();
  Await(Write("first"));
  EXPECT_GT(world_.Now(), start);
  EXPECT_EQ(Read(), "first");
  CrashAndRestart();
  EXPECT_EQ(Read(), "first");
  world_.Kill("a", SimDiskAfter::kErase);
  world_.Restart("a");
  EXPECT_EQ(Read(), "(none)");
}

TEST_F(SimDiskTest, WritesToOneNameAreDoneInOrder) {
  Pending<void> first(Write("1")), second(Write("2")), third(Write("3"));
  EXPECT_TRUE(world_.RunUntil([&]() { return second.done(); }, kSoon));
  EXPECT_TRUE(first.done());
  EXPECT_FALSE(third.done());
  EXPECT_EQ(Read(), "2");
  world_.RunFor(kSoon);
  EXPECT_EQ(Read(), "3");
}

TEST_F(SimDiskTest, CrashDuringAWriteKeepsOldOrNew) {
  int old_kept = 0, new_kept = 0;
  for (int i = 0; i < 40; ++i) {
    Await(Write("old"));
    {
      auto cut_short = Write("new");
      CrashAndRestart();
    }
    std::string now = Read();
    (now == "old" ? old_kept : new_kept) += 1;
    EXPECT_TRUE(now == "old" || now == "new") << now;
  }
  EXPECT_GT(old_kept, 5);
  EXPECT_GT(new_kept, 5);
}

TEST_F(SimDiskTest, TornWriteReadsAsDataLossOrLeavesTheOld) {
  world_.disk("a").Set(SimDiskFault::kTorn);
  int lost = 0;
  for (int i = 0; i < 40; ++i) {
    Await(Write("old"));
    {
      auto cut_short = Write("new");
      CrashAndRestart();
    }
    lost += Read() == "DATA_LOSS" ? 1 : 0;
  }
  EXPECT_GT(lost, 2);
  EXPECT_LT(lost, 30);
}

TEST_F(SimDiskTest, DamagedRecordIsDataLossUntilRewritten) {
  Await(Write("text"));
  world_.disk("a").Damage("identity");
  EXPECT_EQ(Read(), "DATA_LOSS");
  Await(Write("again"));
  EXPECT_EQ(Read(), "again");
}

TEST_F(SimDiskTest, FullDiskRejectsAndKeepsTheOld) {
  Await(Write("old"));
  world_.disk("a").Set(SimDiskFault::kFull);
  EXPECT_THROW(Await(Write("new")), kj::Exception);
  EXPECT_EQ(Read(), "old");
  world_.disk("a").Clear(SimDiskFault::kFull);
  Await(Write("new"));
  EXPECT_EQ(Read(), "new");
}

TEST_F(SimDiskTest, FailingDiskRejectsAndIsUnavailable) {
  world_.disk("a").Set(SimDiskFault::kFail);
  EXPECT_THROW(Await(Write("new")), kj::Exception);
  EXPECT_EQ(Read(), "UNAVAILABLE");
}

TEST_F(SimDiskTest, StalledDiskGoesOnWhenItClears) {
  Pending<void> under_way(Write("1"));
  world_.disk("a").Set(SimDiskFault::kStall);
  Pending<void> behind(Write("2"));
  Pending<void> other(Write("3", "other"));
  world_.RunFor(absl::Minutes(1));
  EXPECT_FALSE(under_way.done() || behind.done() || other.done());
  world_.disk("a").Clear(SimDiskFault::kStall);
  world_.RunFor(kSoon);
  EXPECT_TRUE(under_way.done() && behind.done() && other.done());
  EXPECT_EQ(Read(), "2");
}

TEST_F(SimDiskTest, DroppedWriteGoesOn) {
  { auto forgotten = Write("text"); }
  world_.RunFor(kSoon);
  EXPECT_EQ(Read(), "text");
}

TEST_F(SimDiskTest, LockedWhileTheProcessLives) {
  auto& other = static_cast<internal::SimMachine&>(world_.machine("b")).sim_process();
  EXPECT_EQ(world_.disk("a").Open(other).status().code(), absl::StatusCode::kFailedPrecondition);
  world_.Pause("a");
  EXPECT_EQ(world_.disk("a").Open(other).status().code(), absl::StatusCode::kFailedPrecondition);
  world_.Kill("a", SimDiskAfter::kKeep);
  EXPECT_TRUE(world_.disk("a").Open(other).ok());
}

TEST_F(SimDiskTest, PausedProcessLearnsOfItsWriteUponResume) {
  Pending<void> write(Write("text"));
  world_.Pause("a");
  world_.RunFor(kSoon);
  EXPECT_FALSE(write.done());
  world_.Resume("a");
  world_.RunFor(absl::ZeroDuration());
  EXPECT_TRUE(write.done());
}

}  // namespace
}  // namespace troupe
