// Children: who of them is made anew when one fails, and what their callers are told.
#include "cluster_fixture.h"
#include "nursery.h"

namespace troupe {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class ChildrenTest : public ClusterFixture {
 protected:
  void Begin(ActorTypeOptions options = {}, std::vector<std::string> nodes = {"a"}) {
    registry_.Host<NurseryActor>([this] { return kj::heap<NurseryActor>(office_); }, options);
    Start(std::move(nodes));
    nursery_ = client_->Get<Nursery>("n");
    EXPECT_EQ(Count("a"), 1u);  // It is there.
    Forget();
  }
  ~ChildrenTest() override {
    nursery_ = {};
    cluster_ = nullptr;  // Before the office.
  }
  void Forget() {
    office_.made.clear();
    office_.activated.clear();
    office_.gone.clear();
  }
  uint64_t Count(const std::string& child, uint64_t by = 1) {
    return cluster_->Await(nursery_.Add(child, by));
  }
  template <typename T>
  std::string Error(Task<T> task) {
    return ErrorOf(kj::mv(task).AsPromise().then([](auto&&...) {}));
  }
  std::string Fail(const std::string& child, const std::string& text = "told to fail") {
    return Error(nursery_.Fail(child, text));
  }

  NurseryOffice office_;
  Nursery::Ref nursery_;
};

TEST_P(ChildrenTest, OneForOneMakesAnewTheOneThatFailed) {
  Begin();
  EXPECT_EQ(Count("b", 5), 5u);
  cluster_->Await(nursery_.FailLater("a"));
  cluster_->Run(absl::Milliseconds(20));
  EXPECT_EQ(Count("a"), 1u);  // Of a new object, after a pause.
  EXPECT_EQ(Count("b"), 6u);
  EXPECT_THAT(office_.made, ElementsAre("a"));
  EXPECT_THAT(office_.gone, ElementsAre("a"));
  EXPECT_EQ(office_.objects, 1u);
}

TEST_P(ChildrenTest, AnErrorThatLeavesTheParentsMethodTakesThemAllAsItsObjectGoes) {
  Begin();
  EXPECT_EQ(Count("b", 5), 5u);
  EXPECT_THAT(Fail("a"), HasSubstr("told to fail"));
  EXPECT_EQ(Count("b"), 1u);
  EXPECT_EQ(office_.objects, 2u);
  EXPECT_THAT(office_.made, ElementsAre("a", "b", "c"));
  EXPECT_THAT(office_.gone, UnorderedElementsAre("a", "b", "c"));
}

TEST_P(ChildrenTest, OneForAllMakesAllAnewInTheOrderOfTheirStarts) {
  office_.options.strategy = Strategy::kOneForAll;
  Begin();
  EXPECT_EQ(Count("c", 5), 5u);
  cluster_->Await(nursery_.FailLater("b"));
  cluster_->Run(absl::Seconds(1));
  EXPECT_THAT(office_.gone, ElementsAre("c", "b", "a"));
  EXPECT_THAT(office_.made, ElementsAre("a", "b", "c"));
  EXPECT_THAT(office_.activated, ElementsAre("a", "b", "c"));
  EXPECT_EQ(Count("c"), 1u);
  EXPECT_EQ(office_.objects, 1u);
}

TEST_P(ChildrenTest, RestForOneMakesAnewThoseThatWereStartedAfterIt) {
  office_.options.strategy = Strategy::kRestForOne;
  Begin();
  EXPECT_EQ(Count("c", 5), 5u);
  cluster_->Await(nursery_.FailLater("b"));
  cluster_->Run(absl::Seconds(1));
  EXPECT_THAT(office_.gone, ElementsAre("c", "b"));
  EXPECT_THAT(office_.activated, ElementsAre("b", "c"));
  EXPECT_EQ(Count("a"), 2u);
  EXPECT_EQ(Count("c"), 1u);
}

TEST_P(ChildrenTest, CallsOfThoseThatAreMadeAnewSayWhy) {
  office_.options.strategy = Strategy::kOneForAll;
  Begin();
  EXPECT_EQ(cluster_->Await(nursery_.HangWhile("a", "b")),
            "child a of Nursery/n is started anew, and a call to it is lost: child b failed: told "
            "to fail");
}

TEST_P(ChildrenTest, CallsThatComeInThePauseWaitForTheNewObject) {
  office_.options.pause_min = absl::Seconds(2);
  Begin();
  cluster_->Await(nursery_.FailLater("a"));
  cluster_->Run(absl::Milliseconds(20));
  const auto before = cluster_->world().Now();
  EXPECT_EQ(Count("a"), 1u);
  EXPECT_GE(cluster_->world().Now() - before, absl::Milliseconds(900));
}

TEST_P(ChildrenTest, TooManyFailuresAreOneOfTheParent) {
  office_.options.restarts_max = 2;
  office_.options.pause_min = absl::Milliseconds(10);
  Begin();
  for (int i = 0; i < 2; ++i) {
    cluster_->Await(nursery_.FailLater("a"));
    cluster_->Run(absl::Milliseconds(200));
  }
  EXPECT_EQ(office_.objects, 1u);
  cluster_->Await(nursery_.FailLater("a"));
  cluster_->Run(absl::Milliseconds(500));
  EXPECT_EQ(office_.objects, 2u);  // With new children.
  EXPECT_TRUE(cluster_->world().log().Contains(
      "child a has failed, the last of more than 2 failures of children within 1m: told to fail "
      "later"));
  EXPECT_EQ(Count("b"), 1u);
}

TEST_P(ChildrenTest, ThatKeepFailingSuspendTheirParent) {
  office_.options.restarts_max = 0;
  office_.fails_to_activate.insert("c");
  registry_.Host<NurseryActor>([this] { return kj::heap<NurseryActor>(office_); },
                               {.supervision = {.failures_max = 1}});
  Start({"a"});
  nursery_ = client_->Get<Nursery>("n");
  (void)Error(nursery_.Touch());
  cluster_->Run(absl::Seconds(10));
  EXPECT_THAT(Error(nursery_.Touch()),
              AllOf(HasSubstr("is suspended"), HasSubstr("child c has failed"),
                    HasSubstr("told to fail to activate")));
}

TEST_P(ChildrenTest, OneThatCannotBeMadeIsTriedAgain) {
  office_.fails_to_make.insert("a");
  office_.options.restarts_max = 100;
  registry_.Host<NurseryActor>([this] { return kj::heap<NurseryActor>(office_); });
  Start({"a"});
  nursery_ = client_->Get<Nursery>("n");
  EXPECT_EQ(Count("b"), 1u);
  cluster_->Run(absl::Seconds(1));
  office_.fails_to_make.clear();
  EXPECT_EQ(Count("a"), 1u);
  EXPECT_EQ(Count("b"), 2u);
}

TEST_P(ChildrenTest, WhoseErrorsAreAnswersFailByOtherKinds) {
  office_.child.errors = ChildOptions::Errors::kAreAnswers;
  Begin();
  EXPECT_THAT(Fail("a"), HasSubstr("told to fail"));
  EXPECT_THAT(office_.made, ElementsAre("a", "b", "c"));  // Of the parent's new object.
  Forget();
  EXPECT_EQ(Count("a"), 1u);
  EXPECT_THAT(Error(nursery_.FailAs("a", static_cast<uint16_t>(kj::Exception::Type::DISCONNECTED))),
              HasSubstr("told to fail as it is"));
  cluster_->Run(absl::Seconds(1));
  EXPECT_TRUE(cluster_->world().log().Contains("a child failed"));
}

TEST_P(ChildrenTest, EndForGoodAsTheirRestartSays) {
  Begin();
  using Restart = ChildOptions::Restart;
  auto start = [&](const std::string& name, Restart restart) {
    cluster_->Await(nursery_.Start(name, static_cast<uint16_t>(restart)));
  };
  start("permanent", Restart::kPermanent);
  start("transient", Restart::kTransient);
  start("temporary", Restart::kTemporary);
  start("failing", Restart::kTemporary);
  for (const auto* name : {"permanent", "transient", "temporary"}) {
    cluster_->Await(nursery_.Leave(name));
  }
  cluster_->Await(nursery_.FailLater("failing"));
  cluster_->Run(absl::Seconds(1));
  EXPECT_EQ(Count("permanent"), 1u);
  EXPECT_THAT(Error(nursery_.Add("failing", 1)),
              HasSubstr("child failing of Nursery/n has ended: it failed: told to fail later"));
}

TEST_P(ChildrenTest, ThatHaveEndedAreKnownToHave) {
  Begin();
  using Restart = ChildOptions::Restart;
  cluster_->Await(nursery_.Start("t", static_cast<uint16_t>(Restart::kTransient)));
  cluster_->Await(nursery_.Leave("t"));
  cluster_->Run(absl::Milliseconds(10));
  EXPECT_THAT(Error(nursery_.Add("t", 1)),
              HasSubstr("child t of Nursery/n has ended: it called Deactivate()"));
  EXPECT_TRUE(cluster_->Await(nursery_.Stop("a")));
  EXPECT_FALSE(cluster_->Await(nursery_.Stop("a")));
  EXPECT_THAT(Error(nursery_.Add("a", 1)), HasSubstr("has ended: its parent has stopped it"));
}

TEST_P(ChildrenTest, AreStartedUnderNamesOfTheirOwn) {
  Begin();
  EXPECT_THAT(Error(nursery_.Start("a", 0)),
              HasSubstr("is there already: Stop() it before, or give another name"));
  EXPECT_THAT(Error(nursery_.Start("", 0)), HasSubstr("has a name of 0 bytes, expected 1 to 256"));
  EXPECT_THAT(Error(nursery_.StartMany(kChildrenMax)),
              HasSubstr("would be one too many: at most 256 can be started by one Children"));
  EXPECT_THAT(Error(nursery_.Add("nobody", 1)),
              HasSubstr("child nobody of Nursery/n has not been started"));
}

TEST_P(ChildrenTest, HaveNoTurnsAndNoState) {
  Begin();
  for (const auto* what : {"tell", "persist"}) {
    EXPECT_THAT(Error(nursery_.Misuse("a", what)),
                AllOf(HasSubstr("child a of Nursery/n called "),
                      HasSubstr("a child keeps nothing and has no turns of its parent's; have the "
                                "parent do it")));
  }
  EXPECT_THAT(Error(nursery_.CallAsOther("a")),
              HasSubstr("child a of Nursery/n is of another type than the ref that calls it"));
  cluster_->Await(nursery_.Misuse("a", "keep"));
  cluster_->Await(nursery_.Stop("a"));
  EXPECT_THAT(Error(office_.kept.Touch()), HasSubstr("the calling child has ended"));
  office_.kept = {};
}

TEST_P(ChildrenTest, OfAParentThatKeepsItsObjectStayEnded) {
  office_.options.restarts_max = 0;
  Begin({.supervision = {.directive = Supervision::Directive::kResume}});
  EXPECT_THAT(Fail("a"), HasSubstr("told to fail"));
  EXPECT_EQ(office_.objects, 1u);
  EXPECT_THAT(Error(nursery_.Add("b", 1)), HasSubstr("has ended: child a has failed"));
  EXPECT_THAT(Error(nursery_.Start("d", 0)), HasSubstr("cannot be started any more: child a has"));
}

TEST_P(ChildrenTest, CallActorsAndEachOther) {
  Begin({}, {"a", "b", "c"});
  EXPECT_EQ(cluster_->Await(nursery_.Count("a", "x")), 1u);
  EXPECT_EQ(Get("x"), 1u);
  EXPECT_EQ(cluster_->Await(nursery_.AskSibling("a", "b")), 1u);
  EXPECT_THAT(Error(nursery_.AskSibling("a", "a")),
              HasSubstr("call cycle: child a of Nursery/n is called by what it waits for"));
}

TEST_P(ChildrenTest, OneThatCallsItsWaitingParentIsACallCycle) {
  Begin();
  EXPECT_THAT(Error(nursery_.AskParent("a")), HasSubstr("call cycle: Nursery/n -> Nursery/n"));
}

TEST_P(ChildrenTest, OneThatNeverAnswersEndsByTheDeadline) {
  Begin();
  EXPECT_THAT(Error(nursery_.Hang("a", 300)),
              HasSubstr("child a of Nursery/n has not answered within 300ms"));
}

TEST_P(ChildrenTest, AreReachedByNobodyElse) {
  Begin();
  EXPECT_THAT(Error(nursery_.TellChild("a")),
              HasSubstr("cannot tell its child a anything that is to outlive it"));
  EXPECT_THAT(Error(nursery_.GiveAway("a", client_->Get<Nursery>("other"))),
              HasSubstr("child a is called from outside: only its parent's object"));
}

TEST_P(ChildrenTest, OfChildrenFailTheirParentAlone) {
  office_.with_grandchild = "b";
  Begin();
  EXPECT_EQ(Count("b", 3), 3u);
  cluster_->Await(nursery_.Fail("b", "told to fail"));  // Its only failure that is too many.
  cluster_->Run(absl::Seconds(1));
  EXPECT_THAT(office_.activated, ElementsAre("b", "a of b"));
  EXPECT_EQ(Count("b"), 1u);
  EXPECT_EQ(Count("a"), 2u);
  EXPECT_EQ(office_.objects, 1u);
}

TEST_P(ChildrenTest, GoWithTheirParentAndAreStartedWhereItIsNext) {
  Begin({.idle_timeout = absl::Seconds(2)}, {"a", "b", "c"});
  EXPECT_EQ(Count("a"), 2u);
  cluster_->Run(absl::Seconds(5));  // It has gone, idle.
  EXPECT_THAT(office_.gone, UnorderedElementsAre("a", "b", "c"));
  EXPECT_EQ(Count("a"), 1u);
  cluster_->Kill(cluster_->PrimaryOf(nursery_.id()));
  EXPECT_EQ(Count("a"), 1u);
  EXPECT_EQ(Count("a"), 2u);
}

TEST_P(ChildrenTest, KeepTheirParentActiveIfTheyAreToldTo) {
  office_.options.keeps_active = true;
  Begin({.idle_timeout = absl::Seconds(2)});
  cluster_->Run(absl::Seconds(10));
  EXPECT_THAT(office_.gone, IsEmpty());
  EXPECT_EQ(Count("a"), 2u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ChildrenTest, ::testing::Range<uint64_t>(1, 4));

}  // namespace
}  // namespace troupe
