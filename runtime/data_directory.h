// DataDirectory: small named records on disk, each replaced as a whole and durably.
//
// One process at a time: opening takes an exclusive lock that ends with the process. Used for
// identity and for the register's acceptor; calls are made on the control loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kj/async.h"

namespace troupe {

class DataDirectory {
 public:
  virtual ~DataDirectory() noexcept(false) = default;

  // When this very directory was made, as a number: the same however often it is opened or renamed,
  // and another for a copy of it, by whatever means. 0: the file system does not tell.
  virtual uint64_t Birth() const = 0;

  // The last contents whose Write() completed, or nothing if there never was one. Errors: DataLoss
  // when the record is there but damaged (a checksum guards it); Unavailable for an I/O error.
  virtual absl::StatusOr<std::optional<std::vector<std::byte>>> Read(std::string_view name) = 0;

  // Resolves once the new contents would survive a loss of power. Rejects when the disk fails; then
  // either the old or the new contents are there. Writes to one name are done in order.
  virtual kj::Promise<void> Write(std::string_view name, std::vector<std::byte> contents) = 0;
};

}  // namespace troupe
