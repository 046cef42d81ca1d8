// HeaderText, InlineText: the generated code of a schema file. Declare: what x.capnp.h needs more.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model.h"

namespace troupe::capnpc {

std::string HeaderText(const File& file);  // bank.troupe.h
std::string InlineText(const File& file);  // bank.troupe-inl.h

// bank.capnp.h with the declarations in its structs. Nothing, and `missing` is the struct whose
// definition is not where it is looked for, when this Cap'n Proto compiler writes another form.
std::optional<std::string> Declare(const File& file, std::string header, std::string& missing);

// "bank" of "dir/bank.capnp".
std::string BaseName(const std::string& schema);

// Of a method: as declared in an actor class, and in a ref.
std::vector<std::string> ActorParameters(const Method& method);
enum class Defaults { kShown, kLeftOut };
std::vector<std::string> RefParameters(const Method& method, Defaults defaults);
std::vector<std::string> FillParameters(const Method& method);  // Of DepositWith().
std::string ActorResult(const Method& method);                  // "uint64_t" of Task<uint64_t>
std::string RefResult(const Method& method);
// "Task<uint64_t> Deposit" as "NamedTask<uint64_t> DepositWith".
std::string NamedWith(std::string begin);

// `begin(a, b)end`, in lines of at most 100 columns where that is possible; what follows the first
// is indented by that of `begin` and four more. Without a line end.
std::string Listed(const std::string& begin, const std::vector<std::string>& items,
                   const std::string& end);

// Without the leading "::" of troupe, capnp, kj and absl, where a namespace of the file does not
// hide them.
std::string Unqualified(const File& file, const std::string& text);

}  // namespace troupe::capnpc
