// Faults: what is done to a cluster of processes, each by name, drawn from a seed.
//
// Pure, but for what Begin and End of a fault do. A deck of the kinds wanted is gone through in
// shuffled order again and again, so that each comes about as often as any other.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "chaos_cluster.h"
#include "troupe/runtime/random.h"

namespace troupe::chaos {

struct Fault {
  std::string kind;  // "partition"
  std::string what;  // "n1 n4 | n2 n3 n5 and the clients"
  absl::Duration length;
  std::function<void()> begin, end;
};

// Whom a fault harms: there is a budget of those that may be harmed at a time.
enum class Harm : uint8_t {
  kNode,     // A node stands still or loses its memory.
  kNetwork,  // Links, for some, or for all.
  kMachine,  // What all share.
};

struct FaultKind {
  const char* name;
  Harm harm;
  const char* help;
};
const std::vector<FaultKind>& FaultKinds();

class FaultDeck {
 public:
  // `cluster` outlives it and the faults. Errors: InvalidArgument: an unknown name.
  static absl::StatusOr<std::vector<std::string>> Kinds(const std::vector<std::string>& wanted);
  // `at_once`: how many nodes may be harmed at a time. `spared`: so many, the first, never are.
  FaultDeck(ChaosCluster& cluster, std::vector<std::string> kinds, size_t at_once, size_t spared,
            Random random);

  // What happens together next: one fault; now and then a mild one of another sort beside it; up to
  // `at_once` of those that harm a node.
  std::vector<Fault> Next();

 private:
  using Nodes = std::vector<size_t>;

  std::string Draw();
  Fault Make(const std::string& kind, size_t node);
  Fault KillOf(size_t node, bool wipe);
  Fault StopOf(size_t node, bool beyond_suspicion);
  Fault FullDisk(size_t node);
  Fault SlowDisk(size_t node);
  Fault NoFiles(size_t node);
  Fault BusyProcessors();
  Fault Weather(const std::string& kind, double strength);
  Fault Partition();
  Fault OneWay();
  Fault ClientsCutOff();
  void CutBetween(const Nodes& from, const Nodes& to);
  absl::Duration Between(double least_seconds, double most_seconds);
  Nodes ShuffledNodes();
  std::string Names(const Nodes& hosts) const;
  size_t clients() const { return cluster_.size(); }  // The host after the nodes.
  bool Has(const char* kind) const;

  ChaosCluster& cluster_;
  const std::vector<std::string> kinds_;
  const size_t at_once_;
  const size_t spared_;
  Random random_;
  std::vector<std::string> deck_;
};

}  // namespace troupe::chaos
