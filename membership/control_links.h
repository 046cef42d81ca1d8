// ControlLinks: the control links of one node, those it dialed and those it accepted.
//
// Requests go out on links that we dialed, one kept to each wanted node; their answers come back
// there. What arrives on links that others dialed is theirs to ask and ours to answer.
//
// Single loop. Every call has a limit and ends: answer, DISCONNECTED, or OVERLOADED when the limit
// has passed. Frames: control.capnp.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "capnp/message.h"
#include "kj/async.h"
#include "troupe/membership/self.h"
#include "troupe/rpc/link_pool.h"

namespace troupe {

using LinkNumber = uint64_t;  // Of an accepted link; never used again.

class ControlLinks final : private LinkPool::Watcher, private Link::Receiver {
 public:
  class Watcher {
   public:
    // Somebody else's request or notice. Exceptions end the link.
    virtual void OnRequest(LinkNumber from, const Introduction& peer, Frame& frame) = 0;
    // An answer without a number, on the link that we dialed.
    virtual void OnAnswer(const std::string& node, const Introduction& peer, Frame& frame) = 0;
    // A process said hello, either way; any frame of its will follow.
    virtual void OnPeer(const Introduction& peer) = 0;
    virtual void OnTraffic(const Introduction& peer) = 0;
    virtual void OnDialedUp(const std::string& node) = 0;
    // An established link ended, either way.
    virtual void OnLost(const Introduction& peer, LinkEnd end) = 0;
    // Answers to this link would reach nobody.
    virtual void OnAskerGone(LinkNumber link) = 0;
    virtual void OnDialFailed(const std::string& node, const LinkLoss& loss) = 0;

   protected:
    ~Watcher() = default;
  };

  ControlLinks(Self& self, Watcher& watcher);
  ~ControlLinks() noexcept(false);
  KJ_DISALLOW_COPY(ControlLinks);

  // Keeps a link to `node`; another address or boot than before replaces it.
  void Want(const std::string& node, const std::string& address, Boot boot);
  void Forget(const std::string& node);
  void Hurry(const std::string& node) { pool_->Hurry(node); }
  std::vector<std::string> wanted() const { return pool_->wanted(); }
  void Accept(kj::Own<Link> link);

  // The process at the other end of our link to `node`; null while there is none.
  const Introduction* PeerOf(const std::string& node);
  // Whether a link in either direction to that very process is up.
  bool HasLinkOf(const std::string& node, const Id128& nonce);

  // False, and dropped, while there is no link to `node`.
  bool Send(const std::string& node, uint16_t kind, capnp::MessageBuilder& header);
  // On an accepted link; dropped if it is gone.
  void Answer(LinkNumber to, uint16_t kind, capnp::MessageBuilder& header);

  uint64_t NextNumber() { return ++last_number_; }
  // `header` carries `number`, which the answer repeats.
  kj::Promise<kj::Own<Frame>> Call(const std::string& node, uint16_t kind, uint64_t number,
                                   capnp::MessageBuilder& header, absl::Duration limit);

  // The same to whoever lives at an address, on a link for this one call.
  struct Visit {
    DialedLink dialed;  // Without its link; why there is none.
    Introduction peer;
    kj::Own<Frame> answer;  // Null when there is none: `problem` says why.
    std::string problem;
  };
  kj::Promise<Visit> CallAddress(const std::string& address, uint16_t kind,
                                 kj::Own<capnp::MallocMessageBuilder> header, absl::Duration limit);
  kj::Promise<Visit> CallAddress(const std::string& address, uint16_t kind,
                                 kj::Own<capnp::MallocMessageBuilder> header, absl::Duration limit,
                                 Introduction as);

  // Ends the links dialed by processes that `map` has others in place of, with what is unread on
  // them (P1.6). Who dialed before it was registered is known by its nonce in the map before.
  void VoidReplaced(const ClusterState& before, const ClusterState& map);
  void Close();  // All links, before a farewell.

 private:
  struct Waiting {
    std::string node;
    kj::Own<kj::PromiseFulfiller<kj::Own<Frame>>> fulfiller;
  };
  class OneCall;

  // LinkPool::Watcher
  void OnLinkUp(const std::string& node, Link& link) override;
  void OnLinkFrame(const std::string& node, Link& link, kj::Own<Frame> frame) override;
  void OnLinkDown(const std::string& node, const LinkLoss& loss) override;
  // Link::Receiver, of accepted links
  void OnFrame(Link& link, kj::Own<Frame> frame) override;
  void OnEnd(Link& link, LinkEnd end, std::string detail) override;

  void Retire(kj::Own<Link> link);
  LinkNumber NumberOf(const Link& link) const;
  void Replaced(const std::string& node);
  void EndCallsTo(const std::string& node);

  Self& self_;
  Watcher& watcher_;
  std::map<LinkNumber, kj::Own<Link>> accepted_;
  std::map<std::string, Introduction> dialed_;  // Whom our links reached; until they end.
  std::map<uint64_t, Waiting> calls_;
  uint64_t last_number_ = 0;
  LinkNumber last_link_ = 0;
  std::unique_ptr<LinkPool> pool_;
  std::vector<kj::Own<Link>> retired_;  // Until the next turn: one may be running.
  kj::Promise<void> sweep_ = nullptr;
};

}  // namespace troupe
