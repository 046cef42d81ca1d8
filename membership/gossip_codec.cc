#include "troupe/membership/gossip_codec.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "capnp/message.h"
#include "capnp/serialize.h"
#include "kj/exception.h"
#include "troupe/membership/gossip.capnp.h"
#include "troupe/rpc/words.h"

namespace troupe {
namespace {

constexpr size_t kWord = sizeof(capnp::word);
constexpr int kNestingMax = 4;  // Message, list, update; one to spare.

// ---- Writing.

kj::StringPtr Text(const std::string& text) { return kj::StringPtr(text.c_str(), text.size()); }

void WriteHeader(const GossipHeader& from, wire::gossip::Header::Builder to) {
  to.setVersion(from.version);
  to.setOldest(from.oldest);
  to.setClusterHi(from.cluster.hi);
  to.setClusterLo(from.cluster.lo);
  to.setName(Text(from.sender.name));
  to.setNonceHi(from.sender.nonce.hi);
  to.setNonceLo(from.sender.nonce.lo);
  to.setBoot(from.sender.boot);
  to.setMapVersion(from.map_version);
}

void WriteUpdate(const Member& from, wire::gossip::Update::Builder to) {
  to.setName(Text(from.id.name));
  to.setNonceHi(from.id.nonce.hi);
  to.setNonceLo(from.id.nonce.lo);
  to.setBoot(from.id.boot);
  to.setIncarnation(from.incarnation);
  to.setState(static_cast<wire::gossip::State>(from.state));
  if (!from.rpc_address.empty()) to.setRpcAddress(Text(from.rpc_address));
  if (!from.gossip_address.empty()) to.setGossipAddress(Text(from.gossip_address));
  if (!from.accuser.empty()) to.setAccuser(Text(from.accuser));
  to.setMapVersion(from.map_version);
  if (!from.metadata.empty()) {
    to.setMetadata(kj::arrayPtr(reinterpret_cast<const kj::byte*>(from.metadata.data()),
                                from.metadata.size()));
  }
}

template <typename List>
void WriteUpdates(const std::vector<Member>& from, List to) {
  for (size_t i = 0; i < from.size(); ++i) WriteUpdate(from[i], to[static_cast<unsigned>(i)]);
}

struct BodyWriter {
  wire::gossip::Datagram::Builder to;
  void operator()(const GossipOnly&) { to.setGossip(); }
  void operator()(const Nack& nack) { to.initNack().setSequence(nack.sequence); }
  void operator()(const PingAck& ack) {
    auto body = to.initAck();
    body.setSequence(ack.sequence);
    body.setNonceHi(ack.nonce.hi);
    body.setNonceLo(ack.nonce.lo);
  }
  void operator()(const Ping& ping) { Address(ping, to.initPing()); }
  void operator()(const PingReq& request) { Address(request, to.initPingReq()); }

