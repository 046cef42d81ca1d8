// Ground: where the nodes of a run live: addresses, a network that can be at fault, directories.
//
// With the rights for it each node and the clients have a network namespace of their own on a
// switch in user space, and each node a small tmpfs for its data. Without, all are on loopback and
// a proxy stands in for the network; complaint() says what is missing. Nothing of it has a name
// outside this process except the run's directory, which the next run removes if this one could
// not: all else ends with the process, whatever ends it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cluster_processes.h"
#include "disk_delay.h"
#include "network_lab.h"
#include "run_directory.h"
#include "tap_switch.h"

namespace troupe::chaos {

enum class GroundKind : uint8_t { kNamespaces, kLoopback };

class Ground {
 public:
  // kNamespaces becomes kLoopback where the system does not allow it. To be called while the
  // process has one thread, which then stays in the clients' namespace. Throws std::runtime_error.
  Ground(GroundKind wanted, size_t nodes, uint64_t seed);
  ~Ground();
  Ground(const Ground&) = delete;
  Ground& operator=(const Ground&) = delete;

  GroundKind kind() const { return lab_ ? GroundKind::kNamespaces : GroundKind::kLoopback; }
  const std::string& complaint() const { return complaint_; }
  // Of the nodes in order; the clients come last.
  LinkRules& rules() { return *rules_; }
  std::vector<NodePlace> places() const { return places_; }
  RunDirectory& directory() { return directory_; }
  std::string DataOf(size_t node) const;

  bool has_small_disks() const { return small_disks_; }
  void FillDisk(size_t node);  // Until not a byte fits.
  void FreeDisk(size_t node);
  void WipeDisk(size_t node);  // While the node does not run.
  DiskDelay& disk_delay(size_t node) { return *disk_delays_[node]; }

 private:
  void UseNamespaces(size_t nodes, uint64_t seed);
  void UseLoopback(size_t nodes, uint64_t seed);
  void MakeDisks(size_t nodes);

  RunDirectory directory_;
  std::string complaint_;
  bool private_mounts_ = false;
  bool small_disks_ = false;
  std::unique_ptr<NetworkLab> lab_;
  std::unique_ptr<InNamespace> inside_;
  std::unique_ptr<LinkRules> rules_;
  std::vector<NodePlace> places_;
  std::vector<std::unique_ptr<DiskDelay>> disk_delays_;
};

}  // namespace troupe::chaos
