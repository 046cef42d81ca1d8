#include "troupe/runtime/internal/sim_stream.h"

#include <algorithm>
#include <cstring>

#include "kj/debug.h"

namespace troupe::internal {
namespace {

constexpr size_t kSegmentMax = 64 * 1024;
constexpr size_t kSmallSegmentMax = 64;
constexpr absl::Duration kRetransmitMax = absl::Milliseconds(200);

kj::Exception Disconnected(const std::string& peer) {
  return KJ_EXCEPTION(DISCONNECTED, "connection reset by peer", peer.c_str());
}

}  // namespace

// The waits below live in the promise of the operation, so that dropping it ends the operation.
class SimRead {
 public:
  SimRead(kj::PromiseFulfiller<size_t>& fulfiller, SimConnection& connection, int end, void* buffer,
          size_t min, size_t max)
      : fulfiller_(fulfiller),
        connection_(kj::addRef(connection)),
        end_(end),
        buffer_(buffer),
        min_(min),
        max_(max) {
    KJ_REQUIRE(connection.ends_[end].read == nullptr, "two reads at once");
    connection.ends_[end].read = this;
  }
  ~SimRead() noexcept {
    connection_->fabric_.schedule().Cancel(wake_);
    Detach();
  }
  // Fulfils, by and by, if there is enough.
  void Try() {
    if (wake_ != 0 || !Ready()) return;
    SimProcess* process = connection_->ends_[end_].process;
    if (process == nullptr) return;
    wake_ = connection_->fabric_.schedule().Wake(*process, [this]() {
      wake_ = 0;
      Finish();
    });
  }

 private:
  bool Ready() const {
    auto& end = connection_->ends_[end_];
    return end.unread() >= min_ || end.ended || end.reset;
  }
  void Detach() {
    if (connection_->ends_[end_].read == this) connection_->ends_[end_].read = nullptr;
  }
  void Finish() {
    auto& end = connection_->ends_[end_];
    Detach();
    if (end.unread() < min_ && end.reset) {
      fulfiller_.reject(Disconnected(connection_->ends_[1 - end_].address));
    } else {
      fulfiller_.fulfill(connection_->TakeReceived(end_, buffer_, min_, max_));
    }
  }

  kj::PromiseFulfiller<size_t>& fulfiller_;
  kj::Own<SimConnection> connection_;
  int end_;
  void* buffer_;
  size_t min_;
  size_t max_;
  SimSchedule::Id wake_ = 0;
};

class SimWrite {
 public:
  SimWrite(kj::PromiseFulfiller<void>& fulfiller, SimConnection& connection, int end,
           kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces, size_t piece, size_t offset)
      : fulfiller_(fulfiller),
        connection_(kj::addRef(connection)),
        end_(end),
        pieces_(pieces.begin() + piece, pieces.end()),
        offset_(offset) {
    KJ_REQUIRE(connection.ends_[end].write == nullptr, "two writes at once");
    connection.ends_[end].write = this;
  }
  ~SimWrite() noexcept {
    connection_->fabric_.schedule().Cancel(wake_);
    Detach();
  }
  void Try() {
    SimProcess* process = connection_->ends_[end_].process;
    if (wake_ != 0 || process == nullptr) return;
    wake_ = connection_->fabric_.schedule().Wake(*process, [this]() {
      wake_ = 0;
      Continue();
    });
  }

 private:
  void Detach() {
    if (connection_->ends_[end_].write == this) connection_->ends_[end_].write = nullptr;
  }
  void Continue() {
    if (connection_->ends_[end_].reset) {
      Detach();
      return fulfiller_.reject(Disconnected(connection_->ends_[1 - end_].address));
    }
    for (; next_ < pieces_.size(); ++next_, offset_ = 0) {
      auto piece = pieces_[next_];
      offset_ += connection_->Accept(end_, piece.begin() + offset_, piece.size() - offset_);
      if (offset_ < piece.size()) return;
    }
    Detach();
    fulfiller_.fulfill();
  }

