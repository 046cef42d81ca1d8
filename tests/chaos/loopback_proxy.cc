#include "loopback_proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <utility>

namespace {

constexpr uint32_t kInner = 0x7f000000 + 10;  // 127.0.0.10 is node 0.
constexpr uint32_t kOuter = 0x7f000100 + 10;
constexpr size_t kBytesMax = 256 << 10;  // Held of one direction; then its sender waits.
constexpr size_t kConnectionsMax = 2048;
constexpr size_t kDatagramsMax = 16'384;
constexpr size_t kReadMax = 64 << 10;
constexpr absl::Duration kSentAgain = absl::Milliseconds(200);  // As TCP does at the earliest.
constexpr absl::Duration kLookAround = absl::Milliseconds(20);  // For rules, and for the end.

absl::Time Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return absl::TimeFromTimespec(now);
}

sockaddr_in Address(uint32_t host, size_t node, uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_addr.s_addr = htonl(host + static_cast<uint32_t>(node));
  out.sin_port = htons(port);
  return out;
}

const sockaddr* Raw(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

std::string Text(const sockaddr_in& address) {
  char host[INET_ADDRSTRLEN];
  inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
  return host + (":" + std::to_string(ntohs(address.sin_port)));
}

// Its peer sees an end as by a computer that refuses.
void Reset(int fd) {
  if (fd < 0) return;
  const linger at_once{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
}

}  // namespace

LoopbackProxy::LoopbackProxy(size_t nodes, uint64_t seed)
    : nodes_(nodes), rules_((nodes + 1) * (nodes + 1)), random_(seed) {
  for (size_t i = 0; i < nodes; ++i) {
    for (int tries = 0;; ++tries) {
      if (tries == 100) throw std::runtime_error("no free ports on 127.0.1.0/24");
      const auto port = static_cast<uint16_t>(20'000 + random_() % 10'000);
      const sockaddr_in outer = Address(kOuter, i, port), inner = Address(kInner, i, port);
      const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      const int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      const bool free = bind(probe, Raw(inner), sizeof inner) == 0;
      close(probe);
      if (free && bind(tcp, Raw(outer), sizeof outer) == 0 && listen(tcp, 128) == 0 &&
          bind(udp, Raw(outer), sizeof outer) == 0) {
        listeners_.push_back(tcp);
        sockets_.push_back(udp);
        ports_.push_back(port);
        break;
      }
      close(tcp);
      close(udp);
    }
  }
  thread_ = std::thread([this] { Run(); });
}

LoopbackProxy::~LoopbackProxy() {
  ending_ = true;
  thread_.join();
  for (auto& connection : connections_) {
    Reset(connection.there.in);
    Reset(connection.there.out);
  }
  for (int fd : listeners_) close(fd);
  for (int fd : sockets_) close(fd);
}

void LoopbackProxy::SetRule(size_t from, size_t to, LinkRule rule) {
  const std::lock_guard lock(mutex_);
  RuleOf(from, to) = rule;
}

std::string LoopbackProxy::InnerAddress(size_t node) const {
  return Text(Address(kInner, node, ports_[node]));
}
std::string LoopbackProxy::OuterAddress(size_t node) const {
  return Text(Address(kOuter, node, ports_[node]));
}
std::string LoopbackProxy::SourceOf(size_t node) {
  const std::string text = Text(Address(kInner, node, 0));
  return text.substr(0, text.find(':'));
}

size_t LoopbackProxy::HostOf(const sockaddr_in& source) const {
  const uint32_t number = ntohl(source.sin_addr.s_addr) - kInner;
  return number < nodes_ ? number : nodes_;
}

void LoopbackProxy::Run() {
  std::vector<pollfd> polled;
  while (!ending_) {
    polled.clear();
    for (int fd : listeners_) polled.push_back({fd, POLLIN, 0});
    for (int fd : sockets_) polled.push_back({fd, POLLIN, 0});
    for (const auto& connection : connections_) {
      for (const Direction* way : {&connection.there, &connection.back}) {
        if (way->in >= 0 && !way->ended && way->bytes < kBytesMax) {
          polled.push_back({way->in, POLLIN, 0});
        }
      }
    }
    const timespec pause = absl::ToTimespec(Pause());
    ppoll(polled.data(), polled.size(), &pause, nullptr);
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < nodes_; ++i) {
      if (polled[i].revents != 0) Accept(i);
      if (polled[nodes_ + i].revents != 0) TakeDatagrams(i);
    }
    for (auto it = connections_.begin(); it != connections_.end();) {
      it = Move(*it) ? std::next(it) : connections_.erase(it);
    }
    GiveDatagrams();
  }
}

absl::Duration LoopbackProxy::Pause() {
  absl::Duration out = kLookAround;
  const absl::Time now = Now();
  if (!datagrams_.empty()) out = std::min(out, datagrams_.top().due - now);
  for (const auto& connection : connections_) {
    for (const Direction* way : {&connection.there, &connection.back}) {
      // What was due already waits for a reader or a rule: the next look around finds it.
      if (!way->chunks.empty() && way->chunks.front().due > now) {
        out = std::min(out, way->chunks.front().due - now);
      }
    }
  }
  return std::max(out, absl::ZeroDuration());
}

