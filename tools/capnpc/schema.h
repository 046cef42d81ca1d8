// Schema: the compiler's request, looked up by id; and what is wrong with it.
//
// Errors are gathered, each with the file and line of what it is about, so that one run tells all.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capnp/schema.capnp.h"
#include "source_lines.h"

namespace troupe::capnpc {

using Node = capnp::schema::Node::Reader;
using Annotations = capnp::List<capnp::schema::Annotation>::Reader;

class Schema {
 public:
  // The path at which the text of a file of the request is, or nothing; then lines are not told.
  struct Source {
    std::string path;
    std::string text;
  };
  using FindSource = std::function<std::optional<Source>(const std::string& file)>;

  // `request` outlives it.
  Schema(capnp::schema::CodeGeneratorRequest::Reader request, FindSource find_source);

  const Node& Get(uint64_t id) const { return nodes_.at(id); }
  bool Has(uint64_t id) const { return nodes_.contains(id); }
  const std::map<uint64_t, Node>& nodes() const { return nodes_; }

  Node FileOf(Node node) const;
  // "Account", below its file, with the names of its scopes: "Outer.Account".
  std::string PathOf(Node node) const;
  std::string ShortName(Node node) const;
  std::string DocOf(uint64_t id) const;
  std::string MemberDocOf(uint64_t id, size_t member) const;

  // `member`: of the node, or empty.
  void Complain(Node node, std::string_view member, std::string text);
  const std::vector<std::string>& errors() const { return errors_; }

 private:
  struct File {
    std::string path;
    SourceLines lines;
  };
  const File& SourceOf(const std::string& name);

  FindSource find_source_;
  std::map<uint64_t, Node> nodes_;
  std::map<uint64_t, capnp::schema::Node::SourceInfo::Reader> infos_;
  std::map<std::string, File> files_;
  std::vector<std::string> errors_;
};

// How often the annotation is there, and the first.
struct Found {
  int times = 0;
  capnp::schema::Value::Reader value;
};
Found Find(Annotations annotations, uint64_t id);

}  // namespace troupe::capnpc
