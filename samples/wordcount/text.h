// Text: the words of real files, and what coreutils counts in them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

// A word is a run of letters A to Z, in lower case: what `tr -cs A-Za-z '\n' | tr A-Z a-z` gives.
absl::StatusOr<std::vector<std::string>> ReadWords(const std::vector<std::string>& files);

// The same by tr, sort and uniq -c, as a second opinion.
absl::StatusOr<std::map<std::string, uint64_t>> CountByCoreutils(
    const std::vector<std::string>& files);

// Regular files below `directory`, sorted.
std::vector<std::string> FilesIn(const std::string& directory);
