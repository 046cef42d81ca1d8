#include "troupe/runtime/process_watch.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>
#include <string>
#include <utility>

#include "troupe/runtime/fd_watcher.h"
#include "troupe/runtime/internal/posix.h"

namespace troupe {

namespace {

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Ticks after boot, 0 if there is no such process.
uint64_t StartTime(int64_t pid) {
  std::string stat = ReadText(absl::StrCat("/proc/", pid, "/stat"));
  // The second field is the program's name in parentheses; it may hold blanks and parentheses.
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 22; ++field) fields >> skipped;
  uint64_t start_time = 0;
  fields >> start_time;
  return start_time;
}

uint64_t HashOfBootId() {
  std::string text = ReadText("/proc/sys/kernel/random/boot_id");
  if (text.empty()) return 0;
  uint64_t hash = 0xcbf29ce484222325ull;  // FNV-1a: every process must compute the same.
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3ull;
  return hash;
}

uint64_t OwnPidNamespace() {
  struct stat info = {};
  return ::stat("/proc/self/ns/pid", &info) == 0 ? info.st_ino : 0;
}

class ExitOp final : public FdWatcher::Observer {
 public:
  ExitOp(kj::PromiseFulfiller<void>& result, UvEventPort& port, OwnFd pidfd)
      : result_(result),
        fd_(std::move(pidfd)),
        watcher_(kj::heap<FdWatcher>(port, fd_.get(), *this)) {
    watcher_->Watch(FdWatcher::kReadable);
  }
  ~ExitOp() noexcept(false) { watcher_ = nullptr; }

 private:
  void OnFdReady(unsigned) override {
    watcher_->Watch(FdWatcher::kNone);
    result_.fulfill();
  }

  kj::PromiseFulfiller<void>& result_;
  OwnFd fd_;
  kj::Own<FdWatcher> watcher_;
};

}  // namespace

ProcessIdentity OwnProcess() {
  return {::getpid(), StartTime(::getpid()), OwnPidNamespace(), HashOfBootId()};
}

std::optional<kj::Promise<void>> WatchProcessExit(UvEventPort& port,
                                                  const ProcessIdentity& process) {
  if (process.pid <= 0 || process.pid > std::numeric_limits<pid_t>::max() ||
      process.start_time == 0 || process.boot_id_hash == 0 || process.pid_namespace == 0 ||
      process.boot_id_hash != HashOfBootId() || process.pid_namespace != OwnPidNamespace()) {
    return std::nullopt;
  }
  OwnFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(process.pid), 0)));
  if (!pidfd) return std::nullopt;
  // The number may belong to a newer process by now. Read after the pidfd was opened, the start
  // time tells which one it is.
  if (StartTime(process.pid) != process.start_time) return std::nullopt;
  return kj::newAdaptedPromise<void, ExitOp>(port, std::move(pidfd));
}

}  // namespace troupe
