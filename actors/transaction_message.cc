#include "troupe/actors/transaction_message.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "capnp/serialize.h"
#include "troupe/actors/ref_message.h"
#include "troupe/actors/transaction.capnp.h"
#include "troupe/rpc/status.h"
#include "troupe/rpc/words.h"

namespace troupe {
namespace {

void SetId(const Id128& from, wire::Id128::Builder out) {
  out.setHi(from.hi);
  out.setLo(from.lo);
}
Id128 GetId(wire::Id128::Reader in) { return {in.getHi(), in.getLo()}; }

void SetGrant(const Grant& from, wire::Grant::Builder out) {
  out.setLineage(from.lineage);
  out.setTurn(from.turn);
}
Grant GetGrant(wire::Grant::Reader in) { return {in.getLineage(), in.getTurn()}; }

kj::StringPtr Text(const std::string& from) { return {from.c_str(), from.size()}; }
std::string Text(capnp::Text::Reader in) { return {in.begin(), in.size()}; }

// What is carried within: a whole message, which is checked as one that came by itself.
Payload Inner(capnp::Data::Reader in) {
  KJ_REQUIRE(in.size() % sizeof(capnp::word) == 0, "a message is not of whole words", in.size());
  auto words = CopyWords(in);
  CheckMessage(words);
  return Payload::Own(kj::mv(words));
}

capnp::ReaderOptions Options() {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 4 * kCallBytesMax / sizeof(capnp::word);
  return options;
}

}  // namespace

Payload Encode(const TransactedCall& from) {
  capnp::MallocMessageBuilder message(static_cast<unsigned>(from.params.words().size()) + 64);
  auto out = message.initRoot<wire::TransactedCall>();
  SetId(from.stamp.id, out.initId());
  out.setAge(from.stamp.age);
  out.setLimitMs(static_cast<uint32_t>(absl::ToInt64Milliseconds(from.stamp.limit)));
  EncodeActor(from.stamp.first, out.initFirst());
  SetGrant(from.stamp.grant, out.initGrant());
  out.setInterface(from.interface_id);
  out.setMethod(from.method_id);
  out.setParams(from.params.words().asBytes());
  return Payload::Of(message);
}

TransactedCall DecodeTransactedCall(const Payload& payload) {
  capnp::FlatArrayMessageReader reader(payload.words(), Options());
  auto in = reader.getRoot<wire::TransactedCall>();
  TransactedCall out;
  const auto limit = absl::Milliseconds(in.getLimitMs());
  out.stamp = {GetId(in.getId()), in.getAge(),
               std::clamp<absl::Duration>(limit, absl::Milliseconds(1), kHoldLimitMax),
               DecodeActor(in.getFirst()), GetGrant(in.getGrant())};
  KJ_REQUIRE(!out.stamp.id.IsZero(), "a transaction without an id");
  out.interface_id = in.getInterface();
  out.method_id = in.getMethod();
  out.params = Inner(in.getParams());
  return out;
}

Payload Encode(const TransactedAnswer& from) {
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<wire::TransactedAnswer>();
  if (const auto* done = std::get_if<TransactedAnswer::Done>(&from.body)) {
    SetGrant(done->grant, out.initDone().initGrant());
    if (const auto* results = std::get_if<Payload>(&done->outcome)) {
      out.getDone().setResults(results->words().asBytes());
    } else {
      EncodeFailure(std::get<kj::Exception>(done->outcome), out.getDone().initFailure());
    }
  } else if (const auto* conflict = std::get_if<TransactedAnswer::Conflict>(&from.body)) {
    out.setConflict(Text(conflict->holder));
  } else {
    out.setGone(Text(std::get<TransactedAnswer::Gone>(from.body).hold));
  }
  return Payload::Of(message);
}

TransactedAnswer DecodeTransactedAnswer(const Payload& payload) {
  capnp::FlatArrayMessageReader reader(payload.words(), Options());
  auto in = reader.getRoot<wire::TransactedAnswer>();
  switch (in.which()) {
    case wire::TransactedAnswer::DONE: {
      auto done = in.getDone();
      if (done.isFailure()) {
        return {
            TransactedAnswer::Done{GetGrant(done.getGrant()), DecodeFailure(done.getFailure())}};
      }
      return {TransactedAnswer::Done{GetGrant(done.getGrant()), Inner(done.getResults())}};
    }
    case wire::TransactedAnswer::CONFLICT:
      return {TransactedAnswer::Conflict{Text(in.getConflict())}};
    case wire::TransactedAnswer::GONE:
      return {TransactedAnswer::Gone{Text(in.getGone())}};
  }
  kj::throwFatalException(Failed("an answer to a call of a transaction of an unknown kind"));
}

Payload Encode(const CommitRequest& from) {
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<wire::CommitRequest>();
  SetId(from.id, out.initId());
  SetGrant(from.grant, out.initGrant());
  auto others = out.initOthers(static_cast<unsigned>(from.others.size()));
  for (unsigned i = 0; i < others.size(); ++i) {
    EncodeActor(from.others[i].actor, others[i].initActor());
    SetGrant(from.others[i].grant, others[i].initGrant());
  }
  return Payload::Of(message);
}

CommitRequest DecodeCommitRequest(const Payload& payload) {
  capnp::FlatArrayMessageReader reader(payload.words());
  auto in = reader.getRoot<wire::CommitRequest>();
  CommitRequest out{GetId(in.getId()), GetGrant(in.getGrant()), {}};
  KJ_REQUIRE(in.getOthers().size() < kParticipantsMax, "a transaction has too many participants");
  for (auto other : in.getOthers()) {
    out.others.push_back({DecodeActor(other.getActor()), GetGrant(other.getGrant())});
  }
  return out;
}

Payload Encode(const CommitReply& from) {
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<wire::CommitReply>();
  out.setCommitted(from.committed);
  out.setTrouble(Text(from.trouble));
  return Payload::Of(message);
}

CommitReply DecodeCommitReply(const Payload& payload) {
  capnp::FlatArrayMessageReader reader(payload.words());
  auto in = reader.getRoot<wire::CommitReply>();
  return {in.getCommitted(), Text(in.getTrouble())};
}

Payload Encode(const HoldName& from) {
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<wire::HoldName>();
  SetId(from.id, out.initId());
  SetGrant(from.grant, out.initGrant());
  return Payload::Of(message);
}

HoldName DecodeHoldName(const Payload& payload) {
  capnp::FlatArrayMessageReader reader(payload.words());
  auto in = reader.getRoot<wire::HoldName>();
  return {GetId(in.getId()), GetGrant(in.getGrant())};
}

Payload Encode(Decision from) {
  capnp::MallocMessageBuilder message;
  message.initRoot<wire::Decision>().setState(static_cast<wire::Decision::State>(from));
  return Payload::Of(message);
}

// One that is not known says nothing.
Decision DecodeDecision(const Payload& payload) {
  capnp::FlatArrayMessageReader reader(payload.words());
  const auto state = reader.getRoot<wire::Decision>().getState();
  return state > wire::Decision::State::ABORTED ? Decision::kUndecided
                                                : static_cast<Decision>(state);
}

kj::Own<InboundCall> UnwrapTransacted(kj::Own<InboundCall> call) {
  TransactedCall inner;
  KJ_IF_MAYBE (e,
               kj::runCatchingExceptions([&] { inner = DecodeTransactedCall(call->params()); })) {
    call->Finish(Failed(absl::StrCat("a call of a transaction could not be read: ", Words(*e))));
    return {};
  }
  CallHeader header = call->header();
  header.interface_id = inner.interface_id;
  header.method_id = inner.method_id;
  header.transaction = std::make_shared<const TransactionStamp>(std::move(inner.stamp));
  const absl::Time deadline = call->deadline();
  return kj::heap<InboundCall>(
      std::move(header), std::move(inner.params), deadline,
      [call = kj::mv(call)](CallOutcome&& outcome) mutable { call->Finish(std::move(outcome)); });
}

}  // namespace troupe
