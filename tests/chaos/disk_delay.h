// DiskDelay: makes the disk of another process slow.
//
// That process has disk_delay.cc in its program, which takes the place of libc's fsync and
// fdatasync, and the path of a small file in its environment (kDiskDelayVariable). Both map the
// file; it holds one number: how many milliseconds each flush takes longer.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

inline constexpr char kDiskDelayVariable[] = "CHAOS_DISK_DELAY";

class DiskDelay {
 public:
  explicit DiskDelay(const std::string& path);  // Creates the file. Throws std::runtime_error.
  ~DiskDelay();
  DiskDelay(const DiskDelay&) = delete;
  DiskDelay& operator=(const DiskDelay&) = delete;

  void Set(uint32_t milliseconds) { *milliseconds_ = milliseconds; }

 private:
  std::atomic<uint32_t>* milliseconds_;
};
