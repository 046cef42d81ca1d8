// Linearizability: orders that exist are found, those that do not are explained.
#include "troupe/sim/linearizability.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "troupe/runtime/random.h"

namespace troupe::sim {
namespace {

using ::testing::HasSubstr;

Operation Op(const std::string& client, const std::string& call, std::vector<std::string> arguments,
             int64_t invoked, int64_t returned, const std::string& result) {
  return {client, "x", call, std::move(arguments), invoked, returned, Outcome::kOk, result};
}
Operation Unknown(const std::string& client, const std::string& call,
                  std::vector<std::string> arguments, int64_t invoked) {
  return {client, "x", call, std::move(arguments), invoked, 0, Outcome::kUnknown, ""};
}
Verdict VerdictOf(Model model, const std::vector<Operation>& operations) {
  return Judge(model, operations).verdict;
}

TEST(Linearizability, OverlappingCallsMayHappenInEitherOrder) {
  EXPECT_EQ(VerdictOf(Model::kCounter,
                      {Op("a", "add", {"1"}, 0, 10, "2"), Op("b", "add", {"1"}, 5, 15, "1")}),
            Verdict::kLinearizable);
}

TEST(Linearizability, ACallThatReturnedBeforeAnotherBeganComesFirst) {
  EXPECT_EQ(VerdictOf(Model::kCounter,
                      {Op("a", "add", {"1"}, 0, 4, "2"), Op("b", "add", {"1"}, 5, 15, "1")}),
            Verdict::kViolation);
}

TEST(Linearizability, AStaleReadIsFound) {
  auto judgement =
      Judge(Model::kRegister, {Op("a", "write", {"1"}, 0, 1, ""), Op("a", "write", {"2"}, 2, 3, ""),
                               Op("b", "read", {}, 4, 5, "1"), Op("b", "read", {}, 6, 7, "2")});
  EXPECT_EQ(judgement.verdict, Verdict::kViolation);
  EXPECT_THAT(judgement.explanation, HasSubstr("b read() = 1"));
  EXPECT_THAT(judgement.explanation, HasSubstr("which leaves \"2\""));
  // What came after the first wrong answer is not shown.
  EXPECT_THAT(judgement.explanation, ::testing::Not(HasSubstr("b read() = 2")));
}

TEST(Linearizability, ReadsDoNotGoBack) {
  // The write is open throughout: either value may be read, but not the old one after the new one.
  auto write = Op("a", "write", {"1"}, 0, 100, "");
  EXPECT_EQ(VerdictOf(Model::kRegister,
                      {write, Op("b", "read", {}, 10, 20, ""), Op("c", "read", {}, 30, 40, "1")}),
            Verdict::kLinearizable);
  EXPECT_EQ(VerdictOf(Model::kRegister,
                      {write, Op("b", "read", {}, 10, 20, "1"), Op("c", "read", {}, 30, 40, "")}),
            Verdict::kViolation);
}

TEST(Linearizability, AnUnknownCallMayTakeEffectLaterOrNeverButOnce) {
  auto lost = Unknown("a", "add", {"5"}, 0);
  EXPECT_EQ(VerdictOf(Model::kCounter, {lost, Op("b", "get", {}, 10, 11, "0")}),
            Verdict::kLinearizable);
  EXPECT_EQ(VerdictOf(Model::kCounter,
                      {lost, Op("b", "get", {}, 10, 11, "0"), Op("b", "get", {}, 12, 13, "5")}),
            Verdict::kLinearizable);
  EXPECT_EQ(VerdictOf(Model::kCounter, {lost, Op("b", "get", {}, 10, 11, "10")}),
            Verdict::kViolation);
  EXPECT_EQ(VerdictOf(Model::kCounter,
                      {lost, Op("b", "get", {}, 10, 11, "5"), Op("b", "get", {}, 12, 13, "0")}),
            Verdict::kViolation);
  // Not before it was asked for.
  EXPECT_EQ(
      VerdictOf(Model::kCounter, {Op("b", "get", {}, 10, 11, "5"), Unknown("a", "add", {"5"}, 20)}),
      Verdict::kViolation);
}

TEST(Linearizability, ARefusedCallDidNothing) {
  auto refused = Op("a", "add", {"5"}, 0, 3, "");
  refused.outcome = Outcome::kRefused;
  EXPECT_EQ(VerdictOf(Model::kCounter, {refused, Op("b", "get", {}, 10, 11, "0")}),
            Verdict::kLinearizable);
  EXPECT_EQ(VerdictOf(Model::kCounter, {refused, Op("b", "get", {}, 10, 11, "5")}),
            Verdict::kViolation);
}

TEST(Linearizability, CompareAndSwapSucceedsForOneOnly) {
  auto a = Op("a", "cas", {"", "a"}, 0, 10, "true");
  EXPECT_EQ(VerdictOf(Model::kRegister, {a, Op("b", "cas", {"", "b"}, 0, 10, "false")}),
            Verdict::kLinearizable);
  EXPECT_EQ(VerdictOf(Model::kRegister, {a, Op("b", "cas", {"", "b"}, 0, 10, "true")}),
            Verdict::kViolation);
}

TEST(Linearizability, ListsShowEveryAppendOnceAndInOrder) {
  auto a = Op("a", "append", {"x"}, 0, 10, "");
  auto b = Op("b", "append", {"y"}, 0, 10, "");
  EXPECT_EQ(VerdictOf(Model::kList, {a, b, Op("c", "list", {}, 20, 30, "y,x")}),
            Verdict::kLinearizable);
  EXPECT_EQ(VerdictOf(Model::kList, {a, b, Op("c", "list", {}, 20, 30, "x")}), Verdict::kViolation);
  EXPECT_EQ(VerdictOf(Model::kList, {a, b, Op("c", "list", {}, 20, 30, "x,y,x")}),
            Verdict::kViolation);
  EXPECT_EQ(VerdictOf(Model::kList, {a, b, Op("c", "list", {}, 20, 30, "x,y"),
                                     Op("c", "list", {}, 40, 50, "y,x")}),
            Verdict::kViolation);
}

TEST(Linearizability, QueuesGiveEachItemOnceOldestFirst) {
  auto x = Op("a", "push", {"x"}, 0, 1, "");
  auto y = Op("a", "push", {"y"}, 2, 3, "");
  EXPECT_EQ(VerdictOf(Model::kQueue, {x, y, Op("b", "pop", {}, 4, 5, "x"),
                                      Op("b", "pop", {}, 6, 7, "y"), Op("b", "pop", {}, 8, 9, "")}),
            Verdict::kLinearizable);
  EXPECT_EQ(VerdictOf(Model::kQueue, {x, y, Op("b", "pop", {}, 4, 5, "y")}), Verdict::kViolation);
  EXPECT_EQ(
      VerdictOf(Model::kQueue, {x, Op("b", "pop", {}, 4, 9, "x"), Op("c", "pop", {}, 4, 9, "x")}),
      Verdict::kViolation);
}

TEST(Linearizability, WhatTheModelDoesNotKnowIsSaid) {
  auto judgement = Judge(Model::kCounter, {Op("a", "frob", {}, 0, 1, "")});
  EXPECT_EQ(judgement.verdict, Verdict::kViolation);
  EXPECT_THAT(judgement.explanation, HasSubstr("does not know a frob()"));
}

TEST(Linearizability, ObjectsAreJudgedEachByItself) {
  History history;
  const absl::Time t;
  history.Return(t, history.Invoke(t, "a", "good", "add", {"1"}), "1");
  EXPECT_EQ(Judge(Model::kCounter, history).verdict, Verdict::kLinearizable);
  history.Return(t, history.Invoke(t, "a", "bad", "add", {"1"}), "2");
  auto judgement = Judge(Model::kCounter, history);
  EXPECT_EQ(judgement.verdict, Verdict::kViolation);
  EXPECT_THAT(judgement.explanation, HasSubstr("bad: "));
}

TEST(Linearizability, GivesUpAtItsBounds) {
  std::vector<Operation> operations;
  for (int i = 0; i < 40; ++i) {
    operations.push_back(Unknown("a", "add", {std::to_string(1 << (i % 20))}, 0));
  }
  operations.push_back(Op("b", "get", {}, 10, 11, "-1"));
  auto judgement = Judge(Model::kCounter, operations, {.steps_max = 10000, .states_max = 10000});
  EXPECT_EQ(judgement.verdict, Verdict::kGaveUp);
  EXPECT_THAT(judgement.explanation, HasSubstr("gave up"));
}

// Ten clients at one actor, by a walk that knows the order: `clients` calls are open at a time.
std::vector<Operation> Walk(Model model, uint64_t seed, size_t count, size_t clients,
                            double unknown) {
  Random random(seed);
  struct Open {
    size_t at;
    bool done;
  };
  std::vector<Operation> out;
  std::vector<Open> open;
  int64_t now = 0, value = 0;
  std::string text;
  auto effect = [&](Operation& op) {
    if (op.call == "add") value += std::stoll(op.arguments[0]);
    if (op.call == "write") text = op.arguments[0];
    if (op.call == "cas") {
      const bool swaps = text == op.arguments[0];
      if (swaps) text = op.arguments[1];
      op.result = swaps ? "true" : "false";
      return;
    }
    if (op.call == "write") return;
    op.result = model == Model::kCounter ? std::to_string(value) : text;
  };
  auto draw = [&](size_t number) {
    const std::string client = absl::StrCat("c", number % clients);
    const std::string some = std::to_string(random.Below(5));
    const uint64_t kind = random.Below(3);
    if (model == Model::kCounter) {
      return kind == 0 ? Op(client, "get", {}, now, 0, "") : Op(client, "add", {"1"}, now, 0, "");
    }
    if (kind == 0) return Op(client, "read", {}, now, 0, "");
    if (kind == 1) return Op(client, "write", {some}, now, 0, "");
    return Op(client, "cas", {some, std::to_string(random.Below(5))}, now, 0, "");
  };
  while (out.size() < count || !open.empty()) {
    ++now;
    if (out.size() < count && open.size() < clients && random.Chance(0.5)) {
      open.push_back({out.size(), false});
      out.push_back(draw(out.size()));
      continue;
    }
    if (open.empty()) continue;
    const size_t i = random.Below(open.size());
    if (!open[i].done) {
      effect(out[open[i].at]);
      open[i].done = true;
      if (random.Chance(unknown)) out[open[i].at].outcome = Outcome::kUnknown;
    } else {
      out[open[i].at].returned = now;
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  return out;
}

TEST(Linearizability, TenThousandOperationsOfTenClientsAreJudgedInMillionsOfSteps) {
  for (Model model : {Model::kCounter, Model::kRegister}) {
    for (double unknown : {0.0, 0.01}) {
      auto operations = Walk(model, 1, 10000, 10, unknown);
      auto judgement = Judge(model, operations);
      EXPECT_EQ(judgement.verdict, Verdict::kLinearizable) << judgement.explanation;
      EXPECT_LT(judgement.steps, 30'000'000u);
      RecordProperty("steps", static_cast<int>(judgement.steps));
    }
  }
}

TEST(Linearizability, OneWrongAnswerAmongThousandsIsFound) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    auto operations = Walk(Model::kCounter, seed, 2000, 10, 0.005);
    ASSERT_EQ(VerdictOf(Model::kCounter, operations), Verdict::kLinearizable) << seed;
    for (size_t i = 1000; i < operations.size(); ++i) {
      if (operations[i].outcome != Outcome::kOk || operations[i].call != "get") continue;
      // Older than anything that can be.
      operations[i].result = std::to_string(std::stoll(operations[i].result) - 40);
      break;
    }
    auto judgement = Judge(Model::kCounter, operations);
    EXPECT_EQ(judgement.verdict, Verdict::kViolation) << seed << judgement.explanation;
  }
}

TEST(History, SurvivesBeingWrittenAndRead) {
  History history;
  const absl::Time t = absl::FromUnixSeconds(1);
  auto first = history.Invoke(t, "c\"1", "k\\3", "add", {"1", "x\ny"});
  history.Invoke(t, "c2", "k", "get", {});
  history.Return(t + absl::Seconds(1), first, "5\t");
  history.Refuse(t, history.Invoke(t, "c3", "k", "add", {"2"}));
  auto read = History::FromJsonLines(history.ToJsonLines());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->operations(), history.operations());
}

TEST(History, ReadsWhatOthersWriteAndSaysWhichLineIsWrong) {
  auto read = History::FromJsonLines(
      "{ \"object\" : \"k\", \"more\": 7, \"call\":\"get\",\"args\":[],\"invoked\":5,"
      "\"returned\":6,\"outcome\":\"ok\",\"result\":\"0\" }\n\n");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->size(), 1u);
  for (const char* wrong : {"{", "{\"call\":\"get\"}", "{\"call\":\"get\",\"outcome\":\"maybe\"}",
                            "{\"call\":\"get\",\"invoked\":5,\"returned\":4,\"outcome\":\"ok\"}",
                            "[]", "{\"call\":\"get\",\"outcome\":\"unknown\"} x",
                            "{\"call\":\"\\u12\",\"outcome\":\"ok\"}"}) {
    auto status = History::FromJsonLines(absl::StrCat("\n", wrong)).status();
    EXPECT_FALSE(status.ok()) << wrong;
    EXPECT_THAT(std::string(status.message()), HasSubstr("line 2")) << wrong;
  }
}

TEST(History, MomentsRiseThoughTheClockStands) {
  History history;
  const absl::Time t = absl::FromUnixSeconds(1);
  history.Return(t, history.Invoke(t, "a", "k", "add", {"1"}), "1");
  history.Return(t, history.Invoke(t, "a", "k", "get", {}), "0");
  EXPECT_EQ(Judge(Model::kCounter, history).verdict, Verdict::kViolation);
}

}  // namespace
}  // namespace troupe::sim
