#include "analysis.h"

#include <algorithm>
#include <utility>

#include "annotations.h"
#include "names.h"

namespace troupe::capnpc {

Analysis::Analysis(Schema& schema, capnp::schema::CodeGeneratorRequest::RequestedFile::Reader file)
    : schema_(schema), requested_(file) {}

File Analysis::Run() {
  const Node file = schema_.Get(requested_.getId());
  out_.schema = file.getDisplayName().cStr();
  out_.namespaces = NamespacesOf(file);
  NoteHiddenNames();
  CheckAnnotations();
  for (auto node : InFile(&Node::isStruct)) {
    if (Find(node.getAnnotations(), annotation::kValue).times > 0) NeedValue(node);
  }
  for (auto node : InFile(&Node::isInterface)) {
    if (IsActor(node)) AddInterface(node);
  }
  return std::move(out_);
}

// ---- What is declared

// In the order of the schema's text, as far as the request tells.
std::vector<Node> Analysis::InFile(bool (Node::*is)() const) const {
  std::vector<Node> out;
  std::vector<Node> scopes = {schema_.Get(requested_.getId())};
  while (!scopes.empty()) {
    const Node scope = scopes.back();
    scopes.pop_back();
    if ((scope.*is)()) out.push_back(scope);
    auto nested = scope.getNestedNodes();
    for (unsigned i = nested.size(); i-- > 0;) {
      if (schema_.Has(nested[i].getId())) scopes.push_back(schema_.Get(nested[i].getId()));
    }
  }
  return out;
}

void Analysis::NoteHiddenNames() {
  hidden_ = {"Actor",  "Ref",    "Tell",    "Value",    "Task",  "Client",
             "Server", "Reader", "Builder", "Pipeline", "Writer"};
  const auto file = requested_.getId();
  for (auto node : InFile(&Node::isInterface)) {
    for (auto method : node.getInterface().getMethods()) {
      const auto name = MethodName(method);
      for (const char* suffix : {"", "Params", "Results", "Context", "Reply"}) {
        hidden_.insert(name + suffix);
      }
    }
  }
  for (const auto& [id, node] : schema_.nodes()) {
    if (node.getScopeId() != file && schema_.FileOf(node).getId() == file) {
      hidden_.insert(CppName(node));
    }
  }
}

bool Analysis::IsActor(Node node) const {
  return node.isInterface() && Find(node.getAnnotations(), annotation::kActor).times > 0;
}

// It is one, or one is above it.
bool Analysis::ExtendsAnActor(Node node) const {
  if (IsActor(node)) return true;
  for (auto parent : node.getInterface().getSuperclasses()) {
    if (ExtendsAnActor(schema_.Get(parent.getId()))) return true;
  }
  return false;
}

std::string Analysis::CppName(Node node) const {
  return NameOrRenamed(schema_.ShortName(node), node.getAnnotations());
}

std::string Analysis::Relative(Node node) const {
  std::string out = CppName(node);
  for (node = schema_.Get(node.getScopeId()); !node.isFile();
       node = schema_.Get(node.getScopeId())) {
    out = CppName(node) + "::" + out;
  }
  return out;
}

std::string Analysis::NameOf(Node node) {
  const Node file = schema_.FileOf(node);
  std::string relative = Relative(node);
  const auto first = relative.substr(0, relative.find("::"));
  const bool here = file.getId() == requested_.getId();
  if (here && !hidden_.contains(first)) return relative;
  std::string out;
  for (const auto& part : NamespacesOf(file)) out += "::" + part;
  return out + "::" + relative;
}

void Analysis::Include(Node node) {
  const uint64_t file = schema_.FileOf(node).getId();
  if (file == requested_.getId() || !included_.insert(file).second) return;
  for (auto import : requested_.getImports()) {
    if (import.getId() != file) continue;
    std::string name = import.getName().cStr();
    name.resize(name.size() - std::string_view(".capnp").size());
    const bool absolute = name.starts_with("/");
    out_.includes.push_back(absolute ? "<" + name.substr(1) + ".troupe.h>"
                                     : "\"" + name + ".troupe.h\"");
  }
}

Declarations& Analysis::DeclarationsOf(Node node) {
  const auto type = Relative(node);
  for (auto& have : out_.declarations) {
    if (have.type == type) return have;
  }
  out_.declarations.push_back({type, CppName(node), {}});
  return out_.declarations.back();
}

void Analysis::Declare(Node node, const std::string& line, const std::string& name) {
  for (auto nested : node.getNestedNodes()) {
    if (schema_.Has(nested.getId()) && CppName(schema_.Get(nested.getId())) == name) {
      schema_.Complain(node, nested.getName().cStr(),
                       name + " is a name of what is generated in " + schema_.ShortName(node) +
                           ": rename this, or give it another C++ name with $Cxx.name");
    }
  }
  DeclarationsOf(node).lines.push_back(line);
}

// ---- Interfaces

std::string Analysis::StateOf(Node node) {
  const auto options = Find(node.getAnnotations(), annotation::kActor)
                           .value.getStruct()
                           .getAs<schema::ActorOptions>();
  const std::string wanted = options.getState().cStr();
  if (wanted.empty()) return "";
  // From the inside out, as the compiler looks up names; then part by part.
  const std::string first = wanted.substr(0, wanted.find('.'));
  std::optional<Node> found;
  for (Node scope = node; !found; scope = schema_.Get(scope.getScopeId())) {
    for (auto nested : scope.getNestedNodes()) {
      if (nested.getName() == first.c_str() && schema_.Has(nested.getId())) {
        found = schema_.Get(nested.getId());
      }
    }
    if (scope.isFile()) break;
  }
  for (size_t dot = wanted.find('.'); found && dot != std::string::npos;) {
    const size_t next = wanted.find('.', dot + 1);
    const auto part = wanted.substr(dot + 1, next - dot - 1);
    dot = next;
    std::optional<Node> inner;
    for (auto nested : found->getNestedNodes()) {
      if (nested.getName() == part.c_str()) inner = schema_.Get(nested.getId());
    }
    found = inner;
  }
  if (!found || !found->isStruct()) {
    schema_.Complain(node, "",
                     "the state of " + schema_.ShortName(node) + ", " + wanted +
                         (found ? ", is not a struct" : ", is not a struct of this file"));
    return "";
  }
  if (found->getIsGeneric()) {
    schema_.Complain(node, "", "the state " + wanted + " has type parameters; a state cannot");
    return "";
  }
  std::set<uint64_t> seen;
  std::string why;
  for (auto field : found->getStruct().getFields()) {
    if (field.isSlot() && !Sendable(field.getSlot().getType(), seen, why)) {
      schema_.Complain(
          *found, field.getName().cStr(),
          "`" + std::string(field.getName().cStr()) + "` of the state " + wanted + " " + why);
    }
  }
  return NameOf(*found);
}

void Analysis::AddInterface(Node node) {
  if (!actors_done_.insert(node.getId()).second) return;
  if (node.getIsGeneric()) {
    schema_.Complain(node, "",
                     "interface " + schema_.ShortName(node) +
                         " has type parameters; an actor cannot: write one interface per type");
    return;
  }
  Interface out;
  out.type = NameOf(node);
  out.path = Relative(node);
  out.name = CppName(node);
  out.doc = schema_.DocOf(node.getId());
  out.state = StateOf(node);
  std::set<uint64_t> seen;
  AddMethods(node, node, out, seen);
  CheckNames(node, out);
  Declare(node, "class Actor;", "Actor");
  Declare(node, "class Ref;", "Ref");
  Declare(node, "class Tell;", "Tell");
  if (out.streams()) Declare(node, "class Writer;", "Writer");
  out_.interfaces.push_back(std::move(out));
}

void Analysis::AddMethods(Node of, Node actor, Interface& out, std::set<uint64_t>& seen) {
  if (!seen.insert(of.getId()).second) return;
  for (auto parent : of.getInterface().getSuperclasses()) {
    const Node node = schema_.Get(parent.getId());
    if (node.getIsGeneric()) {
      schema_.Complain(of, "",
                       "interface " + schema_.ShortName(node) +
                           ", which this extends, has type parameters; an actor cannot");
      continue;
    }
    if (ExtendsAnActor(node)) Include(node);
    if (IsActor(node)) {
      // Its classes come first, and its ref is made from ours.
      if (schema_.FileOf(node).getId() == requested_.getId()) AddInterface(node);
      if (!seen.contains(node.getId())) out.parents.push_back(NameOf(node));
    }
    AddMethods(node, actor, out, seen);
  }
  auto methods = of.getInterface().getMethods();
  for (unsigned i = 0; i < methods.size(); ++i) {
    if (auto method = MethodOf(of, actor, methods[i], i)) out.methods.push_back(*std::move(method));
  }
}

std::optional<Method> Analysis::MethodOf(Node of, Node actor, SchemaMethod method, size_t index) {
  const std::string name = method.getName().cStr();
  auto refuse = [&](const std::string& why) {
    schema_.Complain(of, name, "`" + name + "` " + why);
    return std::nullopt;
  };
  if (method.getImplicitParameters().size() > 0) {
    return refuse("has type parameters; a method of an actor cannot: write one method per type");
  }
  Method out;
  out.schema_name = name;
  out.name = MethodName(method);
  out.doc = schema_.MemberDocOf(of.getId(), index);
  out.interface_id = of.getId();
  out.ordinal = static_cast<uint16_t>(index);
  if (Find(method.getAnnotations(), annotation::kReadOnly).times > 0) {
    out.read_only = true;
    out.remarks.push_back("Read-only.");
  }
  if (auto found = Find(method.getAnnotations(), annotation::kDeadline); found.times > 0) {
    out.deadline_ms = found.value.getStruct().getAs<schema::Duration>().getMilliseconds();
    out.remarks.push_back("Deadline: " + std::to_string(out.deadline_ms) + " ms.");
  }
  if (method.getResultStructType() == kStreamResult) {
    out.stream = true;
    out.remarks.push_back("A stream: Writer sends several at a time.");
    if (out.read_only) {
      return refuse("is a stream and $Troupe.readOnly; it has no results to read. Remove one");
    }
  }
  const Node params = schema_.Get(method.getParamStructType());
  if (params.getIsGeneric() && params.getScopeId() != 0) {
    return refuse("takes a struct with type parameters; a method of an actor cannot");
  }
  out.params_whole = params.getScopeId() != 0;
  if (out.params_whole) {
    out.params_struct = NameOf(params);
    Field field;
    field.name = SnakeCase(CppName(params));
    std::set<uint64_t> seen;
    std::string why;
    if (!SendableStruct(params, seen, why)) return refuse("takes a struct that " + why);
    const bool plain = IsValue(params);
    if (plain) NeedValue(params);
    field.kind = plain ? Kind::kValue : Kind::kReader;
    field.type = out.params_struct + (plain ? "::Value" : "::Reader");
    out.params.push_back(field);
  } else {
    out.params_struct = NameOf(of) + "::" + Pascal(MethodOrRenamed(method)) + "Params";
    for (auto field : params.getStruct().getFields()) {
      std::set<uint64_t> seen;
      std::string why;
      if (!Sendable(field.getSlot().getType(), seen, why)) {
        schema_.Complain(
            of, name,
            "`" + name + "`: parameter `" + std::string(field.getName().cStr()) + "` " + why);
        return std::nullopt;
      }
      if (auto made = FieldOf(of, name, field)) out.params.push_back(*made);
    }
  }
  for (const auto& field : out.params) {
    out.in_place |= field.kind == Kind::kReader || field.kind == Kind::kAny;
  }
  if (!out.stream) AddResults(of, actor, method, out);
  return out;
}

void Analysis::AddResults(Node of, Node actor, SchemaMethod method, Method& out) {
  const Node results = schema_.Get(method.getResultStructType());
  const std::string& name = out.schema_name;
  std::set<uint64_t> seen;
  std::string why;
  if (results.getScopeId() != 0) {
    if (results.getIsGeneric()) {
      return schema_.Complain(of, name,
                              "`" + name +
                                  "` returns a struct with type parameters; a method of "
                                  "an actor cannot");
    }
    if (!SendableStruct(results, seen, why)) {
      return schema_.Complain(of, name, "`" + name + "` returns a struct that " + why);
    }
    out.results_struct = NameOf(results);
    out.results = IsValue(results) ? Results::kWhole : Results::kBuilder;
    if (out.results == Results::kWhole) {
      NeedValue(results);
      out.result_type = out.results_struct + "::Value";
    }
    return;
  }
  out.results_struct = NameOf(of) + "::" + Pascal(MethodOrRenamed(method)) + "Results";
  bool plain = true;
  for (auto field : results.getStruct().getFields()) {
    if (!Sendable(field.getSlot().getType(), seen, why)) {
      return schema_.Complain(
          of, name, "`" + name + "`: result `" + std::string(field.getName().cStr()) + "` " + why);
    }
    if (auto made = FieldOf(of, name, field)) {
      plain &= made->kind != Kind::kReader && made->kind != Kind::kAny;
      out.result_fields.push_back(*made);
    }
  }
  if (!plain) {
    out.results = Results::kBuilder;
  } else if (out.result_fields.size() == 1) {
    out.results = Results::kOne;
    out.result_type = out.result_fields[0].type;
  } else if (out.result_fields.size() > 1) {
    // That of a parent which is an actor is declared by the parent.
    const Node owner = IsActor(of) ? of : actor;
    const std::string local = out.name + "Reply";
    out.results = Results::kReply;
    out.result_type = NameOf(owner) + "::" + local;
    if (owner.getId() != actor.getId()) return;
    Declare(owner, "struct " + local + ";", local);
    out_.replies.push_back({out.results_struct, Relative(owner) + "::" + local, local,
                            "What `" + out.schema_name + "` returns.", out.result_fields, false});
  }
}

}  // namespace troupe::capnpc
