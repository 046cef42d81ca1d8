// Traders: actors that use all that is more than a call, together, and clients that know what must
// come of it.
//
// A seed draws some of these, and how much of each; all are of the same few actors, so that each
// meets the others.
// - payments: what is told arrives once, in order (P6.6);
// - deals: transactions over two or three, by clients, by clients that die and by actors: whole or
//   not at all, once, and nobody sees a half (P6.15); what is told in one is told if it comes
//   about;
// - steps and tours: what Persisted() kept stays, the rest of a failed turn does not, no turn runs
//   on as if nothing had been (P6.8); $reentrant calls take effect with their turn (P6.17);
// - bulletins: all that a topic was given reaches each subscriber, actor or observer, once, in one
//   order (P6.19);
// - watches, of actors and nodes: one notice of each end, none of those that live (P6.16).
//
// Threads: the cluster's. Goes before the cluster does.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "troupe/actors/registry.h"
#include "troupe/runtime/random.h"
#include "troupe/sim/cluster.h"

namespace troupe::sim {

enum class TraderChoice : uint8_t { kBySeed, kNever, kAlways };

// What the traders of a run do; drawn from the seed.
struct TradeMix {
  explicit TradeMix(Random random);
  // Null: the run has none. From a stream of its own: what else the run does is what it was.
  static std::shared_ptr<const TradeMix> Draw(uint64_t seed, TraderChoice choice);

  // How often each is begun, of the whole.
  double payments = 0, deals = 0, steps = 0, bulletins = 0, watches = 0;
  absl::Duration pause;       // Between two calls of one loop, on average.
  absl::Duration hold_limit;  // Of transactions.
  ActorTypeOptions options;
};

class Traders {
 public:
  using Problem = std::function<void(const std::string& checker, const std::string& what)>;

  static void Register(Registry& registry, const TradeMix& mix);

  // Adds its clients to the cluster.
  Traders(Cluster& cluster, Random random, std::shared_ptr<const TradeMix> mix, Problem problem);
  ~Traders() noexcept(false);

  void Start();
  // Begins no more calls.
  void Stop();
  bool idle() const;
  // After healing, while `until` lets time pass (until it is true, or the limit): stops, and looks
  // at what all traders hold until what is under way has arrived.
  using Until = std::function<bool(std::function<bool()> done, absl::Duration limit)>;
  void Finish(const Until& until);
  uint64_t answered() const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace troupe::sim
