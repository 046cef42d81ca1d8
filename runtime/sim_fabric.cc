#include "troupe/runtime/internal/sim_fabric.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "troupe/runtime/internal/sim_datagram.h"
#include "troupe/runtime/internal/sim_stream.h"

namespace troupe::internal {
namespace {

constexpr absl::Duration kLoopbackMin = absl::Microseconds(10);
constexpr absl::Duration kLoopbackMax = absl::Microseconds(50);
constexpr absl::Duration kHeldBackMax = absl::Milliseconds(10);  // A reordered datagram.

}  // namespace

SimComputer& SimFabric::AddComputer(std::string_view name) {
  auto computer = std::make_unique<SimComputer>();
  computer->name = name;
  computer->index = static_cast<uint32_t>(computers_.size());
  uint32_t number = computer->index + 1;
  computer->wall_offset = absl::Milliseconds(static_cast<int64_t>(number * 37 % 101) - 50);
  computer->ip = absl::StrCat("10.", number >> 16, ".", (number >> 8) & 255, ".", number & 255);
  computers_.push_back(std::move(computer));
  return *computers_.back();
}

SimComputer* SimFabric::Find(std::string_view name) {
  for (auto& computer : computers_) {
    if (computer->name == name || computer->ip == name) return computer.get();
  }
  return nullptr;
}

void SimFabric::AddName(std::string_view name, std::vector<std::string> computers) {
  names_[std::string(name)] = std::move(computers);
}

std::optional<SimAddress> SimFabric::Parse(std::string_view address, SimComputer& from) {
  if (address.starts_with("unix:/")) return SimAddress{&from, std::string(address)};
  size_t colon = address.rfind(':');
  uint32_t port = 0;
  if (colon == std::string_view::npos ||
      !absl::SimpleAtoi(std::string(address.substr(colon + 1)), &port) || port > 65535) {
    return std::nullopt;
  }
  std::string_view host = address.substr(0, colon);
  if (host.empty() || host.find_first_not_of("0123456789.:[]abcdef") != std::string_view::npos) {
    return std::nullopt;
  }
  bool own = host == "127.0.0.1" || host == "0.0.0.0" || host == "[::1]" || host == "[::]";
  SimComputer* computer = &from;
  if (!own) {
    auto it = std::find_if(computers_.begin(), computers_.end(),
                           [host](auto& c) { return c->ip == host; });
    computer = it == computers_.end() ? nullptr : it->get();
  }
  return SimAddress{computer, absl::StrCat(port)};
}

std::vector<std::string> SimFabric::Resolve(std::string_view name_and_port) {
  size_t colon = name_and_port.rfind(':');
  if (colon == std::string_view::npos || name_and_port.starts_with("unix:")) {
    return {std::string(name_and_port)};
  }
  std::string_view host = name_and_port.substr(0, colon);
  std::string port(name_and_port.substr(colon));
  if (host.find_first_not_of("0123456789.") == std::string_view::npos || host.starts_with("[")) {
    return {std::string(name_and_port)};
  }
  std::vector<std::string> result;
  if (host == "localhost") return {"127.0.0.1" + port};
  if (auto* computer = Find(host)) return {computer->ip + port};
  auto known = names_.find(host);
  if (known == names_.end()) return result;
  for (auto& name : known->second) {
    if (auto* computer = Find(name)) result.push_back(computer->ip + port);
  }
  return result;
}

bool SimFabric::Open(const SimComputer& from, const SimComputer& to) const {
  if (!from.powered || !to.powered) return false;
  if (from.index == to.index) return true;
  if (from.frozen || to.frozen) return false;
  return !cuts_.contains({from.index, to.index});
}

const SimLink& SimFabric::LinkOf(const SimComputer& from, const SimComputer& to) const {
  static const SimLink loopback{kLoopbackMin, kLoopbackMax};
  if (from.index == to.index) return loopback;
  auto link = links_.find({from.index, to.index});
  return link == links_.end() ? default_link_ : link->second;
}

absl::Duration SimFabric::Latency(const SimComputer& from, const SimComputer& to) {
  const SimLink& link = LinkOf(from, to);
  int64_t span = absl::ToInt64Nanoseconds(link.latency_max - link.latency_min);
  uint64_t extra = span <= 0 ? 0 : random_.Below(static_cast<uint64_t>(span) + 1);
  return link.latency_min + absl::Nanoseconds(static_cast<int64_t>(extra));
}

void SimFabric::Isolate(SimComputer& computer) {
  for (auto& other : computers_) {
    if (other.get() == &computer) continue;
    Cut(computer, *other);
    Cut(*other, computer);
  }
}

void SimFabric::Retransmit() {
  for (auto& [number, connection] : connections_) connection->Retransmit();
}

void SimFabric::SendDatagram(SimComputer& from, uint16_t from_port, SimComputer& to,
                             uint16_t to_port, std::vector<std::byte> bytes) {
  const SimLink& link = LinkOf(from, to);
  int copies = 1 + (random_.Chance(link.duplicate) ? 1 : 0);
  for (int copy = 0; copy < copies; ++copy) {
    if (random_.Chance(link.loss)) continue;
    int64_t when = schedule_.now() + absl::ToInt64Nanoseconds(Latency(from, to));
    if (random_.Chance(link.reorder)) {
      int64_t most = absl::ToInt64Nanoseconds(kHeldBackMax);
      when += static_cast<int64_t>(random_.Below(static_cast<uint64_t>(most)));
    } else {
      int64_t& last = last_datagram_[{from.index, to.index}];
      when = last = std::max(last, when);
    }
    schedule_.At(when, SimEvent::kDatagram, nullptr,
                 [this, &from, from_port, &to, to_port, bytes]() {
                   ArriveDatagram(from, from_port, to, to_port, bytes);
                 });
  }
}

void SimFabric::ArriveDatagram(SimComputer& from, uint16_t from_port, SimComputer& to,
                               uint16_t to_port, const std::vector<std::byte>& bytes) {
  if (!Open(from, to)) return;
  schedule_.Mix(uint64_t{from.index} << 32 | to.index);
  schedule_.Mix(bytes);
  auto socket = to.datagram_ports.find(to_port);
  if (socket == to.datagram_ports.end()) return RefuseDatagram(from, from_port, to, to_port);
  socket->second->Arrived(
      DatagramEvent{DatagramEvent::Kind::kMessage, {absl::StrCat(from.ip, ":", from_port), bytes}});
}

void SimFabric::RefuseDatagram(SimComputer& from, uint16_t from_port, SimComputer& to,
                               uint16_t to_port) {
  schedule_.After(Latency(to, from), SimEvent::kDatagramRefused, nullptr,
                  [this, &from, from_port, &to, to_port]() {
                    if (!Open(to, from)) return;
                    auto socket = from.datagram_ports.find(from_port);
                    if (socket == from.datagram_ports.end()) return;
                    socket->second->Arrived(DatagramEvent{DatagramEvent::Kind::kRefused,
                                                          {absl::StrCat(to.ip, ":", to_port), {}}});
                  });
}

void SimFabric::CloseProcess(SimComputer& computer) {
  for (auto& [port, listener] : std::map(computer.listeners)) listener->Close();
  for (auto& [port, socket] : std::map(computer.datagram_ports)) socket->Close();
  for (auto& [number, connection] : std::map(computer.connections)) {
    auto keep = kj::addRef(*connection);
    for (int end : {0, 1}) {
      if (&keep->computer(end) == &computer && keep->process(end) != nullptr) keep->Close(end);
    }
  }
}

void SimFabric::ForgetProcess(SimComputer& computer) {
  for (auto& [number, connection] : std::map(computer.connections)) {
    for (int end : {0, 1}) {
      if (&connection->computer(end) == &computer) connection->Vanish(end);
    }
  }
  CloseProcess(computer);
}

void SimFabric::ResetConnections(SimComputer& a, SimComputer& b) {
  for (auto& [number, connection] : std::map(connections_)) {
    auto &from = connection->computer(0), &to = connection->computer(1);
    if ((&from == &a && &to == &b) || (&from == &b && &to == &a)) connection->ResetFromOutside();
  }
}

}  // namespace troupe::internal
