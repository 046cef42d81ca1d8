#include "troupe/runtime/file_data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <utility>

#include "kj/debug.h"
#include "kj/exception.h"
#include "troupe/runtime/crc32c.h"
#include "troupe/runtime/internal/posix.h"

namespace troupe {

namespace {

constexpr std::string_view kMagic = "TROUPER1";
constexpr size_t kHeaderSize = 8 + 8 + 4;  // Magic, length, checksum; numbers little-endian.
constexpr std::string_view kTemporary = ".tmp";
constexpr size_t kNameMax = 128;

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kNameMax && name[0] != '.' && name != "LOCK" &&
         !name.ends_with(kTemporary) && std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

absl::Status Failure(const std::string& doing, int error) {
  std::string text = absl::StrCat(doing, ": ", ErrnoText(error));
  if (error == EACCES || error == EPERM || error == EROFS) return absl::PermissionDeniedError(text);
  return absl::UnavailableError(text);
}

void PutNumber(std::byte* out, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(value >> (8 * i));
}

uint64_t GetNumber(const std::byte* in, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value |= static_cast<uint64_t>(in[i]) << (8 * i);
  return value;
}

// The name is part of it, so that a file copied over another one is found out.
uint32_t Checksum(std::string_view name, std::span<const std::byte> contents) {
  return Crc32c(contents, Crc32c(std::as_bytes(std::span(name))));
}

std::array<std::byte, kHeaderSize> MakeHeader(std::string_view name,
                                              std::span<const std::byte> contents) {
  std::array<std::byte, kHeaderSize> header;
  std::ranges::copy(std::as_bytes(std::span(kMagic)), header.begin());
  PutNumber(&header[8], contents.size(), 8);
  PutNumber(&header[16], Checksum(name, contents), 4);
  return header;
}

// 0, or what went wrong.
int WriteAll(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t n = Retrying([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (n < 0) return errno;
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return 0;
}

// 0, or what went wrong; EFBIG for more than `max` bytes.
int ReadAll(int fd, std::vector<std::byte>& out) {
  struct stat info = {};
  if (::fstat(fd, &info) != 0) return errno;
  out.resize(static_cast<size_t>(info.st_size));
  size_t have = 0;
  while (have < out.size()) {
    ssize_t n = Retrying([&] { return ::read(fd, out.data() + have, out.size() - have); });
    if (n < 0) return errno;
    if (n == 0) break;
    have += static_cast<size_t>(n);
  }
  out.resize(have);
  return 0;
}

std::string HolderOf(int lock_fd) {
  char text[32] = "";
  ssize_t n = ::pread(lock_fd, text, sizeof text - 1, 0);
  int64_t pid = 0;
  if (n <= 0 || std::from_chars(text, text + n, pid).ec != std::errc() || pid <= 0) return "";
  return absl::StrCat(" (pid ", pid, ")");
}

}  // namespace

// What the threads of the pool use.
struct FileDataDirectory::Files {
  std::string path;
  OwnFd directory;
  OwnFd lock;

  // Throws; the old contents are then still there, or, if the very last step failed, perhaps the
  // new.
  void Replace(const std::string& name, std::span<const std::byte> contents) const {
    const std::string temporary = absl::StrCat(name, std::string(kTemporary));
    int error = WriteTemporary(temporary, name, contents);
    if (error == 0 &&
        ::renameat(directory.get(), temporary.c_str(), directory.get(), name.c_str()) != 0) {
      error = errno;
    }
    if (error == 0 && ::fsync(directory.get()) != 0) error = errno;
    if (error == 0) return;
    ::unlinkat(directory.get(), temporary.c_str(), 0);
    kj::throwFatalException(SystemFailure(absl::StrCat("write ", path, "/", name), error));
  }

  int WriteTemporary(const std::string& temporary, const std::string& name,
                     std::span<const std::byte> contents) const {
    OwnFd fd(::openat(directory.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                      0600));
    if (!fd) return errno;
    int error = WriteAll(fd.get(), MakeHeader(name, contents));
    if (error == 0) error = WriteAll(fd.get(), contents);
    if (error == 0 && ::fdatasync(fd.get()) != 0) error = errno;
    if (error == 0 && ::close(fd.release()) != 0) error = errno;
    return error;
  }

  void RemoveTemporaries() const {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(path, ignored)) {
      std::string name = entry.path().filename().string();
      if (name.ends_with(kTemporary)) ::unlinkat(directory.get(), name.c_str(), 0);
    }
  }
};

absl::StatusOr<kj::Own<FileDataDirectory>> FileDataDirectory::Open(std::string path,
                                                                   UvEventPort& port) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return Failure(absl::StrCat("create data directory ", path), errno);
  }
  auto files = std::make_shared<Files>();
  files->path = path;
  files->directory.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!files->directory) return Failure(absl::StrCat("open data directory ", path), errno);
  files->lock.reset(::openat(files->directory.get(), "LOCK", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!files->lock) return Failure(absl::StrCat("open ", path, "/LOCK"), errno);
  const int lock = files->lock.get();
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return Failure(absl::StrCat("lock ", path, "/LOCK"), errno);
    return absl::FailedPreconditionError(
        absl::StrCat("data directory ", path, " is in use by another process", HolderOf(lock),
                     ": end it, or give this node a directory of its own"));
  }
  std::string pid = absl::StrCat(::getpid(), "\n");
  // For people only: what counts is the lock.
  if (::ftruncate(lock, 0) == 0) WriteAll(lock, std::as_bytes(std::span(pid)));
  files->RemoveTemporaries();
  return kj::heap<FileDataDirectory>(kj::Badge<FileDataDirectory>(), std::move(files), port);
}

