#include <cstdio>

#include "text.h"

namespace troupe::capnpc {
namespace {

std::string Hex(uint64_t id) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%016llxu", static_cast<unsigned long long>(id));
  return text;
}

// The field of the reader `in` as a C++ value.
std::string Get(const Field& field, const std::string& in) {
  if (field.accessor.empty()) {  // The struct itself.
    return field.kind == Kind::kValue ? field.type + "::Read(" + in + ")" : in;
  }
  const std::string get = in + ".get" + field.accessor + "()";
  switch (field.kind) {
    case Kind::kBytes:
      return "::troupe::ToString(" + get + ")";
    case Kind::kValue:
      return field.type + "::Read(" + get + ")";
    case Kind::kRef:
      return field.type + "(" + get + ")";
    case Kind::kScalar:
    case Kind::kReader:
    case Kind::kAny:
      break;
  }
  return get;
}

// A statement that sets it in the builder `out`.
std::string Set(const Field& field, const std::string& out, const std::string& value) {
  const std::string& name = field.accessor;
  switch (field.kind) {
    case Kind::kBytes:
      return "::troupe::Fill(" + out + ".init" + name + "(::troupe::Room(" + value + ")), " +
             value + ");";
    case Kind::kValue:
      return value + ".Write(" + out + ".init" + name + "());";
    case Kind::kAny:
      return out + ".init" + name + "().set(" + value + ");";
    case Kind::kScalar:
    case Kind::kRef:
    case Kind::kReader:
      break;
  }
  return out + ".set" + name + "(" + value + ");";
}

std::string ValueText(const ValueStruct& value) {
  std::string out =
      "inline " + value.path + " " + value.path + "::Read(" + value.type + "::Reader in_) {\n";
  out += "  Value value_;\n";
  for (const auto& field : value.fields) {
    out += "  value_." + field.name + " = " + Get(field, "in_") + ";\n";
  }
  out += "  return value_;\n}\n\n";
  out += "inline void " + value.path + "::Write(" + value.type + "::Builder out_) const {\n";
  if (value.fields.empty()) out += "  (void)out_;\n";
  for (const auto& field : value.fields) out += "  " + Set(field, "out_", field.name) + "\n";
  return out + "}\n\n";
}

// What reads the results of a call that has been answered.
std::string Reading(const Method& method) {
  const std::string results = "results_.getAs<" + method.results_struct + ">()";
  std::string out = "[](::capnp::AnyPointer::Reader results_) {\n";
  if (method.results == Results::kReply) {
    out += "    auto in_ = " + results + ";\n    return " + method.result_type + "{";
    for (size_t i = 0; i < method.result_fields.size(); ++i) {
      out += (i == 0 ? "" : ", ") + Get(method.result_fields[i], "in_");
    }
    out += "};\n";
  } else if (method.results == Results::kWhole) {
    out += "    return " + method.result_type + "::Read(" + results + ");\n";
  } else {
    out += "    return " + Get(method.result_fields[0], results) + ";\n";
  }
  return out + "  }";
}

std::string Sending(const Method& method) {
  switch (method.results) {
    case Results::kNone:
      return "  return call_.Send();\n";
    case Results::kBuilder:
      return "  return call_.SendForResponse<" + method.results_struct + ">();\n";
    case Results::kOne:
    case Results::kReply:
    case Results::kWhole:
      break;
  }
  return "  return call_.Send<" + method.result_type + ">(" + Reading(method) + ");\n";
}

// Which method, and its deadline: "0x1234u, 2".
std::string Named(const Method& method) {
  std::string out = Hex(method.interface_id) + ", " + std::to_string(method.ordinal);
  if (method.deadline_ms == 0) return out;
  return out + ", ::absl::Milliseconds(" + std::to_string(method.deadline_ms) + ")";
}

// The parameters of the call into `call`, which is "call_." or "call_->".
std::string SettingParams(const Method& method, const std::string& call) {
  const std::string params = call + "Params<" + method.params_struct + ">()";
  if (method.params_whole) {
    const auto& field = method.params.front();
    return field.kind == Kind::kValue ? "  " + field.name + ".Write(" + params + ");\n"
                                      : "  " + call + "SetParams(" + field.name + ");\n";
  }
  if (method.params.empty()) return "  " + params + ";\n";
  std::string out = "  auto params_ = " + params + ";\n";
  for (const auto& field : method.params) out += "  " + Set(field, "params_", field.name) + "\n";
  return out;
}

// A method, and DepositWith() of it where there is one. `begin`: up to its name.
std::string CallingText(const Method& method, const std::string& begin, const std::string& end,
                        const std::string& call, const std::string& made,
                        const std::string& sending) {
  std::string out = "template <typename>\n" +
                    Listed(begin, RefParameters(method, Defaults::kLeftOut), end) + "\n" + made +
                    SettingParams(method, call) + sending + "}\n\n";
  if (!method.in_place) return out;
  return out + "template <typename>\n" + Listed(NamedWith(begin), FillParameters(method), end) +
         "\n" + made + "  fill(" + call + "Params<" + method.params_struct + ">());\n" + sending +
         "}\n\n";
}

std::string RefMethodText(const Interface& interface, const Method& method) {
  return CallingText(
      method,
      "::troupe::Task<" + RefResult(method) + "> " + interface.path + "::Ref::" + method.name,
      " const {", "call_.", "  ::troupe::OutCall call_(*this, " + Named(method) + ");\n",
      Sending(method));
}

std::string WriterMethodText(const Interface& interface, const Method& method) {
  return CallingText(method, "::troupe::Task<void> " + interface.path + "::Writer::" + method.name,
                     " {", "call_->", "  auto call_ = NewStreamCall(" + Named(method) + ");\n",
                     "  return SendStreamCall(kj::mv(call_));\n");
}

// What writes the value that a method gave into the results.
std::string Writing(const Method& method) {
  const std::string indent = "            ";
  const std::string results = "results_.initAs<" + method.results_struct + ">()";
  std::string out = indent + "[](::capnp::AnyPointer::Builder results_, const " +
                    method.result_type + "& value_) {\n";
  if (method.results == Results::kWhole) {
    out += indent + "  value_.Write(" + results + ");\n";
  } else if (method.results == Results::kOne && method.result_fields[0].kind != Kind::kBytes) {
    out += indent + "  " + Set(method.result_fields[0], results, "value_") + "\n";
  } else {
    out += indent + "  auto out_ = " + results + ";\n";
    for (const auto& field : method.result_fields) {
      const bool one = method.results == Results::kOne;
      out += indent + "  " + Set(field, "out_", one ? "value_" : "value_." + field.name) + "\n";
    }
  }
  return out + indent + "}";
}

std::string CaseText(const Method& method) {
  std::string out =
      "      case " + std::to_string(method.ordinal) + ": {  // " + method.schema_name + "\n";
  const std::string params = "call_.getParams().getAs<" + method.params_struct + ">()";
  if (!method.params.empty()) out += "        auto params_ = " + params + ";\n";
  std::vector<std::string> arguments;
  for (const auto& field : method.params) arguments.push_back(Get(field, "params_"));
  if (method.results == Results::kBuilder) {
    out += "        auto results_ = call_.getResults().initAs<" + method.results_struct + ">();\n";
    arguments.push_back("results_");
  }
  if (method.result_type.empty()) {
    const std::string answer = method.stream ? "AnswerStream" : "Answer";
    out += Listed("        return ::troupe::" + answer + "(self_." + method.name, arguments, ");") +
           "\n";
  } else {
    out += "        return ::troupe::Answer<" + method.result_type + ">(\n" +
           Listed("            self_." + method.name, arguments, ", call_,") + "\n" +
           Writing(method) + ");\n";
  }
  return out + "      }\n";
}

std::string DispatchText(const Interface& interface) {
  std::string out = "template <typename>\n::troupe::Dispatched " + interface.path +
                    "::Actor::Dispatch(\n    Actor& self_, uint64_t interface_, uint16_t method_, "
                    "::troupe::AnyCall call_) {\n";
  // Methods of one interface follow each other.
  for (size_t i = 0; i < interface.methods.size();) {
    const uint64_t id = interface.methods[i].interface_id;
    out += "  if (interface_ == " + Hex(id) + ") {\n    switch (method_) {\n";
    for (; i < interface.methods.size() && interface.methods[i].interface_id == id; ++i) {
      out += CaseText(interface.methods[i]);
    }
    out += "    }\n  }\n";
  }
  return out + "  return self_.UnknownMethod(interface_, method_, call_);\n}\n\n";
}

}  // namespace

