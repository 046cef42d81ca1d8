// SimConnection: a TCP connection between two simulated processes, its two ends and the bytes
// between them.
//
// Bytes travel as segments of random sizes, each direction in order and with its own latency. The
// wire of a direction is a queue; each arrival event delivers its head, an arrival while the
// direction is blocked is only counted and repeated later, so order cannot break. What is written
// and not yet read by the peer is bounded by the window.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "kj/async-io.h"
#include "kj/refcount.h"
#include "troupe/runtime/internal/sim_fabric.h"

namespace troupe::internal {

class SimRead;
class SimWrite;
class SimDisconnectWait;

struct SimSegment {
  enum class Kind { kData, kOpen, kEnd };
  Kind kind;
  std::vector<std::byte> bytes;
};

class SimConnection final : public kj::Refcounted {
 public:
  // Which end: 0 dialed, 1 accepted.
  SimConnection(SimFabric& fabric, SimProcess& client, std::string client_address,
                SimComputer& server, std::string server_port);
  ~SimConnection() noexcept;

  // The owner's acts.
  kj::Promise<size_t> Read(int end, void* buffer, size_t min, size_t max);
  kj::Promise<void> Write(int end, kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces);
  kj::Promise<void> WhenDisconnected(int end);
  void EndWriting(int end);
  void AbortReading(int end);
  // How the owner or the kernel lets go of an end: with an orderly end where no bytes are left
  // unread, else with a reset.
  void Close(int end);
  // The end vanishes without a word.
  void Vanish(int end);
  // Both ends see a reset, from a box between them.
  void ResetFromOutside();
  void Adopt(int end, SimProcess& process) { ends_[end].process = &process; }

  const std::string& address(int end) const { return ends_[end].address; }
  SimComputer& computer(int end) { return *ends_[end].computer; }
  SimProcess* process(int end) { return ends_[end].process; }
  bool closed(int end) const { return ends_[end].closed; }
  uint64_t number() const { return number_; }

  void Open() { Transmit(0, SimSegment{SimSegment::Kind::kOpen, {}}); }
  void Retransmit();

 private:
  friend class SimRead;
  friend class SimWrite;
  friend class SimDisconnectWait;

  struct End {
    SimComputer* computer = nullptr;
    SimProcess* process = nullptr;
    std::string address;
    // Receiving.
    std::vector<std::byte> received;
    size_t read_position = 0;
    size_t uncredited = 0;  // Read, and the peer not yet told.
    bool ended = false;
    bool reset = false;
    bool closed = false;
    bool reading_aborted = false;
    SimRead* read = nullptr;
    // Sending.
    bool writing_ended = false;
    size_t in_flight = 0;
    std::deque<SimSegment> wire;
    int64_t last_arrival = 0;
    size_t blocked_arrivals = 0;
    size_t blocked_credit = 0;
    SimWrite* write = nullptr;
    SimDisconnectWait* disconnect = nullptr;

    size_t unread() const { return received.size() - read_position; }
  };

  size_t Accept(int end, const kj::byte* data, size_t size);
  void Transmit(int end, SimSegment segment);
  void ScheduleArrival(int end, absl::Duration extra);
  void Arrive(int from_end);
  void Deliver(int to_end, SimSegment segment);
  void OpenAtServer();
  size_t TakeReceived(int end, void* buffer, size_t min, size_t max);
  void GiveCredit(int reader_end);
  void CreditArrives(int writer_end, size_t bytes);
  void SendReset(int from_end);
  void ResetArrives(int to_end);
  void WakeReader(int end);
  void WakeWriter(int end);
  void Unregister(int end);

  SimFabric& fabric_;
  uint64_t number_;
  std::string server_port_;
  End ends_[2];
};

// A listening socket and the connections that nobody has accepted yet.
class SimAccept;
class SimListener final : public Listener {
 public:
  SimListener(SimFabric& fabric, SimProcess& process, std::string port, std::string address);
  ~SimListener() noexcept(false);

  kj::Promise<Accepted> Accept() override;
  std::string address() const override { return address_; }

  bool full() const;
  void Arrived(kj::Own<SimConnection> connection);
  SimProcess& process() { return process_; }
  void Close();

 private:
  friend class SimAccept;
  void Pump();
  SimFabric& fabric_;
  SimProcess& process_;
  std::string port_;
  std::string address_;
  bool open_ = true;
  std::deque<kj::Own<SimConnection>> backlog_;
  std::deque<SimAccept*> waiting_;
};

kj::Own<kj::AsyncIoStream> MakeSimStream(kj::Own<SimConnection> connection, int end);

}  // namespace troupe::internal
