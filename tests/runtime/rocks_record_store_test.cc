// RocksRecordStore: durable when it says so, in order, lazily, and at an end once the disk fails.
#include "troupe/runtime/rocks_record_store.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/vector.h"
#include "rocks_records.h"

namespace troupe {
namespace {

// What stands between RocksDB and the disk, by the fdatasync() below.
struct Disk {
  std::mutex mutex;
  std::condition_variable changed;
  bool held = false;   // Calls wait.
  size_t waiting = 0;  // Such calls.
  int error = 0;       // With which calls fail.
  size_t calls = 0;
};
Disk disk;

}  // namespace
}  // namespace troupe

extern "C" int fdatasync(int fd) {
  auto& disk = troupe::disk;
  std::unique_lock lock(disk.mutex);
  ++disk.calls;
  ++disk.waiting;
  disk.changed.notify_all();
  disk.changed.wait(lock, [&] { return !disk.held; });
  --disk.waiting;
  if (disk.error != 0) {
    errno = disk.error;
    return -1;
  }
  lock.unlock();
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

namespace troupe {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class RocksRecordStoreTest : public RocksRecords {
 protected:
  ~RocksRecordStoreTest() noexcept override { Fail(0); }

  void Fail(int error) {
    std::lock_guard lock(disk.mutex);
    disk.error = error;
  }
  void Hold(bool held) {
    std::lock_guard lock(disk.mutex);
    disk.held = held;
    disk.changed.notify_all();
  }
  void UntilTheDiskIsAsked() {
    std::unique_lock lock(disk.mutex);
    EXPECT_TRUE(
        disk.changed.wait_for(lock, std::chrono::seconds(20), [] { return disk.waiting > 0; }));
  }
  size_t Syncs() {
    std::lock_guard lock(disk.mutex);
    return disk.calls;
  }
};

std::set<std::string> Threads() {
  std::set<std::string> names;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm") >> std::ws, name);
    names.insert(name);
  }
  return names;
}

TEST(RocksRecordStore, ANodeThatKeepsNothingOnDiskHasNone) {
  auto machine = UvMachine::Create({.node = "test"});
  EXPECT_EQ((*machine)->record_store(), nullptr);
}

TEST_F(RocksRecordStoreTest, NothingIsMadeBeforeTheFirstWrite) {
  EXPECT_THAT(Scan(), ElementsAre());
  EXPECT_FALSE(std::filesystem::exists(records()));
  EXPECT_FALSE(Threads().contains("records"));
  Await(Put("k", "v"));
  EXPECT_TRUE(std::filesystem::exists(records()));
  EXPECT_TRUE(Threads().contains("records"));
  Reopen();
  EXPECT_FALSE(Threads().contains("records"));
}

TEST_F(RocksRecordStoreTest, KeepsWhatWasWrittenAcrossReopening) {
  Await(Put("k", "first"));
  Await(Write({PutRecord{"k", "second"}, PutRecord{"empty", ""}}));
  const Records written = {{"empty", ""}, {"k", "second"}};
  EXPECT_EQ(Scan(), written);
  for (int i = 0; i < 3; ++i) {
    Reopen();
    EXPECT_EQ(Scan(), written);
  }
  Await(Write({EraseRecord{"empty"}}));
  Reopen();
  EXPECT_EQ(Scan(), (Records{{"k", "second"}}));
}

TEST_F(RocksRecordStoreTest, ScansARangeInTheOrderOfBytes) {
  const std::string zero(1, '\0');
  Await(Write({PutRecord{"b", "2"}, PutRecord{"a\xff", "1"}, PutRecord{"a" + zero, zero},
               PutRecord{"a", "0"}, PutRecord{"c", "3"}}));
  EXPECT_EQ(Scan(),
            (Records{{"a", "0"}, {"a" + zero, zero}, {"a\xff", "1"}, {"b", "2"}, {"c", "3"}}));
  EXPECT_EQ(Scan("a" + zero, "b"), (Records{{"a" + zero, zero}, {"a\xff", "1"}}));
  EXPECT_EQ(Scan("b", "b"), Records());
  EXPECT_EQ(Scan("c", "a"), Records());
}

TEST_F(RocksRecordStoreTest, DoesTheChangesOfAWriteInTheirOrder) {
  Await(Write({PutRecord{"a", "1"}, PutRecord{"b", "1"}, PutRecord{"c", "1"}}));
  Await(Write({PutRecord{"b", "2"}, EraseRecords{"a", "c"}, PutRecord{"a", "3"}, EraseRecord{"c"},
               EraseRecord{"no such"}, EraseRecords{"z", "a"}}));
  EXPECT_EQ(Scan(), (Records{{"a", "3"}}));
  Reopen();
  EXPECT_EQ(Scan(), (Records{{"a", "3"}}));
}

TEST_F(RocksRecordStoreTest, WritesThatWaitAreWrittenTogetherAndResolveOnceTheyAreOnTheDisk) {
  Await(Put("k", "0"));  // Makes it.
  const size_t before = Syncs();
  Hold(true);
  std::vector<int> ended;
  kj::Vector<kj::Promise<void>> writes;
  auto write = [&](int i) {
    writes.add(
        Put("k", absl::StrCat(i)).then([&, i] { ended.push_back(i); }).eagerlyEvaluate(nullptr));
  };
  write(0);
  UntilTheDiskIsAsked();
  for (int i = 1; i < 100; ++i) write(i);
  machine_->wait_scope().poll();
  EXPECT_THAT(ended, ElementsAre());
  Hold(false);
  for (auto& each : writes) Await(kj::mv(each));
  EXPECT_EQ(Syncs() - before, 2u);
  EXPECT_EQ(ended.size(), 100u);
  EXPECT_TRUE(std::is_sorted(ended.begin(), ended.end()));
  EXPECT_EQ(Scan(), (Records{{"k", "99"}}));
}

TEST_F(RocksRecordStoreTest, ABatchHasItsBound) {
  Await(Put("k", "0"));
  const size_t before = Syncs();
  Hold(true);
  kj::Vector<kj::Promise<void>> writes;
  writes.add(Put("k", "1"));
  UntilTheDiskIsAsked();
  for (int i = 0; i < 5; ++i) {
    writes.add(Put(absl::StrCat("large ", i), std::string(7 * 1024 * 1024, 'x')));
  }
  Hold(false);
  for (auto& each : writes) Await(kj::mv(each));
  EXPECT_GE(Syncs() - before, 4u);  // One, then two large ones each time.
  Reopen();
  EXPECT_EQ(Scan("large", "large~").size(), 5u);
}

TEST_F(RocksRecordStoreTest, DroppedWritesGoOnAndAreEndedBeforeItCloses) {
  for (int i = 0; i < 100; ++i) auto dropped = Put(absl::StrCat("k", i), "v");
  Reopen();
  EXPECT_EQ(Scan().size(), 100u);
}

// Writes to it one after another, and several at a time.
class Writer final : public WorkerBody {
 public:
  Writer(Host& host, RecordStore& store, size_t index, std::atomic<int>& errors,
         kj::Function<void()> done)
      : host_(host), store_(store), index_(index), errors_(errors), done_(kj::mv(done)) {
    for (int i = 0; i < 300; ++i) Write(i);
  }

 private:
  void Write(int number) {
    writes_.add(store_
                    .Write(host_, {PutRecord{absl::StrCat(index_, "/", 1000 + number), "v"},
                                   PutRecord{absl::StrCat(index_, " last"), absl::StrCat(number)}})
                    .then([this, number] {
                      if (std::this_thread::get_id() != thread_ || number != resolved_) ++errors_;
                      if (++resolved_ == 300) done_();
                    })
                    .eagerlyEvaluate([this](kj::Exception&&) { ++errors_; }));
  }
  Host& host_;
  RecordStore& store_;
  const size_t index_;
  std::atomic<int>& errors_;
  kj::Function<void()> done_;
  const std::thread::id thread_ = std::this_thread::get_id();
  int resolved_ = 0;
  kj::Vector<kj::Promise<void>> writes_;
};

TEST_F(RocksRecordStoreTest, LoopsWriteAtOnceEachInItsOrderAndHearOnTheirOwn) {
  std::atomic<int> errors = 0;
  int left = 3;
  auto all = kj::newPromiseAndFulfiller<void>();
  Await(machine_->StartWorkers(3, [&](size_t index, Host& host) -> kj::Own<WorkerBody> {
    return kj::heap<Writer>(host, store(), index, errors, [&] {
      machine_->control().PostControl([&] {
        if (--left == 0) all.fulfiller->fulfill();
      });
    });
  }));
  Await(kj::mv(all.promise));
  machine_->StopWorkers();
  EXPECT_EQ(errors, 0);
  Reopen();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Scan(absl::StrCat(i, "/"), absl::StrCat(i, "0")).size(), 300u);
    EXPECT_EQ(Scan(absl::StrCat(i, " "), absl::StrCat(i, "!")),
              (Records{{absl::StrCat(i, " last"), "299"}}));
  }
}