  template <typename From, typename To>
  static void Address(const From& from, To body) {
    body.setSequence(from.sequence);
    body.setName(Text(from.name));
    body.setNonceHi(from.nonce.hi);
    body.setNonceLo(from.nonce.lo);
  }
};

std::vector<std::byte> Flatten(capnp::MessageBuilder& message) {
  kj::Array<capnp::word> words = capnp::messageToFlatArray(message);
  auto bytes = words.asBytes();
  std::vector<std::byte> out(bytes.size());
  std::memcpy(out.data(), bytes.begin(), bytes.size());
  return out;
}

size_t TextBytes(const std::string& text) {
  return text.empty() ? 0 : (text.size() + 1 + kWord - 1) / kWord * kWord;
}

// ---- Reading. Whatever a reader throws becomes a Status in Guarded().

absl::Status Malformed(const std::string& what) { return absl::InvalidArgumentError(what); }

absl::Status CheckText(std::string_view text, size_t bytes_max, const char* what) {
  if (text.empty() || text.size() > bytes_max) {
    return Malformed(
        absl::StrCat(what, " must have 1 to ", bytes_max, " bytes, got ", text.size()));
  }
  bool printable =
      std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!printable) return Malformed(absl::StrCat(what, " must be printable ASCII without blanks"));
  return absl::OkStatus();
}

std::string ReadText(capnp::Text::Reader text) { return std::string(text.begin(), text.size()); }

absl::StatusOr<GossipHeader> ReadHeader(wire::gossip::Header::Reader from) {
  GossipHeader header;
  header.version = from.getVersion();
  header.oldest = from.getOldest();
  header.cluster = {from.getClusterHi(), from.getClusterLo()};
  header.sender.name = ReadText(from.getName());
  header.sender.nonce = {from.getNonceHi(), from.getNonceLo()};
  header.sender.boot = from.getBoot();
  header.map_version = from.getMapVersion();
  if (absl::Status status = CheckName(header.sender.name); !status.ok()) return status;
  if (header.sender.nonce.IsZero()) return Malformed("sender's nonce must not be zero");
  return header;
}

// Nothing, for a state this version does not know.
absl::StatusOr<std::optional<Member>> ReadUpdate(wire::gossip::Update::Reader from) {
  if (from.getState() > wire::gossip::State::LEFT) return std::optional<Member>();
  if (from.getMetadata().size() > kMetadataBytesMax || from.getName().size() > kNodeNameBytesMax ||
      from.getRpcAddress().size() > kAddressBytesMax ||
      from.getAccuser().size() > kNodeNameBytesMax ||
      from.getGossipAddress().size() > kAddressBytesMax) {
    return Malformed(
        "an update has a field beyond its bound");  // Checked before anything is copied.
  }
  Member member;
  member.id.name = ReadText(from.getName());
  member.id.nonce = {from.getNonceHi(), from.getNonceLo()};
  member.id.boot = from.getBoot();
  member.incarnation = from.getIncarnation();
  member.state = static_cast<MemberState>(from.getState());
  member.rpc_address = ReadText(from.getRpcAddress());
  member.gossip_address = ReadText(from.getGossipAddress());
  member.accuser = ReadText(from.getAccuser());
  member.map_version = from.getMapVersion();
  auto metadata = from.getMetadata();
  member.metadata.assign(reinterpret_cast<const char*>(metadata.begin()), metadata.size());

  absl::Status status = CheckName(member.id.name);
  if (status.ok() && member.id.nonce.IsZero())
    status = Malformed("a member's nonce must not be zero");
  bool whole = member.state == MemberState::kAlive;
  if (status.ok() && (whole || !member.gossip_address.empty()))
    status = CheckAddress(member.gossip_address);
  if (status.ok() && (whole || !member.rpc_address.empty()))
    status = CheckAddress(member.rpc_address);
  bool accused = member.state == MemberState::kSuspect || member.state == MemberState::kDead;
  if (status.ok() && (accused || !member.accuser.empty())) status = CheckName(member.accuser);
  if (!status.ok()) return status;
  return std::optional<Member>(std::move(member));
}

absl::StatusOr<std::vector<Member>> ReadUpdates(capnp::List<wire::gossip::Update>::Reader from,
                                                size_t count_max) {
  if (from.size() > count_max) {
    return Malformed(absl::StrCat("at most ", count_max, " updates, got ", from.size()));
  }
  std::vector<Member> members;
  members.reserve(from.size());
  for (wire::gossip::Update::Reader update : from) {
    absl::StatusOr<std::optional<Member>> member = ReadUpdate(update);
    if (!member.ok()) return member.status();
    if (member->has_value()) members.push_back(std::move(**member));
  }
  return members;
}

template <typename Body, typename From>
absl::StatusOr<GossipBody> ReadAddressed(From from) {
  Body body{from.getSequence(), ReadText(from.getName()), {from.getNonceHi(), from.getNonceLo()}};
  if (absl::Status status = CheckName(body.name); !status.ok()) return status;
  return GossipBody(std::move(body));
}

absl::StatusOr<GossipBody> ReadBody(wire::gossip::Datagram::Reader from) {
  switch (from.which()) {
    case wire::gossip::Datagram::GOSSIP:
      return GossipBody(GossipOnly{});
    case wire::gossip::Datagram::PING:
      return ReadAddressed<Ping>(from.getPing());
    case wire::gossip::Datagram::PING_REQ:
      return ReadAddressed<PingReq>(from.getPingReq());
    case wire::gossip::Datagram::NACK:
      return GossipBody(Nack{from.getNack().getSequence()});
    case wire::gossip::Datagram::ACK: {
      auto ack = from.getAck();
      return GossipBody(PingAck{ack.getSequence(), {ack.getNonceHi(), ack.getNonceLo()}});
    }
  }
  return GossipBody(GossipOnly{});  // A newer body: its updates still count.
}

absl::StatusOr<GossipDatagram> ReadDatagram(wire::gossip::Datagram::Reader from) {
  absl::StatusOr<GossipHeader> header = ReadHeader(from.getHeader());
  if (!header.ok()) return header.status();
  GossipDatagram datagram{std::move(*header), GossipOnly{}, {}};
  if (!datagram.header.Readable()) return datagram;
  absl::StatusOr<GossipBody> body = ReadBody(from);
  if (!body.ok()) return body.status();
  absl::StatusOr<std::vector<Member>> updates = ReadUpdates(from.getUpdates(), kUpdatesMax);
  if (!updates.ok()) return updates.status();
  datagram.body = std::move(*body);
  datagram.updates = std::move(*updates);
  return datagram;
}

absl::StatusOr<PushPull> ReadPushPull(wire::gossip::PushPull::Reader from) {
  absl::StatusOr<GossipHeader> header = ReadHeader(from.getHeader());
  if (!header.ok()) return header.status();
  PushPull push_pull{std::move(*header), {}};
  if (!push_pull.header.Readable()) return push_pull;
  absl::StatusOr<std::vector<Member>> members = ReadUpdates(from.getMembers(), kPushPullMembersMax);
  if (!members.ok()) return members.status();
  push_pull.members = std::move(*members);
  auto digests = from.getDigests();
  auto buckets = from.getBuckets();
  if ((digests.size() != 0 && digests.size() != kDigestBuckets) ||
      buckets.size() > kDigestBuckets) {
    return Malformed(absl::StrCat("digests must be none or ", kDigestBuckets, ", buckets at most ",
                                  kDigestBuckets, ", got ", digests.size(), " and ",
                                  buckets.size()));
  }
  for (uint64_t digest : digests) push_pull.digests.push_back(digest);
  for (uint16_t bucket : buckets) {
    if (bucket >= kDigestBuckets) return Malformed(absl::StrCat("there is no bucket ", bucket));
    push_pull.buckets.push_back(bucket);
  }
  return push_pull;
}

// Opens one flat message that fills `bytes` exactly and hands its root to `read`.
template <typename Root, typename Read>
auto Guarded(std::span<const std::byte> bytes, size_t bytes_max, Read read)
    -> decltype(read(std::declval<typename Root::Reader>())) {
  if (bytes.empty() || bytes.size() > bytes_max || bytes.size() % kWord != 0) {
    return Malformed(
        absl::StrCat("expected whole words and at most ", bytes_max, " bytes, got ", bytes.size()));
  }
  const auto words = CopyWords(bytes);
  try {
    capnp::ReaderOptions options;
    options.traversalLimitInWords = 2 * words.size() + 64;  // A text may be shared, not multiplied.
    options.nestingLimit = kNestingMax;
    capnp::FlatArrayMessageReader reader(words, options);
    if (reader.getEnd() != words.end()) return Malformed("bytes behind the message");
    return read(reader.template getRoot<Root>());
  } catch (const kj::Exception& e) {
    return Malformed(absl::StrCat("not a gossip message: ", e.getDescription().cStr()));
  }
}

}  // namespace

