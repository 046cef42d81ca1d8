// What time and idleness do to actors, and how they reach clients, on real loops, clocks and
// sockets: one node in this process.
#include <gtest/gtest.h>

#include "clerk.h"
#include "lobby.h"
#include "troupe/actors/client.h"
#include "troupe/actors/node.h"
#include "troupe/runtime/uv_machine.h"

namespace troupe {
namespace {

class RealLoopTest : public ::testing::Test {
 protected:
  explicit RealLoopTest(size_t workers = 1)
      : machine_(UvMachine::Create({.node = "test"}).value()) {
    registry_.Host<ClerkActor>([this] { return kj::heap<ClerkActor>(office_); },
                               {.idle_timeout = absl::Milliseconds(200)});
    office_.counts_elsewhere = false;
    registry_.Host<LobbyActor>();
    NodeOptions options;
    options.workers = workers;
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

class TwoWorkersTest : public RealLoopTest {
 protected:
  TwoWorkersTest() : RealLoopTest(2) {}
};

TEST_F(TwoWorkersTest, AnObserverIsReachedFromEither) {
  std::vector<std::string> lines;
  auto& scope = machine_->wait_scope();
  {
    auto screen = client_->Observe<Screen>(lines);
    for (int i = 0; i < 8; ++i) {
      auto lobby = client_->Get<Lobby>(std::to_string(i));
      lobby.Join("ann", screen.ref()).Wait(scope);
      EXPECT_EQ(lobby.Say("ann", "hello").Wait(scope), 1u) << i;
      lobby.Announce("ann", "n", 10).Wait(scope);
    }
    EXPECT_TRUE(Until([&] { return lines.size() == 8 * 11; })) << lines.size();
  }
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(client_->Get<Lobby>(std::to_string(i)).Say("ann", "hello?").Wait(scope), 0u);
  }
  EXPECT_EQ(lines.size(), 8u * 11);
}

}  // namespace
}  // namespace troupe
