// RocksRecordStore: durable when it says so, whole and in order after a kill, damage found.
#include "troupe/runtime/rocks_record_store.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <mutex>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/debug.h"
#include "kj/vector.h"
#include "troupe/runtime/uv_machine.h"

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

using Records = std::vector<std::pair<std::string, std::string>>;

const std::string kEnd = "\xff\xff";

kj::Own<UvMachine> MakeMachine(const std::string& path) {
  auto machine = UvMachine::Create({.node = "test", .data_directory = path});
  KJ_REQUIRE(machine.ok(), std::string(machine.status().message()).c_str());
  return kj::mv(*machine);
}

absl::StatusOr<Records> ScanOf(RecordStore& store, std::string_view begin = "",
                               std::string_view end = kEnd) {
  Records records;
  auto status = store.Scan(begin, end, [&](std::string_view key, std::string_view value) {
    records.emplace_back(key, value);
  });
  if (!status.ok()) return status;
  return records;
}

class RocksRecordStoreTest : public testing::Test {
 protected:
  RocksRecordStoreTest() : path_(testing::TempDir() + "troupe-records-XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) ADD_FAILURE();
    Reopen();
  }
  ~RocksRecordStoreTest() noexcept override {
    Fail(0);
    Close();
    std::filesystem::remove_all(path_);
  }

  void Close() { machine_ = nullptr; }
  void Reopen() {
    Close();
    machine_ = MakeMachine(path_);
  }
  RecordStore& store() { return *machine_->record_store(); }
  kj::Promise<void> Write(std::vector<RecordChange> changes) {
    return store().Write(machine_->control(), std::move(changes));
  }
  kj::Promise<void> Put(std::string key, std::string value) {
    return Write({PutRecord{std::move(key), std::move(value)}});
  }
  void Await(kj::Promise<void> promise) { promise.wait(machine_->wait_scope()); }
  // What it rejects with.
  std::string ErrorOf(kj::Promise<void> promise) {
    auto error = kj::runCatchingExceptions([&] { Await(kj::mv(promise)); });
    KJ_IF_MAYBE (e, error) return e->getDescription().cStr();
    return "(none)";
  }
  Records Scan(std::string_view begin = "", std::string_view end = kEnd) {
    auto records = ScanOf(store(), begin, end);
    if (!records.ok()) ADD_FAILURE() << records.status();
    return records.ok() ? *records : Records();
  }
  absl::Status ScanError() { return ScanOf(store()).status(); }

  std::string records() const { return path_ + "/records"; }
  // The one file of that extension that is not empty.
  std::string FileOf(const std::string& extension) {
    std::string found;
    for (const auto& entry : std::filesystem::directory_iterator(records())) {
      if (entry.path().extension() != extension || entry.file_size() == 0) continue;
      EXPECT_EQ(found, "");
      found = entry.path().string();
    }
    EXPECT_NE(found, "");
    return found;
  }
  void FlipByte(const std::string& file, size_t at) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(at));
    const int byte = stream.get();
    stream.seekp(static_cast<std::streamoff>(at));
    stream.put(static_cast<char>(byte ^ 0x10));
    EXPECT_TRUE(stream.good());
  }

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
    disk.changed.wait(lock, [] { return disk.waiting > 0; });
  }
  size_t Syncs() {
    std::lock_guard lock(disk.mutex);
    return disk.calls;
  }

  std::string path_;
  kj::Own<UvMachine> machine_;
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

// ---- Damage

TEST_F(RocksRecordStoreTest, ATornEndOfTheLogIsAWriteThatNobodyWasToldIsDone) {
  for (int i = 0; i < 10; ++i) Await(Put(absl::StrCat("k", i), std::string(100, 'x')));
  Close();
  const std::string log = FileOf(".log");
  std::filesystem::resize_file(log, std::filesystem::file_size(log) - 50);
  Reopen();
  EXPECT_EQ(Scan().size(), 9u);
}

TEST_F(RocksRecordStoreTest, DamageInTheMiddleOfTheLogIsDataLoss) {
  for (int i = 0; i < 10; ++i) Await(Put(absl::StrCat("k", i), std::string(100, 'x')));
  Close();
  const std::string log = FileOf(".log");
  FlipByte(log, std::filesystem::file_size(log) / 2);
  Reopen();
  const auto error = ScanError();
  EXPECT_EQ(error.code(), absl::StatusCode::kDataLoss) << error;
  EXPECT_THAT(std::string(error.message()),
              HasSubstr("the record store " + records() + " is damaged"));
  EXPECT_EQ(ErrorOf(Put("k", "v")), std::string(error.message()));
}

TEST_F(RocksRecordStoreTest, DamageInATableIsDataLoss) {
  for (int i = 0; i < 10; ++i) Await(Put(absl::StrCat("k", i), std::string(1000, 'x')));
  Reopen();
  EXPECT_EQ(Scan().size(), 10u);  // Opening has made the log a table.
  Close();
  FlipByte(FileOf(".sst"), 100);
  Reopen();
  const auto error = ScanError();
  EXPECT_EQ(error.code(), absl::StatusCode::kDataLoss) << error;
  EXPECT_THAT(std::string(error.message()), HasSubstr(records()));
}

