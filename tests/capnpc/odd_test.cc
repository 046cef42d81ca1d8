// Odd schemas: what is generated for them compiles, and can be derived from.
#include <gtest/gtest.h>

#include "odd.troupe.h"

namespace {

using odd::troupe::Bottom;
using odd::troupe::Deposit;
using odd::troupe::Flow;
using odd::troupe::Named;
using odd::troupe::Outer;
using odd::troupe::Right;

class InnerActor final : public Outer::Inner::Actor {
  Task<Outer::Inner::DepositReply> Deposit(Deposit::Value, Outer::Inner::State::Value) override {
    co_return {Self(), {}};
  }
  void Save(Outer::Inner::State::Builder) const override {}
  void Load(Outer::Inner::State::Reader) override {}
};

class BottomActor final : public Bottom::Actor {
  Task<void> Left(std::string, std::string, std::string) override { co_return; }
  Task<bool> Done(bool done) override { co_return done; }
  Task<void> Right(capnp::List<capnp::List<capnp::Text>>::Reader, Named::Value,
                   odd::troupe::Right::RightResults::Builder) override {
    co_return;
  }
  Task<Right::FreshReply> Fresh(Named::Value) override { co_return {}; }
  Task<void> Least(int64_t, uint64_t, double, double) override { co_return; }
  Task<void> Bottom(capnp::AnyPointer::Reader, Bottom::BottomResults::Builder) override {
    co_return;
  }
};

class FlowActor final : public Flow::Actor {
  Task<void> Send(std::string) override { co_return; }
  Task<void> Write(Named::Value) override { co_return; }
  Task<void> All(capnp::List<odd::troupe::Named>::Reader, Flow::Ref) override { co_return; }
  Task<void> Empty() override { co_return; }
  Task<Flow::Stream::Value> Take(Flow::Stream::Value) override { co_return {}; }
};

TEST(OddSchema, CompilesAndCanBeHosted) {
  EXPECT_EQ(Named::Value().new_name, "a\"b\n");
  EXPECT_EQ(Deposit::Nested::Value().at, -0.5f);
  kj::heap<InnerActor>();
  kj::heap<BottomActor>();
  Bottom::Ref bottom;
  Right::Ref right = bottom;
  odd::troupe::Task::Ref task = right;
  EXPECT_EQ(task.ToString(), "Task/(nobody)");
  kj::EventLoop loop;
  kj::WaitScope scope(loop);
  EXPECT_ANY_THROW(right.Least(1, 2, 3, 4).Wait(scope));
  EXPECT_ANY_THROW(right.Fresh({}).Wait(scope));
  EXPECT_ANY_THROW(bottom.RightWith([](auto params) { params.initResults(0); }).Wait(scope));
  kj::heap<FlowActor>();
  Flow::Writer out{Flow::Ref()};
  EXPECT_NO_THROW(out.Send("").Wait(scope));
  EXPECT_ANY_THROW(out.Done().Wait(scope));
  EXPECT_ANY_THROW(out.Write(Named::Value()).Wait(scope));
  EXPECT_ANY_THROW(out.AllWith([](auto) {}).Wait(scope));
  EXPECT_ANY_THROW(out.Empty().Wait(scope));
  EXPECT_ANY_THROW(Flow::Ref().Write(Named::Value()).Wait(scope));
  capnp::MallocMessageBuilder message;
  Flow::Ref().Write(message.initRoot<troupe::schema::ActorRef>());
  EXPECT_ANY_THROW(Outer::Inner::Ref().Deposit({}, {}).Wait(scope));
}

}  // namespace
