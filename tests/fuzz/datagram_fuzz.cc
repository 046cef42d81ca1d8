// Datagrams and push/pulls from anybody: decoded within bounds, and survived by the member list.
#include "fuzz.h"
#include "troupe/membership/gossip_codec.h"
#include "troupe/membership/swim.h"

namespace troupe {
namespace {

SwimSelf Self() {
  SwimSelf self;
  self.name = "me";
  self.nonce = {1, 2};
  self.boot = 3;
  self.rpc_address = "10.0.0.1:1";
  self.gossip_address = "10.0.0.1:1";
  return self;
}

}  // namespace
}  // namespace troupe

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace troupe;
  auto input = fuzz::AsBytes(data, size);
  absl::Time now = absl::FromUnixSeconds(1000);
  Swim swim(LanFastProfile(), Self(), Random(1), now);
  SwimActions actions;
  uint64_t exchange = 1;
  while (!input.empty()) {
    const auto piece = fuzz::TakePiece(input);
    if (auto datagram = DecodeDatagram(piece); datagram.ok() && datagram->header.Readable()) {
      const auto again = DecodeDatagram(Encode(*datagram));
      fuzz::Require(again.ok() && *again == *datagram, "a datagram survives encoding");
    }
    if (auto all = DecodePushPull(piece); all.ok() && all->header.Readable()) {
      const auto again = DecodePushPull(Encode(*all));
      fuzz::Require(again.ok() && *again == *all, "a push/pull survives encoding");
    }
    swim.OnDatagram(now, "10.0.0.2:1", piece, actions);
    swim.MergePushPull(now, exchange++, piece, actions).IgnoreError();
    now += absl::Milliseconds(70);
    swim.OnTimer(now, actions);
    for (const auto& sent : actions.datagrams) {
      fuzz::Require(sent.bytes.size() <= kDatagramBytesMax, "what is sent fits a datagram");
    }
    actions = SwimActions();
  }
  return 0;
}
