// GossipShell: carries the failure detector's datagrams, timers, exchanges and pings.
//
// Swim decides; this waits. The gossip socket has the host and port of the TCP listener. Exchanges
// and pings go over control links, to seeds over a link for that one purpose. With gossip keys
// datagrams and exchanges are sealed (gossip_seal.h); what does not open is counted, dropped, and
// now and then said.
//
// Single loop. What Swim notices is told to the Owner after everything else was done.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "kj/async.h"
#include "troupe/membership/alarm.h"
#include "troupe/membership/control_links.h"
#include "troupe/membership/gossip_seal.h"
#include "troupe/membership/self.h"
#include "troupe/membership/swim.h"

namespace troupe {

class GossipShell final : private kj::TaskSet::ErrorHandler {
 public:
  class Owner {
   public:
    virtual void OnNotice(const SwimNotice& notice) = 0;
    // An exchange with the seed at `address` came to nothing.
    virtual void OnSeedProblem(const std::string& address, const ControlLinks::Visit& visit) = 0;

   protected:
    ~Owner() = default;
  };

  GossipShell(Self& self, ControlLinks& links, Owner& owner);
  KJ_DISALLOW_COPY(GossipShell);

  // Errors: those of Bind, and InvalidArgument.
  absl::Status Start(const std::string& bind, std::string metadata);

  using Event = std::function<void(Swim& swim, absl::Time now, SwimActions& actions)>;
  void Tell(const Event& event);
  const Swim& swim() const { return *swim_; }

  // Takes effect with the next datagram. Not from some keys to none or back: that is a restart with
  // another GossipSecrecy.
  absl::Status SetKeys(GossipKeys keys);
  const GossipSeal& seal() const { return *seal_; }

  // From a control link.
  void OnPushPull(LinkNumber from, const Introduction& peer, Frame& frame);

 private:
  void taskFailed(kj::Exception&& exception) override;
  kj::Promise<void> Receive();
  void Perform(SwimActions actions);
  void PushPullWith(const SwimActions::StartPushPull& wanted);
  void Merge(uint64_t exchange, kj::Own<Frame> answer);
  std::optional<std::vector<std::byte>> Open(GossipSeal::Carrier carrier, std::string_view from,
                                             std::span<const std::byte> bytes);
  void PingOverLink(const SwimActions::StartLinkPing& ping);

  Self& self_;
  ControlLinks& links_;
  Owner& owner_;
  kj::Own<DatagramSocket> socket_;
  std::unique_ptr<GossipSeal> seal_;
  absl::Time say_dropped_ = absl::InfinitePast();  // Not before.
  std::unique_ptr<Swim> swim_;
  Alarm alarm_;
  kj::TaskSet tasks_;
};

}  // namespace troupe
