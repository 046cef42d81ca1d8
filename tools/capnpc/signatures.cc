#include "text.h"

namespace troupe::capnpc {

std::string BaseName(const std::string& schema) {
  const size_t slash = schema.rfind('/');
  const auto file = slash == std::string::npos ? schema : schema.substr(slash + 1);
  return file.substr(0, file.rfind(".capnp"));
}

std::string ActorParameters(const Method& method) {
  std::string out;
  for (const auto& field : method.params) {
    if (!out.empty()) out += ", ";
    out += field.type + " " + field.name;
  }
  if (method.results == Results::kBuilder) {
    // No parameter of the schema can be called so.
    out += (out.empty() ? "" : ", ") + method.results_struct + "::Builder results_";
  }
  return out;
}

std::string RefParameters(const Method& method, Defaults defaults) {
  size_t first_optional = method.params.size();
  while (first_optional > 0 && method.params[first_optional - 1].optional &&
         !method.params[first_optional - 1].default_value.empty()) {
    --first_optional;
  }
  std::string out;
  for (size_t i = 0; i < method.params.size(); ++i) {
    const auto& field = method.params[i];
    if (!out.empty()) out += ", ";
    switch (field.kind) {
      case Kind::kBytes:
        out += "std::string_view ";
        break;
      case Kind::kValue:
      case Kind::kRef:
        out += "const " + field.type + "& ";
        break;
      case Kind::kScalar:
      case Kind::kReader:
      case Kind::kAny:
        out += field.type + " ";
        break;
    }
    out += field.name;
    if (defaults == Defaults::kShown && i >= first_optional) out += " = " + field.default_value;
  }
  return out;
}

std::string ActorResult(const Method& method) {
  return method.result_type.empty() ? "void" : method.result_type;
}

std::string RefResult(const Method& method) {
  if (method.results == Results::kBuilder)
    return "::capnp::Response<" + method.results_struct + ">";
  return ActorResult(method);
}

}  // namespace troupe::capnpc