std::string InlineText(const File& file) {
  std::string out = "// Generated from " + BaseName(file.schema) + ".capnp by capnpc-troupe: how " +
                    BaseName(file.schema) +
                    ".troupe.h, which includes this, does it.\n#pragma once\n\n"
                    "#include \"troupe/actors/generated.h\"\n\n";
  std::string name;
  for (const auto& part : file.namespaces) name += (name.empty() ? "" : "::") + part;
  if (!name.empty()) out += "namespace " + name + " {\n\n";
  for (const auto& value : file.values) out += ValueText(value);
  for (const auto& interface : file.interfaces) {
    for (const auto& parent : interface.parents) {
      out += "inline " + interface.path + "::Ref::operator " + parent +
             "::Ref() const {\n  return " + parent +
             "::Ref(static_cast<const ::troupe::AnyRef&>(*this));\n}\n\n";
    }
    for (const auto& method : interface.methods) out += RefMethodText(interface, method);
    for (const auto& method : interface.methods) {
      if (method.stream) out += WriterMethodText(interface, method);
    }
    out += DispatchText(interface);
  }
  if (out.ends_with("\n\n")) out.pop_back();
  if (!name.empty()) out += "\n}  // namespace " + name + "\n";
  return Unqualified(file, out);
}

}  // namespace troupe::capnpc
