// SimDatagramSocket: a UDP port of a simulated process, and what the kernel holds for it.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "troupe/runtime/internal/sim_fabric.h"

namespace troupe::internal {

class SimReceive;

class SimDatagramSocket final : public DatagramSocket {
 public:
  SimDatagramSocket(SimFabric& fabric, SimProcess& process, uint16_t port);
  ~SimDatagramSocket() noexcept(false);

  SendOutcome Send(std::string_view to, std::span<const std::byte> bytes) override;
  kj::Promise<DatagramEvent> Receive() override;
  std::string address() const override;

  // Dropped when the buffer has no room.
  void Arrived(DatagramEvent event);
  void Close();

 private:
  friend class SimReceive;
  DatagramEvent Take();
  void Pump();

  SimFabric& fabric_;
  SimProcess& process_;
  uint16_t port_;
  bool open_ = true;
  size_t buffered_ = 0;  // Bytes.
  std::deque<DatagramEvent> arrived_;
  std::deque<SimReceive*> waiting_;
};

}  // namespace troupe::internal
