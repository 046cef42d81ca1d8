#include "troupe/membership/register_codec.h"

#include "troupe/membership/codec_parts.h"
#include "troupe/membership/register.capnp.h"

namespace troupe {
namespace {

using codec::Parse;
using codec::ReadVoter;
using codec::ToBytes;
using codec::WriteVoter;

void WriteBallot(const Ballot& ballot, wire::Ballot::Builder out) {
  out.setRound(ballot.round);
  out.setNode(codec::AsText(ballot.node));
  codec::WriteId(ballot.nonce, out.initNonce());
}

absl::StatusOr<Ballot> ReadBallot(wire::Ballot::Reader in) {
  // Rounds rise by one; a giant one would leave no room above it.
  if (in.getRound() > UINT64_MAX / 2) {
    return absl::InvalidArgumentError(absl::StrCat("ballot of round ", in.getRound()));
  }
  Ballot ballot;
  ballot.round = in.getRound();
  TROUPE_TAKE(ballot.node, codec::ReadText(in.getNode()));
  ballot.nonce = codec::ReadId(in.getNonce());
  return ballot;
}

capnp::Data::Reader AsData(const ValuePtr& value) {
  if (value == nullptr) return {};
  return {reinterpret_cast<const unsigned char*>(value->contents.data()), value->contents.size()};
}

// Null for no bytes.
absl::StatusOr<ValuePtr> ReadValue(capnp::Data::Reader in) {
  if (in.size() == 0) return ValuePtr();
  if (in.size() > kValueBytesMax) return codec::TooMany("bytes", in.size(), kValueBytesMax);
  auto bytes = std::as_bytes(std::span(in.begin(), in.size()));
  return ValueOf(Bytes(bytes.begin(), bytes.end()));
}

absl::StatusOr<ValuePtr> ReadSomeValue(capnp::Data::Reader in) {
  if (in.size() == 0) return absl::InvalidArgumentError("a value is missing");
  return ReadValue(in);
}

struct RequestWriter {
  wire::VoterRequest::Builder out;
  void operator()(const PrepareRequest& r) {
    out.setKnown(r.known);
    out.setPrepare();
  }
  void operator()(const AcceptRequest& r) {
    out.setKnown(r.known);
    auto accept = out.initAccept();
    WriteBallot(r.next, accept.initNext());
    accept.setValue(AsData(r.value));
  }
  void operator()(const ChosenNotice& r) { out.setChosen(AsData(r.value)); }
};

struct ReplyWriter {
  wire::VoterReply::Builder out;
  void operator()(const PromisedReply& r) {
    auto promised = out.initPromised();
    WriteBallot(r.accepted, promised.initAccepted());
    promised.setValue(AsData(r.value));
  }
  void operator()(const AcceptedReply&) { out.setAccepted(); }
  void operator()(const RejectedReply& r) { WriteBallot(r.promised, out.initRejected()); }
  void operator()(const SupersededReply& r) { out.setSuperseded(AsData(r.chosen)); }
};

absl::StatusOr<VoterRequest> ReadRequest(wire::VoterRequest::Reader in) {
  Ballot ballot;
  TROUPE_TAKE(ballot, ReadBallot(in.getBallot()));
  if (ballot.round == 0) return absl::InvalidArgumentError("a request without a ballot");
  switch (in.which()) {
    case wire::VoterRequest::PREPARE:
      return PrepareRequest{ballot, in.getKnown()};
    case wire::VoterRequest::ACCEPT: {
      AcceptRequest accept{ballot, {}, {}, in.getKnown()};
      TROUPE_TAKE(accept.next, ReadBallot(in.getAccept().getNext()));
      TROUPE_TAKE(accept.value, ReadSomeValue(in.getAccept().getValue()));
      return accept;
    }
    case wire::VoterRequest::CHOSEN: {
      ChosenNotice chosen{ballot, {}};
      TROUPE_TAKE(chosen.value, ReadValue(in.getChosen()));
      return chosen;
    }
  }
  return absl::UnimplementedError("a request to voters of a kind this program does not know");
}

absl::StatusOr<VoterReply> ReadReply(wire::VoterReply::Reader in) {
  Ballot ballot;
  TROUPE_TAKE(ballot, ReadBallot(in.getBallot()));
  switch (in.which()) {
    case wire::VoterReply::PROMISED: {
      PromisedReply promised{ballot, {}, {}};
      TROUPE_TAKE(promised.accepted, ReadBallot(in.getPromised().getAccepted()));
      TROUPE_TAKE(promised.value, ReadValue(in.getPromised().getValue()));
      if ((promised.accepted.round == 0) != (promised.value == nullptr)) {
        return absl::InvalidArgumentError("a promise with a value or its ballot alone");
      }
      return promised;
    }
    case wire::VoterReply::ACCEPTED:
      return AcceptedReply{ballot};
    case wire::VoterReply::REJECTED: {
      RejectedReply rejected{ballot, {}};
      TROUPE_TAKE(rejected.promised, ReadBallot(in.getRejected()));
      return rejected;
    }
    case wire::VoterReply::SUPERSEDED: {
      SupersededReply superseded{ballot, {}};
      TROUPE_TAKE(superseded.chosen, ReadSomeValue(in.getSuperseded()));
      return superseded;
    }
  }
  return absl::UnimplementedError("a voter's reply of a kind this program does not know");
}

absl::StatusOr<StoredAcceptor> ReadStored(wire::AcceptorState::Reader in) {
  StoredAcceptor stored;
  TROUPE_TAKE(stored.voter, ReadVoter(in.getVoter()));
  TROUPE_TAKE(stored.state.promised, ReadBallot(in.getPromised()));
  TROUPE_TAKE(stored.state.accepted, ReadBallot(in.getAccepted()));
  TROUPE_TAKE(stored.state.value, ReadValue(in.getValue()));
  TROUPE_TAKE(stored.state.chosen, ReadValue(in.getChosen()));
  if (in.getChosenIsValue()) stored.state.chosen = stored.state.value;
  stored.state.generation = in.getGeneration();
  if ((stored.state.accepted.round == 0) != (stored.state.value == nullptr)) {
    return absl::InvalidArgumentError("an acceptor's state with a value or its ballot alone");
  }
  return stored;
}

}  // namespace

Bytes Encode(const AddressedRequest& message) {
  capnp::MallocMessageBuilder builder;
  auto out = builder.initRoot<wire::VoterRequest>();
  WriteVoter(message.to, out.initTo());
  out.setGeneration(message.generation);
  std::visit([&](const auto& r) { WriteBallot(r.ballot, out.initBallot()); }, message.request);
  std::visit(RequestWriter{out}, message.request);
  return ToBytes(builder);
}

absl::StatusOr<AddressedRequest> DecodeVoterRequest(std::span<const std::byte> bytes) {
  return Parse<wire::VoterRequest>(
      bytes, [](wire::VoterRequest::Reader in) -> absl::StatusOr<AddressedRequest> {
        AddressedRequest message;
        TROUPE_TAKE(message.to, ReadVoter(in.getTo()));
        TROUPE_TAKE(message.request, ReadRequest(in));
        message.generation = in.getGeneration();
        return message;
      });
}

Bytes Encode(const AddressedReply& message) {
  capnp::MallocMessageBuilder builder;
  auto out = builder.initRoot<wire::VoterReply>();
  WriteVoter(message.from, out.initFrom());
  std::visit([&](const auto& r) { WriteBallot(r.ballot, out.initBallot()); }, message.reply);
  std::visit(ReplyWriter{out}, message.reply);
  return ToBytes(builder);
}

absl::StatusOr<AddressedReply> DecodeVoterReply(std::span<const std::byte> bytes) {
  return Parse<wire::VoterReply>(bytes,
                                 [](wire::VoterReply::Reader in) -> absl::StatusOr<AddressedReply> {
                                   AddressedReply message;
                                   TROUPE_TAKE(message.from, ReadVoter(in.getFrom()));
                                   TROUPE_TAKE(message.reply, ReadReply(in));
                                   return message;
                                 });
}

Bytes Encode(const StoredAcceptor& stored) {
  capnp::MallocMessageBuilder builder;
  auto out = builder.initRoot<wire::AcceptorState>();
  WriteVoter(stored.voter, out.initVoter());
  WriteBallot(stored.state.promised, out.initPromised());
  WriteBallot(stored.state.accepted, out.initAccepted());
  out.setValue(AsData(stored.state.value));
  bool same = stored.state.value != nullptr && Same(stored.state.value, stored.state.chosen);
  out.setChosenIsValue(same);
  if (!same) out.setChosen(AsData(stored.state.chosen));
  out.setGeneration(stored.state.generation);
  return ToBytes(builder);
}

absl::StatusOr<StoredAcceptor> DecodeStoredAcceptor(std::span<const std::byte> bytes) {
  return Parse<wire::AcceptorState>(bytes,
                                    [](wire::AcceptorState::Reader in) { return ReadStored(in); });
}

}  // namespace troupe
