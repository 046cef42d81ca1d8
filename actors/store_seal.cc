#include "troupe/actors/store_seal.h"

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/record_store.h"

namespace troupe {
namespace {

constexpr char kName[] = "records-seal";  // In the data directory.
constexpr char kKey[] = "i";              // In the store; those of shards begin otherwise.

using Token = std::string;  // Empty: none.

absl::StatusOr<Token> Beside(Machine& machine) {
  auto read = machine.data_directory()->Read(kName);
  if (!read.ok()) return read.status();
  if (!read->has_value()) return Token();
  return Token(reinterpret_cast<const char*>((*read)->data()), (*read)->size());
}

absl::StatusOr<Token> Within(Machine& machine) {
  Token token;
  const std::string end = absl::StrCat(kKey, std::string(1, '\0'));
  const auto status = machine.record_store()->Scan(
      kKey, end, [&](std::string_view, std::string_view value) { token = Token(value); });
  if (!status.ok()) return status;
  return token;
}

}  // namespace

absl::Status CheckSeal(Machine& machine) {
  const auto beside = Beside(machine);
  if (!beside.ok()) return beside.status();
  if (beside->empty()) return absl::OkStatus();  // Nothing was ever acknowledged from the store.
  const auto within = Within(machine);
  if (!within.ok()) return within.status();
  if (*within == *beside) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the folder \"records\" of the data directory ", within->empty() ? "is gone" : "is another",
      ": what durable types have kept there is not what this node has acknowledged. Put back the "
      "one that belongs there, or give the node an empty data directory: it then begins anew, and "
      "the copies on other nodes count without it"));
}

kj::Promise<void> Seal(Machine& machine) {
  auto within = Within(machine);
  if (!within.ok()) return Failed(std::string(within.status().message()));
  kj::Promise<void> written = kj::READY_NOW;
  Token token = *within;
  if (token.empty()) {
    token = machine.control().RandomId().ToString();
    written = machine.record_store()->Write(machine.control(), {PutRecord{kKey, token}});
  } else if (const auto beside = Beside(machine); beside.ok() && *beside == token) {
    return written;
  }
  return written.then([&machine, token] {
    const auto* begin = reinterpret_cast<const std::byte*>(token.data());
    return machine.data_directory()->Write(kName, {begin, begin + token.size()});
  });
}

}  // namespace troupe
