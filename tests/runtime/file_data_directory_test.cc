// FileDataDirectory: records replaced as a whole, damage found, one process at a time.
#include "troupe/runtime/file_data_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/vector.h"
#include "troupe/runtime/crc32c.h"
#include "uv_loop.h"

namespace troupe {
namespace {

using testing::HasSubstr;

std::vector<std::byte> Bytes(std::string_view text) {
  auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

class FileDataDirectoryTest : public testing::Test {
 protected:
  FileDataDirectoryTest() : path_(testing::TempDir() + "troupe-data-XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) ADD_FAILURE();
  }
  ~FileDataDirectoryTest() override { std::filesystem::remove_all(path_); }

  kj::Own<FileDataDirectory> Open() {
    auto opened = FileDataDirectory::Open(path_, loop_.port);
    if (!opened.ok()) ADD_FAILURE() << opened.status();
    return kj::mv(*opened);
  }
  std::string FileText(const char* name) {
    std::ifstream file(path_ + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void SetFileText(const char* name, const std::string& text) {
    std::ofstream(path_ + "/" + name, std::ios::binary) << text;
  }

  UvLoop loop_;
  std::string path_;
};

TEST(Crc32c, AgreesWithItsTestVector) {
  EXPECT_EQ(Crc32c(Bytes("123456789")), 0xe3069283u);
  EXPECT_EQ(Crc32c(Bytes("6789"), Crc32c(Bytes("12345"))), 0xe3069283u);
}

TEST_F(FileDataDirectoryTest, ReadsBackAlsoAfterReopening) {
  {
    auto data = Open();
    auto none = data->Read("identity");
    ASSERT_TRUE(none.ok());
    EXPECT_FALSE(none->has_value());
    data->Write("identity", Bytes("first")).wait(loop_.scope);
    data->Write("empty", {}).wait(loop_.scope);
    data->Write("identity", Bytes("second")).wait(loop_.scope);
    EXPECT_EQ(**data->Read("identity"), Bytes("second"));
  }
  auto data = Open();
  EXPECT_EQ(**data->Read("identity"), Bytes("second"));
  EXPECT_EQ(**data->Read("empty"), Bytes(""));
}

TEST_F(FileDataDirectoryTest, ACopyWasMadeAtAnotherTime) {
  uint64_t birth = 0;
  {
    auto data = Open();
    birth = data->Birth();
    data->Write("identity", Bytes("first")).wait(loop_.scope);
  }
  EXPECT_EQ(Open()->Birth(), birth);
  if (birth == 0) return;  // This file system does not tell.
  const std::string original = std::exchange(path_, path_ + "-copy");
  std::filesystem::copy(original, path_, std::filesystem::copy_options::recursive);
  EXPECT_NE(Open()->Birth(), birth);
  std::filesystem::remove_all(std::exchange(path_, original));
}

TEST_F(FileDataDirectoryTest, WritesOfOneNameEndInOrder) {
  auto data = Open();
  std::vector<int> ended;
  kj::Vector<kj::Promise<void>> writes;
  for (int i = 0; i < 20; ++i) {
    writes.add(data->Write("a", Bytes(std::to_string(i)))
                   .then([&ended, i]() { ended.push_back(i); })
                   .eagerlyEvaluate(nullptr));
    auto other = data->Write("b", Bytes(std::to_string(i)));  // Dropped, but done all the same.
  }
  for (auto& write : writes) write.wait(loop_.scope);
  EXPECT_TRUE(std::is_sorted(ended.begin(), ended.end()));
  EXPECT_EQ(**data->Read("a"), Bytes("19"));
  data->Write("b", Bytes("last")).wait(loop_.scope);
  EXPECT_EQ(**data->Read("b"), Bytes("last"));
}

TEST_F(FileDataDirectoryTest, BoundsWhatWaits) {
  auto data = Open();
  kj::Vector<kj::Promise<void>> writes;
  for (int i = 0; i < 64; ++i) writes.add(data->Write("a", Bytes("x")));
  auto refused = data->Write("a", Bytes("y"));
  KJ_IF_MAYBE (e, kj::runCatchingExceptions([&]() { refused.wait(loop_.scope); })) {
    EXPECT_EQ(e->getType(), kj::Exception::Type::OVERLOADED);
  } else {
    ADD_FAILURE();
  }
  for (auto& write : writes) write.wait(loop_.scope);
}

TEST_F(FileDataDirectoryTest, DroppedWithWritesUnderWayStaysLockedUntilTheyHaveEnded) {
  auto data = Open();
  for (int i = 0; i < 10; ++i) auto dropped = data->Write("a", Bytes("x"));
  data = nullptr;
  const absl::Time limit = absl::Now() + absl::Seconds(20);
  auto again = FileDataDirectory::Open(path_, loop_.port);
  while (!again.ok() && absl::Now() < limit) {
    EXPECT_EQ(again.status().code(), absl::StatusCode::kFailedPrecondition) << again.status();
    kj::evalLast([] {}).wait(loop_.scope);  // Writes end on the loop.
    loop_.scope.poll();
    again = FileDataDirectory::Open(path_, loop_.port);
  }
  ASSERT_TRUE(again.ok()) << again.status();
}

TEST_F(FileDataDirectoryTest, EveryDamageIsDataLoss) {
  auto data = Open();
  data->Write("identity", Bytes("some contents")).wait(loop_.scope);
  data->Write("other", Bytes("contents, some")).wait(loop_.scope);
  const std::string good = FileText("identity");
  std::vector<std::string> damaged = {
      "",         good.substr(0, 5), good.substr(0, good.size() - 1),
      good + "x", FileText("other"), std::string(good.size(), '\0')};
  for (size_t at = 0; at < good.size(); ++at) {
    damaged.push_back(good);
    damaged.back()[at] ^= 0x10;
  }
  for (const std::string& text : damaged) {
    SetFileText("identity", text);
    auto read = data->Read("identity");
    EXPECT_EQ(read.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(read.status().message()), HasSubstr("identity"));
  }
  SetFileText("identity", good);
  EXPECT_TRUE(data->Read("identity").ok());
}

TEST_F(FileDataDirectoryTest, LeftoversOfAnInterruptedWriteAreNoRecords) {
  {
    auto data = Open();
    data->Write("identity", Bytes("whole")).wait(loop_.scope);
  }
  SetFileText("identity.tmp", "half a rec");
  auto data = Open();
  EXPECT_EQ(**data->Read("identity"), Bytes("whole"));
  EXPECT_FALSE(std::filesystem::exists(path_ + "/identity.tmp"));
}

TEST_F(FileDataDirectoryTest, FailedWriteRejectsAndTheNextOneIsTried) {
  auto data = Open();
  std::filesystem::create_directory(path_ + "/a.tmp");  // The temporary file cannot be made.
  auto failing = data->Write("a", Bytes("x"));
  EXPECT_TRUE(kj::runCatchingExceptions([&]() { failing.wait(loop_.scope); }) != nullptr);
  std::filesystem::remove(path_ + "/a.tmp");
  data->Write("a", Bytes("y")).wait(loop_.scope);
  EXPECT_EQ(**data->Read("a"), Bytes("y"));
}

TEST_F(FileDataDirectoryTest, RefusesNamesThatLeaveTheDirectory) {
  auto data = Open();
  for (const char* name : {"", "../x", "a/b", ".hidden", "LOCK", "x.tmp"}) {
    EXPECT_EQ(data->Read(name).status().code(), absl::StatusCode::kInvalidArgument) << name;
    auto write = data->Write(name, {});
    EXPECT_TRUE(kj::runCatchingExceptions([&]() { write.wait(loop_.scope); }) != nullptr) << name;
  }
}

TEST_F(FileDataDirectoryTest, SecondProcessIsToldWhoHasIt) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    // The thread's port belongs to the parent; opening alone does not use it.
    auto opened = FileDataDirectory::Open(path_, loop_.port);
    char ok = opened.ok() ? 'y' : 'n';
    (void)!::write(ready[1], &ok, 1);
    while (true) ::pause();
  }
  char ok = 0;
  ASSERT_EQ(::read(ready[0], &ok, 1), 1);
  ASSERT_EQ(ok, 'y');
  auto refused = FileDataDirectory::Open(path_, loop_.port);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr(path_));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr(absl::StrCat("pid ", child)));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(FileDataDirectory::Open(path_, loop_.port).ok());  // The lock ended with the process.
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(FileDataDirectoryTest, CreatesItsDirectoryButNotTheParents) {
  EXPECT_TRUE(FileDataDirectory::Open(path_ + "/new", loop_.port).ok());
  auto deep = FileDataDirectory::Open(path_ + "/no/such", loop_.port);
  EXPECT_EQ(deep.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(deep.status().message()), HasSubstr("/no/such"));
}

}  // namespace
}  // namespace troupe
