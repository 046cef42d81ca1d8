// LoopbackProxy: a stand-in for a faulty network where namespaces are not allowed.
//
// Node i listens on an inner address of 127.0.0.0/8 and advertises an outer one, at which the proxy
// takes TCP connections and datagrams and carries them over by the rule of the ordered pair. Who
// dials is known by the source address: node i dials from SourceOf(i) (its program has
// source_address.cc and kSourceVariable in its environment), anybody else is a client.
// Unlike a network it takes every connection, and ends it again where a network would refuse it; a
// stream that loses a frame stands still for a while, as if it had been sent again. Threads: one of
// its own; SetRule() is thread-safe.
#pragma once

#include <netinet/in.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <list>
#include <mutex>
#include <queue>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tap_switch.h"

inline constexpr char kSourceVariable[] = "CHAOS_SOURCE";

class LoopbackProxy final : public LinkRules {
 public:
  // Nodes and, as the last host, the clients. Throws std::runtime_error.
  LoopbackProxy(size_t nodes, uint64_t seed);
  ~LoopbackProxy() override;

  size_t hosts() const override { return nodes_ + 1; }
  void SetRule(size_t from, size_t to, LinkRule rule) override;

  std::string InnerAddress(size_t node) const;
  std::string OuterAddress(size_t node) const;
  static std::string SourceOf(size_t node);

 private:
  struct Chunk {
    absl::Time due;
    std::vector<char> bytes;
  };
  // What goes one way on a connection.
  struct Direction {
    size_t from, to;  // Hosts.
    int in = -1, out = -1;
    std::deque<Chunk> chunks;
    size_t bytes = 0;
    bool ended = false;  // Nothing more will come.
    bool told = false;   // And the other end knows.
  };
  struct Connection {
    Direction there, back;
    bool broken = false;
  };
  struct Datagram {
    absl::Time due;
    uint64_t number;
    size_t from, to;
    std::vector<char> bytes;
    bool operator<(const Datagram& other) const {
      return due != other.due ? due > other.due : number > other.number;
    }
  };

  void Run();
  void Accept(size_t node);
  bool Connect(Connection& connection);  // False: refused.
  bool Move(Connection& connection);     // False: it is over.
  void Take(Direction& way, bool& broken);
  void Give(Direction& way, bool& broken);
  void TakeDatagrams(size_t node);
  void GiveDatagrams();
  absl::Duration Pause();
  bool Chance(double share);
  size_t HostOf(const sockaddr_in& source) const;
  LinkRule& RuleOf(size_t from, size_t to) { return rules_[from * hosts() + to]; }

  const size_t nodes_;
  std::vector<int> listeners_, sockets_;  // TCP and UDP, by node.
  std::vector<uint16_t> ports_;
  std::mutex mutex_;  // Guards rules_.
  std::vector<LinkRule> rules_;
  std::list<Connection> connections_;
  std::priority_queue<Datagram> datagrams_;
  uint64_t next_ = 0;
  std::mt19937_64 random_;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};