void LoopbackProxy::Accept(size_t node) {
  sockaddr_in source{};
  socklen_t size = sizeof source;
  const int fd = accept4(listeners_[node], reinterpret_cast<sockaddr*>(&source), &size,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  if (connections_.size() >= kConnectionsMax) return Reset(fd);
  auto& connection = connections_.emplace_back();
  connection.there.from = connection.back.to = HostOf(source);
  connection.there.to = connection.back.from = node;
  connection.there.in = connection.back.out = fd;
}

bool LoopbackProxy::Connect(Connection& connection) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const size_t node = connection.there.to;
  const sockaddr_in inner = Address(kInner, node, ports_[node]);
  if (connect(fd, Raw(inner), sizeof inner) != 0) {
    close(fd);
    return false;
  }
  const int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  connection.there.out = connection.back.in = fd;
  return true;
}

bool LoopbackProxy::Move(Connection& connection) {
  auto& there = connection.there;
  auto& back = connection.back;
  const bool cut = RuleOf(there.from, there.to).cut || RuleOf(there.to, there.from).cut;
  if (there.out < 0 && (cut || Connect(connection))) {
    if (cut) return true;  // It is dialed when the way is free.
  } else if (there.out < 0) {
    connection.broken = true;
  }
  for (Direction* way : {&there, &back}) {
    if (connection.broken) break;
    Take(*way, connection.broken);
    Give(*way, connection.broken);
  }
  const bool over = connection.broken || (there.told && back.told);
  if (!over || cut) return true;  // Nobody hears of an end while the way is cut.
  for (int fd : {there.in, there.out}) {
    if (connection.broken) Reset(fd);
    if (!connection.broken) close(fd);
  }
  return false;
}

void LoopbackProxy::Take(Direction& way, bool& broken) {
  if (way.ended || way.bytes >= kBytesMax) return;
  std::vector<char> bytes(kReadMax);
  const ssize_t size = read(way.in, bytes.data(), bytes.size());
  if (size < 0 && errno != EAGAIN && errno != EINTR) broken = true;
  if (size == 0) way.ended = true;
  if (size <= 0) return;
  bytes.resize(static_cast<size_t>(size));
  const LinkRule& rule = RuleOf(way.from, way.to);
  absl::Time due = Now() + rule.delay;
  if (Chance(rule.loss)) due += kSentAgain;
  if (!way.chunks.empty()) due = std::max(due, way.chunks.back().due);
  way.bytes += bytes.size();
  way.chunks.push_back({due, std::move(bytes)});
}

void LoopbackProxy::Give(Direction& way, bool& broken) {
  if (RuleOf(way.from, way.to).cut) return;
  const absl::Time now = Now();
  while (!way.chunks.empty() && way.chunks.front().due <= now) {
    auto& bytes = way.chunks.front().bytes;
    const ssize_t size = send(way.out, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size < 0) {
      if (errno != EAGAIN && errno != EINTR) broken = true;
      return;
    }
    way.bytes -= static_cast<size_t>(size);
    bytes.erase(bytes.begin(), bytes.begin() + size);
    if (!bytes.empty()) return;
    way.chunks.pop_front();
  }
  if (way.ended && way.chunks.empty() && !way.told) {
    shutdown(way.out, SHUT_WR);
    way.told = true;
  }
}

void LoopbackProxy::TakeDatagrams(size_t node) {
  char bytes[kReadMax];
  for (;;) {
    sockaddr_in source{};
    socklen_t length = sizeof source;
    const ssize_t size = recvfrom(sockets_[node], bytes, sizeof bytes, 0,
                                  reinterpret_cast<sockaddr*>(&source), &length);
    if (size < 0 && errno == ECONNREFUSED) continue;  // To somebody who has ended.
    if (size < 0) return;
    const size_t from = HostOf(source);
    const LinkRule& rule = RuleOf(from, node);
    if (from == nodes_ || rule.cut || Chance(rule.loss)) continue;
    absl::Duration delay = rule.delay;
    delay += rule.jitter * std::uniform_real_distribution<double>(0, 1)(random_);
    if (Chance(rule.reorder)) delay += rule.late;
    for (int copies = Chance(rule.duplicate) ? 2 : 1; copies > 0; --copies) {
      if (datagrams_.size() >= kDatagramsMax) break;
      datagrams_.push({Now() + delay, next_++, from, node, {bytes, bytes + size}});
    }
  }
}

void LoopbackProxy::GiveDatagrams() {
  const absl::Time now = Now();
  for (; !datagrams_.empty() && datagrams_.top().due <= now; datagrams_.pop()) {
    const Datagram& datagram = datagrams_.top();
    const sockaddr_in inner = Address(kInner, datagram.to, ports_[datagram.to]);
    if (RuleOf(datagram.from, datagram.to).cut) continue;
    sendto(sockets_[datagram.from], datagram.bytes.data(), datagram.bytes.size(), MSG_NOSIGNAL,
           Raw(inner), sizeof inner);
  }
}

bool LoopbackProxy::Chance(double share) {
  return share > 0 && std::uniform_real_distribution<double>(0, 1)(random_) < share;
}