FileDataDirectory::FileDataDirectory(kj::Badge<FileDataDirectory>, std::shared_ptr<Files> files,
                                     UvEventPort& port)
    : files_(std::move(files)), port_(port) {}

FileDataDirectory::~FileDataDirectory() noexcept(false) = default;

uint64_t FileDataDirectory::Birth() const {
  struct statx info = {};
  const int done = ::statx(files_->directory.get(), "", AT_EMPTY_PATH, STATX_BTIME, &info);
  if (done != 0 || (info.stx_mask & STATX_BTIME) == 0 || info.stx_btime.tv_sec <= 0) return 0;
  return static_cast<uint64_t>(info.stx_btime.tv_sec) * 1'000'000'000 + info.stx_btime.tv_nsec;
}

absl::StatusOr<std::optional<std::vector<std::byte>>> FileDataDirectory::Read(
    std::string_view name) {
  if (!IsName(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a record name: \"", std::string(name), "\""));
  }
  const std::string file = absl::StrCat(files_->path, "/", std::string(name));
  OwnFd fd(::openat(files_->directory.get(), std::string(name).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) return Failure(absl::StrCat("open ", file), errno);
  std::vector<std::byte> bytes;
  if (int error = ReadAll(fd.get(), bytes)) return Failure(absl::StrCat("read ", file), error);

  if (bytes.size() < kHeaderSize ||
      !std::ranges::equal(std::span(bytes).first(8), std::as_bytes(std::span(kMagic)))) {
    return absl::DataLossError(absl::StrCat(file, " does not begin as a record does"));
  }
  const uint64_t length = GetNumber(&bytes[8], 8);
  const uint64_t checksum = GetNumber(&bytes[16], 4);
  bytes.erase(bytes.begin(), bytes.begin() + kHeaderSize);
  if (length != bytes.size()) {
    return absl::DataLossError(
        absl::StrCat(file, ": expected ", length, " bytes, got ", bytes.size()));
  }
  if (checksum != Checksum(name, bytes)) {
    return absl::DataLossError(absl::StrCat(file, ": the checksum does not match the contents"));
  }
  return bytes;
}

kj::Promise<void> FileDataDirectory::Write(std::string_view name, std::vector<std::byte> contents) {
  if (!IsName(name)) {
    return KJ_EXCEPTION(FAILED, "not a record name", std::string(name).c_str());
  }
  std::unique_ptr<Queue>& queue = queues_[std::string(name)];
  if (queue == nullptr) queue = std::make_unique<Queue>();
  if (queue->waiting.size() >= kWritesMax) {
    return KJ_EXCEPTION(OVERLOADED, "too many writes wait for one record",
                        std::string(name).c_str());
  }
  auto paf = kj::newPromiseAndFulfiller<void>();
  const bool idle = queue->waiting.empty();
  queue->waiting.push_back({std::move(contents), kj::mv(paf.fulfiller)});
  if (idle) queue->running = RunQueue(std::string(name), *queue).eagerlyEvaluate(nullptr);
  return kj::mv(paf.promise);
}

// Writes what waits, one after the other; an element leaves the queue when it is done.
kj::Promise<void> FileDataDirectory::RunQueue(std::string name, Queue& queue) {
  auto work = [files = files_, name, contents = std::move(queue.waiting.front().contents)]() {
    files->Replace(name, contents);
  };
  kj::Promise<void> done = port_.Offload(kj::mv(work));
  auto finish = [&queue](auto settle) {
    kj::Own<kj::PromiseFulfiller<void>> result = kj::mv(queue.waiting.front().result);
    queue.waiting.pop_front();
    settle(*result);
  };
  return done
      .then(
          [finish]() { finish([](auto& result) { result.fulfill(); }); },
          [finish](kj::Exception&& e) { finish([&e](auto& result) { result.reject(kj::mv(e)); }); })
      .then([this, name = std::move(name), &queue]() -> kj::Promise<void> {
        if (queue.waiting.empty()) return kj::READY_NOW;
        return RunQueue(name, queue);
      });
}

}  // namespace troupe
