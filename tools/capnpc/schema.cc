#include "schema.h"

#include <algorithm>
#include <utility>

namespace troupe::capnpc {
namespace {

std::string Text(capnp::Text::Reader text) { return {text.begin(), text.size()}; }

}  // namespace

Schema::Schema(capnp::schema::CodeGeneratorRequest::Reader request, FindSource find_source)
    : find_source_(std::move(find_source)) {
  for (auto node : request.getNodes()) nodes_.emplace(node.getId(), node);
  for (auto info : request.getSourceInfo()) infos_.emplace(info.getId(), info);
}

Node Schema::FileOf(Node node) const {
  while (!node.isFile() && nodes_.contains(node.getScopeId())) node = Get(node.getScopeId());
  return node;
}

std::string Schema::ShortName(Node node) const {
  const auto name = Text(node.getDisplayName());
  return name.substr(std::min<size_t>(node.getDisplayNamePrefixLength(), name.size()));
}

std::string Schema::PathOf(Node node) const {
  std::string out = ShortName(node);
  while (nodes_.contains(node.getScopeId())) {
    node = Get(node.getScopeId());
    if (node.isFile()) break;
    out = ShortName(node) + "." + out;
  }
  return out;
}

std::string Schema::DocOf(uint64_t id) const {
  auto it = infos_.find(id);
  return it == infos_.end() ? "" : Text(it->second.getDocComment());
}

std::string Schema::MemberDocOf(uint64_t id, size_t member) const {
  auto it = infos_.find(id);
  if (it == infos_.end() || member >= it->second.getMembers().size()) return "";
  return Text(it->second.getMembers()[static_cast<unsigned>(member)].getDocComment());
}

const Schema::File& Schema::SourceOf(const std::string& name) {
  auto it = files_.find(name);
  if (it == files_.end()) {
    File file{name, SourceLines()};
    if (auto source = find_source_(name)) file = {source->path, SourceLines(source->text)};
    it = files_.emplace(name, std::move(file)).first;
  }
  return it->second;
}

void Schema::Complain(Node node, std::string_view member, std::string text) {
  const auto& file = SourceOf(Text(FileOf(node).getDisplayName()));
  std::string name = PathOf(node);
  auto line = file.lines.Find(member.empty() ? name : name + "." + std::string(member));
  if (!line) line = file.lines.Find(name);
  std::string where = file.path;
  if (line) where += ":" + std::to_string(*line);
  auto error = where + ": error: " + std::move(text);
  if (std::find(errors_.begin(), errors_.end(), error) == errors_.end()) {
    errors_.push_back(std::move(error));
  }
}

Found Find(Annotations annotations, uint64_t id) {
  Found out;
  for (auto annotation : annotations) {
    if (annotation.getId() == id && out.times++ == 0) out.value = annotation.getValue();
  }
  return out;
}

}  // namespace troupe::capnpc
