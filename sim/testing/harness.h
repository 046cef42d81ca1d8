// Harness: an actor, or a cluster of them, in a test of GoogleTest, on virtual time.
//
//   TEST(Counter, Adds) {
//     troupe::testing::Harness harness;
//     harness.Host<CounterActor>();
//     auto counter = harness.Get<Counter>("visits");
//     EXPECT_EQ(harness.Await(counter.Add(2)), 2u);
//     EXPECT_THAT(harness.Fails(counter.Add(0)), HasSubstr("by must be > 0"));
//     harness.Advance(absl::Minutes(10));
//   }
//
// The node is that of production; only its network, clock and disk are simulated (sim/cluster.h).
// One starts in less than a millisecond, three in a few. Time passes in Await, Fails, Advance,
// Restart and Failover, and only there. Equal seeds give equal runs.
//
// After each turn the actor's object is made anew from what Save wrote, so that what Save or Load
// forgets is gone at once (Renewal). When the test has failed, the harness prints its last turns.
//
// Threads: one, whose KJ event loop it makes, so one Harness at a time; it goes after the refs and
// promises it gave. Units: absl types, of virtual time. Misuse throws kj::Exception, which says
// what would be right. See docs/guide/testing.md.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "kj/async.h"
#include "troupe/actors/client.h"
#include "troupe/actors/registry.h"
#include "troupe/actors/watch_table.h"
#include "troupe/sim/cluster.h"
#include "troupe/testing/awaiting.h"
#include "troupe/testing/fake_actor.h"
#include "troupe/testing/watch.h"

namespace troupe::testing {

struct HarnessOptions {
  size_t nodes = 1;  // "a", "b", ...: at most 26. From 3 on nothing is lost with one of them.
  uint64_t seed = 1;
  Renewal renewal = Renewal::kAfterEachTurn;
  // All else of the cluster; its seed and nodes are those above. Fewer shards than there: each
  // costs time, in each minute of virtual time.
  sim::ClusterOptions cluster = {.config = {.shards = 4}};
};

// Whom a test names: by a ref, a fake, or an id.
struct Whom {
  Whom(const AnyRef& ref) : id(ref.id()) {}
  Whom(const FakeActor& fake) : id(fake.id()) {}
  Whom(ActorId actor) : id(std::move(actor)) {}
  ActorId id;
};

class Harness : public Awaiting<Harness> {
 public:
  explicit Harness(HarnessOptions options = {})
      : Harness(std::move(options), {&::testing::Test::HasFailure, &AddFailure}) {}
  ~Harness() noexcept;
  Harness(const Harness&) = delete;
  Harness& operator=(const Harness&) = delete;

  // ---- What is hosted, as Registry and Main have it; before the first Get(), as nodes say what
  // they host when they start. So do interfaces that are faked.
  template <typename ActorClass>
  void Host(ActorTypeOptions options = {}) {
    Host<ActorClass>([] { return kj::heap<ActorClass>(); }, options);
  }
  // With a factory, for actors that need something of the test. Called for each new object.
  template <typename ActorClass>
  void Host(std::function<kj::Own<ActorBase>()> make, ActorTypeOptions options = {}) {
    auto schema = capnp::Schema::from<typename ActorClass::ActorInterface>();
    std::optional<capnp::StructSchema> state;
    using State = internal::StateOfClass<ActorClass>;
    if constexpr (!std::is_void_v<State>) state = capnp::Schema::from<State>();
    registry_.Host<ActorClass>(AddType(schema, state, std::move(make)), options);
  }

  // Before the first Get(), too.
  void Intercept(std::shared_ptr<Interceptor> interceptor) {
    registry_.Intercept(std::move(interceptor));
  }

  // ---- What stands in for other actors
  // The same one for the same key.
  template <typename Interface>
  FakeActor& Fake(std::string_view key) {
    AllowStandIns<Interface>();
    return AddFake({capnp::typeId<Interface>(), std::string(key)});
  }
  // `object` is the test's and outlives the harness; it has no Save and Load (Stateless).
  template <typename ActorClass>
  void StandIn(std::string_view key, ActorClass& object) {
    using Interface = typename ActorClass::ActorInterface;
    AllowStandIns<Interface>();
    AddStandIn({capnp::typeId<Interface>(), std::string(key)}, object);
  }

  // ---- Calls, by a client
  template <typename Interface>
  RefOf<Interface> Get(std::string_view key, CallOptions options = {}) {
    RequireHosted(capnp::Schema::from<Interface>());
    return client().Get<Interface>(key, options);
  }
  template <typename Interface>
  RefOf<Interface> Pool(CallOptions options = {}) {
    RequireHosted(capnp::Schema::from<Interface>());
    return client().Pool<Interface>(options);
  }
  // An object that actors call: Client::Observe().
  template <typename T, typename... Args>
  Observer<T> Observe(Args&&... args) {
    return client().Observe<T>(kj::fwd<Args>(args)...);
  }

  // Await(call), Fails(call) and Error(call): Awaiting.
  static constexpr absl::Duration kAwaitLimit = absl::Minutes(6);  // No call has longer.

