#include "troupe/membership/hosted_types.h"

#include <algorithm>
#include <iterator>

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

std::vector<HostedType> TypesOf(const ClusterState& state, const NodeEntry& node) {
  std::vector<HostedType> types;
  for (uint64_t id : node.types) {
    const HostedType* known = state.FindType(id);
    types.push_back(known != nullptr ? *known : HostedType{id, HexId(id)});
  }
  return types;
}

absl::Status DoesNotFit(const ClusterState& state, std::string_view name,
                        const std::vector<HostedType>& types,
                        const std::vector<const NodeEntry*>& others) {
  std::vector<std::string> names;
  for (const NodeEntry* other : others) names.push_back(other->name);
  const std::string one = Shown(others.front()->name);
  const std::string node = Shown(name);
  return absl::InvalidArgumentError(absl::StrCat(
      "node ", node, " hosts ", ListTypes(types), ", but node ", one, " hosts ",
      ListTypes(TypesOf(state, *others.front())), ", and of two nodes of a cluster one must host ",
      "all that the other does. Start ", node, " in a cluster of its own (another --join, or none)",
      ", or as the program of ", one, ". Nodes that it does not fit: ", List(names)));
}

absl::Status HasOtherName(const HostedType& type, const HostedType& known, std::string_view name,
                          const NodeEntry& host) {
  return absl::InvalidArgumentError(absl::StrCat(
      "node ", Shown(name), " hosts type ", HexId(type.id), " as ", Shown(type.name), ", but node ",
      Shown(host.name), " hosts it as ", Shown(known.name),
      ": an interface keeps its name as long as its id; give the new one an id of its own"));
}

bool Names(const NodeEntry& node, uint64_t type) {
  return std::binary_search(node.types.begin(), node.types.end(), type);
}

}  // namespace

std::vector<uint64_t> IdsOf(const std::vector<HostedType>& types) {
  std::vector<uint64_t> ids;
  for (const HostedType& type : types) ids.push_back(type.id);
  return ids;
}

bool Fit(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
  return std::includes(a.begin(), a.end(), b.begin(), b.end()) ||
         std::includes(b.begin(), b.end(), a.begin(), a.end());
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
    if (i > 0 && types[i - 1].id >= type.id) {
      return absl::InvalidArgumentError(
          absl::StrCat("the types of node ", Shown(node), " are not sorted by id"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckFits(const ClusterState& state, std::string_view name,
                       const std::vector<HostedType>& types) {
  const std::vector<uint64_t> ids = IdsOf(types);
  std::vector<const NodeEntry*> unfit;
  for (const NodeEntry& other : state.nodes) {
    if (other.name == name || !IsThere(other)) continue;
    if (!Fit(ids, other.types)) unfit.push_back(&other);
    for (const HostedType& type : types) {
      const HostedType* known = state.FindType(type.id);
      if (known == nullptr || known->name == type.name || !Names(other, type.id)) continue;
      return HasOtherName(type, *known, name, other);
    }
  }
  if (!unfit.empty()) return DoesNotFit(state, name, types, unfit);
  std::vector<uint64_t> named = ids;  // By members, if this becomes one.
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
  for (const HostedType& type : types) names.push_back(type.name);
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
