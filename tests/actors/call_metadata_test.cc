// CallMetadata, TraceContext, Permissions: what interceptors go by.
#include "troupe/actors/call_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "troupe/actors/authorization.h"
#include "troupe/actors/call.h"
#include "troupe/actors/tracing.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

template <typename Work>
std::string ErrorOf(Work work) {
  std::string text = "no error";
  KJ_IF_MAYBE (e, kj::runCatchingExceptions(work)) text = Words(*e);
  return text;
}

TEST(CallMetadata, HoldsTextByKey) {
  CallMetadata none;
  EXPECT_TRUE(none.empty());
  const CallMetadata two{{"b", "2"}, {"a", "1"}};
  EXPECT_EQ(two.Find("a"), "1");
  EXPECT_EQ(two.Find("c"), "");
  EXPECT_EQ(two.With("a", "3").Find("a"), "3");
  EXPECT_EQ(two.Find("a"), "1");
  EXPECT_TRUE(two.With("a", "").With("b", "").empty());
  EXPECT_EQ(two.And({{"b", "own"}, {"c", "3"}}),
            (CallMetadata{{"a", "1"}, {"b", "own"}, {"c", "3"}}));
  EXPECT_EQ(none.And(two), two);
  EXPECT_EQ(two.And(none), two);
}

TEST(CallMetadata, IsBounded) {
  CallMetadata full;
  for (size_t i = 0; i < kMetadataMax; ++i) full = full.With("k" + std::to_string(i), "v");
  EXPECT_THAT(ErrorOf([&] { (void)full.With("more", "v"); }),
              HasSubstr("metadata of a call: more than 16 entries, with more"));
  EXPECT_EQ(full.With("k1", "w").Find("k1"), "w");
  EXPECT_THAT(ErrorOf([] { (void)CallMetadata().With("", "v"); }), HasSubstr("a key has 0 bytes"));
  EXPECT_THAT(ErrorOf([] { (void)CallMetadata().With("k", std::string(5000, 'v')); }),
              HasSubstr("5001 bytes with k, expected at most 4096"));
}

TEST(CallMetadata, TravelsWithACallAndCostsNothingWhereThereIsNone) {
  CallHeader header{{1, "x"}, 2, 3, ClientCall{{4, 5}, 6, 1}, {}};
  capnp::MallocMessageBuilder bare;
  EncodeCall(1, header, absl::Seconds(1), bare.initRoot<wire::CallFrame>());
  EXPECT_TRUE(DecodeCall(bare.getRoot<wire::CallFrame>()).metadata.empty());
  header.metadata = {{"user", "ann"}, {"z", std::string("\0\xff", 2)}};
  capnp::MallocMessageBuilder message;
  EncodeCall(1, header, absl::Seconds(1), message.initRoot<wire::CallFrame>());
  EXPECT_EQ(DecodeCall(message.getRoot<wire::CallFrame>()).metadata, header.metadata);
}

TEST(CallMetadata, FromAFrameIsBoundedToo) {
  capnp::MallocMessageBuilder message;
  auto frame = message.initRoot<wire::CallFrame>();
  auto list = frame.initMetadata(kMetadataMax + 1);
  for (unsigned i = 0; i < list.size(); ++i) {
    list[i].setKey(absl::StrCat("k", i).c_str());
    list[i].setValue("v");
  }
  EXPECT_THAT(ErrorOf([&] { (void)DecodeCall(frame); }), HasSubstr("more than 16 entries"));
}

