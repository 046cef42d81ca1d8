#include <algorithm>
#include <set>

#include "names.h"
#include "text.h"

namespace troupe::capnpc {
namespace {

std::string Namespace(const File& file, bool begin) {
  std::string name;
  for (const auto& part : file.namespaces) name += (name.empty() ? "" : "::") + part;
  if (name.empty()) return "";
  return begin ? "namespace " + name + " {\n\n" : "\n}  // namespace " + name + "\n";
}

std::string MethodComment(const Method& method) {
  std::string text = method.doc;
  for (const auto& remark : method.remarks) text += remark + "\n";
  return Comment(text, "  ");
}

std::string ValueText(const ValueStruct& value) {
  std::string out = Comment(value.doc, "");
  out += "struct " + value.path + " {\n";
  for (const auto& field : value.fields) {
    out += "  " + field.type + " " + field.name;
    if (!field.initial.empty()) out += " = " + field.initial;
    out += ";\n";
  }
  if (value.converts) {
    out += "\n  static " + value.local + " Read(" + value.type + "::Reader in_);\n";
    out += "  void Write(" + value.type + "::Builder out_) const;\n";
  }
  out += "  friend bool operator==(const " + value.local + "&, const " + value.local +
         "&) = default;\n};\n\n";
  return out;
}

std::string RefText(const Interface& interface) {
  const auto& type = interface.type;
  std::string out = "// Calls " + interface.name +
                    " actors, wherever they are. A value: copy it, " +
                    "compare it, keep it, send it.\n";
  out += "// Its methods are templates so that those which a file does not call cost it nothing.\n";
  out += "class " + interface.path + "::Ref : public ::troupe::RefTo<" + type + "> {\n public:\n";
  out += "  using RefTo::RefTo;\n";
  out += "  static constexpr char kName[] = \"" + interface.name + "\";\n";
  for (const auto& method : interface.methods) {
    if (method.name == "Write") out += "  using AnyRef::Write;\n";
  }
  for (const auto& parent : interface.parents) {
    out += "  operator " + parent + "::Ref() const;\n";
  }
  for (const auto& method : interface.methods) {
    out += "\n" + MethodComment(method);
    const std::string begin = "  ::troupe::Task<" + RefResult(method) + "> " + method.name;
    out += "  template <typename = void>\n" +
           Listed(begin, RefParameters(method, Defaults::kShown), " const;") + "\n";
    if (!method.in_place) continue;
    out +=
        "  // The same; `fill` runs at once and writes the parameters where they are sent from.\n";
    out += "  template <typename = void>\n" +
           Listed(NamedWith(begin), FillParameters(method), " const;") + "\n";
  }
  return out + "};\n\n";
}

std::string TellText(const Interface& interface) {
  const auto& type = interface.type;
  std::string out = "// Tells " + interface.name + " actors: see ActorContext::Tell.\n";
  out += "class " + interface.path + "::Tell : public ::troupe::TellTo<" + type +
         "> {\n public:\n  using TellTo::TellTo;\n";
  for (const auto& method : interface.methods) {
    if (method.read_only) continue;
    std::vector<std::string> arguments;
    for (const auto& field : method.params) arguments.push_back(field.name);
    auto add = [&](const std::string& name, const std::vector<std::string>& parameters) {
      out += "  template <typename = void>\n" + Listed("  void " + name, parameters, " const {") +
             "\n" + Listed("    static_cast<void>(Ref(*this)." + name, arguments, ");") + "\n  }\n";
    };
    add(method.name, RefParameters(method, Defaults::kShown));
    if (!method.in_place) continue;
    arguments = {"fill"};
    add(method.name + "With", FillParameters(method));
  }
  return out + "};\n\n";
}

std::string WriterText(const Interface& interface) {
  std::string out = "// Streams to one " + interface.name +
                    " actor, several calls at a time: see troupe::Stream.\n";
  out += "class " + interface.path + "::Writer : public ::troupe::Stream {\n public:\n";
  out +=
      "  explicit Writer(const Ref& to, ::troupe::StreamOptions options = {}) : "
      "Stream(to, options) {}\n";
  for (const auto& method : interface.methods) {
    if (!method.stream) continue;
    const std::string begin = "  ::troupe::Task<void> " + method.name;
    out += "\n" + MethodComment(method) + "  template <typename = void>\n" +
           Listed(begin, RefParameters(method, Defaults::kShown), ";") + "\n";
    if (!method.in_place) continue;
    out += "  template <typename = void>\n" + Listed(NamedWith(begin), FillParameters(method), ";") +
           "\n";
  }
  return out + "};\n\n";
}

std::string ActorText(const Interface& interface) {
  const auto& type = interface.type;
  std::string doc = interface.doc;
  if (!doc.empty()) doc += "\n";
  doc += "What such an actor derives from. " +
         (interface.state.empty() ? "It keeps nothing from one activation to the next."
                                  : "Save() and Load() keep its state as " + interface.state + ".");
  std::string out = Comment(doc, "");
  out += "class " + interface.path + "::Actor : public ::troupe::TypedActor<" + type;
  if (!interface.state.empty()) out += ", " + interface.state;
  out += "> {\n public:\n";
  for (const auto& method : interface.methods) {
    if (&method != &interface.methods.front()) out += "\n";
    out += MethodComment(method);
    out += Listed("  virtual ::troupe::Task<" + ActorResult(method) + "> " + method.name,
                  ActorParameters(method), " = 0;") +
           "\n";
  }
  if (!interface.methods.empty()) out += "\n";
  out +=
      "  // Takes the calls that arrive to the methods above.\n"
      "  template <typename = void>\n"
      "  static ::troupe::Dispatched Dispatch(\n"
      "      Actor& self_, uint64_t interface_, uint16_t method_, ::troupe::AnyCall call_);\n";
  return out + "};\n\n";
}

}  // namespace

std::string HeaderText(const File& file) {
  std::string out =
      "// Generated from " + BaseName(file.schema) +
      ".capnp by capnpc-troupe. To change it, change the schema.\n#pragma once\n\n"
      "#include <cstdint>\n#include <limits>\n#include <string>\n#include <string_view>\n\n"
      "#include \"" +
      BaseName(file.schema) + ".capnp.h\"\n";
  if (!file.interfaces.empty()) {
    out += "#include \"kj/function.h\"\n#include \"troupe/actors/actor.h\"\n";
  }
  if (std::any_of(file.interfaces.begin(), file.interfaces.end(),
                  [](const Interface& interface) { return interface.streams(); })) {
    out += "#include \"troupe/actors/stream.h\"\n";
  }
  const std::set<std::string> includes(file.includes.begin(), file.includes.end());
  for (const auto& include : includes) out += "#include " + include + "\n";
  out += "\n" + Namespace(file, true);
  for (const auto& interface : file.interfaces) out += RefText(interface);
  for (const auto& value : file.values) out += ValueText(value);
  for (const auto& reply : file.replies) out += ValueText(reply);
  for (const auto& interface : file.interfaces) out += TellText(interface);
  for (const auto& interface : file.interfaces) {
    if (interface.streams()) out += WriterText(interface);
  }
  for (const auto& interface : file.interfaces) out += ActorText(interface);
  if (out.ends_with("\n\n")) out.pop_back();
  out += Namespace(file, false);
  return Unqualified(file, out + "\n#include \"" + BaseName(file.schema) + ".troupe-inl.h\"\n");
}

}  // namespace troupe::capnpc
