#include "troupe/membership/hosted_types.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "troupe/membership/limits.h"

namespace troupe {
namespace {

constexpr size_t kListed = 6;      // Names in an error, and nodes.
constexpr size_t kNameShown = 48;  // Bytes of a name in an error.

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
  const char* of_a_role = roles ? ", role by role," : "";
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

bool Names(const NodeEntry& node, uint64_t type) {
  return std::binary_search(node.types.begin(), node.types.end(), type);
}

absl::Status CheckRoomForRoles(const ClusterState& state, std::string_view name,
                               const std::vector<HostedType>& types) {
  std::set<std::string_view> fresh;
  for (const HostedType& type : types) {
    if (state.FindRole(type.role) == state.roles.size()) fresh.insert(type.role);
  }
  const size_t roles = state.roles.size() + fresh.size();
  const size_t shards = state.shards.size() + fresh.size() * state.config.shards;
  if (roles <= kRolesMax && (fresh.empty() || shards <= kShardsMax)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("with node ", Shown(name), " there would be ", roles, " roles and ", shards,
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
  using ByRole = std::map<std::string_view, std::vector<uint64_t>>;
  auto by_role = [](const std::vector<HostedType>& types) {
    ByRole out;
    for (const HostedType& type : types) out[type.role].push_back(type.id);
    return out;
  };
  const ByRole ours = by_role(a), theirs = by_role(b);
  return std::all_of(ours.begin(), ours.end(), [&](const auto& role) {
    const auto other = theirs.find(role.first);
    if (other == theirs.end()) return true;
    const auto &x = role.second, &y = other->second;
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

absl::Status CheckFits(const ClusterState& state, std::string_view name,
                       const std::vector<HostedType>& types) {
  for (const HostedType& type : types) {
    const HostedType* known = state.FindType(type.id);
    if (known != nullptr && known->role != type.role) return HasOtherRole(type, *known, name);
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

std::string ListTypes(const std::vector<HostedType>& types) {
  std::vector<std::string> names;
  for (const HostedType& type : types) {
    names.push_back(type.role == kDefaultRole ? type.name
                                              : absl::StrCat(type.name, " (", type.role, ")"));
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
    if (state.FindRole(type.role) == state.roles.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("type ", type.name, " is of role ", type.role, ", which has no shards"));
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
  }
  return absl::OkStatus();
}

}  // namespace troupe
