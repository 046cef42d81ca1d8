// Mutations: each rule of the protocol, switched off, is found out by trials of whole clusters.
//
// Prints a line for each: rule, seeds it took, which checker. TROUPE_SEEDS=N: at most so many;
// TROUPE_PREFIX=NAME: only trials that begin so. TROUPE_MUTATIONS=all: also those that trials need
// not find.
#include "mutations.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace troupe::sim {
namespace {

uint64_t SeedsMax() {
  const char* given = std::getenv("TROUPE_SEEDS");
  return given == nullptr ? 2000 : std::strtoull(given, nullptr, 10);
}

class MutationTest : public ::testing::TestWithParam<Mutation> {};

TEST_P(MutationTest, IsFoundOut) {
  const Mutation mutation = GetParam();
  if (mutation.found_by != FoundBy::kTrial && std::getenv("TROUPE_MUTATIONS") == nullptr) {
    std::printf("| %s | %s | - | | %s |\n", mutation.name.data(), mutation.rule.data(),
                mutation.second.data());
    return;
  }
  RunResult found;
  const uint64_t seeds = SeedsUntilFound(mutation, SeedsMax(), found);
  std::printf("| %s | %s | %s | %s | %s |\n", mutation.name.data(), mutation.rule.data(),
              seeds == 0 ? "-" : std::to_string(seeds).c_str(), found.checker.c_str(),
              found.prefix.c_str());
  std::printf("%s\n", found.problems.empty() ? "" : found.problems.front().substr(0, 300).c_str());
  if (mutation.found_by != FoundBy::kTrial) return;
  EXPECT_NE(seeds, 0u) << mutation.name << ", rule " << mutation.rule << ", was not found";
}

INSTANTIATE_TEST_SUITE_P(All, MutationTest, ::testing::ValuesIn(AllMutations()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace troupe::sim
