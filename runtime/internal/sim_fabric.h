// SimFabric: the wires between simulated computers: addresses, latency, cuts, and what is under
// way.
//
// A blocked direction loses datagrams, answers and dials, which try again as TCP does; bytes of a
// stream wait and go on, in order, once the direction is open.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kj/memory.h"
#include "troupe/runtime/internal/sim_process.h"
#include "troupe/runtime/network.h"
#include "troupe/runtime/sim_network.h"

namespace troupe::internal {

struct SimAddress {
  SimComputer* computer;  // Null when no computer has that address.
  std::string port;       // "7000", or "unix:/path".
};

class SimFabric {
 public:
  SimFabric(SimSchedule& schedule, Random random, SimLink link, size_t stream_window)
      : schedule_(schedule), random_(random), default_link_(link), stream_window_(stream_window) {}

  SimComputer& AddComputer(std::string_view name);
  SimComputer* Find(std::string_view name);
  void AddName(std::string_view name, std::vector<std::string> computers);

  SimSchedule& schedule() { return schedule_; }
  Random& random() { return random_; }
  size_t stream_window() const { return stream_window_; }

  // `from`: whose loopback, wildcard and Unix addresses are meant. Nothing if it is not an address.
  std::optional<SimAddress> Parse(std::string_view address, SimComputer& from);
  std::vector<std::string> Resolve(std::string_view name_and_port);

  // Whether a packet sent or arriving now gets through.
  bool Open(const SimComputer& from, const SimComputer& to) const;
  absl::Duration Latency(const SimComputer& from, const SimComputer& to);
  const SimLink& LinkOf(const SimComputer& from, const SimComputer& to) const;

  void Cut(SimComputer& from, SimComputer& to) { cuts_.insert({from.index, to.index}); }
  void Heal(SimComputer& from, SimComputer& to) { cuts_.erase({from.index, to.index}); }
  void Isolate(SimComputer& computer);
  void HealAll() { cuts_.clear(); }
  void SetLink(SimComputer& from, SimComputer& to, SimLink link) {
    links_[{from.index, to.index}] = link;
  }
  void ClearLink(SimComputer& from, SimComputer& to) { links_.erase({from.index, to.index}); }
  // Dials that way are refused by a box in between.
  void Refuse(SimComputer& from, SimComputer& to) { refused_.insert({from.index, to.index}); }
  void Allow(SimComputer& from, SimComputer& to) { refused_.erase({from.index, to.index}); }
  bool Refuses(const SimComputer& from, const SimComputer& to) const {
    return refused_.contains({from.index, to.index});
  }
  void SetDefaultLink(SimLink link) { default_link_ = link; }
  // After a direction may have opened: sends again what was held back.
  void Retransmit();

  void SendDatagram(SimComputer& from, uint16_t from_port, SimComputer& to, uint16_t to_port,
                    std::vector<std::byte> bytes);

  // The kernel's work at the end of a process: its ports close, its streams end towards the peers.
  void CloseProcess(SimComputer& computer);
  // Loss of power: the same, but nobody is told.
  void ForgetProcess(SimComputer& computer);
  void ResetConnections(SimComputer& a, SimComputer& b);

 private:
  friend class SimConnection;
  void ArriveDatagram(SimComputer& from, uint16_t from_port, SimComputer& to, uint16_t to_port,
                      const std::vector<std::byte>& bytes);
  void RefuseDatagram(SimComputer& from, uint16_t from_port, SimComputer& to, uint16_t to_port);

  SimSchedule& schedule_;
  Random random_;
  SimLink default_link_;
  size_t stream_window_;
  std::vector<std::unique_ptr<SimComputer>> computers_;
  std::map<std::string, std::vector<std::string>, std::less<>> names_;
  std::set<std::pair<uint32_t, uint32_t>> cuts_;
  std::set<std::pair<uint32_t, uint32_t>> refused_;
  std::map<std::pair<uint32_t, uint32_t>, SimLink> links_;
  std::map<std::pair<uint32_t, uint32_t>, int64_t> last_datagram_;  // Arrival times, for order.
  std::map<uint64_t, SimConnection*> connections_;
  uint64_t last_connection_ = 0;
};

// One process's sockets.
class SimNetwork final : public Network {
 public:
  SimNetwork(SimFabric& fabric, SimProcess& process) : fabric_(fabric), process_(process) {}

  kj::Promise<Dialed> Dial(std::string_view address, absl::Duration limit) override;
  absl::StatusOr<kj::Own<Listener>> Listen(std::string_view address) override;
  absl::StatusOr<kj::Own<DatagramSocket>> Bind(std::string_view address) override;
  kj::Promise<std::vector<std::string>> Resolve(std::string name_and_port) override;
  kj::Own<DetachedStream> Detach(kj::Own<kj::AsyncIoStream> stream) override;
  kj::Own<kj::AsyncIoStream> Attach(kj::Own<DetachedStream> stream) override;

 private:
  SimFabric& fabric_;
  SimProcess& process_;
};

}  // namespace troupe::internal
