#include "troupe/actors/call.h"

#include <algorithm>
#include <span>

#include "absl/strings/str_cat.h"
#include "troupe/rpc/frame_stream.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr uint64_t kIdKey[2] = {0x74726f7570652069ull, 0x6473206f6620636cull};
constexpr uint64_t kArgumentKey[2] = {0x74726f7570652061ull, 0x7267756d656e7473ull};

std::span<const unsigned char> Bytes(const std::string& text) {
  return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

void Put(std::string& out, uint64_t value) {
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

void Put(std::string& out, const ActorId& actor) {
  Put(out, actor.type);
  Put(out, actor.key.size());
  out += actor.key;
}

Id128 HashId(const std::string& text) {
  return {SipHash24(kIdKey[0], kIdKey[1], Bytes(text)),
          SipHash24(kIdKey[1], kIdKey[0], Bytes(text))};
}

void EncodeId(const Id128& from, wire::Id128::Builder out) {
  out.setHi(from.hi);
  out.setLo(from.lo);
}

Id128 DecodeId(wire::Id128::Reader in) { return {in.getHi(), in.getLo()}; }

}  // namespace

void EncodeActor(const ActorId& actor, wire::ActorName::Builder out) {
  out.setType(actor.type);
  out.setKey(kj::arrayPtr(reinterpret_cast<const kj::byte*>(actor.key.data()), actor.key.size()));
}

ActorId DecodeActor(wire::ActorName::Reader in) {
  auto key = in.getKey();
  KJ_REQUIRE(key.size() <= kKeyBytesMax, "an actor's key is too long", key.size(), kKeyBytesMax);
  return {in.getType(), std::string(reinterpret_cast<const char*>(key.begin()), key.size())};
}

void EncodeCall(uint64_t number, const CallHeader& header, absl::Duration time_left,
                wire::CallFrame::Builder out) {
  out.setNumber(number);
  EncodeActor(header.actor, out.initActor());
  out.setInterface(header.interface_id);
  out.setMethod(header.method_id);
  out.setTimeLeftMs(static_cast<uint32_t>(std::clamp<int64_t>(
      absl::ToInt64Milliseconds(time_left), 0, absl::ToInt64Milliseconds(kDeadlineMax))));
  if (const auto* client = std::get_if<ClientCall>(&header.id)) {
    auto id = out.initId().initClient();
    EncodeId(client->client, id.initClient());
    id.setSequence(client->sequence);
    id.setFirstIncomplete(client->first_incomplete);
  } else {
    const auto& call = std::get<ActorCall>(header.id);
    auto id = out.initId().initActor();
    EncodeActor(call.caller, id.initCaller());
    id.setLineage(call.lineage);
    id.setEpoch(call.epoch);
    id.setTurn(call.turn);
    id.setMark(call.oldest_unsettled);
    EncodeId(call.id, id.initId());
    id.setTold(call.told);
  }
  auto lane = out.initLane();
  lane.setOrigin(header.lane.origin);
  lane.setNumber(header.lane.number);
  lane.setAttempt(header.lane.attempt);
  out.setByActor(header.by_actor);
  if (!header.metadata.empty()) {
    EncodeMetadata(header.metadata,
                   out.initMetadata(static_cast<unsigned>(header.metadata.entries().size())));
  }
  if (header.chain.empty()) return;
  auto chain = out.initChain(static_cast<unsigned>(header.chain.size()));
  auto turns = out.initChainTurns(chain.size());
  for (unsigned i = 0; i < chain.size(); ++i) {
    EncodeActor(header.chain[i].actor, chain[i]);
    turns.set(i, header.chain[i].turn);
  }
}

CallHeader DecodeCall(wire::CallFrame::Reader in) {
  CallHeader out;
  out.actor = DecodeActor(in.getActor());
  out.interface_id = in.getInterface();
  out.method_id = in.getMethod();
  if (in.getId().isClient()) {
    auto id = in.getId().getClient();
    out.id = ClientCall{DecodeId(id.getClient()), id.getSequence(), id.getFirstIncomplete()};
  } else {
    auto id = in.getId().getActor();
    out.id = ActorCall{
        DecodeActor(id.getCaller()), id.getLineage(), id.getEpoch(), id.getTurn(), id.getMark(),
        DecodeId(id.getId()),        id.getTold()};
  }
  out.lane = {in.getLane().getOrigin(), in.getLane().getNumber(), in.getLane().getAttempt()};
  out.by_actor = in.getByActor();
  if (in.hasMetadata()) out.metadata = DecodeMetadata(in.getMetadata());
  KJ_REQUIRE(in.getChain().size() <= kChainMax, "calls within calls too deep");
  for (auto actor : in.getChain()) out.chain.push_back({DecodeActor(actor), 0});
  const auto turns = in.getChainTurns();
  for (unsigned i = 0; i < std::min<size_t>(turns.size(), out.chain.size()); ++i) {
    out.chain[i].turn = turns[i];
  }
  return out;
}

kj::Exception ResultsTooLarge(const std::string& what, size_t bytes) {
  return Failed(absl::StrCat("the results of ", what, " are ", bytes, " bytes; at most ",
                             kCallBytesMax, " can be sent"));
}

Payload EmptyResults() {
  capnp::MallocMessageBuilder message;
  message.getRoot<capnp::AnyPointer>();
  return Payload::Of(message);
}

void SendAnswer(FrameStream& stream, uint64_t number, CallOutcome&& outcome, uint64_t map_version) {
  capnp::MallocMessageBuilder message;
  auto answer = message.initRoot<wire::AnswerFrame>();
  answer.setNumber(number);
  if (const auto* results = std::get_if<Payload>(&outcome)) {
    answer.setResults();
    return stream.Send(wire::KIND_ANSWER, message, results->words());
  }
  if (const auto* error = std::get_if<kj::Exception>(&outcome)) {
    EncodeFailure(*error, answer.initFailure());
  } else {
    const auto& moved = std::get<Moved>(outcome);
    auto out = answer.initMoved();
    out.setMapVersion(std::max(moved.map_version, map_version));
    out.setText(kj::StringPtr(moved.text.c_str(), moved.text.size()));
  }
  stream.Send(wire::KIND_ANSWER, message);
}

CallOutcome ReadAnswer(kj::Own<Frame> frame) {
  auto answer = frame->header<wire::AnswerFrame>();
  switch (answer.which()) {
    case wire::AnswerFrame::RESULTS:
      return Payload::Of(kj::mv(frame));
    case wire::AnswerFrame::FAILURE:
      return DecodeFailure(answer.getFailure());
    case wire::AnswerFrame::MOVED:
      break;
  }
  auto moved = answer.getMoved();
  return Moved{moved.getMapVersion(), std::string(moved.getText().begin(), moved.getText().size())};
}

uint64_t ArgumentHash(uint64_t interface_id, uint16_t method_id, const Payload& params) {
  const auto bytes = params.words().asBytes();
  const uint64_t hash = SipHash24(kArgumentKey[0], kArgumentKey[1], {bytes.begin(), bytes.size()});
  return hash ^ (interface_id * 0x9E3779B97F4A7C15ull) ^ method_id;
}

Id128 DerivedId(const Id128& inbound, const ActorId& callee, uint64_t interface_id,
                uint16_t method_id, uint64_t ordinal) {
  std::string text;
  Put(text, inbound.hi);
  Put(text, inbound.lo);
  Put(text, callee);
  Put(text, interface_id);
  Put(text, method_id);
  Put(text, ordinal);
  return HashId(text);
}

Id128 InboundId(const CallId& id) {
  std::string text;
  // Two actors may call under the same id of their own choice: what follows from them must differ.
  if (const auto* call = std::get_if<ActorCall>(&id)) {
    Put(text, call->caller);
    Put(text, call->id.hi);
    Put(text, call->id.lo);
    return HashId(text);
  }
  const auto& client = std::get<ClientCall>(id);
  Put(text, client.client.hi);
  Put(text, client.client.lo);
  Put(text, client.sequence);
  return HashId(text);
}

}  // namespace troupe
