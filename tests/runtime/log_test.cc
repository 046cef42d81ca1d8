// The log on standard error: the form of a line, and levels.
#include "troupe/runtime/log.h"

#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace troupe {
namespace {

using testing::MatchesRegex;

std::string Captured(auto&& act) {
  testing::internal::CaptureStderr();
  act();
  return testing::internal::GetCapturedStderr();
}

TEST(StandardErrorLog, WritesOneLineWithTimeLevelNodeEventAndFields) {
  Log log(StandardErrorLog(), "a");
  EXPECT_THAT(Captured([&] {
                log.Info("member suspected", {{"member", "b"}, {"after_ms", 250}});
              }),
              MatchesRegex(
                  " *[0-9]+\\.[0-9][0-9][0-9] info    a member suspected member=b after_ms=250\n"));
  EXPECT_THAT(Captured([&] { log.Warning("slow"); }), MatchesRegex(".* WARNING a slow\n"));
  EXPECT_THAT(Captured([&] { log.Error("gone"); }), MatchesRegex(".* ERROR   a gone\n"));
}

TEST(StandardErrorLog, QuotesWhatWouldBreakTheLine) {
  Log log(StandardErrorLog(), "a");
  std::string line = Captured([&] {
    log.Info("e",
             {{"blank", "x y"}, {"quote", "\"\\"}, {"none", ""}, {"forged", "x\n1 error\x1b"}});
  });
  EXPECT_THAT(line,
              testing::EndsWith(
                  "e blank=\"x y\" quote=\"\\\"\\\\\" none=\"\" forged=\"x\\n1 error\\x1b\"\n"));
}

TEST(StandardErrorLog, LeavesOutWhatIsBelowItsLevel) {
  Log log(StandardErrorLog(), "a");
  EXPECT_EQ(Captured([&] { log.Debug("detail"); }), "");
  EXPECT_FALSE(log.debug_enabled());
  SetStandardErrorLogLevel(LogLevel::kDebug);
  EXPECT_TRUE(log.debug_enabled());
  EXPECT_NE(Captured([&] { log.Debug("detail"); }), "");
  SetStandardErrorLogLevel(LogLevel::kError);
  EXPECT_EQ(Captured([&] { log.Warning("hm"); }), "");
  SetStandardErrorLogLevel(LogLevel::kInfo);
}

TEST(StandardErrorLog, LinesOfSeveralThreadsDoNotMix) {
  std::string text = Captured([] {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([] {
        Log log(StandardErrorLog(), "n");
        for (int i = 0; i < 100; ++i) log.Info("event", {{"value", std::string(50, 'x')}});
      });
    }
    for (auto& thread : threads) thread.join();
  });
  size_t lines = 0;
  for (size_t at = 0, end; (end = text.find('\n', at)) != text.npos; at = end + 1, ++lines) {
    EXPECT_THAT(text.substr(at, end - at), MatchesRegex(" *[0-9.]+ info    n event value=x+"));
  }
  EXPECT_EQ(lines, 400u);
}

}  // namespace
}  // namespace troupe
