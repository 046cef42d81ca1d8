// Analysis: from a schema to what is generated for one of its files.
//
// Whatever is used wrongly, or cannot be generated, is complained of to the Schema; the result then
// is of no use.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model.h"
#include "schema.h"

namespace troupe::capnpc {

// Fields of a struct, and of those in it, up to which it is a plain value.
inline constexpr int kValueFieldsMax = 16;

class Analysis {
 public:
  // `file` is one of those that were asked for.
  Analysis(Schema& schema, capnp::schema::CodeGeneratorRequest::RequestedFile::Reader file);

  File Run();

 private:
  using Type = capnp::schema::Type::Reader;
  using SchemaMethod = capnp::schema::Method::Reader;

  // ---- What is declared
  std::vector<Node> InFile(bool (Node::*is)() const) const;
  void NoteHiddenNames();
  bool IsActor(Node node) const;
  bool ExtendsAnActor(Node interface) const;
  std::string NameOf(Node node);          // As generated code writes it.
  std::string CppName(Node node) const;   // Its last part.
  std::string Relative(Node node) const;  // To its file's namespace.
  void Include(Node node);                // Its file's generated code is needed.
  void CheckAnnotations();
  void CheckNode(Node node);
  void CheckDuration(Node node, std::string_view member, Annotations annotations, uint64_t id,
                     const char* name);
  void Once(Node node, std::string_view member, Annotations annotations);
  bool OfAnActor(Node interface) const;  // It is one, or an actor extends it.

  // ---- Types
  std::string TypeName(Type type);  // Of the Cap'n Proto type: "uint64_t", "Money"
  // A complaint names `member` of `owner`.
  std::optional<Field> FieldOf(Node owner, std::string_view member,
                               capnp::schema::Field::Reader field);
  bool Plain(Node node, int& fields, std::set<uint64_t>& within) const;
  bool IsValue(Node node) const;
  ValueStruct& NeedValue(Node node);
  // Whether everything in it can be in a message between actors.
  bool Sendable(Type type, std::set<uint64_t>& seen, std::string& why) const;
  bool SendableStruct(Node node, std::set<uint64_t>& seen, std::string& why) const;
  void SetDefault(capnp::schema::Field::Slot::Reader slot, Field& out) const;

  // ---- Interfaces
  void AddInterface(Node node);
  void AddMethods(Node of, Node actor, Interface& out, std::set<uint64_t>& seen);
  std::optional<Method> MethodOf(Node of, Node actor, SchemaMethod method, size_t index);
  void AddResults(Node of, Node actor, SchemaMethod method, Method& out);
  std::string StateOf(Node node);
  void CheckNames(Node node, const Interface& interface);
  Declarations& DeclarationsOf(Node node);
  void Declare(Node node, const std::string& line, const std::string& name);

  Schema& schema_;
  capnp::schema::CodeGeneratorRequest::RequestedFile::Reader requested_;
  File out_;
  std::set<std::string> hidden_;       // Names that mean something else within a class.
  std::map<uint64_t, size_t> values_;  // Index by the struct's id.
  std::set<uint64_t> actors_done_;
  std::set<uint64_t> included_;
};

}  // namespace troupe::capnpc
