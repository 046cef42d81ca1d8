#include "troupe/testing/watch.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "kj/debug.h"
#include "troupe/rpc/status.h"

namespace troupe::testing {

void RequireMethod(capnp::InterfaceSchema schema, const std::string& actor,
                   std::string_view method) {
  if (schema.findMethodByName(std::string(method).c_str()) != nullptr) return;
  std::vector<std::string> names;
  for (auto known : schema.getMethods()) names.push_back(known.getProto().getName().cStr());
  kj::throwFatalException(
      Failed(absl::StrCat(actor, " has no method \"", std::string(method),
                          "\"; it has, as in the schema: ", absl::StrJoin(names, ", "))));
}

std::string Watch::NameOf(const ActorId& actor) const {
  auto type = types.find(actor.type);
  return type == types.end() ? actor.ToString() : absl::StrCat(type->second.name, "/", actor.key);
}

std::string Watch::Readable(const kj::Exception& exception) const {
  std::string words = Words(exception);
  for (const auto& [id, type] : types) {
    words = absl::StrReplaceAll(words, {{ActorId{id, ""}.ToString(), type.name + "/"}});
  }
  if (exception.getType() == kj::Exception::Type::UNIMPLEMENTED) {
    absl::StrAppend(&words,
                    " (whom the test's actors call must be hosted: harness.Host<Class>(), "
                    "harness.Fake<Interface>(key), or StandIn)");
  }
  return words;
}

}  // namespace troupe::testing
