// Groups: who has joined is known by whoever asks; CallAll: many are asked, a few at a time.
#include "troupe/actors/group.h"
#include "cluster_fixture.h"
#include "news.h"

namespace troupe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class GroupTest : public ClusterFixture {
 protected:
  void Begin() {
    registry_.Host<ReaderActor>([this] { return kj::heap<ReaderActor>(office_); });
    registry_.Host<Group>();
    Start({"a", "b", "c"});
  }
  GroupOf<Reader> Readers(const std::string& name = "readers") {
    return client_->Group<Reader>(name);
  }
  Reader::Ref At(const std::string& key) { return client_->Get<Reader>(key); }
  std::vector<Reader::Ref> Members() { return cluster_->Await(Readers().Members()); }

  NewsOffice office_;
};

TEST_P(GroupTest, KnowsWhoHasJoinedAndNotLeftInOrder) {
  Begin();
  EXPECT_THAT(Members(), IsEmpty());
  for (const char* key : {"carl", "ann", "bob"}) {
    EXPECT_TRUE(cluster_->Await(Readers().Join(At(key))));
  }
  EXPECT_FALSE(cluster_->Await(Readers().Join(At("ann"))));
  EXPECT_THAT(Members(), ElementsAre(At("carl"), At("ann"), At("bob")));
  EXPECT_TRUE(cluster_->Await(Readers().Leave(At("ann"))));
  EXPECT_FALSE(cluster_->Await(Readers().Leave(At("ann"))));
  EXPECT_THAT(Members(), ElementsAre(At("carl"), At("bob")));
  EXPECT_THAT(cluster_->Await(Readers("others").Members()), IsEmpty());
  EXPECT_THAT(cluster_->Await(client_->Group<News>("readers").Members()), IsEmpty());
}

TEST_P(GroupTest, IsKnownAfterAFailover) {
  Begin();
  for (int i = 0; i < 20; ++i) {
    cluster_->Await(Readers().Join(At(std::to_string(i))));
    if (i % 5 != 0) continue;
    const auto node = cluster_->PrimaryOf(Readers().id());
    cluster_->Kill(node);
    cluster_->Run(absl::Milliseconds(300));
    cluster_->Restart(node);
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
  const auto members = Members();
  ASSERT_THAT(members, SizeIs(20));
  EXPECT_EQ(members[19], At("19"));
}

TEST_P(GroupTest, BoundsAreNamed) {
  Begin();
  for (size_t i = 0; i < kGroupMembersMax; i += 64) {
    std::vector<Task<bool>> joins;
    for (size_t j = i; j < i + 64; ++j) joins.push_back(Readers().Join(At(std::to_string(j))));
    for (auto& join : joins) EXPECT_TRUE(cluster_->Await(kj::mv(join)));
  }
  EXPECT_THAT(ErrorOf(Readers().Join(At("late")).AsPromise().ignoreResult()),
              HasSubstr("group readers has 4096 members, and no more can join"));
  EXPECT_FALSE(cluster_->Await(Readers().Join(At("7"))));
  auto refused = kj::runCatchingExceptions([&] { Readers(""); });
  EXPECT_THAT(Words(KJ_ASSERT_NONNULL(refused)), HasSubstr("the name of a group has 0 bytes"));
}

TEST_P(GroupTest, AllMembersAreAskedAndEachOutcomeIsTold) {
  Begin();
  for (int i = 0; i < 10; ++i) cluster_->Await(Readers().Join(At(std::to_string(i))));
  office_.failing["3"] = 1;
  office_.overloaded["4"] = 1;
  auto members = Members();
  auto outcomes =
      cluster_->Await(CallAll(members, [](Reader::Ref& reader) { return reader.Item(7, "news"); }));
  ASSERT_THAT(outcomes, SizeIs(10));
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(outcomes[i].ok(), i != 3 && i != 4) << i;
  EXPECT_THAT(Words(outcomes[3].exception()), HasSubstr("not this one"));
  EXPECT_THAT(Words(outcomes[4].exception()), HasSubstr("not just now"));
  auto read = cluster_->Await(CallAll(members, [](Reader::Ref& reader) { return reader.Read(); }));
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(read[i].value().getNumbers().size(), i == 3 || i == 4 ? 0u : 1u) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, GroupTest, ::testing::Range<uint64_t>(1, 4));

// ---- CallAll by itself

class CallAllTest : public ::testing::Test {
 protected:
  ~CallAllTest() noexcept override {}
  kj::Promise<int> Ask(int number) {
    asked.push_back(number);
    auto paf = kj::newPromiseAndFulfiller<int>();
    open.push_back(kj::mv(paf.fulfiller));
    return kj::mv(paf.promise);
  }
  void Poll(kj::Promise<std::vector<Outcome<int>>>& all) { done = all.poll(scope_); }

  kj::EventLoop loop_;
  kj::WaitScope scope_{loop_};
  std::vector<int> asked;
  std::vector<kj::Own<kj::PromiseFulfiller<int>>> open;
  bool done = false;
};

TEST_F(CallAllTest, KeepsSoManyUnderWayAndTheOrder) {
  auto all =
      CallAll(std::vector<int>{10, 11, 12, 13, 14}, [&](int& n) { return Ask(n); }, {.at_once = 2})
          .AsPromise();
  Poll(all);
  EXPECT_THAT(asked, ElementsAre(10, 11));
  open[1]->fulfill(1);
  Poll(all);
  EXPECT_THAT(asked, ElementsAre(10, 11, 12));
  open[0]->reject(Failed("no"));
  open[2]->fulfill(2);
  Poll(all);
  EXPECT_THAT(asked, ElementsAre(10, 11, 12, 13, 14));
  EXPECT_FALSE(done);
  open[4]->fulfill(4);
  open[3]->fulfill(3);
  auto outcomes = all.wait(scope_);
  ASSERT_THAT(outcomes, SizeIs(5));
  EXPECT_FALSE(outcomes[0].ok());
  for (int i = 1; i < 5; ++i) EXPECT_EQ(outcomes[i].value(), i);
}

TEST_F(CallAllTest, WhatThrowsAtOnceIsAnOutcomeToo) {
  auto outcomes = CallAll(std::vector<int>{1, 2}, [](int& n) -> Task<int> {
                    if (n == 1) kj::throwFatalException(Failed("thrown"));
                    co_return n;
                  }).Wait(scope_);
  EXPECT_THAT(Words(outcomes[0].exception()), HasSubstr("thrown"));
  EXPECT_EQ(outcomes[1].value(), 2);
  EXPECT_THAT(CallAll(std::vector<int>{}, [](int&) -> Task<void> { co_return; }).Wait(scope_),
              IsEmpty());
}

TEST_F(CallAllTest, ThatIsDroppedEndsWhatIsUnderWay) {
  {
    auto all = CallAll(std::vector<int>{1, 2, 3}, [&](int& n) { return Ask(n); }, {.at_once = 2})
                   .AsPromise();
    Poll(all);
  }
  EXPECT_FALSE(open[0]->isWaiting());
  EXPECT_THAT(asked, ElementsAre(1, 2));
}

TEST_F(CallAllTest, NeedsOneAtATime) {
  auto none = CallAll(std::vector<int>{1}, [&](int& n) { return Ask(n); }, {.at_once = 0});
  auto error = kj::runCatchingExceptions([&] { kj::mv(none).Wait(scope_); });
  EXPECT_THAT(Words(KJ_ASSERT_NONNULL(error)), HasSubstr("0 calls under way at once; it needs 1"));
}

}  // namespace
}  // namespace troupe
