// A machine whose records are in a directory of the test's own, and words for what is in them.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "kj/debug.h"
#include "troupe/runtime/record_store.h"
#include "troupe/runtime/uv_machine.h"

namespace troupe {

using Records = std::vector<std::pair<std::string, std::string>>;

inline const std::string kEnd = "\xff\xff";

inline kj::Own<UvMachine> MakeMachine(const std::string& path) {
  auto machine = UvMachine::Create({.node = "test", .data_directory = path});
  KJ_REQUIRE(machine.ok(), std::string(machine.status().message()).c_str());
  return kj::mv(*machine);
}

inline absl::StatusOr<Records> ScanOf(RecordStore& store, std::string_view begin = "",
                                      std::string_view end = kEnd) {
  Records records;
  auto status = store.Scan(begin, end, [&](std::string_view key, std::string_view value) {
    records.emplace_back(key, value);
  });
  if (!status.ok()) return status;
  return records;
}

class RocksRecords : public testing::Test {
 protected:
  RocksRecords() : path_(testing::TempDir() + "troupe-records-XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) ADD_FAILURE();
    Reopen();
  }
  ~RocksRecords() noexcept override {
    Close();
    std::filesystem::remove_all(path_);
  }

  void Close() { machine_ = nullptr; }
  void Reopen() {
    Close();
    machine_ = MakeMachine(path_);
  }
  RecordStore& store() { return *machine_->record_store(); }
  kj::Promise<void> Write(std::vector<RecordChange> changes) {
    return store().Write(machine_->control(), std::move(changes));
  }
  kj::Promise<void> Put(std::string key, std::string value) {
    return Write({PutRecord{std::move(key), std::move(value)}});
  }
  void Await(kj::Promise<void> promise) { promise.wait(machine_->wait_scope()); }
  // What it rejects with.
  std::string ErrorOf(kj::Promise<void> promise) {
    auto error = kj::runCatchingExceptions([&] { Await(kj::mv(promise)); });
    KJ_IF_MAYBE (e, error) return e->getDescription().cStr();
    return "(none)";
  }
  Records Scan(std::string_view begin = "", std::string_view end = kEnd) {
    auto records = ScanOf(store(), begin, end);
    if (!records.ok()) ADD_FAILURE() << records.status();
    return records.ok() ? *records : Records();
  }
  absl::Status ScanError() { return ScanOf(store()).status(); }

  std::string records() const { return path_ + "/records"; }
  std::string path_;
  kj::Own<UvMachine> machine_;
};

}  // namespace troupe
