// MemberList: what it keeps up to date is what its records say, whatever they have gone through.
#include "troupe/membership/member_list.h"

#include <algorithm>
#include <set>

#include "swim_fixture.h"

namespace troupe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> NamesOf(const MemberList& list) {
  std::vector<std::string> names;
  for (const MemberRecord& record : list.records()) names.push_back(record.name());
  return names;
}

std::vector<Member> MembersOf(const MemberList& list) {
  std::vector<Member> members;
  for (const MemberRecord& record : list.records()) members.push_back(record.ToMember());
  return members;
}

void ExpectInStep(MemberList& list) {
  const std::vector<std::string> names = NamesOf(list);
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
  size_t here = 0;
  GossipDigest digest(kDigestBuckets);
  absl::Time deadline = absl::InfiniteFuture();
  for (const MemberRecord& record : list.records()) {
    EXPECT_EQ(list.Find(record.name()), &record);
    EXPECT_EQ(&list.at(list.NumberOf(record)), &record);
    here += record.IsHere();
    AddToDigest(record.ToMember(), digest);
    const bool suspected = record.rare != nullptr && record.rare->suspicion.has_value();
    ASSERT_EQ(suspected, record.state == MemberState::kSuspect) << record.name();
    if (suspected) deadline = std::min(deadline, record.rare->suspicion->deadline());
  }
  EXPECT_EQ(list.here(), here);
  EXPECT_EQ(list.digest(), digest);
  EXPECT_EQ(list.NextSuspicionDeadline(), deadline);
}

// Any rumour of a few processes under a few names.
Member AnyRumour(Random& random) {
  const std::string name = "n" + std::to_string(random.Below(12));
  const std::string accuser = "n" + std::to_string(random.Below(12));
  const uint64_t incarnation = random.Below(6);
  const Boot boot = random.Below(4);
  const int run = static_cast<int>(random.Below(3));
  const uint64_t what = random.Below(8);
  if (what < 3) return Alive(name, incarnation, boot, run);
  if (what < 6) return Suspect(name, incarnation, accuser, boot, run);
  return what < 7 ? Dead(name, incarnation, accuser, boot, run)
                  : Left(name, incarnation, boot, run);
}

TEST(MemberList, KeepsDigestCountsAndDeadlinesInStepThroughAnyRumours) {
  SwimOptions options;
  options.tombstone_keep = absl::Seconds(2);
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    DescriptionPool pool;
    MemberList list(options, &pool);
    MemberList apart(options);
    absl::Time now = kStart;
    for (int i = 0; i < 500 && !::testing::Test::HasFailure(); ++i) {
      now += absl::Milliseconds(random.Below(100));
      const Member rumour = AnyRumour(random);
      EXPECT_EQ(list.Merge(now, rumour).change, apart.Merge(now, rumour).change);
      if (random.Chance(0.02)) list.PostponeSuspicions(absl::Milliseconds(30));
      if (random.Chance(0.05)) {
        EXPECT_EQ(list.Reap(now), apart.Reap(now));
      }
      if (random.Chance(0.2)) {
        for (const std::string& name : list.Expired(now)) {
          const Member dead = Accusation(list.Find(name)->ToMember(), MemberState::kDead, "me");
          list.Merge(now, dead);
          apart.Merge(now, dead);
        }
      }
      ExpectInStep(list);
      EXPECT_EQ(MembersOf(list), MembersOf(apart)) << "sharing changes what is believed";
    }
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

TEST(MemberList, AReapedRecordIsForgottenAndItsNumberMayNameAnother) {
  SwimOptions options;
  MemberList list(options);
  for (const char* name : {"c", "a", "b"}) list.Merge(kStart, Alive(name));
  const MemberNumber number = list.NumberOf(*list.Find("a"));
  list.Merge(kStart, Left("a", 0));
  EXPECT_THAT(list.Reap(kStart + options.tombstone_keep), ElementsAre(number));
  EXPECT_EQ(list.Find("a"), nullptr);
  EXPECT_THAT(NamesOf(list), ElementsAre("b", "c"));
  list.Merge(kStart, Alive("d"));
  EXPECT_EQ(list.NumberOf(*list.Find("d")), number);
  EXPECT_THAT(NamesOf(list), ElementsAre("b", "c", "d"));
  EXPECT_EQ(list.Find("d")->ToMember(), Alive("d"));
  ExpectInStep(list);
}

TEST(MemberList, ClearedKnowsNobody) {
  MemberList list((SwimOptions()));
  for (const char* name : {"a", "b"}) list.Merge(kStart, Alive(name));
  list.Merge(kStart, Suspect("a", 0, "b"));
  list.Clear();
  EXPECT_THAT(NamesOf(list), IsEmpty());
  EXPECT_EQ(list.Find("a"), nullptr);
  ExpectInStep(list);
}

TEST(MemberList, WhoRefutesCostsNoMoreThanWhoWasNeverDoubted) {
  MemberList list((SwimOptions()));
  for (const char* name : {"a", "b"}) list.Merge(kStart, Alive(name));
  list.Merge(kStart, Suspect("a", 0, "b"));
  EXPECT_NE(list.Find("a")->rare, nullptr);
  list.Merge(kStart, Alive("a", 1));
  EXPECT_EQ(list.Find("a")->rare, nullptr);
}

TEST(DescriptionPool, SharesWhatIsEqualAndNothingElse) {
  DescriptionPool pool;
  const auto a = pool.Share(DescriptionOf(Alive("a")));
  EXPECT_EQ(pool.Share(DescriptionOf(Alive("a"))), a);
  EXPECT_NE(pool.Share(DescriptionOf(Alive("a", 1))), a);
  Member elsewhere = Alive("a");
  elsewhere.rpc_address = "elsewhere:1";
  const auto moved = pool.Share(DescriptionOf(elsewhere));
  EXPECT_NE(moved, a);
  EXPECT_EQ(moved->rpc_address, "elsewhere:1");
}

TEST(DescriptionPool, LetsGoOfWhatNobodyHolds) {
  DescriptionPool pool;
  std::weak_ptr<const Description> dropped = pool.Share(DescriptionOf(Alive("dropped")));
  const auto held = pool.Share(DescriptionOf(Alive("held")));
  for (uint64_t i = 0; i < 1000; ++i) pool.Share(DescriptionOf(Alive("other", i)));
  EXPECT_TRUE(dropped.expired());
  EXPECT_EQ(pool.Share(DescriptionOf(Alive("held"))), held);
}

TEST(CompactTime, IsTheTimeToTheNanosecondAndNeverFirst) {
  const absl::Time time = kStart + absl::Nanoseconds(123456789);
  EXPECT_EQ(absl::Time(CompactTime(time)), time);
  EXPECT_EQ(absl::Time(CompactTime()), absl::InfinitePast());
  EXPECT_EQ(absl::Time(CompactTime(absl::InfinitePast())), absl::InfinitePast());
}

}  // namespace
}  // namespace troupe
