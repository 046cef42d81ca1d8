// RunDirectory: a directory in /tmp for one run of a program; removed at its end, unless kept.
//
// It is locked while the program lives. Whoever makes one removes those of programs that were
// killed. Throws std::runtime_error.
#pragma once

#include <string>

class RunDirectory {
 public:
  explicit RunDirectory(const std::string& prefix);  // "troupe-chaos-"
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  const std::string& path() const { return path_; }
  void Keep();  // For a person to look at: no later run removes it either.

 private:
  static void Sweep(const std::string& prefix);

  std::string path_;
  int lock_ = -1;
  bool kept_ = false;
};
