// The wire form of ActorUpdate (replication.capnp), and what decoders of replica messages share.
//
// Internal to replica_codec: what arrived and is over a bound throws Malformed.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "troupe/actors/replica_message.h"
#include "troupe/actors/replication.capnp.h"

namespace troupe::replica_codec {

inline kj::ArrayPtr<const kj::byte> Bytes(const std::string& text) {
  return {reinterpret_cast<const kj::byte*>(text.data()), text.size()};
}
inline std::string Text(capnp::Data::Reader data) {
  return std::string(reinterpret_cast<const char*>(data.begin()), data.size());
}

// What arrived and is over a bound throws this; the codec catches it.
struct Malformed {
  std::string what;
};

template <typename Reader>
ActorId GetActor(Reader in) {
  if (in.getKey().size() > kKeyBytesMax) {
    throw Malformed{absl::StrCat("a key of ", in.getKey().size(), " bytes")};
  }
  return {in.getType(), Text(in.getKey())};
}
template <typename Builder>
void SetActor(const ActorId& from, Builder out) {
  out.setType(from.type);
  out.setKey(Bytes(from.key));
}

inline unsigned Size(size_t n) { return static_cast<unsigned>(n); }

// A list of elements without content takes no bytes: its length is no proof that it was sent.
template <typename List>
void CheckLength(const List& list, size_t most, const char* what) {
  if (list.size() > most) throw Malformed{absl::StrCat("a list of ", list.size(), " ", what)};
}

// Updates or report entries of one message: chunks end sooner.
inline constexpr size_t kEntriesMax = 65536;

void EncodeUpdates(const std::vector<SharedUpdate>& from, absl::Time now,
                   capnp::List<wire::Update>::Builder out);
std::vector<SharedUpdate> DecodeUpdates(capnp::List<wire::Update>::Reader in, absl::Time now);

}  // namespace troupe::replica_codec
