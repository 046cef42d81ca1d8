// A user's test, in a simulated cluster.
#include <cstdio>

#include "counter_actor.h"
#include "troupe/actors/registry.h"
#include "troupe/sim/cluster.h"

int main() {
  troupe::Registry registry;
  registry.Host<CounterActor>();
  troupe::sim::Cluster cluster({.seed = 1}, registry);
  auto counter = cluster.AddClient("customer").Get<shop::Counter>("queue");
  if (!cluster.Settle()) return 1;
  cluster.Await(counter.Draw());
  cluster.Kill(cluster.PrimaryOf(counter.id()));
  const uint64_t number = cluster.Await(counter.Draw());
  std::printf("%s gave %d\n", counter.ToString().c_str(), static_cast<int>(number));
  return number == 2 ? 0 : 1;
}
