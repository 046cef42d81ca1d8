// LocalNode: a node in the test's own process, on real sockets, threads and clocks.
//
//   troupe::testing::LocalNode node;
//   node.Host<CounterActor>();
//   EXPECT_EQ(node.Await(node.Get<Counter>("visits").Add(2)), 2u);
//
// For what is real only there: code that blocks, other event loops, other clients of the node.
// Whatever the harness can test is better tested there: faster, and the same each time.
//
// Where it hosts a durable type, its data directory is a temporary one, which goes with it.
//
// Threads: the test's is the control loop, and has one LocalNode at a time, which goes after its
// refs and promises. Actors run on a worker thread: what they share with the test needs a lock.
// Time is real: Await waits at most kAwaitLimit. Misuse throws kj::Exception.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/time/time.h"
#include "kj/async.h"
#include "kj/memory.h"
#include "troupe/actors/client.h"
#include "troupe/actors/node.h"
#include "troupe/actors/registry.h"
#include "troupe/runtime/kj_time.h"
#include "troupe/runtime/uv_machine.h"
#include "troupe/testing/awaiting.h"

namespace troupe::testing {

class LocalNode : public Awaiting<LocalNode> {
 public:
  explicit LocalNode(size_t workers = 1) : workers_(workers) {}
  ~LocalNode() noexcept;
  LocalNode(const LocalNode&) = delete;
  LocalNode& operator=(const LocalNode&) = delete;

  // Before the first use of what follows, which starts the node.
  template <typename ActorClass>
  void Host(ActorTypeOptions options = {}) {
    RequireNotStarted();
    registry_.Host<ActorClass>(options);
  }
  template <typename ActorClass>
  void Host(std::function<kj::Own<ActorBase>()> make, ActorTypeOptions options = {}) {
    RequireNotStarted();
    registry_.Host<ActorClass>(std::move(make), options);
  }

  template <typename Interface>
  RefOf<Interface> Get(std::string_view key, CallOptions options = {}) {
    return client().Get<Interface>(key, options);
  }
  // Await(call), Fails(call) and Error(call): Awaiting.
  static constexpr absl::Duration kAwaitLimit = absl::Seconds(35);  // Usual deadlines: 30 s.

  Client& client();
  Node& node();
  std::string address() { return node().address(); }  // 127.0.0.1 and a port that was free.
  UvMachine& machine();

 private:
  friend class Awaiting<LocalNode>;
  template <typename T>
  std::optional<T> TryAwait(kj::Promise<T> promise, absl::Duration limit) {
    auto& timer = machine().control().timer();
    auto late =
        timer.afterDelay(ToKj(limit)).then([]() -> std::optional<T> { return std::nullopt; });
    return promise.then([](T&& value) { return std::optional<T>(kj::mv(value)); })
        .exclusiveJoin(kj::mv(late))
        .wait(machine().wait_scope());
  }
  [[noreturn]] void ThrowStillWaiting(absl::Duration limit) const;
  void RequireNotStarted() const;
  void Start();

  const size_t workers_;
  Registry registry_;
  std::string data_directory_;  // Empty: none.
  kj::Own<UvMachine> machine_;
  kj::Own<Node> node_;
  kj::Own<Client> client_;
};

}  // namespace troupe::testing
