#include "troupe/runtime/internal/record_files.h"

#include <fcntl.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/iterator.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <sys/stat.h>

#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/runtime/internal/posix.h"

namespace troupe {
namespace {

// A file beside those of RocksDB, which leaves it alone. A new number for what an older program
// could not read.
constexpr const char* kFormatFile = "FORMAT";
constexpr const char* kFormat = "troupe records 1";

constexpr size_t kWriteBufferBytes = 16 * 1024 * 1024;
constexpr size_t kCacheBytes = 16 * 1024 * 1024;
constexpr int kOpenFilesMax = 256;

// RocksDB's own log would be a file that nobody reads: what matters comes back as a status.
class NoLog final : public rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

rocksdb::Options MakeOptions() {
  rocksdb::Options options;
  // A power cut may tear the end of the newest log: a write that nobody was told is done. This mode
  // leaves that out and refuses any other damage. The default, kPointInTimeRecovery, would go on
  // with what stands before the damage: writes that were promised would be gone and nobody told.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.paranoid_checks = true;
  options.max_bgerror_resume_count = 0;  // Once failed, it stays so until it is opened anew.
  options.info_log = std::make_shared<NoLog>();
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.max_background_jobs = 2;
  options.max_open_files = kOpenFilesMax;
  options.write_buffer_size = kWriteBufferBytes;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(kCacheBytes);
  table.format_version = 5;  // Of 7.8 and 9.10, so that either reads the other's.
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

rocksdb::Slice ToSlice(std::string_view text) { return {text.data(), text.size()}; }
std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// What is missing or does not match is damage, for the files are RocksDB's alone.
bool IsDamage(const rocksdb::Status& status) {
  return status.IsCorruption() || status.IsPathNotFound() || status.IsNotFound() ||
         status.IsInvalidArgument();
}

absl::Status ToStatus(const rocksdb::Status& status, const std::string& path) {
  if (status.ok()) return absl::OkStatus();
  if (IsDamage(status)) {
    return absl::DataLossError(absl::StrCat("the record store ", path,
                                            " is damaged: ", status.ToString(),
                                            "; start this node on an empty data directory"));
  }
  if (status.IsNotSupported()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the record store ", path, " is of a format that this RocksDB does not know: ",
                     status.ToString(), "; start the program that wrote it"));
  }
  return absl::UnavailableError(absl::StrCat("the record store ", path,
                                             " cannot be used: ", status.ToString(),
                                             "; mend the disk and start this node again"));
}

absl::Status SystemError(const std::string& path, const std::string& doing, int error) {
  const std::string text =
      absl::StrCat("the record store ", path, " cannot be used: ", doing, ": ", ErrnoText(error),
                   "; mend the disk and start this node again");
  if (error == EACCES || error == EPERM || error == EROFS) return absl::PermissionDeniedError(text);
  return absl::UnavailableError(text);
}

// 0, or what went wrong.
int WriteFile(const std::string& file, std::string_view text) {
  OwnFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return errno;
  const ssize_t n = Retrying([&] { return ::write(fd.get(), text.data(), text.size()); });
  if (n < 0) return errno;
  if (n != static_cast<ssize_t>(text.size())) return ENOSPC;
  return ::fsync(fd.get()) == 0 ? 0 : errno;
}

int SyncDirectory(const std::string& directory) {
  OwnFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return errno;
  return ::fsync(fd.get()) == 0 ? 0 : errno;
}

rocksdb::Status Add(rocksdb::WriteBatch& batch, const RecordChange& change) {
  if (auto* put = std::get_if<PutRecord>(&change)) return batch.Put(put->key, put->value);
  if (auto* erase = std::get_if<EraseRecord>(&change)) return batch.Delete(erase->key);
  const auto& range = std::get<EraseRecords>(change);
  if (range.begin >= range.end) return rocksdb::Status::OK();  // RocksDB makes it an error.
  return batch.DeleteRange(range.begin, range.end);
}

}  // namespace

RecordFiles::RecordFiles(std::string path) : path_(std::move(path)) {}

RecordFiles::~RecordFiles() = default;

void RecordFiles::Close() {
  std::unique_lock use(use_);
  db_ = nullptr;
}

