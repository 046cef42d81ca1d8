// Generated code: every kind of parameter, result and state, through whole nodes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <unordered_set>

#include "absl/container/flat_hash_set.h"
#include "capnp/message.h"
#include "kinds_actor.h"
#include "troupe/actors/capnp_version.h"
#include "troupe/actors/registry.h"
#include "troupe/rpc/status.h"
#include "troupe/sim/cluster.h"

namespace kinds {
namespace {

class GeneratedCode : public ::testing::Test {
 protected:
  GeneratedCode() {
    registry_.Host<KindsActor>();
    cluster_ =
        std::make_unique<troupe::sim::Cluster>(troupe::sim::ClusterOptions{.seed = 7}, registry_);
    client_ = &cluster_->AddClient("client");
    KJ_REQUIRE(cluster_->Settle(), cluster_->Describe().c_str());
  }
  Kinds::Ref Get(const std::string& key) { return client_->Get<Kinds>(key); }
  template <typename T>
  T Await(troupe::Task<T> task) {
    return cluster_->Await(kj::mv(task));
  }
  template <typename T>
  std::string ErrorOf(troupe::Task<T> task) {
    return cluster_->Await(
        kj::mv(task).AsPromise().then([](auto&&...) { return std::string("no error"); },
                                      [](kj::Exception&& e) { return troupe::Words(e); }));
  }
  // Whoever has the actor is killed; it lives on from its snapshot.
  void KillHostOf(const Kinds::Ref& ref) {
    const auto host = cluster_->PrimaryOf(ref.id());
    cluster_->Kill(host);
    cluster_->Run(absl::Seconds(2));
    cluster_->Restart(host);
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }

  troupe::Registry registry_;
  std::unique_ptr<troupe::sim::Cluster> cluster_;
  troupe::Client* client_ = nullptr;
};

TEST_F(GeneratedCode, BringsTheIdleTimeoutToTheNode) {
  EXPECT_EQ(registry_.Find(capnp::typeId<Kinds>())->idle_timeout, absl::Seconds(60));
}

TEST_F(GeneratedCode, PassesPlainValues) {
  auto ref = Get("a");
  Await(ref.Nothing());
  EXPECT_EQ(Await(ref.Numbers(-1, -2, -3, -4, 5, 6, 7, 8, 0.5f, 0.25, true)), 16.75);
  const std::string bytes("\0\xff\n", 3);
  EXPECT_EQ(Await(ref.Texts("text", bytes)), (Kinds::TextsReply{bytes, "text"}));
  EXPECT_EQ(Await(ref.Texts("", "")), Kinds::TextsReply());
  EXPECT_EQ(Await(ref.Class(3, "x")), (Kinds::ClassReply{3, "x"}));
}

TEST_F(GeneratedCode, HasTheDefaultsOfTheSchema) {
  EXPECT_EQ(Await(Get("a").Optional()), "say \"hi\" 3 2");
  EXPECT_EQ(Await(Get("a").Optional(1, "you")), "you 1 2");
  EXPECT_EQ(Point::Value().x, -1);
  EXPECT_EQ(Money::Value().currency, "EUR");
}

TEST_F(GeneratedCode, PassesSmallStructsAsValues) {
  const Point::Value from{1, 2, "here", Colour::GREEN};
  EXPECT_EQ(Await(Get("a").Move(from, Colour::BLUE)),
            (Kinds::MoveReply{{2, 1, "here", Colour::GREEN}, Colour::BLUE}));
  EXPECT_EQ(Await(Get("a").Pay({21, "CHF"})), (Money::Value{42, "CHF"}));
}

TEST_F(GeneratedCode, PassesAllElseAsReadersAndBuilders) {
  auto ref = Get("a");
  capnp::MallocMessageBuilder message;
  auto shape = message.getRoot<Shape>();
  shape.initAt().setX(5);
  shape.setCircle(1.5);
  EXPECT_EQ(Await(ref.Reshape(shape)).getSquare(), 1.5);
  EXPECT_EQ(Await(ref.DrawWith([&](Kinds::DrawParams::Builder params) {
              params.initMore(1)[0].setSquare(2.5);
            }))
                .getShape()
                .getSquare(),
            2.5);
  EXPECT_EQ(Await(ref.SumWith([](Kinds::SumParams::Builder params) {
              params.setNumbers({1, 2, 3});
              params.setScale(10);
            })),
            60u);
  auto counted = Await(ref.Count(3));
  EXPECT_EQ(counted.getNumbers()[2], 2u);
  EXPECT_EQ(counted.getNote(), "counted");
  auto echoed = Await(ref.EchoWith(
      [](Kinds::EchoParams::Builder params) { params.initAnything().initAs<Point>().setX(9); }));
  EXPECT_EQ(echoed.getAnything().getAs<Point>().getX(), 9);
  EXPECT_EQ(Await(ref.AuditWith([](auto params) { params.initLedger().setLines(4); })), 4u);
}

TEST_F(GeneratedCode, HasInheritedMethodsAndRefsOfParents) {
  auto ref = Get("a");
  EXPECT_EQ(Await(ref.Close()), (Kinds::CloseReply{1, "Kinds/(nobody)"}));
  EXPECT_TRUE(Await(ref.IsClosed()));
  Named::Ref named = ref;
  EXPECT_EQ(Await(named.Name()), "a");
  EXPECT_EQ(named, ref);
}

TEST_F(GeneratedCode, AnswersPlainClientsOfTheInterface) {
  Kinds::Client plain = Get("a");
  auto request = plain.moveRequest();
  request.initFrom().setX(7);
  EXPECT_EQ(cluster_->Await(request.send().then([](auto&& r) { return r.getTo().getY(); })), 7);
  // A method that it does not have.
  auto missing = troupe::TypelessRequest(plain, capnp::typeId<Kinds>(), 99)
                     .send()
                     .then([](auto&&) { return std::string("no error"); },
                           [](kj::Exception&& e) { return troupe::Words(e); });
  EXPECT_THAT(cluster_->Await(kj::mv(missing)), ::testing::HasSubstr("method"));
}

TEST_F(GeneratedCode, CarriesTheErrorAndUndoesTheTurn) {
  auto ref = Get("a");
  EXPECT_THAT(ErrorOf(ref.Fail("why")), ::testing::HasSubstr("told to fail"));
  EXPECT_FALSE(Await(ref.IsClosed()));
}

TEST_F(GeneratedCode, RefsAreValues) {
  auto a = Get("a");
  auto again = Get("a");
  Kinds::Ref copy = a;
  EXPECT_EQ(a, again);
  EXPECT_EQ(copy, a);
  EXPECT_EQ(a.WithDeadline(absl::Seconds(1)), a);
  EXPECT_NE(a, Get("b"));
  EXPECT_LT(a, Get("b"));
  EXPECT_EQ(a.ToString(), "Kinds/a");
  EXPECT_EQ(Get("\x01").ToString(), "Kinds/\\x01");
  std::ostringstream out;
  out << a;
  EXPECT_EQ(out.str(), "Kinds/a");
  EXPECT_STREQ(kj::str(a).cStr(), "Kinds/a");
  EXPECT_EQ((std::unordered_set<Kinds::Ref>{a, again, Get("b")}.size()), 2u);
  EXPECT_EQ((absl::flat_hash_set<Kinds::Ref>{a, again, Get("b")}.size()), 2u);
  EXPECT_FALSE(Kinds::Ref());
  EXPECT_TRUE(a);
  const auto& same = a;
  a = same;
  EXPECT_EQ(a.key(), "a");
}

TEST_F(GeneratedCode, ARefToNobodyFailsWhenItIsCalled) {
  EXPECT_THAT(ErrorOf(Kinds::Ref().Nothing()), ::testing::HasSubstr("nobody"));
}

TEST_F(GeneratedCode, RefsArePassedAndKept) {
  auto ref = Get("a");
  EXPECT_FALSE(Await(ref.Befriend(Get("b"))));
  EXPECT_EQ(Await(ref.AskFriend(0)), "b");
  auto before = Await(ref.Befriend(Get("c")));
  EXPECT_EQ(before, Get("b"));
  EXPECT_EQ(Await(before.Name()), "b");  // One that was received is called like any other.

  auto friends = Await(ref.FriendsWith([&](Kinds::FriendsParams::Builder params) {
    auto all = params.initAll(2);
    all.set(0, Get("d"));
    all.set(1, Get("e"));
    params.setNamed(Named::Ref(Get("f")));
  }));
  EXPECT_EQ(friends.getCount(), 3u);
  EXPECT_EQ(Kinds::Ref(friends.getAll()[2]), Get("f"));
  EXPECT_EQ(Await(ref.AskFriend(0)), "c,d,e,f");

  KillHostOf(ref);
  EXPECT_EQ(Await(ref.AskFriend(0)), "c,d,e,f");
  EXPECT_EQ(Await(ref.Befriend({})), Get("c"));
  KillHostOf(ref);
  EXPECT_FALSE(Await(ref.Befriend({})));
}

TEST_F(GeneratedCode, ACallWithRefsTakesEffectOnceThoughItsNodeDies) {
  auto ref = Get("a");
  Await(ref.Befriend(Get("b")));
  // Runs, but its answer is lost with the node.
  auto before = ref.Befriend(Get("c"));
  cluster_->Run(absl::Milliseconds(1));
  KillHostOf(ref);
  EXPECT_EQ(Await(kj::mv(before)), Get("b"));
  EXPECT_EQ(Await(ref.AskFriend(0)), "c");
}

TEST_F(GeneratedCode, WhatIsNoRefOfAnActorIsRefusedAtTheCaller) {
  struct Stranger final : public Kinds::Server {};
  auto refused = Get("a").FriendsWith([](Kinds::FriendsParams::Builder params) {
    params.initAll(1).set(0, Kinds::Client(kj::heap<Stranger>()));
  });
  EXPECT_THAT(ErrorOf(kj::mv(refused)), ::testing::HasSubstr("not a ref of an actor"));
  EXPECT_ANY_THROW(Kinds::Ref(Kinds::Client(kj::heap<Stranger>())));
}

TEST_F(GeneratedCode, StreamsAreWrittenOneByOneOrSeveralAtATime) {
  auto ref = Get("a");
  Await(ref.Write("one,"));
  Kinds::Writer out(ref);
  Await(out.Write("two,", 4));
  Await(out.Write("three,", 8));
  Await(out.PlotWith([](Kinds::PlotParams::Builder params) { params.initPoints(4); }));
  Await(out.Done());
  EXPECT_EQ(Await(ref.Written()), "one,two,three,4");
  EXPECT_THAT(ErrorOf(ref.Write("", 1)), ::testing::HasSubstr("a gap before byte 1"));
}

TEST_F(GeneratedCode, AStreamIsOneForCapnProtoToo) {
  Kinds::Client local = kj::heap<KindsActor>();
  auto write = local.writeRequest();
  write.setAt(7);
  EXPECT_THAT(ErrorOf(troupe::AsTask(write.send())), ::testing::HasSubstr("a gap before byte 7"));
  // Who streams waits for no single answer: what comes behind one that failed is refused.
  EXPECT_THAT(ErrorOf(troupe::AsTask(local.nothingRequest().send().ignoreResult())),
              ::testing::HasSubstr("a gap before byte 7"));
}

TEST_F(GeneratedCode, DeadlinesOfTheSchemaHoldUnlessTheCallerSaysOtherwise) {
  for (const auto& name : cluster_->names()) cluster_->Isolate(name);
  auto& clock = cluster_->world().machine("client").control().clock();
  auto ended_after = [&](auto task) {
    const auto begun = clock.Now();
    EXPECT_THAT(ErrorOf(kj::mv(task)), ::testing::HasSubstr("no answer"));
    return absl::ToDoubleSeconds(clock.Now() - begun);
  };
  EXPECT_NEAR(ended_after(Get("a").Pay({1, ""})), 1.5, 0.1);
  EXPECT_NEAR(ended_after(Get("a").WithDeadline(absl::Seconds(3)).Pay({1, ""})), 3, 0.1);
  EXPECT_NEAR(ended_after(client_->Get<Kinds>("a", {.deadline = absl::Seconds(4)}).Pay({1, ""})), 4,
              0.1);
}

}  // namespace
}  // namespace kinds
