// The tests that docs/guide/testing.md shows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "box_office.h"
#include "troupe/testing/harness.h"
#include "troupe/testing/local_node.h"

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using troupe::Task;
using troupe::testing::Harness;
using troupe::testing::LocalNode;

TEST(BoxOffice, HoldsSeatsForAQuarterOfAnHour) {
  Harness harness;
  harness.Host<BoxOfficeActor>();
  auto office = harness.Get<BoxOffice>("hamlet");
  harness.Await(office.Open(10));
  harness.Await(office.Hold(4));
  harness.Advance(absl::Minutes(14));
  EXPECT_EQ(harness.Await(office.Left()), 6u);
  harness.Advance(absl::Minutes(1));
  EXPECT_EQ(harness.Await(office.Left()), 10u);
}

TEST(BoxOffice, MailsItsBuyers) {
  Harness harness;
  harness.Host<BoxOfficeActor>();
  auto& smtp = harness.Fake<Mailer>("smtp");
  auto office = harness.Get<BoxOffice>("hamlet");
  harness.Await(office.Open(10));
  EXPECT_EQ(harness.Await(office.Sell(2, "bob")), 8u);
  EXPECT_THAT(smtp.calls(), ElementsAre("send(to = \"bob\", text = \"2 seats\")"));

  smtp.Fails("send", "no such mailbox");
  EXPECT_THAT(harness.Fails(office.Sell(2, "eve")), HasSubstr("no such mailbox"));
  EXPECT_EQ(harness.Await(office.Left()), 8u);
}

TEST(Mailer, NumbersItsLetters) {
  Harness harness;
  uint64_t sent = 0;
  harness.Fake<Mailer>("smtp").On<Mailer::SendParams, Mailer::SendResults>(
      "send", [&sent](auto params, auto results) {
        KJ_REQUIRE(params.getTo().size() > 0, "whom to?");
        results.setNumber(++sent);
      });
  auto mailer = harness.Get<Mailer>("smtp");
  EXPECT_EQ(harness.Await(mailer.Send("bob", "2 seats")), 1u);
  EXPECT_THAT(harness.Fails(mailer.Send("", "2 seats")), HasSubstr("whom to?"));
}

class MailerMock : public troupe::testing::Stateless<Mailer> {
 public:
  MOCK_METHOD(Task<uint64_t>, Send, (std::string to, std::string text), (override));
};

TEST(BoxOffice, MailsItsBuyersOnce) {
  MailerMock smtp;
  EXPECT_CALL(smtp, Send("bob", HasSubstr("2"))).WillOnce([](auto, auto) -> Task<uint64_t> {
    co_return 1;
  });
  Harness harness;
  harness.Host<BoxOfficeActor>();
  harness.StandIn("smtp", smtp);
  auto office = harness.Get<BoxOffice>("hamlet");
  harness.Await(office.Open(10));
  harness.Await(office.Sell(2, "bob"));
}

TEST(BoxOffice, SellsOnceThoughItsNodeDies) {
  Harness harness({.nodes = 3});
  harness.Host<BoxOfficeActor>();
  auto& smtp = harness.Fake<Mailer>("smtp");
  auto office = harness.Get<BoxOffice>("hamlet");
  harness.Await(office.Open(10));
  harness.NextCall(office, "sell").KillsItsNode(absl::Milliseconds(5));
  EXPECT_EQ(harness.Await(office.Sell(2, "bob")), 8u);
  EXPECT_THAT(harness.Calls(office), ElementsAre(_, HasSubstr("sell"), HasSubstr("sell")));
  EXPECT_THAT(smtp.calls(), SizeIs(1));

  harness.NextCall(office, "sell").LosesItsAnswer();
  EXPECT_EQ(harness.Await(office.Sell(2, "bob")), 6u);
  harness.Failover(office);
  EXPECT_EQ(harness.Await(office.Left()), 6u);
}

TEST(BoxOffice, SellsOnRealSockets) {
  LocalNode node;
  node.Host<BoxOfficeActor>();
  auto office = node.Get<BoxOffice>("hamlet");
  node.Await(office.Open(10));
  EXPECT_EQ(node.Await(office.Left()), 10u);
}
