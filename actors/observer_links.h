// ObserverLinks: a worker's way to the observers of clients: which link is whose, and the calls
// that are unanswered on it.
//
// Single loop. A call ends with the client's answer, at its deadline, or, DISCONNECTED, with the
// link. None is sent twice. A told one that its client does not take within kToldPatience is
// answered all the same, and so are those behind it, when they are sent: no outbox fills for a slow
// client. What a client is slow to take is bounded by link and in all: beyond it callers are told
// OVERLOADED. While the worker holds more than half of what it may, each link may have only
// kShareWhenShort of its own, so that some slow clients do not shut out the others. Clients are not
// trusted: a link gets only calls to observers of the secret that it has shown (actors/call.capnp,
// ObserveFrame).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "troupe/actors/call.h"
#include "troupe/actors/observer_key.h"
#include "troupe/rpc/link.h"
#include "troupe/runtime/host.h"

namespace troupe {

struct ObserverLimits {
  size_t link_calls = 256;      // Unanswered on one link. No more than a caller sends at once.
  size_t link_bytes = 8 << 20;  // Of their parameters; and of what the client has not read.
  size_t calls = 1 << 14;       // Of all links to one worker.
  size_t bytes = 64 << 20;      // The same.
};
inline constexpr absl::Duration kToldPatience = absl::Milliseconds(100);
inline constexpr size_t kShareWhenShort = 16;  // A part of the limits of a link.

class ObserverLinks {
 public:
  // `node`: ours, for errors.
  ObserverLinks(Host& host, std::string node, ObserverLimits limits);
  ~ObserverLinks() noexcept(false);
  KJ_DISALLOW_COPY(ObserverLinks);

  // The client of this link has shown `secret`. Takes over from another link of the same client,
  // and from what this link has claimed before. `link` is valid until Close().
  void Claim(uint64_t session, Link& link, const Id128& secret);
  void Close(uint64_t session);

  // To the observer of `key`, which is the call's. Gives the session that has more to read now.
  std::optional<uint64_t> Call(kj::Own<InboundCall> call, const ObserverKey& key);
  // An answer frame of the client. Throws for what cannot be read: the link has to end.
  void OnAnswer(uint64_t session, kj::Own<Frame> frame);
  void EndLate(absl::Time now);
  // Ends all: no more will come.
  void CloseAll();

  size_t unanswered() const { return calls_.size(); }

 private:
  struct ClientLink {
    Link* link = nullptr;
    Id128 client;
    std::set<uint64_t> calls;
    size_t bytes = 0;
    size_t late = 0;  // Told ones that were let go, and that the client has not taken.
  };
  struct Sent {
    kj::Own<InboundCall> call;
    uint64_t session = 0;
    size_t bytes = 0;
    absl::Time due;  // Its deadline, or before that the end of kToldPatience.
    bool told = false;
  };

  std::optional<std::string> NoRoomFor(const ClientLink& link, size_t bytes) const;
  kj::Own<InboundCall> Take(uint64_t number);
  void LetGo(uint64_t number);

  Host& host_;
  const std::string node_;
  const ObserverLimits limits_;
  std::map<uint64_t, ClientLink> links_;  // By session.
  absl::flat_hash_map<Id128, uint64_t> session_of_;
  absl::flat_hash_map<uint64_t, Sent> calls_;  // By number.
  std::set<std::pair<absl::Time, uint64_t>> due_;
  uint64_t next_number_ = 1;  // Of no two calls, on whatever link.
  size_t bytes_ = 0;
};

}  // namespace troupe
