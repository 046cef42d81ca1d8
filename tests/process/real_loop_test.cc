// What time and idleness do to actors, on real loops and real clocks: one node in this process.
#include <gtest/gtest.h>

#include "clerk.h"
#include "troupe/actors/client.h"
#include "troupe/actors/node.h"
#include "troupe/runtime/uv_machine.h"

namespace troupe {
namespace {

class RealLoopTest : public ::testing::Test {
 protected:
  RealLoopTest() : machine_(UvMachine::Create({.node = "test"}).value()) {
    registry_.Host<ClerkActor>([this] { return kj::heap<ClerkActor>(office_); },
                               {.idle_timeout = absl::Milliseconds(200)});
    office_.counts_elsewhere = false;
    NodeOptions options;
    options.membership.node = "test";
    options.membership.listen = "127.0.0.1:0";
    options.membership.config.shards = 4;
    node_ = kj::heap<Node>(*machine_, registry_, options);
    EXPECT_TRUE(node_->Start().ok());
    node_->Ready().wait(machine_->wait_scope());
    client_ = kj::heap<Client>(machine_->control(), ClientOptions{.nodes = {node_->address()}});
  }
  ~RealLoopTest() noexcept override {}
  void TearDown() override {
    client_ = nullptr;
    node_ = nullptr;
    machine_ = nullptr;
  }
  // Until `done`, within a bound that only a machine that stands still would miss.
  bool Until(std::function<bool()> done) {
    for (int i = 0; i < 2000 && !done(); ++i) {
      machine_->control().timer().afterDelay(5 * kj::MILLISECONDS).wait(machine_->wait_scope());
    }
    return done();
  }
  struct Seen {
    uint64_t ticked, served, object;
  };
  Seen Look() {
    return client_->Get<Clerk>("x")
        .Look()
        .AsPromise()
        .then([](auto&& reply) {
          return Seen{reply.getState().getTicked(), reply.getState().getServed().size(),
                      reply.getObject()};
        })
        .wait(machine_->wait_scope());
  }

  ClerkOffice office_;  // The worker's, from the start.
  Registry registry_;
  kj::Own<UvMachine> machine_;
  kj::Own<Node> node_;
  kj::Own<Client> client_;
};

TEST_F(RealLoopTest, ATimerRunsAndAReminderWakesWhoIsIdle) {
  auto clerk = client_->Get<Clerk>("x");
  clerk.Tick(10, false, 0).Wait(machine_->wait_scope());
  EXPECT_TRUE(Until([&] { return Look().ticked >= 3; }));
  const uint64_t object = Look().object;
  clerk.Remind("bell", 1000, 0, 0).Wait(machine_->wait_scope());
  // Nobody calls it until it is long due: it goes, and is made anew to be reminded.
  machine_->control().timer().afterDelay(1500 * kj::MILLISECONDS).wait(machine_->wait_scope());
  EXPECT_TRUE(Until([&] { return Look().served == 1; }));
  EXPECT_NE(Look().object, object);
}

}  // namespace
}  // namespace troupe
