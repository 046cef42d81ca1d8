// Member: one process of the cluster as gossip describes it, and how two descriptions compare.
//
// Values and pure functions. A Member is what a node believes, and, sent to others, a rumour.
//
// A node name has at most one current process. Within a process rumours are ranked by
// (boot, incarnation); between processes of one name by boot, which the register hands out rising.
// Until a process is registered its boot is 0 and it can only follow one that is dead.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "troupe/runtime/ids.h"

namespace troupe {

// In order of strength: at equal rank the later one wins.
enum class MemberState : uint8_t { kAlive, kSuspect, kDead, kLeft };

std::string_view ToString(MemberState state);
inline bool IsHere(MemberState state) {
  return state == MemberState::kAlive || state == MemberState::kSuspect;
}

struct MemberId {
  std::string name;
  Id128 nonce;    // Drawn when the process starts.
  Boot boot = 0;  // 0 until the register has numbered this run.

  bool SameProcess(const MemberId& other) const {
    return name == other.name && nonce == other.nonce;
  }
  friend bool operator==(const MemberId&, const MemberId&) = default;
};

struct Member {
  MemberId id;
  uint64_t incarnation = 0;  // Raised by the member itself, to refute or to announce a change.
  MemberState state = MemberState::kAlive;
  std::string rpc_address;     // "host:port" of its links.
  std::string gossip_address;  // "host:port" of its datagrams.
  std::string accuser;         // Who says suspect or dead; empty when alive.
  uint64_t map_version = 0;    // The newest map it is known to hold; only rises.
  std::string metadata;        // Opaque bytes of the owner.

  bool IsHere() const { return troupe::IsHere(state); }
  friend bool operator==(const Member&, const Member&) = default;
};

// The rank of a rumour among those about the same process.
struct Rank {
  Boot boot = 0;
  uint64_t incarnation = 0;
  friend auto operator<=>(const Rank&, const Rank&) = default;
};
inline Rank RankOf(const Member& member) { return {member.id.boot, member.incarnation}; }

// Whether two descriptions say the same of where a member is and what it offers.
inline bool SameContent(const Member& a, const Member& b) {
  return a.rpc_address == b.rpc_address && a.gossip_address == b.gossip_address &&
         a.metadata == b.metadata;
}

// The rumour that carries only what an accusation needs: who, which rank, what, by whom.
Member Accusation(const Member& member, MemberState state, std::string_view accuser);

// The rumour to gossip about what is believed: complete when alive, else an Accusation.
Member RumourOf(const Member& member);

// An incarnation rises by one per refutation, so a leap beyond this is a damaged packet. Believing
// it could push a member to where it can refute no more.
inline constexpr uint64_t kIncarnationLeapMax = uint64_t{1} << 20;

}  // namespace troupe