// ---- Failures

TEST_F(RocksRecordStoreTest, OnceTheDiskFailsEveryWriteRejectsUntilItIsOpenedAnew) {
  Await(Put("k", "safe"));
  Hold(true);
  auto first = Put("k", "perhaps");
  UntilTheDiskIsAsked();
  auto second = Put("l", "never");
  Fail(EIO);
  Hold(false);
  const std::string error = ErrorOf(kj::mv(first));
  EXPECT_THAT(error, AllOf(HasSubstr("the record store " + records() + " cannot be used"),
                           HasSubstr("nput/output error")));
  EXPECT_EQ(ErrorOf(kj::mv(second)), error);
  Fail(0);
  EXPECT_EQ(ErrorOf(Put("l", "never")), error);
  EXPECT_EQ(ErrorOf(Write({EraseRecords{"", kEnd}})), error);
  Reopen();
  const std::string kept = Scan("k", "l").at(0).second;
  EXPECT_TRUE(kept == "safe" || kept == "perhaps") << kept;
  EXPECT_EQ(Scan("l", kEnd), Records());
  Await(Put("k", "again"));
}

TEST_F(RocksRecordStoreTest, AFileThatMayNotGrowCutsAWriteAndWhatWasBeforeIsKept) {
  Await(Put("k0", "v"));
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small = {100'000, before.rlim_max};
  auto* handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  int written = 1;
  std::string error = "(none)";
  for (; written < 100 && error == "(none)"; ++written) {
    error = ErrorOf(Put(absl::StrCat("k", written), std::string(3000, 'x')));
  }
  --written;  // The last one failed.
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_GT(written, 20);
  EXPECT_THAT(error, AllOf(HasSubstr(records()), HasSubstr("File too large")));
  EXPECT_EQ(ErrorOf(Put("late", "")), error);
  Reopen();
  EXPECT_EQ(Scan().size(), static_cast<size_t>(written));
}

TEST_F(RocksRecordStoreTest, AStoreThatCannotBeMadeRejects) {
  Fail(EIO);
  const std::string error = ErrorOf(Put("k", "v"));
  EXPECT_THAT(error, HasSubstr("the record store " + records() + " cannot be used"));
  Fail(0);
  EXPECT_EQ(ErrorOf(Put("k", "v")), error);
  EXPECT_EQ(Scan(), Records());
  Reopen();
  Await(Put("k", "v"));  // What was half made is made anew.
  EXPECT_EQ(Scan(), (Records{{"k", "v"}}));
}

}  // namespace
}  // namespace troupe
