// Prefix: a short script that brings a simulated cluster close to where rules matter.
//
// Random walks find faults of leases and elections too rarely; so every second seed begins with
// one of these. Each draws its victims and moments from the seed, lets time pass, and leaves its
// faults in force: what comes after heals them.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "troupe/runtime/random.h"
#include "troupe/sim/cluster.h"
#include "troupe/sim/ledger.h"

namespace troupe::sim {

struct Stage {
  Cluster& cluster;
  Ledgers& ledgers;
  Random random;
  std::vector<std::string> clients;
  std::string reader;
  std::function<bool()> over = [] { return false; };  // A problem was found.
  std::set<std::string> kept = {};                    // Dead, or were, with their disks.

  void Run(absl::Duration most);  // Up to that.
  bool Until(std::function<bool()> done, absl::Duration limit);
  std::string Anyone();
  std::string AnyLedger();
  std::string AnyPrimary();  // Of the shard of some ledger; empty: none now.
  std::string LeaderOf(const std::string& ledger) const;  // The same, of that one.
  bool AnotherLeads(const std::string& ledger, const std::string& than) const;
  uint64_t MapVersion() const;                // The newest; 0 before the first.
  bool Leads(const std::string& name) const;  // Any shard.
  bool IsIn(const std::string& name, CopySet ShardEntry::*set) const;  // That set of any shard.
  bool IsInSync(const std::string& name) const;
  // Mostly the one that only reads: see LedgerOptions.
  std::string AnyClient() {
    return random.Chance(0.6) ? reader : clients[random.Below(clients.size())];
  }
  std::vector<std::string> Others(const std::string& name);
  // `name` and `with` see each other, and nobody else.
  void CutOff(const std::string& name, const std::vector<std::string>& with);
  // A box resets what is connected to it and refuses dials, so that it is fenced at once, while its
  // leases hold; then it reaches only `with`.
  void StrikeOut(const std::string& name, const std::vector<std::string>& with);
  // Nobody on one side reaches anybody on the other.
  void Part(const std::vector<std::string>& one, const std::vector<std::string>& other);
  void Kill(const std::string& name, SimDiskAfter disk);
  void StartAll();  // Those that are dead.
  bool MayLose(const std::string& name) const;
  bool Remembers(const ClusterState& map, const VoterId& voter) const;
  SimDiskAfter AnyDisk() { return random.Chance(0.5) ? SimDiskAfter::kKeep : SimDiskAfter::kErase; }
  // One random fault, left in force.
  void Strike();
  void HealAll();
};

struct Prefix {
  std::string_view name;
  void (*play)(Stage& stage);
  // Before the nodes have found a cluster, or when it is whole and clients call.
  enum class Begins : uint8_t { kFounding, kWhole } begins = Begins::kWhole;
};
const std::vector<Prefix>& AllPrefixes();

}  // namespace troupe::sim
