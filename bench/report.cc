#include "report.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

void Report::Begin(const std::string& heading) {
  std::printf("\n%s\n", heading.c_str());
  std::fflush(stdout);
}

void Report::Say(const std::string& text) {
  std::printf("  %s\n", text.c_str());
  std::fflush(stdout);
}

void Report::Add(Result result) {
  std::string verdict;
  if (result.target) {
    verdict = absl::StrFormat("<= %-5g %s", *result.target, result.met() ? "met" : "MISSED");
  }
  std::printf("  %-44s %10.4g %-8s %-14s %s\n", result.name.c_str(), result.value,
              result.unit.c_str(), verdict.c_str(), result.detail.c_str());
  std::fflush(stdout);
  results_.push_back(std::move(result));
}

bool Report::all_met() const {
  return std::all_of(results_.begin(), results_.end(), [](const auto& r) { return r.met(); });
}

std::string Report::Json() const {
  std::vector<std::string> parts;
  for (const auto& r : results_) {
    const std::string target = r.target ? absl::StrCat(*r.target) : "null";
    const std::string met = !r.target ? "null" : r.met() ? "true" : "false";
    parts.push_back(
        absl::StrFormat("{\"name\":\"%s\",\"value\":%.6g,\"unit\":\"%s\",\"target\":%s,\"met\":%s}",
                        r.name, r.value, r.unit, target, met));
  }
  return absl::StrCat("{\"results\":[", absl::StrJoin(parts, ","), "]}");
}
