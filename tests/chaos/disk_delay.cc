// What the node's program has in place of libc's fsync and fdatasync; see disk_delay.h.
#include "disk_delay.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>

namespace {

const std::atomic<uint32_t>* Mapped() {
  const char* path = std::getenv(kDiskDelayVariable);
  if (path == nullptr) return nullptr;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* at = mmap(nullptr, sizeof(uint32_t), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  return at == MAP_FAILED ? nullptr : static_cast<const std::atomic<uint32_t>*>(at);
}

void Delay() {
  static const std::atomic<uint32_t>* const milliseconds = Mapped();
  const uint32_t delay = milliseconds == nullptr ? 0 : milliseconds->load();
  timespec left{delay / 1000, static_cast<long>(delay % 1000) * 1'000'000};
  while (delay > 0 && nanosleep(&left, &left) != 0) {
  }
}

int Really(const char* name, int fd) {
  return reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, name))(fd);
}

}  // namespace

extern "C" int fsync(int fd) {
  Delay();
  return Really("fsync", fd);
}

extern "C" int fdatasync(int fd) {
  Delay();
  return Really("fdatasync", fd);
}