TEST(TraceContext, ReadsWhatTheSpecificationAllows) {
  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto context = TraceContext::Parse(good);
  ASSERT_TRUE(context);
  EXPECT_TRUE(context->sampled);
  EXPECT_EQ(context->ToString(), good);
  EXPECT_FALSE(
      TraceContext::Parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")->sampled);
  // Of a later version what is known counts, and more may follow.
  EXPECT_TRUE(TraceContext::Parse("01" + good.substr(2) + "-more"));
  const std::vector<std::string> malformed{
      "",
      good.substr(1),
      good + "-more",
      "ff" + good.substr(2),
      "00-00000000000000000000000000000000-b7ad6b7169203331-01",
      "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
      "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
      "01" + good.substr(2) + "x"};
  for (const auto& bad : malformed) {
    EXPECT_FALSE(TraceContext::Parse(bad)) << bad;
  }
  Random random(1);
  EXPECT_TRUE(TraceContext::Parse(NewTraceparent(random))->sampled);
}

TEST(FileSpans, AppendsLinesAndSaysWhatItCannotOpen) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/troupe-spans-", getpid());
  for (int run = 0; run < 2; ++run) {
    auto spans = FileSpans::Open(path);
    ASSERT_TRUE(spans.ok()) << spans.status();
    (*spans)->Write(absl::StrCat("{\"run\":", run, "}"));
  }
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), "{\"run\":0}\n{\"run\":1}\n");
  std::remove(path.c_str());
  EXPECT_THAT(std::string(FileSpans::Open("/nowhere/at/all").status().message()),
              HasSubstr("cannot write spans to /nowhere/at/all: No such file"));
}

TEST(FileSpans, CountsWhatItDrops) {
  auto spans = FileSpans::Open("/dev/full");
  ASSERT_TRUE(spans.ok());
  for (size_t i = 0; i < 3 * kSpansWaitingMax; ++i) (*spans)->Write("{}");
  while ((*spans)->dropped() == 0) std::this_thread::yield();
}

constexpr char kToken[] = "0123456789abcdef";

TEST(Permissions, AllowByTypeMethodOrAll) {
  const auto permissions = Permissions::Parse(R"(
anonymous = ["Greeter.greet"]
[[principal]]
name = "shop"
token = "0123456789abcdef"
allow = ["Order", "Stock.look"]
[[principal]]
name = "root"
token = "fedcba9876543210"
allow = ["*"]
)",
                                              "p.toml");
  ASSERT_TRUE(permissions.ok()) << permissions.status();
  EXPECT_EQ(permissions->WhyNot("", "Greeter", "Greeter.greet"), "");
  EXPECT_THAT(permissions->WhyNot("", "Greeter", "Greeter.other"), HasSubstr("needs a token"));
  EXPECT_EQ(permissions->WhyNot(kToken, "Order", "Order.place"), "");
  EXPECT_EQ(permissions->WhyNot(kToken, "Stock", "Stock.look"), "");
  EXPECT_THAT(permissions->WhyNot(kToken, "Stock", "Stock.take"),
              HasSubstr("principal shop may not call Stock.take"));
  EXPECT_EQ(permissions->WhyNot("fedcba9876543210", "Stock", "Stock.take"), "");
  EXPECT_THAT(permissions->WhyNot("0123456789abcdeF", "Order", "Order.place"),
              HasSubstr("no principal of this node has"));
}

TEST(Permissions, SayWhatIsWrongWithTheirFile) {
  auto complaint = [](const std::string& text) {
    return std::string(Permissions::Parse(text, "p.toml").status().message());
  };
  const std::string shop = "[[principal]]\nname = 'shop'\n";
  EXPECT_THAT(complaint("x"), StartsWith("p.toml line 1: not TOML: "));
  EXPECT_THAT(
      complaint("allow = ['x']"),
      HasSubstr("p.toml line 1: unknown key \"allow\" of permissions, expected anonymous or"));
  EXPECT_THAT(complaint(shop + "tokens = 1"), HasSubstr("expected name, token or allow"));
  EXPECT_THAT(complaint("anonymous = 'x'"), HasSubstr("expected a list of rules, such as"));
  EXPECT_THAT(complaint("anonymous = [1]"),
              HasSubstr("expected a rule: a type, TYPE.METHOD, or \"*\""));
  EXPECT_THAT(complaint("principal = 'x'"),
              HasSubstr("expected [[principal]], with name, token and allow"));
  EXPECT_THAT(complaint("[[principal]]\ntoken = 'x'"), HasSubstr("a principal needs a name"));
  EXPECT_THAT(complaint(shop + "token = 'short'\nallow = []"),
              HasSubstr("the token of principal shop has 5 bytes, expected at least 16"));
  const std::string whole = shop + "token = '0123456789abcdef'\n";
  EXPECT_THAT(complaint(whole), HasSubstr("principal shop is allowed nothing: add allow"));
  EXPECT_THAT(complaint(whole + "allow = []\n" + whole + "allow = []\n"),
              HasSubstr("principal shop has the token of another one"));
}

}  // namespace
}  // namespace troupe