  kj::PromiseFulfiller<void>& fulfiller_;
  kj::Own<SimConnection> connection_;
  int end_;
  std::vector<kj::ArrayPtr<const kj::byte>> pieces_;
  size_t next_ = 0;
  size_t offset_;
  SimSchedule::Id wake_ = 0;
};

class SimDisconnectWait {
 public:
  SimDisconnectWait(kj::PromiseFulfiller<void>& fulfiller, SimConnection& connection, int end)
      : fulfiller_(fulfiller), connection_(kj::addRef(connection)), end_(end) {
    connection.ends_[end].disconnect = this;
  }
  ~SimDisconnectWait() noexcept {
    connection_->fabric_.schedule().Cancel(wake_);
    auto& end = connection_->ends_[end_];
    if (end.disconnect == this) end.disconnect = nullptr;
  }
  void Fire() {
    SimProcess* process = connection_->ends_[end_].process;
    if (wake_ != 0 || process == nullptr) return;
    wake_ = connection_->fabric_.schedule().Wake(*process, [this]() {
      wake_ = 0;
      fulfiller_.fulfill();
    });
  }

 private:
  kj::PromiseFulfiller<void>& fulfiller_;
  kj::Own<SimConnection> connection_;
  int end_;
  SimSchedule::Id wake_ = 0;
};

SimConnection::SimConnection(SimFabric& fabric, SimProcess& client, std::string client_address,
                             SimComputer& server, std::string server_port)
    : fabric_(fabric), number_(++fabric.last_connection_), server_port_(std::move(server_port)) {
  ends_[0].computer = &client.computer();
  ends_[0].process = &client;
  ends_[0].address = std::move(client_address);
  ends_[1].computer = &server;
  ends_[1].address = server.ip + ":" + server_port_;
  fabric_.connections_[number_] = this;
  for (auto& end : ends_) end.computer->connections[number_] = this;
}

SimConnection::~SimConnection() noexcept {
  fabric_.connections_.erase(number_);
  for (auto& end : ends_) end.closed = true;
  for (int end : {0, 1}) Unregister(end);
}

void SimConnection::Unregister(int end) {
  // Both ends may be on one computer: then it stays while either is open.
  if (ends_[0].computer == ends_[1].computer && !(ends_[0].closed && ends_[1].closed)) return;
  ends_[end].computer->connections.erase(number_);
}

kj::Promise<size_t> SimConnection::Read(int end, void* buffer, size_t min, size_t max) {
  auto& self = ends_[end];
  if (self.process == nullptr || self.process->dead()) return kj::NEVER_DONE;
  min = std::max<size_t>(1, std::min(min, max));
  if (self.unread() >= min || self.ended) return TakeReceived(end, buffer, min, max);
  if (self.reset) return Disconnected(ends_[1 - end].address);
  return kj::newAdaptedPromise<size_t, SimRead>(*this, end, buffer, min, max);
}

size_t SimConnection::TakeReceived(int end, void* buffer, size_t min, size_t max) {
  auto& self = ends_[end];
  size_t count = std::min(self.unread(), max);
  // Now and then less than there is: a caller must not take message borders from reads.
  if (count > min && fabric_.random().Below(4) == 0) {
    count = min + fabric_.random().Below(count - min + 1);
  }
  if (count > 0) std::memcpy(buffer, self.received.data() + self.read_position, count);
  self.read_position += count;
  if (self.unread() == 0) {
    self.received.clear();
    self.read_position = 0;
  }
  self.uncredited += count;
  if (self.uncredited >= fabric_.stream_window() / 8) GiveCredit(end);
  return count;
}

void SimConnection::GiveCredit(int reader_end) {
  auto& self = ends_[reader_end];
  size_t bytes = std::exchange(self.uncredited, 0);
  int writer_end = 1 - reader_end;
  fabric_.schedule().After(fabric_.Latency(*self.computer, *ends_[writer_end].computer),
                           SimEvent::kCredit, nullptr,
                           [self = kj::addRef(*this), writer_end, bytes]() mutable {
                             self->CreditArrives(writer_end, bytes);
                           });
}

void SimConnection::CreditArrives(int writer_end, size_t bytes) {
  auto& writer = ends_[writer_end];
  if (!fabric_.Open(*ends_[1 - writer_end].computer, *writer.computer)) {
    writer.blocked_credit += bytes;
    return;
  }
  writer.in_flight -= bytes;
  WakeWriter(writer_end);
}

kj::Promise<void> SimConnection::Write(int end,
                                       kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) {
  auto& self = ends_[end];
  if (self.process == nullptr || self.process->dead()) return kj::NEVER_DONE;
  if (self.reset) return Disconnected(ends_[1 - end].address);
  KJ_REQUIRE(!self.writing_ended, "write after shutdownWrite()");
  KJ_REQUIRE(self.write == nullptr, "two writes at once");
  for (size_t i = 0; i < pieces.size(); ++i) {
    size_t taken = Accept(end, pieces[i].begin(), pieces[i].size());
    if (taken < pieces[i].size()) {
      return kj::newAdaptedPromise<void, SimWrite>(*this, end, pieces, i, taken);
    }
  }
  return kj::READY_NOW;
}

// Takes what the window has room for and sends it; says how much.
size_t SimConnection::Accept(int end, const kj::byte* data, size_t size) {
  auto& self = ends_[end];
  size_t window = fabric_.stream_window();
  size_t room = window - std::min(window, self.in_flight);
  size_t taken = std::min(room, size);
  for (size_t sent = 0; sent < taken;) {
    size_t most = fabric_.random().Below(8) == 0 ? kSmallSegmentMax : kSegmentMax;
    size_t count = std::min<size_t>(taken - sent, 1 + fabric_.random().Below(most));
    auto* begin = reinterpret_cast<const std::byte*>(data + sent);
    Transmit(end, SimSegment{SimSegment::Kind::kData, {begin, begin + count}});
    sent += count;
  }
  self.in_flight += taken;
  return taken;
}

void SimConnection::Transmit(int end, SimSegment segment) {
  auto& self = ends_[end];
  self.wire.push_back(std::move(segment));
  double loss = fabric_.LinkOf(*self.computer, *ends_[1 - end].computer).loss;
  bool lost = loss > 0 && fabric_.random().Chance(loss);
  ScheduleArrival(end, lost ? kRetransmitMax : absl::ZeroDuration());
}

void SimConnection::ScheduleArrival(int end, absl::Duration extra) {
  auto& self = ends_[end];
  absl::Duration latency = fabric_.Latency(*self.computer, *ends_[1 - end].computer) + extra;
  int64_t when = fabric_.schedule().now() + absl::ToInt64Nanoseconds(latency);
  self.last_arrival = std::max(self.last_arrival, when);
  fabric_.schedule().At(self.last_arrival, SimEvent::kSegment, nullptr,
                        [self = kj::addRef(*this), end]() mutable { self->Arrive(end); });
}

void SimConnection::Arrive(int from_end) {
  auto& from = ends_[from_end];
  if (from.wire.empty()) return;  // Dropped by a reset meanwhile.
  if (!fabric_.Open(*from.computer, *ends_[1 - from_end].computer)) {
    ++from.blocked_arrivals;
    return;
  }
  SimSegment segment = std::move(from.wire.front());
  from.wire.pop_front();
  fabric_.schedule().Mix(number_ * 2 + static_cast<uint64_t>(from_end));
  fabric_.schedule().Mix(segment.bytes);
  Deliver(1 - from_end, std::move(segment));
}

void SimConnection::Retransmit() {
  for (int end : {0, 1}) {
    auto& self = ends_[end];
    auto& peer = ends_[1 - end];
    if (self.blocked_arrivals > 0 && fabric_.Open(*self.computer, *peer.computer)) {
      uint64_t most = static_cast<uint64_t>(absl::ToInt64Microseconds(kRetransmitMax));
      auto wait = absl::Microseconds(static_cast<int64_t>(fabric_.random().Below(most)));
      size_t count = std::exchange(self.blocked_arrivals, 0);
      for (size_t i = 0; i < count; ++i) ScheduleArrival(end, wait);
    }
    if (self.blocked_credit > 0 && fabric_.Open(*peer.computer, *self.computer)) {
      CreditArrives(end, std::exchange(self.blocked_credit, 0));
    }
  }
}

void SimConnection::Deliver(int to_end, SimSegment segment) {
  if (segment.kind == SimSegment::Kind::kOpen) return OpenAtServer();
  auto& to = ends_[to_end];
  // Each time: an earlier reset may have been lost with the power or behind a cut.
  if (to.reset || to.closed || to.reading_aborted) {
    if (segment.kind == SimSegment::Kind::kData) SendReset(to_end);
    return;
  }
  if (segment.kind == SimSegment::Kind::kEnd) {
    to.ended = true;
  } else {
    to.received.insert(to.received.end(), segment.bytes.begin(), segment.bytes.end());
  }
  WakeReader(to_end);
}

void SimConnection::OpenAtServer() {
  auto& server = *ends_[1].computer;
  auto listener = server.listeners.find(server_port_);
  if (listener == server.listeners.end()) {
    ends_[1].closed = true;
    return SendReset(1);
  }
  ends_[1].process = &listener->second->process();
  listener->second->Arrived(kj::addRef(*this));
}

void SimConnection::SendReset(int from_end) {
  auto& from = ends_[from_end];
  auto& to = ends_[1 - from_end];
  from.wire.clear();
  from.reset = true;
  int64_t when = fabric_.schedule().now() +
                 absl::ToInt64Nanoseconds(fabric_.Latency(*from.computer, *to.computer));
  fabric_.schedule().At(std::max(from.last_arrival, when), SimEvent::kReset, nullptr,
                        [self = kj::addRef(*this), from_end]() mutable {
                          auto& ends = self->ends_;
                          auto& to = *ends[1 - from_end].computer;
                          if (!self->fabric_.Open(*ends[from_end].computer, to)) return;
                          self->ResetArrives(1 - from_end);
                        });
}

void SimConnection::ResetArrives(int to_end) {
  auto& to = ends_[to_end];
  if (to.reset || to.closed) return;
  fabric_.schedule().Mix(number_ * 2 + static_cast<uint64_t>(to_end));
  to.reset = true;
  to.wire.clear();
  WakeReader(to_end);
  WakeWriter(to_end);
  if (to.disconnect != nullptr) to.disconnect->Fire();
}

void SimConnection::ResetFromOutside() {
  for (int end : {0, 1}) {
    fabric_.schedule().After(
        fabric_.Latency(*ends_[1 - end].computer, *ends_[end].computer), SimEvent::kReset, nullptr,
        [self = kj::addRef(*this), end]() mutable { self->ResetArrives(end); });
  }
}

void SimConnection::WakeReader(int end) {
  if (ends_[end].read != nullptr) ends_[end].read->Try();
}

void SimConnection::WakeWriter(int end) {
  if (ends_[end].write != nullptr) ends_[end].write->Try();
}

kj::Promise<void> SimConnection::WhenDisconnected(int end) {
  if (ends_[end].reset) return kj::READY_NOW;
  KJ_REQUIRE(ends_[end].disconnect == nullptr, "two waits for the disconnection of one stream");
  return kj::newAdaptedPromise<void, SimDisconnectWait>(*this, end);
}

void SimConnection::EndWriting(int end) {
  auto& self = ends_[end];
  if (self.writing_ended || self.closed) return;
  self.writing_ended = true;
  if (!self.reset) Transmit(end, SimSegment{SimSegment::Kind::kEnd, {}});
}

void SimConnection::AbortReading(int end) { ends_[end].reading_aborted = true; }

void SimConnection::Close(int end) {
  auto& self = ends_[end];
  if (self.closed) return;
  bool unread = self.unread() > 0;
  if (!unread) EndWriting(end);
  self.closed = true;
  if (unread && !self.reset) SendReset(end);
  Unregister(end);
}

void SimConnection::Vanish(int end) {
  auto& self = ends_[end];
  self.closed = true;
  self.wire.clear();
  Unregister(end);
}

namespace {

class SimStream final : public kj::AsyncIoStream {
 public:
  SimStream(kj::Own<SimConnection> connection, int end)
      : connection_(kj::mv(connection)), end_(end) {}
  ~SimStream() noexcept(false) { connection_->Close(end_); }

  kj::Promise<size_t> tryRead(void* buffer, size_t min, size_t max) override {
    return connection_->Read(end_, buffer, min, max);
  }
  kj::Promise<void> write(const void* buffer, size_t size) override {
    auto piece = kj::heapArray<kj::ArrayPtr<const kj::byte>>(1);
    piece[0] = kj::arrayPtr(static_cast<const kj::byte*>(buffer), size);
    return connection_->Write(end_, piece);
  }
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) override {
    return connection_->Write(end_, pieces);
  }
  kj::Promise<void> whenWriteDisconnected() override { return connection_->WhenDisconnected(end_); }
  void shutdownWrite() override { connection_->EndWriting(end_); }
  void abortRead() override { connection_->AbortReading(end_); }

 private:
  kj::Own<SimConnection> connection_;
  int end_;
};

}  // namespace

kj::Own<kj::AsyncIoStream> MakeSimStream(kj::Own<SimConnection> connection, int end) {
  return kj::heap<SimStream>(kj::mv(connection), end);
}

}  // namespace troupe::internal
