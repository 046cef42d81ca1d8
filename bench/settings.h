// BenchSettings: what the command line says about how to measure.
#pragma once

#include <cstdint>
#include <string>

enum class Length {
  kFull,
  kQuick
};  // Quick: to see that it works; its figures are not to be quoted.

struct BenchSettings {
  Length length = Length::kFull;
  int kills = 50;
  uint64_t seed = 0;      // Of whom to kill, and when.
  std::string programs;   // The folder with the programs of the build.
  std::string directory;  // For logs; removed at the end.
};
