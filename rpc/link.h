// Link: one live connection to another process, after both said hello.
//
// The dialer of a link sends requests on it, the acceptor answers on the same link; two nodes that
// talk both ways have a link each way, so no two dials ever collide. Single loop. The protocol is
// in wire.capnp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "kj/async.h"
#include "troupe/rpc/frame_stream.h"
#include "troupe/rpc/wire.capnp.h"
#include "troupe/runtime/host.h"

namespace troupe {

inline constexpr uint16_t kProtocolVersion = 1;
inline constexpr uint16_t kProtocolVersionMin = 1;
inline constexpr absl::Duration kHelloLimit = absl::Seconds(5);  // A half-open peer is dropped.
inline constexpr size_t kHelloBytesMax = 64 << 10;  // Buffered of a peer that has not said hello.

enum class Lane : uint8_t { kControl = 0, kData = 1 };
enum class Role : uint8_t { kNode, kClient };

// What one side says about itself. A value.
struct Introduction {
  std::string cluster_name = "troupe";
  Id128 cluster;
  uint64_t generation = 0;
  Role role = Role::kNode;
  std::string node;
  Id128 nonce;
  Boot boot = 0;
  std::string address;
  std::string target;
  ProcessIdentity process;
  uint64_t map_version = 0;
};

void Encode(const Introduction& from, wire::Hello::Builder out);
Introduction Decode(wire::Hello::Reader in);

// Why `theirs` may not talk to `ours`, if so: version, cluster name and id, generation, target.
struct RefusalReason {
  wire::Refusal::Reason reason;
  std::string detail;
};
std::optional<RefusalReason> Judge(const Introduction& ours, const Introduction& theirs,
                                   uint16_t version_min, uint16_t version_max);

// How a link ended; the class of evidence that is (docs/protocol.md P5).
enum class LinkEnd : uint8_t { kClosed, kReset, kMalformed };

class Link final : private FrameSink {
 public:
  // Frames in order of arrival, then exactly one OnEnd unless the Link is destroyed before.
  class Receiver {
   public:
    virtual void OnFrame(Link& link, kj::Own<Frame> frame) = 0;
    // Last call; the receiver may destroy the link within it.
    virtual void OnEnd(Link& link, LinkEnd end, std::string detail) = 0;

   protected:
    ~Receiver() = default;
  };

  Link(std::unique_ptr<FrameStream> stream, Introduction peer) noexcept;
  ~Link() noexcept(false);
  KJ_DISALLOW_COPY(Link);

  // Begins to deliver; frames that came before wait in the stream. `receiver` outlives the link.
  void Start(Receiver& receiver);

  const Introduction& peer() const { return peer_; }
  FrameStream& stream() { return *stream_; }

  template <typename T>
  void Send(uint16_t kind, T&& header) {
    stream_->Send(kind, header);
  }

 private:
  void OnFrame(kj::Own<Frame> frame) override;

  std::unique_ptr<FrameStream> stream_;
  Introduction peer_;
  Receiver* receiver_ = nullptr;
  kj::Promise<void> running_ = nullptr;
};

// What came of dialing: a link, or why not.
struct DialedLink {
  DialOutcome outcome;  // kConnected even when the acceptor then refused.
  kj::Own<Link> link;   // Null on failure.
  std::optional<wire::Refusal::Reason> refused;
  std::string detail;
};

// Never rejects. `limit` covers the connection and the hello.
kj::Promise<DialedLink> DialLink(Host& host, std::string address, Lane lane, uint16_t worker,
                                 Introduction ours, absl::Duration limit);

// ---- The accepting side.

// What a new connection turned out to be.
struct Greeting {
  enum class Kind { kTroupe, kOther } kind = Kind::kOther;
  Lane lane = Lane::kData;
  uint16_t worker = 0;
  std::string first_bytes;  // For kOther: already read, to be read again (PrefixedStream).
};

// Reads the preamble. Rejects when the peer says nothing within kHelloLimit or goes away.
kj::Promise<Greeting> ReadGreeting(Host& host, kj::AsyncIoStream& stream);

// Answers the hello: resolves to the link, or rejects (naming the peer and the reason) after having
// sent the refusal. `judge`, called with the introduction of every peer, may refuse for reasons of
// its own, and learns of those that Judge() refuses.
using JudgePeer = kj::Function<std::optional<RefusalReason>(const Introduction& theirs)>;
kj::Promise<kj::Own<Link>> AcceptLink(Host& host, kj::Own<kj::AsyncIoStream> stream,
                                      Introduction ours, JudgePeer judge);

// A stream that gives `first` before what it reads itself.
kj::Own<kj::AsyncIoStream> PrefixedStream(std::string first, kj::Own<kj::AsyncIoStream> stream);

}  // namespace troupe
