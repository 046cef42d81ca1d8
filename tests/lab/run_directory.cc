#include "run_directory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

namespace {

namespace fs = std::filesystem;

constexpr char kPlace[] = "/tmp";
constexpr char kLock[] = "/lock";

}  // namespace

RunDirectory::RunDirectory(const std::string& prefix) {
  Sweep(prefix);
  path_ = std::string(kPlace) + "/" + prefix + "XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) {
    throw std::runtime_error("cannot make a directory in " + std::string(kPlace));
  }
  lock_ = open((path_ + kLock).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_ < 0 || flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    throw std::runtime_error("cannot lock " + path_);
  }
}

RunDirectory::~RunDirectory() {
  std::error_code ignored;
  if (!kept_) fs::remove_all(path_, ignored);
  close(lock_);
}

void RunDirectory::Keep() {
  kept_ = true;
  unlink((path_ + kLock).c_str());  // What has no lock is nobody's to sweep.
}

void RunDirectory::Sweep(const std::string& prefix) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(kPlace, ignored)) {
    const std::string path = entry.path().string();
    if (entry.path().filename().string().rfind(prefix, 0) != 0) continue;
    const int lock = open((path + kLock).c_str(), O_RDWR | O_CLOEXEC);
    if (lock < 0) continue;
    if (flock(lock, LOCK_EX | LOCK_NB) == 0) fs::remove_all(path, ignored);
    close(lock);
  }
}
