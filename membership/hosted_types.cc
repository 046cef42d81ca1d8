#include "troupe/membership/hosted_types.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "troupe/membership/limits.h"
#include "troupe/membership/placement.h"

namespace troupe {
namespace {

constexpr size_t kListed = 6;      // Names in an error, and nodes.
constexpr size_t kNameShown = 48;  // Bytes of a name in an error.

using Group = std::pair<std::string_view, bool>;
Group GroupOf(const HostedType& type) { return {type.role, type.durable}; }

bool IsThere(const NodeEntry& node) {
  return node.state == NodeState::kUp || node.state == NodeState::kDraining;
}

std::string Shown(std::string_view name) {
  return name.size() <= kNameShown ? std::string(name)
                                   : absl::StrCat(std::string(name.substr(0, kNameShown)), "...");
}

std::string List(const std::vector<std::string>& names) {
  std::string out;
  for (size_t i = 0; i < std::min(names.size(), kListed); ++i) {
    absl::StrAppend(&out, out.empty() ? "" : ", ", Shown(names[i]));
  }
  if (names.size() > kListed) absl::StrAppend(&out, " and ", names.size() - kListed, " more");
  return out;
}

std::string HexId(uint64_t id) { return absl::StrFormat("@0x%016x", id); }

absl::Status DoesNotFit(const ClusterState& state, std::string_view name,
                        const std::vector<HostedType>& types,
                        const std::vector<const NodeEntry*>& others) {
  std::vector<std::string> names;
  for (const NodeEntry* other : others) names.push_back(other->name);
  const bool roles = std::any_of(types.begin(), types.end(),
                                 [](const HostedType& type) { return type.role != kDefaultRole; });
  const bool durable =
      std::any_of(types.begin(), types.end(), [](const HostedType& type) { return type.durable; });
  const char* of_a_role = durable ? ", role by role and durable types apart,"
                          : roles ? ", role by role,"
                                  : "";
  const std::string one = Shown(others.front()->name);
  const std::string node = Shown(name);
  return absl::InvalidArgumentError(
      absl::StrCat("node ", node, " hosts ", ListTypes(types), ", but node ", one, " hosts ",
                   ListTypes(TypesOf(state, *others.front())), ", and of two nodes of a cluster",
                   of_a_role, " one must host all that the other does. Start ", node,
                   " in a cluster of its own (another --join, or none)", ", or as the program of ",
                   one, ". Nodes that it does not fit: ", List(names)));
}

absl::Status HasOtherName(const HostedType& type, const HostedType& known, std::string_view name,
                          const NodeEntry& host) {
  return absl::InvalidArgumentError(absl::StrCat(
      "node ", Shown(name), " hosts type ", HexId(type.id), " as ", Shown(type.name), ", but node ",
      Shown(host.name), " hosts it as ", Shown(known.name),
      ": an interface keeps its name as long as its id; give the new one an id of its own"));
}

absl::Status HasOtherRole(const HostedType& type, const HostedType& known, std::string_view name) {
  return absl::InvalidArgumentError(
      absl::StrCat("node ", Shown(name), " hosts ", Shown(type.name), " in role ", Shown(type.role),
                   ", but in this cluster its actors are in the shards of role ", Shown(known.role),
                   ": a type keeps its role; give the interface in the new role an id of its own"));
}

absl::Status IsOtherwiseKept(const HostedType& type, const HostedType& known,
                             std::string_view name) {
  auto kept = [](const HostedType& t) { return t.durable ? "on disk" : "in memory"; };
  return absl::InvalidArgumentError(absl::StrCat(
      "node ", Shown(name), " keeps ", Shown(type.name), " ", kept(type),
      ", but in this cluster its actors are in shards that are kept ", kept(known),
      ": a type is durable for good or never; give the interface that is kept otherwise an id of "
      "its own"));
}

bool Names(const NodeEntry& node, uint64_t type) {
  return std::binary_search(node.types.begin(), node.types.end(), type);
}

absl::Status CheckRoomForRoles(const ClusterState& state, std::string_view name,
                               const std::vector<HostedType>& types) {
  std::set<Group> fresh;
  for (const HostedType& type : types) {
    if (state.FindRole(type.role, type.durable) == state.roles.size()) fresh.insert(GroupOf(type));
  }
  const size_t roles = state.roles.size() + fresh.size();
  const size_t shards = state.shards.size() + fresh.size() * state.config.shards;
  if (roles <= kRolesMax && (fresh.empty() || shards <= kShardsMax)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("with node ", Shown(name), " there would be ", roles,
                   " groups of shards (of a role's durable types, and of its others) with ", shards,
                   " shards, expected at most ", kRolesMax, " and ", kShardsMax));
}

}  // namespace

std::vector<uint64_t> IdsOf(const std::vector<HostedType>& types) {
  std::vector<uint64_t> ids;
  for (const HostedType& type : types) ids.push_back(type.id);
  return ids;
}

std::vector<HostedType> TypesOf(const ClusterState& state, const NodeEntry& node) {
  std::vector<HostedType> types;
  for (uint64_t id : node.types) {
    const HostedType* known = state.FindType(id);
    types.push_back(known != nullptr ? *known : HostedType{id, HexId(id)});
  }
  return types;
}

bool Fit(const std::vector<HostedType>& a, const std::vector<HostedType>& b) {
  using ByGroup = std::map<Group, std::vector<uint64_t>>;
  auto by_group = [](const std::vector<HostedType>& types) {
    ByGroup out;
    for (const HostedType& type : types) out[GroupOf(type)].push_back(type.id);
    return out;
  };
  const ByGroup ours = by_group(a), theirs = by_group(b);
  return std::all_of(ours.begin(), ours.end(), [&](const auto& group) {
    const auto other = theirs.find(group.first);
    if (other == theirs.end()) return true;
    const auto &x = group.second, &y = other->second;
    return std::includes(x.begin(), x.end(), y.begin(), y.end()) ||
           std::includes(y.begin(), y.end(), x.begin(), x.end());
  });
}

absl::Status CheckTypes(std::string_view node, const std::vector<HostedType>& types) {
  if (types.size() > kTypesMax) {
    return absl::InvalidArgumentError(absl::StrCat("node ", Shown(node), " hosts ", types.size(),
                                                   " types, expected at most ", kTypesMax));
  }
  for (size_t i = 0; i < types.size(); ++i) {
    const HostedType& type = types[i];
    if (type.name.empty() || type.name.size() > kTextBytesMax) {
      return absl::InvalidArgumentError(absl::StrCat("type ", HexId(type.id), " has a name of ",
                                                     type.name.size(), " bytes, expected 1..",
                                                     kTextBytesMax));
    }
    if (type.role.empty() || type.role.size() > kTextBytesMax) {
      return absl::InvalidArgumentError(absl::StrCat("type ", Shown(type.name), " has a role of ",
                                                     type.role.size(), " bytes, expected 1..",
                                                     kTextBytesMax));
    }
    if (i > 0 && types[i - 1].id >= type.id) {
      return absl::InvalidArgumentError(
          absl::StrCat("the types of node ", Shown(node), " are not sorted by id"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckStorage(std::string_view node, const std::vector<HostedType>& types,
                          const Id128& storage) {
  std::vector<HostedType> durable;
  std::copy_if(types.begin(), types.end(), std::back_inserter(durable),
               [](const HostedType& type) { return type.durable; });
  if (durable.empty() || !storage.IsZero()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("node ", Shown(node), " hosts ", ListTypes(durable),
                   ", but has no data directory to keep that in: start it with --data-dir"));
}

absl::Status CheckFits(const ClusterState& state, std::string_view name,
                       const std::vector<HostedType>& types) {
  for (const HostedType& type : types) {
    const HostedType* known = state.FindType(type.id);
    if (known == nullptr) continue;
    if (known->role != type.role) return HasOtherRole(type, *known, name);
    if (known->durable != type.durable) return IsOtherwiseKept(type, *known, name);
  }
  std::vector<const NodeEntry*> unfit;
  for (const NodeEntry& other : state.nodes) {
    if (other.name == name || !IsThere(other)) continue;
    if (!Fit(types, TypesOf(state, other))) unfit.push_back(&other);
    for (const HostedType& type : types) {
      const HostedType* known = state.FindType(type.id);
      if (known == nullptr || known->name == type.name || !Names(other, type.id)) continue;
      return HasOtherName(type, *known, name, other);
    }
  }
  if (!unfit.empty()) return DoesNotFit(state, name, types, unfit);
  if (absl::Status s = CheckRoomForRoles(state, name, types); !s.ok()) return s;
  std::vector<uint64_t> named = IdsOf(types);  // By members, if this becomes one.
  for (const NodeEntry& other : state.nodes) {
    if (other.name == name || other.state == NodeState::kLeft) continue;
    std::vector<uint64_t> both;
    std::set_union(named.begin(), named.end(), other.types.begin(), other.types.end(),
                   std::back_inserter(both));
    named = std::move(both);
  }
  if (named.size() <= kTypesMax) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("with node ", Shown(name), " the nodes host ",
                                                 named.size(), " types, expected at most ",
                                                 kTypesMax));
}

absl::Status CheckFits(const ClusterState& state, const NodeEntry& node) {
  return CheckFits(state, node.name, TypesOf(state, node));
}

void TakeTypes(ClusterState& state, const std::vector<HostedType>& types) {
  for (const HostedType& type : types) {
    auto at = std::lower_bound(state.types.begin(), state.types.end(), type.id,
                               [](const HostedType& t, uint64_t id) { return t.id < id; });
    if (at != state.types.end() && at->id == type.id) {
      at->name = type.name;
    } else {
      state.types.insert(at, type);
    }
  }
  if (state.types.size() <= kTypesMax) return;
  std::erase_if(state.types, [&](const HostedType& type) {
    return std::none_of(state.nodes.begin(), state.nodes.end(), [&](const NodeEntry& node) {
      return node.state != NodeState::kLeft && Names(node, type.id);
    });
  });
}

void TakeTypesAndGroups(ClusterState& state, const std::vector<HostedType>& types) {
  TakeTypes(state, types);
  for (const HostedType& type : types) {
    const bool there = state.FindRole(type.role, type.durable) < state.roles.size();
    if (!there) AddRole(state, type.role, type.durable);
  }
}

std::string ListTypes(const std::vector<HostedType>& types) {
  std::vector<std::string> names;
  for (const HostedType& type : types) {
    const bool plain = type.role == kDefaultRole;
    if (plain && !type.durable) {
      names.push_back(type.name);
    } else {
      const std::string group =
          plain ? "on disk" : Describe(RoleEntry{type.role, 0, 1, type.durable});
      names.push_back(absl::StrCat(type.name, " (", group, ")"));
    }
  }
  std::sort(names.begin(), names.end());
  return names.empty() ? "nothing" : List(names);
}

std::string ListHosts(const ClusterState& state, uint64_t type) {
  std::vector<std::string> names;
  for (const NodeEntry& node : state.nodes) {
    if (IsThere(node) && Names(node, type)) names.push_back(node.name);
  }
  return List(names);
}

absl::Status ValidateTypes(const ClusterState& state) {
  if (absl::Status s = CheckTypes("the table", state.types); !s.ok()) return s;
  for (const HostedType& type : state.types) {
    if (state.FindRole(type.role, type.durable) == state.roles.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "type ", type.name, " is of role ", Describe(RoleEntry{type.role, 0, 1, type.durable}),
          ", which has no shards"));
    }
  }
  for (const NodeEntry& node : state.nodes) {
    auto wrong = std::adjacent_find(node.types.begin(), node.types.end(), std::greater_equal<>());
    if (wrong != node.types.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the types of node ", node.name, " are not sorted or have duplicates"));
    }
    if (node.state == NodeState::kLeft) continue;
    for (uint64_t id : node.types) {
      if (state.FindType(id) != nullptr) continue;
      return absl::InvalidArgumentError(absl::StrCat("node ", node.name, " hosts type ", HexId(id),
                                                     ", which is not in the table"));
    }
    absl::Status kept = CheckStorage(node.name, TypesOf(state, node), node.storage);
    if (!kept.ok()) return kept;
  }
  return absl::OkStatus();
}

}  // namespace troupe
