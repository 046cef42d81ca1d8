// Self: who this node is, as the parts of membership share it.
//
// A value that changes as the node learns its cluster and its boot. Single loop.
#pragma once

#include <string>

#include "troupe/membership/cluster_state.h"
#include "troupe/membership/hosted_types.h"
#include "troupe/membership/membership.h"
#include "troupe/rpc/link.h"
#include "troupe/runtime/host.h"

namespace troupe {

struct Self {
  Self(Machine& m, MembershipOptions o) : machine(m), host(m.control()), options(std::move(o)) {}

  Machine& machine;
  Host& host;
  const MembershipOptions options;

  std::string address;  // What others dial.
  Id128 nonce;          // Of this process.
  Id128 storage;        // Of the data directory; zero without one.
  Id128 cluster;        // Zero until known.
  uint64_t generation = 0;
  uint64_t map_version = 0;
  Boot boot = 0;
  bool leaving = false;

  const std::string& name() const { return options.node; }
  absl::Time Now() const { return host.clock().Now(); }
  const Log& log() const { return host.log(); }
  // How the register names the acceptor of this process (P2.2).
  VoterId voter() const { return {options.node, storage.IsZero() ? nonce : storage}; }

  // This process as a node of the map; the boot is not known before it is registered.
  NodeEntry Entry() const {
    NodeEntry node;
    node.name = name();
    node.nonce = nonce;
    node.addresses = {address};
    node.zone = options.zone;
    node.roles = options.roles;
    node.storage = storage;
    node.types = IdsOf(options.types);
    return node;
  }
  // The same as one of those that found a cluster.
  Founder AsFounder() const {
    return {name(), nonce, {address}, options.zone, options.roles, storage, options.types};
  }

  Introduction Introduce() const {
    Introduction out;
    out.cluster_name = options.cluster_name;
    out.cluster = cluster;
    out.generation = generation;
    out.node = options.node;
    out.nonce = nonce;
    out.boot = boot;
    out.address = address;
    out.process = machine.process();
    out.map_version = map_version;
    return out;
  }
};

}  // namespace troupe
