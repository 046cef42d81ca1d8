#include "troupe/membership/member_record.h"

namespace troupe {

MemberRecord::Rare& MemberRecord::NeedRare() {
  if (rare == nullptr) rare = std::make_unique<Rare>();
  return *rare;
}

Member MemberRecord::ToMember() const {
  Member member;
  member.id = description->id;
  member.incarnation = description->incarnation;
  member.state = state;
  member.rpc_address = description->rpc_address;
  member.gossip_address = description->gossip_address;
  if (rare != nullptr) member.accuser = rare->accuser;
  member.map_version = map_version;
  member.metadata = description->metadata;
  return member;
}

}  // namespace troupe
