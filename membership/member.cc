#include "troupe/membership/member.h"

namespace troupe {

std::string_view ToString(MemberState state) {
  switch (state) {
    case MemberState::kAlive:
      return "alive";
    case MemberState::kSuspect:
      return "suspect";
    case MemberState::kDead:
      return "dead";
    case MemberState::kLeft:
      return "left";
  }
  return "unknown";
}

Member Accusation(const Member& member, MemberState state, std::string_view accuser) {
  Member rumour;
  rumour.id = member.id;
  rumour.incarnation = member.incarnation;
  rumour.state = state;
  rumour.accuser = accuser;
  rumour.map_version = member.map_version;
  return rumour;
}

Member RumourOf(const Member& member) {
  if (member.state == MemberState::kAlive) return member;
  return Accusation(member, member.state, member.accuser);
}

}  // namespace troupe
