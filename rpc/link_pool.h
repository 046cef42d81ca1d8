// LinkPool: the links that one loop dials, one to each wanted node, kept up by re-dialing.
//
// Single loop. What happens to a link is told to the Watcher in order: up, frames, down. A failed
// dial is tried again after 10 ms, doubling to 1 s; every failure is told, as it is evidence.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "kj/async.h"
#include "kj/vector.h"
#include "troupe/rpc/link.h"

namespace troupe {

// How an attempt or a link ended.
struct LinkLoss {
  bool was_up = false;    // A link that had said hello ended; else a dial failed.
  bool replaced = false;  // We ended it ourselves, for a newer run of the node: no evidence.
  LinkEnd end = LinkEnd::kClosed;                // If it was up.
  DialOutcome dial = DialOutcome::kUnreachable;  // If not.
  std::optional<wire::Refusal::Reason> refused;  // The peer answered the hello with this.
  std::string detail;
};

class LinkPool final : private Link::Receiver {
 public:
  class Watcher {
   public:
    virtual void OnLinkUp(const std::string& node, Link& link) = 0;
    virtual void OnLinkFrame(const std::string& node, Link& link, kj::Own<Frame> frame) = 0;
    virtual void OnLinkDown(const std::string& node, const LinkLoss& loss) = 0;

   protected:
    ~Watcher() = default;
  };

  // `introduce` is called at each dial, with the target to be filled in by the pool.
  LinkPool(Host& host, Lane lane, uint16_t worker, kj::Function<Introduction()> introduce,
           Watcher& watcher);
  ~LinkPool() noexcept(false);
  KJ_DISALLOW_COPY(LinkPool);

  // Keeps a link to `node` at `address` from now on. Another address or boot than before (0: not
  // known) replaces the link. `node` may be empty text plus address for seeds whose name is not
  // known: then any node may answer there, and the key is the address.
  void Want(const std::string& node, const std::string& address, Boot boot);
  void Forget(const std::string& node);
  // Dials now rather than when the back-off ends.
  void Hurry(const std::string& node);
  // Keys now wanted, sorted.
  std::vector<std::string> wanted() const;

  Link* Find(std::string_view node);  // Null while there is none.

 private:
  struct Peer {
    std::string address;
    std::string target;
    Boot boot = 0;
    kj::Own<Link> link;
    absl::Duration backoff = absl::ZeroDuration();
    kj::Promise<void> task = nullptr;  // The dial under way, or the wait before the next.
  };

  void OnFrame(Link& link, kj::Own<Frame> frame) override;
  void OnEnd(Link& link, LinkEnd end, std::string detail) override;
  void Dial(const std::string& node);
  void DialAfter(const std::string& node, absl::Duration wait);
  void Dialed(const std::string& node, DialedLink&& dialed);
  void Lost(const std::string& node, LinkLoss loss);
  void Retire(Peer& peer);
  void ScheduleSweep();
  const std::string* KeyOf(const Link& link) const;

  Host& host_;
  Lane lane_;
  uint16_t worker_;
  kj::Function<Introduction()> introduce_;
  Watcher& watcher_;
  std::map<std::string, std::unique_ptr<Peer>, std::less<>> peers_;
  // Destroyed on the next turn, since what ends may be what is running.
  kj::Vector<kj::Own<Link>> retired_links_;
  kj::Vector<kj::Promise<void>> retired_tasks_;
  bool sweeping_ = false;
  kj::Promise<void> sweep_ = nullptr;
};

}  // namespace troupe
