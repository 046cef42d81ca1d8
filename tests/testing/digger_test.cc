// Work that takes long: on other threads it harms nobody; on the loop it is noticed, and named.
#include "digger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "troupe/testing/harness.h"
#include "troupe/testing/local_node.h"

namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using troupe::testing::Harness;
using troupe::testing::LocalNode;

TEST(Offload, GivesWhatTheWorkReturns) {
  Harness harness;
  harness.Host<DiggerActor>();
  auto mole = harness.Get<Digger>("mole");
  EXPECT_EQ(harness.Await(mole.Dig(0)), 1u);
  EXPECT_THAT(harness.Fails(mole.BreakSpade()), HasSubstr("the spade broke"));
}

TEST(Offload, KeepsNoOtherActorWaiting) {
  LocalNode node;
  node.Host<DiggerActor>();
  // Each key has its own turn; 8 run at once though the node has one loop.
  kj::Vector<kj::Promise<void>> dug;
  for (int i = 0; i < 8; ++i) {
    dug.add(node.Get<Digger>("d" + std::to_string(i)).Dig(20'000'000).AsPromise().ignoreResult());
  }
  node.Await(node.Get<Digger>("quick").Rest(1));
  node.Await(kj::joinPromises(dug.releaseAsArray()));
}

// Not of digging, but of what a harness passes on.
class Foreman final : public Digger::Actor {
 public:
  explicit Foreman(uint64_t& heard) : heard_(heard) {}

 private:
  Task<uint64_t> Dig(uint32_t depth) override { co_return heard_ += depth; }
  Task<void> DigHere(uint32_t) override { co_return; }
  Task<void> DigLater(uint32_t, uint32_t) override { co_return; }
  Task<void> BreakSpade() override { co_return; }
  Task<void> Rest(uint32_t) override { co_return; }
  void Save(DiggerState::Builder) const override {}
  void Load(DiggerState::Reader) override {}
  uint64_t& heard_;
};

TEST(Harness, HasObserversAndAWallClock) {
  Harness harness;
  harness.Host<DiggerActor>();
  uint64_t heard = 0;
  auto foreman = harness.Observe<Foreman>(heard);
  EXPECT_EQ(harness.Await(foreman.ref().Dig(5)), 5u);
  EXPECT_EQ(heard, 5u);
  const absl::Time before = harness.WallNow();
  harness.AdvanceWallClocks(absl::Hours(24));
  EXPECT_GT(harness.WallNow(), before + absl::Hours(24));
  EXPECT_LT(harness.WallNow(), before + absl::Hours(24) + absl::Seconds(1));
}

TEST(Sleep, LastsAsLongAsItIsToldTo) {
  Harness harness;
  harness.Host<DiggerActor>();
  bool rested = false;
  auto rest = harness.Get<Digger>("mole")
                  .Rest(500)
                  .AsPromise()
                  .then([&] { rested = true; })
                  .eagerlyEvaluate(nullptr);
  harness.Advance(absl::Milliseconds(450));
  EXPECT_FALSE(rested);
  harness.Advance(absl::Milliseconds(100));
  EXPECT_TRUE(rested);
}

// What a node writes on standard error while `method` runs.
template <typename Method>
std::string Said(Method method) {
  LocalNode node;
  node.Host<DiggerActor>();
  auto mole = node.Get<Digger>("mole");
  node.Await(mole.Rest(1));
  ::testing::internal::CaptureStderr();
  auto caught = kj::runCatchingExceptions([&] {
    node.Await(method(mole));
    node.Await(mole.Rest(30));  // The loop has come round.
  });
  std::string said = ::testing::internal::GetCapturedStderr();
  KJ_IF_MAYBE (e, caught) said += e->getDescription().cStr();
  return said;
}

TEST(LoopWatch, NamesTheMethodThatHeldUpItsLoop) {
  EXPECT_THAT(Said([](Digger::Ref& mole) { return mole.DigHere(300); }),
              AllOf(HasSubstr("a loop was held up "), HasSubstr("Digger.digHere on Digger/mole"),
                    HasSubstr("blocking and long work belongs into Offload()")));
}

TEST(LoopWatch, NamesTheOneThatDidSoAfterAWait) {
  EXPECT_THAT(Said([](Digger::Ref& mole) { return mole.DigLater(300, 0); }),
              AllOf(HasSubstr("a loop was held up "), HasSubstr("Digger.digLater on Digger/mole")));
}

TEST(LoopWatch, NamesWhoMayHaveBeenItBetweenTwoWaits) {
  EXPECT_THAT(Said([](Digger::Ref& mole) { return mole.DigLater(300, 200); }),
              AllOf(HasSubstr("a loop was held up, perhaps by a method that went on after a wait"),
                    HasSubstr("Digger.digLater on Digger/mole")));
}

TEST(LoopWatch, SpeaksWhileTheLoopStandsStill) {
  EXPECT_THAT(Said([](Digger::Ref& mole) { return mole.DigHere(1900); }),
              AllOf(HasSubstr("a worker stands still"), HasSubstr("in=Digger.digHere")));
}

TEST(LoopWatch, SaysNothingOfWhatIsOffTheLoop) {
  std::string said = "untried";
  for (int i = 0; i < 3 && !said.empty(); ++i) {  // A busy computer holds it up as well.
    said = Said([](Digger::Ref& mole) { return mole.Rest(400); });
  }
  EXPECT_EQ(said, "");
}

}  // namespace
