// Refs as clients of ordinary Cap'n Proto connections: cancelling, and calls on results that are
// not there yet.
#include "troupe/actors/ref.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "capnp/rpc-twoparty.h"
#include "kj/async-io.h"
#include "troupe/actors/call.h"
#include "troupe/actors/gateway.capnp.h"
#include "troupe/runtime/task.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;

// Answers nothing; counts who waits.
class WaitingOrigin final : public CallOrigin {
 public:
  kj::Promise<Payload> Call(const ActorId&, uint64_t, uint16_t, Payload,
                            const CallOptions&) override {
    ++waiting;
    return kj::Promise<Payload>(kj::NEVER_DONE).attach(kj::defer([this] { --waiting; }));
  }
  int waiting = 0;
};

// An actor behind a connection, as at a node's port. Its interface is that of a node, as that has a
// method with a capability among its results.
class RefOnAConnection : public ::testing::Test {
 protected:
  ~RefOnAConnection() noexcept override {}
  void Turn() {
    kj::evalLast([] {}).wait(scope_);
  }

  kj::EventLoop loop_;
  kj::WaitScope scope_{loop_};
  kj::Own<WaitingOrigin> origin_ = kj::refcounted<WaitingOrigin>();
  kj::TwoWayPipe pipe_ = kj::newTwoWayPipe();
  capnp::TwoPartyClient server_{*pipe_.ends[0],
                                ReferTo(kj::addRef(*origin_), {7, "key"}, CallOptions()),
                                capnp::rpc::twoparty::Side::SERVER};
  capnp::TwoPartyClient client_{*pipe_.ends[1]};
  gateway::Node::Client actor_ = client_.bootstrap().castAs<gateway::Node>();
};

TEST_F(RefOnAConnection, EndsTheWaitingWhenItsCallerCancels) {
  {
    auto call = actor_.typesRequest().send();
    Turn();
    EXPECT_EQ(origin_->waiting, 1);
  }
  Turn();
  EXPECT_EQ(origin_->waiting, 0);
}

TEST_F(RefOnAConnection, RefusesCallsOnResultsThatAreNotThereYet) {
  auto call = actor_.actorRequest().send();
  auto early = call.getActor().castAs<gateway::Node>().typesRequest().send();
  auto outcome = kj::Promise<void>(early.ignoreResult());
  KJ_IF_MAYBE (error, kj::runCatchingExceptions([&] { outcome.wait(scope_); })) {
    EXPECT_EQ(error->getType(), kj::Exception::Type::UNIMPLEMENTED);
    EXPECT_THAT(std::string(error->getDescription().cStr()), HasSubstr("wait for the call"));
  } else {
    ADD_FAILURE() << "was answered";
  }
}

}  // namespace
}  // namespace troupe