absl::Status RecordFiles::Write(std::span<const RecordChange> changes) {
  std::shared_lock use(use_);
  auto db = Open(IfMissing::kMake);
  if (!db.ok()) return db.status();
  rocksdb::WriteBatch batch;
  for (const RecordChange& change : changes) {
    auto added = Add(batch, change);
    if (!added.ok()) return ToStatus(added, path_);
  }
  rocksdb::WriteOptions options;
  options.sync = true;
  return ToStatus((*db)->Write(options, &batch), path_);
}

absl::Status RecordFiles::Scan(
    std::string_view begin, std::string_view end,
    const std::function<void(std::string_view key, std::string_view value)>& show) {
  std::shared_lock use(use_);
  const auto ended = absl::CancelledError(absl::StrCat("the record store ", path_, " is closed"));
  if (scans_end_) return ended;
  auto db = Open(IfMissing::kLeave);
  if (!db.ok()) return db.status();
  if (*db == nullptr || begin >= end) return absl::OkStatus();
  const rocksdb::Slice bound = ToSlice(end);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &bound;
  options.fill_cache = false;  // Each record is read once.
  std::unique_ptr<rocksdb::Iterator> records((*db)->NewIterator(options));
  for (records->Seek(ToSlice(begin)); records->Valid(); records->Next()) {
    if (scans_end_) return ended;
    show(ToView(records->key()), ToView(records->value()));
  }
  return ToStatus(records->status(), path_);
}

absl::StatusOr<rocksdb::DB*> RecordFiles::Open(IfMissing if_missing) {
  std::lock_guard lock(opening_);
  if (db_ != nullptr) return db_.get();
  auto exists = Exists();
  if (!exists.ok()) return exists.status();
  if (!*exists) {
    if (if_missing == IfMissing::kLeave) return nullptr;
    if (auto made = Make(); !made.ok()) return made;
  }
  if (auto known = CheckFormat(); !known.ok()) return known;
  rocksdb::DB* db = nullptr;
  auto opened = rocksdb::DB::Open(MakeOptions(), path_, &db);
  if (!opened.ok()) return ToStatus(opened, path_);
  db_.reset(db);
  return db;
}

absl::StatusOr<bool> RecordFiles::Exists() const {
  struct stat info = {};
  if (::stat(path_.c_str(), &info) == 0) return true;
  if (errno == ENOENT) return false;
  return SystemError(path_, "look", errno);
}

// Under another name until it is whole: a directory with the store's name that lacks a file is
// damaged, and never made anew in silence.
absl::Status RecordFiles::Make() const {
  const std::string unfinished = absl::StrCat(path_, ".tmp");
  std::error_code error;
  std::filesystem::remove_all(unfinished, error);
  if (error) return SystemError(path_, absl::StrCat("remove ", unfinished), error.value());
  rocksdb::Options options = MakeOptions();
  options.create_if_missing = true;
  rocksdb::DB* db = nullptr;
  auto made = rocksdb::DB::Open(options, unfinished, &db);
  if (!made.ok()) return ToStatus(made, path_);
  made = db->Close();
  delete db;
  if (!made.ok()) return ToStatus(made, path_);
  int failed = WriteFile(absl::StrCat(unfinished, "/", kFormatFile), absl::StrCat(kFormat, "\n"));
  if (failed == 0) failed = SyncDirectory(unfinished);
  if (failed == 0 && ::rename(unfinished.c_str(), path_.c_str()) != 0) failed = errno;
  if (failed == 0) failed = SyncDirectory(std::filesystem::path(path_).parent_path().string());
  return failed == 0 ? absl::OkStatus() : SystemError(path_, "make", failed);
}

absl::Status RecordFiles::CheckFormat() const {
  std::ifstream file(absl::StrCat(path_, "/", kFormatFile), std::ios::binary);
  std::string format;
  std::getline(file, format);
  if (format == kFormat) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the record store ", path_, " is of the format \"", format.substr(0, 64),
      "\", and this program knows \"", kFormat,
      "\" alone: start the program that wrote it, or this one on an empty data directory"));
}

}  // namespace troupe
