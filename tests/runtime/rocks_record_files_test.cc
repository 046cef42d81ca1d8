// RecordFiles: what is found after a kill, a power cut, damage, or another program's work.
#include "troupe/runtime/internal/record_files.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rocks_records.h"

namespace troupe {
namespace {

using testing::HasSubstr;

class RecordFilesTest : public RocksRecords {
 protected:
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
};

TEST_F(RecordFilesTest, ATornEndOfTheLogIsAWriteThatNobodyWasToldIsDone) {
  for (int i = 0; i < 10; ++i) Await(Put(absl::StrCat("k", i), std::string(100, 'x')));
  Close();
  const std::string log = FileOf(".log");
  std::filesystem::resize_file(log, std::filesystem::file_size(log) - 50);
  Reopen();
  EXPECT_EQ(Scan().size(), 9u);
}

TEST_F(RecordFilesTest, DamageInTheMiddleOfTheLogIsDataLoss) {
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

TEST_F(RecordFilesTest, DamageInATableIsDataLoss) {
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

TEST_F(RecordFilesTest, AMissingFileIsDataLossAndNotAnEmptyStore) {
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

TEST_F(RecordFilesTest, AStoreOfAnotherFormatIsRefused) {
  Await(Put("k", "v"));
  Close();
  std::ofstream(records() + "/FORMAT") << "troupe records 9\n";
  Reopen();
  EXPECT_EQ(ScanError().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(ErrorOf(Put("k", "v")),
              HasSubstr("is of the format \"troupe records 9\", and this program knows"));
}

TEST_F(RecordFilesTest, WhatIsLeftOfAMakingThatWasCutShortIsNoStore) {
  std::filesystem::create_directory(records() + ".tmp");
  std::ofstream(records() + ".tmp/CURRENT") << "half";
  EXPECT_EQ(Scan(), Records());
  Await(Put("k", "v"));
  EXPECT_FALSE(std::filesystem::exists(records() + ".tmp"));
  Reopen();
  EXPECT_EQ(Scan(), (Records{{"k", "v"}}));
}

TEST_F(RecordFilesTest, ScansThatRunWhenItClosesAreCutShort) {
  Close();
  RecordFiles files(records());
  const RecordChange changes[] = {PutRecord{"a", "1"}, PutRecord{"b", "2"}};
  ASSERT_TRUE(files.Write(changes).ok());
  int shown = 0;
  auto scan = [&] {
    return files.Scan("", kEnd, [&](auto, auto) {
      ++shown;
      files.EndScans();
    });
  };
  EXPECT_EQ(scan().code(), absl::StatusCode::kCancelled);
  files.Close();
  EXPECT_EQ(scan().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(shown, 1);
}

// Run by the test below in a process of its own, in which TROUPE_TEST_RECORDS is set: writes until
// it is killed, 50 at a time, and tells by a byte of each that is resolved.
TEST(RecordFilesVictim, Writes) {
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
    std::string program = "test", filter = "--gtest_filter=RecordFilesVictim.Writes";
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

TEST_F(RecordFilesTest, AKillLosesNothingResolvedAndLeavesWholeWritesInOrder) {
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
