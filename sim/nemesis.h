// Nemesis: a kind of fault that happens to a simulated cluster, by name, and the arena it needs.
//
// Each begins at a random victim and gives back how it ends; some end at once. Within the fault
// budget nothing is struck whose loss, together with all that is away, would lose a shard's last
// in-sync copy or the register's majority for ever. Beyond the budget only the register's majority
// is spared, and that its disks keep.
//
// Threads: the cluster's; begun and ended between the runs of time, some let time pass.
// Source: FoundationDB's simulator (swarm of faults, a policy that forbids kills beyond the budget,
// swizzle-clogging).
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "troupe/runtime/random.h"
#include "troupe/sim/cluster.h"

namespace troupe::sim {

enum class FaultBudget : uint8_t { kWithin, kBeyond };

// What a nemesis acts on.
struct Arena {
  Arena(Cluster& c, Random r, FaultBudget b = FaultBudget::kWithin)
      : cluster(c), random(r), budget(b), link(c.options().world.link) {}

  Cluster& cluster;
  Random random;
  FaultBudget budget;
  SimLink link = {};                      // The default link, as the nemeses in force have it.
  std::set<std::string> unreadable = {};  // Down until their disk can be read.
  std::set<std::string> torn_disks = {};  // A crash may damage what they hold.
  std::set<VoterId> gone = {};            // Voters of which nothing is left.
  std::map<std::string, VoterId> last_voters =
      {};                             // What each node voted as when it was last lost.
  std::set<std::string> erased = {};  // Nodes that lost all and are not registered anew.
  int joined = 0;
  SharedMap seen = nullptr;  // The newest ever; who had it may be dead.

  // Nodes whose process lives, in the order of their names; nothing that is leaving.
  std::vector<std::string> Living() const;
  std::string OneOf(const std::vector<std::string>& names);  // Empty of none.
  // A living node whose process may end, its disk kept or not, or empty.
  std::string Victim(SimDiskAfter disk);
  bool MayLose(const std::string& name, SimDiskAfter disk);
  void Kill(const std::string& name, SimDiskAfter disk);
  void Leave(const std::string& name);
  void PowerOff(const std::string& name, SimDiskAfter disk);
  // Starts a node that is down, whatever the state of its disk: one that is damaged is emptied
  // first, as an operator must; on one that cannot be read the node waits for DiskIsBack.
  void Start(const std::string& name);
  void DiskIsBack(const std::string& name);
  absl::Duration Within(absl::Duration most);
  SharedMap Map();  // Null before the first.

 private:
  bool Registered(const std::string& name, const ClusterState& map) const;
  bool KeepsDisk(const std::string& name, SimDiskAfter disk) const;
  void NoteLoss(const std::string& name, SimDiskAfter disk);
};

struct Nemesis {
  using End = std::function<void()>;  // May be empty.
  std::string_view name;
  std::string_view what;
  End (*begin)(Arena& arena);
};

// All there are, in a fixed order.
const std::vector<Nemesis>& AllNemeses();
const Nemesis* FindNemesis(std::string_view name);
// By the seed, each with p = 0.5.
std::vector<const Nemesis*> DrawNemeses(Random& random);

// Nemeses at work: begins them at random moments, a few at a time, for a while.
class Storm {
 public:
  Storm(Arena& arena, std::vector<const Nemesis*> nemeses)
      : arena_(arena), nemeses_(std::move(nemeses)) {}
  void Rage(absl::Duration duration);
  // Ends all: every node runs on a sound disk, every machine reaches every other.
  void Heal();
  // What was begun and when, for a report; the last 40.
  const std::vector<std::string>& said() const { return said_; }

 private:
  struct Running {
    Nemesis::End end;
    absl::Time until;
  };
  void Begin(const Nemesis& nemesis);
  void EndThose(absl::Time until);

  Arena& arena_;
  std::vector<const Nemesis*> nemeses_;
  std::vector<Running> running_;
  std::vector<std::string> said_;
};

}  // namespace troupe::sim
