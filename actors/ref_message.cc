#include "troupe/actors/ref_message.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/call.h"
#include "troupe/actors/ref.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

using Table = kj::ArrayPtr<kj::Maybe<kj::Own<capnp::ClientHook>>>;

void EncodeRefs(Table table, wire::RefTable::Builder out) {
  if (table.size() > kRefsMax) {
    kj::throwFatalException(Failed(absl::StrCat("a message holds ", table.size(), " refs; at most ",
                                                kRefsMax, " are possible")));
  }
  auto refs = out.initRefs(static_cast<unsigned>(table.size()));
  for (unsigned i = 0; i < refs.size(); ++i) {
    KJ_IF_MAYBE (hook, table[i]) {
      const ActorId* actor = FindActor(**hook);
      if (actor == nullptr) {
        kj::throwFatalException(
            Failed("a capability that is not a ref of an actor cannot be sent or kept: parameters, "
                   "results and state outlive the process that it lives in"));
      }
      EncodeActor(*actor, refs[i]);
    }
  }
}

wire::RefTable::Reader TableIn(capnp::FlatArrayMessageReader& reader) {
  auto table = reader.getRoot<wire::RefTable>();
  KJ_REQUIRE(table.getRefs().size() <= kRefsMax, "a message holds too many refs");
  return table;
}

}  // namespace

kj::Array<capnp::word> OutgoingMessage::ToWords(uint32_t state_version) {
  (void)message_.getRoot<capnp::AnyPointer>();  // A method need not touch what it returns.
  auto table = refs_.getTable();
  if (table.size() == 0 && state_version == 0) return capnp::messageToFlatArray(message_);
  capnp::MallocMessageBuilder behind;
  auto out_table = behind.initRoot<wire::RefTable>();
  if (table.size() > 0) EncodeRefs(table, out_table);
  out_table.setStateVersion(state_version);
  const size_t size = capnp::computeSerializedSizeInWords(message_);
  auto words = kj::heapArray<capnp::word>(size + capnp::computeSerializedSizeInWords(behind));
  auto bytes = words.asBytes();
  kj::ArrayOutputStream out(bytes);
  capnp::writeMessage(out, message_);
  capnp::writeMessage(out, behind);
  return words;
}

IncomingMessage::IncomingMessage(Payload payload, kj::Own<CallOrigin> origin)
    : payload_(std::move(payload)), origin_(kj::mv(origin)), reader_(payload_.words()) {}

capnp::AnyPointer::Reader IncomingMessage::root() {
  auto root = reader_.getRoot<capnp::AnyPointer>();
  if (!refs_) {
    kj::Array<kj::Maybe<kj::Own<capnp::ClientHook>>> table;
    const auto* end = payload_.words().end();
    if (reader_.getEnd() != end && origin_.get() != nullptr) {
      capnp::FlatArrayMessageReader behind(kj::arrayPtr(reader_.getEnd(), end));
      auto refs = TableIn(behind).getRefs();
      table = kj::heapArray<kj::Maybe<kj::Own<capnp::ClientHook>>>(refs.size());
      for (unsigned i = 0; i < refs.size(); ++i) {
        if (refs[i].getType() == 0) continue;
        table[i] = HookOf(kj::addRef(*origin_), DecodeActor(refs[i]), CallOptions());
      }
    }
    refs_.emplace(kj::mv(table));
  }
  return refs_->imbue(root);
}

uint32_t IncomingMessage::state_version() {
  const auto* end = payload_.words().end();
  if (reader_.getEnd() == end) return 0;
  capnp::FlatArrayMessageReader behind(kj::arrayPtr(reader_.getEnd(), end));
  return TableIn(behind).getStateVersion();
}

void CheckMessage(kj::ArrayPtr<const capnp::word> words) {
  capnp::FlatArrayMessageReader message(words);
  if (message.getEnd() == words.end()) return;
  capnp::FlatArrayMessageReader behind(kj::arrayPtr(message.getEnd(), words.end()));
  for (auto ref : TableIn(behind).getRefs()) (void)DecodeActor(ref);
}

}  // namespace troupe
