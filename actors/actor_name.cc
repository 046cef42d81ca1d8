#include "troupe/actors/actor_name.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "troupe/membership/hosted_types.h"

namespace troupe {

std::string NameOf(const ActorId& actor, const ClusterState* map) {
  const HostedType* type = map == nullptr ? nullptr : map->FindType(actor.type);
  return type == nullptr ? actor.ToString() : actor.ToString(type->name);
}

std::string WhyNotHosted(const ActorId& actor, std::string_view node, const ClusterState& map) {
  const std::string name = NameOf(actor, &map);
  const HostedType* type = map.FindType(actor.type);
  if (type == nullptr) {
    return absl::StrCat("actor ", name, ": no actors of type ",
                        absl::StrFormat("@0x%016x", actor.type),
                        " are hosted by any node; hosted are: ", ListTypes(map.types));
  }
  const std::string start =
      absl::StrCat("actor ", name, ": node ", std::string(node),
                   ", to which it belongs now, hosts no actors of type ", type->name);
  const std::string hosts = ListHosts(map, actor.type);
  if (hosts.empty()) return absl::StrCat(start, ", and no node does any more");
  return absl::StrCat(start, "; ", hosts,
                      " would. Until every node runs a program that hosts it, such calls fail");
}

}  // namespace troupe
