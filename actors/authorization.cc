#include "troupe/actors/authorization.h"

#include <openssl/sha.h>

#include <algorithm>
#include <optional>
#include <utility>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

std::string Place(const std::string& path, const toml::node& node) {
  return absl::StrCat(path, " line ", node.source().begin.line);
}

absl::Status Bad(const std::string& place, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat(place, ": ", why));
}

absl::StatusOr<std::vector<std::string>> RulesIn(const toml::node& node, const std::string& path) {
  std::vector<std::string> out;
  const auto* list = node.as_array();
  if (list == nullptr) {
    return Bad(Place(path, node), "expected a list of rules, such as [\"Order\", \"Stock.look\"]");
  }
  for (const auto& item : *list) {
    const auto* text = item.as_string();
    if (text == nullptr || text->get().empty()) {
      return Bad(Place(path, item), "expected a rule: a type, TYPE.METHOD, or \"*\"");
    }
    out.push_back(text->get());
  }
  return out;
}

absl::Status CheckKeys(const toml::table& table, const std::string& path,
                       std::initializer_list<std::string_view> known) {
  for (const auto& [key, node] : table) {
    if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
    return Bad(
        Place(path, node),
        absl::StrCat("unknown key \"", std::string(key.str()), "\" of permissions, expected ",
                     known.size() == 2 ? "anonymous or [[principal]]" : "name, token or allow"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Permissions> Permissions::Parse(const std::string& text, const std::string& path) {
  auto parsed = toml::parse(text, path);
  if (!parsed) {
    return Bad(absl::StrCat(path, " line ", parsed.error().source().begin.line),
               absl::StrCat("not TOML: ", std::string(parsed.error().description())));
  }
  Permissions out;
  const toml::table& file = parsed.table();
  if (auto known = CheckKeys(file, path, {"anonymous", "principal"}); !known.ok()) return known;
  if (const auto* anonymous = file.get("anonymous")) {
    auto rules = RulesIn(*anonymous, path);
    if (!rules.ok()) return rules.status();
    out.anonymous_ = std::move(*rules);
  }
  const auto* list = file.get("principal");
  if (list == nullptr) return out;
  if (!list->is_array_of_tables()) {
    return Bad(Place(path, *list), "expected [[principal]], with name, token and allow");
  }
  for (const auto& item : *list->as_array()) {
    const toml::table& table = *item.as_table();
    const auto place = Place(path, table);
    if (auto known = CheckKeys(table, path, {"name", "token", "allow"}); !known.ok()) return known;
    const auto name = table["name"].value<std::string>();
    const auto token = table["token"].value<std::string>();
    if (!name || name->empty()) return Bad(place, "a principal needs a name");
    if (!token || token->size() < kTokenBytesMin) {
      return Bad(place,
                 absl::StrCat("the token of principal ", *name, " has ", token ? token->size() : 0,
                              " bytes, expected at least ", kTokenBytesMin, ", drawn at random"));
    }
    const auto* allow = table.get("allow");
    if (allow == nullptr)
      return Bad(place, absl::StrCat("principal ", *name, " is allowed nothing: add allow"));
    auto rules = RulesIn(*allow, path);
    if (!rules.ok()) return rules.status();
    if (!out.principals_.emplace(DigestOf(*token), Principal{*name, std::move(*rules)}).second) {
      return Bad(place, absl::StrCat("principal ", *name, " has the token of another one"));
    }
    if (out.principals_.size() > kPrincipalsMax) {
      return Bad(place, absl::StrCat("expected at most ", kPrincipalsMax, " principals"));
    }
  }
  return out;
}

Permissions::Digest Permissions::DigestOf(std::string_view token) {
  Digest out;
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), out.data());
  return out;
}

bool Permissions::Allows(const std::vector<std::string>& rules, const std::string& type,
                         const std::string& method) {
  return std::any_of(rules.begin(), rules.end(), [&](const std::string& rule) {
    return rule == "*" || rule == type || rule == method;
  });
}

std::string Permissions::WhyNot(std::string_view token, const std::string& type,
                                const std::string& method) const {
  if (token.empty()) {
    if (Allows(anonymous_, type, method)) return "";
    return absl::StrCat("not allowed: ", method, " of ", type,
                        " needs a token, and the call carries none in its metadata \"",
                        kAuthorization, "\"");
  }
  const auto principal = principals_.find(DigestOf(token));
  if (principal == principals_.end()) {
    return absl::StrCat("not allowed: ", method, " of ", type,
                        " was called with a token that no principal of this node has");
  }
  if (Allows(principal->second.allow, type, method)) return "";
  return absl::StrCat("not allowed: principal ", principal->second.name, " may not call ", method,
                      " of ", type);
}

void Authorization::Before(CallInfo& call) {
  const auto token = call.received.Find(kAuthorization);
  if (token.empty() && call.by_actor) return;
  auto why = permissions_.WhyNot(token, call.type, call.method);
  if (!why.empty()) kj::throwFatalException(Failed(why));
}

}  // namespace troupe