TEST_F(RocksRecordStoreTest, AMissingFileIsDataLossAndNotAnEmptyStore) {
  Await(Put("k", "v"));
  Reopen();
  Scan();
  Close();
  for (const auto& file : {FileOf(".sst"), records() + "/CURRENT"}) {
    std::filesystem::rename(file, path_ + "/aside");
    Reopen();
    EXPECT_EQ(ScanError().code(), absl::StatusCode::kDataLoss) << ScanError();
    EXPECT_THAT(ErrorOf(Put("k", "new")), HasSubstr("is damaged"));
    Close();
    std::filesystem::rename(path_ + "/aside", file);
  }
  Reopen();
  EXPECT_EQ(Scan(), (Records{{"k", "v"}}));
}

TEST_F(RocksRecordStoreTest, AStoreOfAnotherFormatIsRefused) {
  Await(Put("k", "v"));
  Close();
  std::ofstream(records() + "/FORMAT") << "troupe records 9\n";
  Reopen();
  EXPECT_EQ(ScanError().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(ErrorOf(Put("k", "v")),
              HasSubstr("is of the format \"troupe records 9\", and this program knows"));
}

TEST_F(RocksRecordStoreTest, WhatIsLeftOfAMakingThatWasCutShortIsNoStore) {
  std::filesystem::create_directory(records() + ".tmp");
  std::ofstream(records() + ".tmp/CURRENT") << "half";
  EXPECT_EQ(Scan(), Records());
  Await(Put("k", "v"));
  EXPECT_FALSE(std::filesystem::exists(records() + ".tmp"));
  Reopen();
  EXPECT_EQ(Scan(), (Records{{"k", "v"}}));
}

// ---- Kills

// Run by the test below in a process of its own, in which TROUPE_TEST_RECORDS is set: writes until
// it is killed, 50 at a time, and tells by a byte of each that is resolved.
TEST(RocksRecordStoreVictim, Writes) {
  const char* path = std::getenv("TROUPE_TEST_RECORDS");
  if (path == nullptr) GTEST_SKIP() << "a part of another test";
  auto machine = MakeMachine(path);
  std::deque<kj::Promise<void>> writes;
  for (int i = 0;; ++i) {
    const std::string number = absl::StrCat(1'000'000 + i);
    writes.push_back(machine->record_store()->Write(
        machine->control(), {PutRecord{"a" + number, std::string(50, 'a')},
                             PutRecord{"b" + number, std::string(50, 'b')}}));
    if (writes.size() < 50) continue;
    writes.front().wait(machine->wait_scope());
    writes.pop_front();
    KJ_ASSERT(::write(STDOUT_FILENO, ".", 1) == 1);
  }
}

class Victim {
 public:
  explicit Victim(const std::string& path) {
    int out[2];
    KJ_REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
    out_ = out[0];
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    std::string program = "test", filter = "--gtest_filter=RocksRecordStoreVictim.Writes";
    std::string brief = "--gtest_brief=1", where = "TROUPE_TEST_RECORDS=" + path;
    char* arguments[] = {program.data(), filter.data(), brief.data(), nullptr};
    char* environment[] = {where.data(), nullptr};
    KJ_REQUIRE(::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, arguments, environment) ==
               0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(out[1]);
  }
  // Resolved writes that it told of, before and after which it is killed.
  size_t KillAfter(size_t resolved) {
    size_t seen = Read(resolved);
    ::kill(pid_, SIGKILL);
    seen += Read(SIZE_MAX);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << status;
    ::close(out_);
    return seen;
  }

 private:
  size_t Read(size_t dots) {
    char text[4096];
    size_t seen = 0;
    while (seen < dots) {
      const ssize_t n = ::read(out_, text, sizeof text);
      if (n <= 0) break;
      seen += static_cast<size_t>(std::count(text, text + n, '.'));
    }
    return seen;
  }
  pid_t pid_ = 0;
  int out_ = -1;
};

TEST_F(RocksRecordStoreTest, AKillLosesNothingResolvedAndLeavesWholeWritesInOrder) {
  for (size_t kill_after : {1u, 300u, 2000u}) {
    Close();
    std::filesystem::remove_all(records());
    const size_t resolved = Victim(path_).KillAfter(kill_after);
    EXPECT_GE(resolved, kill_after);
    Reopen();
    const Records a = Scan("a", "b"), b = Scan("b", "c");
    EXPECT_GE(a.size(), resolved);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].first, absl::StrCat("a", 1'000'000 + i));
      ASSERT_EQ(b[i].first, absl::StrCat("b", 1'000'000 + i));
    }
  }
}

}  // namespace
}  // namespace troupe
