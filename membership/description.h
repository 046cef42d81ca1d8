// Description: what a member says of itself, as one of its alive rumours brought it.
//
// Immutable once held, so that records may share it. A process that runs many Swims hands all of
// them one DescriptionPool; what they believe alike is then held once and not once by each.
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "troupe/membership/member.h"

namespace troupe {

struct Description {
  MemberId id;
  uint64_t incarnation = 0;
  std::string rpc_address;
  std::string gossip_address;
  std::string metadata;

  Rank rank() const { return {id.boot, incarnation}; }
  friend bool operator==(const Description&, const Description&) = default;
};

Description DescriptionOf(const Member& member);
bool SameContent(const Description& a, const Member& b);

class DescriptionPool {
 public:
  // The one that equals it; itself, if there is none. Who is not shared by anybody any more is let
  // go: at most twice as many are kept as were in use when it was last looked.
  std::shared_ptr<const Description> Share(Description description);

 private:
  using Held = std::shared_ptr<const Description>;
  struct Hash {
    using is_transparent = void;
    size_t operator()(const Description& description) const;
    size_t operator()(const Held& held) const { return (*this)(*held); }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Held& a, const Held& b) const { return *a == *b; }
    bool operator()(const Held& a, const Description& b) const { return *a == b; }
  };

  absl::flat_hash_set<Held, Hash, Equal> held_;
  size_t look_at_ = 64;
};

}  // namespace troupe