absl::Status CheckName(std::string_view name) {
  return CheckText(name, kNodeNameBytesMax, "a node name");
}

absl::Status CheckAddress(std::string_view address) {
  return CheckText(address, kAddressBytesMax, "an address");
}

absl::Status CheckMetadata(std::string_view metadata) {
  if (metadata.size() <= kMetadataBytesMax) return absl::OkStatus();
  return Malformed(absl::StrCat("metadata must have at most ", kMetadataBytesMax, " bytes, got ",
                                metadata.size()));
}

std::vector<std::byte> Encode(const GossipDatagram& datagram) {
  capnp::word scratch[kDatagramBytesMax / kWord + 64] = {};
  capnp::MallocMessageBuilder message(kj::arrayPtr(scratch, kDatagramBytesMax / kWord + 64));
  auto root = message.initRoot<wire::gossip::Datagram>();
  WriteHeader(datagram.header, root.initHeader());
  WriteUpdates(datagram.updates, root.initUpdates(static_cast<unsigned>(datagram.updates.size())));
  std::visit(BodyWriter{root}, datagram.body);
  return Flatten(message);
}

std::vector<std::byte> Encode(const PushPull& push_pull) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<wire::gossip::PushPull>();
  WriteHeader(push_pull.header, root.initHeader());
  WriteUpdates(push_pull.members,
               root.initMembers(static_cast<unsigned>(push_pull.members.size())));
  if (!push_pull.digests.empty()) {
    root.setDigests(kj::arrayPtr(push_pull.digests.data(), push_pull.digests.size()));
  }
  if (!push_pull.buckets.empty()) {
    root.setBuckets(kj::arrayPtr(push_pull.buckets.data(), push_pull.buckets.size()));
  }
  return Flatten(message);
}

size_t EncodedBytes(const Member& update) {
  constexpr size_t kFixed = capnp::_::structSize<wire::gossip::Update>().total() * kWord;
  return kFixed + TextBytes(update.id.name) + TextBytes(update.rpc_address) +
         TextBytes(update.gossip_address) + TextBytes(update.accuser) +
         (update.metadata.size() + kWord - 1) / kWord * kWord;
}

size_t EncodedBytes(const GossipHeader& header, const GossipBody& body) {
  return Encode(GossipDatagram{header, body, {}}).size();
}

absl::StatusOr<GossipDatagram> DecodeDatagram(std::span<const std::byte> bytes) {
  return Guarded<wire::gossip::Datagram>(bytes, kDatagramBytesMax, ReadDatagram);
}

absl::StatusOr<PushPull> DecodePushPull(std::span<const std::byte> bytes) {
  return Guarded<wire::gossip::PushPull>(bytes, kPushPullBytesMax, ReadPushPull);
}

}  // namespace troupe
