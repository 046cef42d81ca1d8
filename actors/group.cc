#include "troupe/actors/group.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "troupe/actors/any_ref.h"
#include "troupe/actors/named_key.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

schema::Group::Client At(const kj::Own<CallOrigin>& origin, const ActorId& group) {
  return ReferTo(Share(origin), group, {}).castAs<schema::Group>();
}

}  // namespace

kj::Promise<void> Group::join(JoinContext call) {
  auto member = ReadActor(call.getParams().getMember());
  if (std::ranges::find(members_, member) != members_.end()) return kj::READY_NOW;
  if (members_.size() >= kGroupMembersMax) {
    const auto why = absl::StrCat("group ", std::string(NameInKey(context().key())), " has ",
                                  members_.size(), " members, and no more can join");
    call.getResults().setRefused(kj::StringPtr(why.c_str(), why.size()));
    return kj::READY_NOW;
  }
  members_.push_back(std::move(member));
  call.getResults().setJoined(true);
  return kj::READY_NOW;
}

kj::Promise<void> Group::leave(LeaveContext call) {
  call.getResults().setLeft(std::erase(members_, ReadActor(call.getParams().getMember())) > 0);
  return kj::READY_NOW;
}

namespace {

void WriteAll(const std::vector<ActorId>& members, capnp::List<schema::ActorRef>::Builder out) {
  for (unsigned i = 0; i < out.size(); ++i) WriteActor(members[i], out[i]);
}

}  // namespace

kj::Promise<void> Group::members(MembersContext call) {
  WriteAll(members_, call.getResults().initMembers(static_cast<unsigned>(members_.size())));
  return kj::READY_NOW;
}

void Group::Save(schema::GroupState::Builder out) const {
  WriteAll(members_, out.initMembers(static_cast<unsigned>(members_.size())));
}

void Group::Load(schema::GroupState::Reader in) {
  for (auto member : in.getMembers()) members_.push_back(ReadActor(member));
}

// ---- What programs call

AnyGroup::AnyGroup(kj::Own<CallOrigin> origin, uint64_t language, std::string_view name)
    : origin_(kj::mv(origin)),
      id_{capnp::typeId<schema::Group>(), NamedKey("group", name, language)} {}

Task<bool> AnyGroup::Join(const ActorId& member) const {
  auto request = At(origin_, id_).joinRequest();
  WriteActor(member, request.initMember());
  return request.send().then([](auto&& results) -> kj::Promise<bool> {
    const auto refused = results.getRefused();
    if (refused.size() > 0) return Overloaded({refused.begin(), refused.size()});
    return results.getJoined();
  });
}

Task<bool> AnyGroup::Leave(const ActorId& member) const {
  auto request = At(origin_, id_).leaveRequest();
  WriteActor(member, request.initMember());
  return request.send().then([](auto&& results) { return results.getLeft(); });
}

Task<std::vector<AnyRef>> AnyGroup::Members() const {
  return At(origin_, id_).membersRequest().send().then([origin = Share(origin_)](auto&& results) {
    std::vector<AnyRef> out;
    for (auto member : results.getMembers()) {
      out.emplace_back(Share(origin), ReadActor(member), CallOptions());
    }
    return out;
  });
}

}  // namespace troupe