  // ---- Time
  // Timers, reminders and idleness see it pass. After either, 20 ms more pass, in which the turns
  // of the reminders that are due by then begin: nodes look for them every 10 ms.
  void Advance(absl::Duration duration);
  // Only the wall clocks go on, at once: reminders become due, however far away they are.
  void AdvanceWallClocks(absl::Duration duration);
  // What actors are told by ActorContext::WallNow().
  absl::Time WallNow();

  // ---- Objects and nodes
  // The object goes, with OnDeactivate, once its turn is over; the next call makes a new one from
  // what Save wrote.
  void Restart(const Whom& actor);
  // kill -9 of the node that has the actor. Returns when another one has taken over, and the killed
  // one has been started anew and holds copies. Needs 3 nodes.
  void Failover(const Whom& actor);

  // ---- What actors watch
  // "Worker/w1" and "node n3", sorted; those whose notice has not been given yet.
  std::vector<std::string> Watched(const Whom& watcher);
  // As if what it watches had ended: the watcher has its OnNotice(). Returns when that has
  // succeeded, or has failed and is to be tried again. Throws when it does not watch that.
  void Notify(const Whom& watcher, const Whom& who, Notice::Why why, std::string text = "");
  void NotifyNode(const Whom& watcher, std::string_view node, std::string text = "");

  // ---- Faults
  // What is to happen to the next call of an actor, or of its `method` as the schema names it. One
  // that has happened to no call when the harness goes is a failure of the test.
  class Next {
   public:
    // It does not run; its caller gets that error, which is an answer.
    void Fails(std::string error);
    // It begins so much later; meanwhile the calls behind it wait too.
    void Waits(absl::Duration duration);
    // It runs, and the connections to its node break before the answer is out: the client asks
    // again under the same id and is answered from the record. An actor on the same node gets it.
    void LosesItsAnswer();
    // Its node is killed so long after it has begun, or a little later if another node is still
    // away; it has not been answered by then. The node is started anew a second later. Needs 3
    // nodes.
    void KillsItsNode(absl::Duration after = absl::ZeroDuration());

   private:
    friend class Harness;
    Next(Harness& harness, ActorId actor, std::string_view method)
        : harness_(harness), actor_(std::move(actor)), method_(method) {}
    Harness& harness_;
    const ActorId actor_;
    const std::string method_;
  };
  Next NextCall(const Whom& actor, std::string_view method = "");

  // ---- Probes
  // The calls that an actor was given, as "add(by = 2)", in order; the last kTurnsKept of all.
  std::vector<std::string> Calls(const Whom& actor) const { return watch_.log.CallsOf(actor.id); }

  // ---- Beneath. The first use of either, or of time, starts the nodes.
  sim::Cluster& cluster();
  Client& client();

 private:
  struct GoogleTest {
    bool (*has_failed)();
    void (*fail)(const std::string& why);
  };
  static void AddFailure(const std::string& why) { ADD_FAILURE() << why; }
  template <typename InterfaceType>
  struct OnlyStandIns : ActorBase {
    using ActorInterface = InterfaceType;
  };

  Harness(HarnessOptions options, GoogleTest google_test);
  using Make = std::function<kj::Own<ActorBase>()>;
  Make AddType(capnp::InterfaceSchema schema, std::optional<capnp::StructSchema> state, Make make);
  template <typename Interface>
  void AllowStandIns() {
    if (watch_.types.contains(capnp::typeId<Interface>())) return;
    auto schema = capnp::Schema::from<Interface>();
    registry_.Host<OnlyStandIns<Interface>>(AddType(schema, std::nullopt, nullptr));
  }
  FakeActor& AddFake(ActorId actor);
  void AddStandIn(ActorId actor, ActorBase& object);
  void RequireHosted(capnp::InterfaceSchema schema) const;
  void RequireSpareNodes(const char* what) const;
  friend class Awaiting<Harness>;
  template <typename T>
  std::optional<T> TryAwait(kj::Promise<T> promise, absl::Duration limit) {
    return cluster().TryAwait(kj::mv(promise), limit);
  }
  [[noreturn]] void ThrowStillWaiting(absl::Duration limit);
  WatchSnapshot WatchesOf(const ActorId& actor);
  void Notify(const ActorId& watcher, const ActorId& who, Notice::Why why, const std::string& text);
  void CutCallers(const ActorId& actor);
  std::string KillNodeOf(const ActorId& actor);
  void KillNodeWhenWhole(const ActorId& actor);
  void CheckFaults();
  void PrintTurns();

  const HarnessOptions options_;
  const GoogleTest google_test_;
  const int exceptions_before_;
  Registry registry_;
  Watch watch_;
  absl::Time start_;
  absl::Duration wall_ahead_ = absl::ZeroDuration();
  std::unique_ptr<sim::Cluster> cluster_;
  SimWorld* world_ = nullptr;  // Of the cluster, also while that goes.
  Client* client_ = nullptr;
};

}  // namespace troupe::testing
