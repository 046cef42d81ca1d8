// Groups: actors that are known by a common name.
//
//   auto regulars = client.Group<Guest>("regulars");  // In an actor: context().Group<Guest>(...)
//   co_await regulars.Join(ann);
//   auto members = co_await regulars.Members();
//   auto asked = CallAll(members, [](auto& guest) { return guest.Hear("hello"); });
//   auto answers = co_await asked;
//
// A group is a list of refs, no more: to be a member costs an actor nothing, and nobody leaves by
// himself. Groups are actors: some program of the cluster hosts them, .Host<troupe::Group>().
//
// The values are as refs are; they belong to the loop of whom they are of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capnp/schema.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/call_all.h"
#include "troupe/actors/client.h"
#include "troupe/actors/group.capnp.h"
#include "troupe/runtime/task.h"

namespace troupe {

inline constexpr size_t kGroupMembersMax =
    4096;  // With the longest keys they fit an actor's state.

// The actor type.
class Group final : public Actor<schema::Group, schema::GroupState> {
  kj::Promise<void> join(JoinContext call) override;
  kj::Promise<void> leave(LeaveContext call) override;
  kj::Promise<void> members(MembersContext call) override;
  void Save(schema::GroupState::Builder out) const override;
  void Load(schema::GroupState::Reader in) override;

  std::vector<ActorId> members_;
};

// Without the language.
class AnyGroup {
 public:
  const ActorId& id() const { return id_; }  // Of the Group actor.

 protected:
  // Throws FAILED for a name of none or too many bytes.
  AnyGroup(kj::Own<CallOrigin> origin, uint64_t language, std::string_view name);
  Task<bool> Join(const ActorId& member) const;
  Task<bool> Leave(const ActorId& member) const;
  Task<std::vector<AnyRef>> Members() const;

 private:
  kj::Own<CallOrigin> origin_;
  ActorId id_;
};

template <typename Language>
class GroupOf : public AnyGroup {
 public:
  using Ref = typename Language::Ref;

  GroupOf(kj::Own<CallOrigin> origin, std::string_view name)
      : AnyGroup(kj::mv(origin), capnp::typeId<Language>(), name) {}

  // False: it was one already. Rejects with OVERLOADED when there are kGroupMembersMax.
  Task<bool> Join(const Ref& member) const { return AnyGroup::Join(member.id()); }
  // False: it was none.
  Task<bool> Leave(const Ref& member) const { return AnyGroup::Leave(member.id()); }

  // In the order in which they joined. Calls by them are those of whoever asks.
  Task<std::vector<Ref>> Members() const {
    return AnyGroup::Members().AsPromise().then([](std::vector<AnyRef>&& members) {
      std::vector<Ref> out;
      for (auto& member : members) out.emplace_back(member);
      return out;
    });
  }
};

template <HasRef Language>
GroupOf<Language> ActorContext::Group(std::string_view name) {
  return GroupOf<Language>(Origin(), name);
}

template <HasRef Language>
GroupOf<Language> Client::Group(std::string_view name) {
  return GroupOf<Language>(Origin(), name);
}

}  // namespace troupe
