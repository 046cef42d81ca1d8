#include "troupe/runtime/sim_log.h"

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_format.h"

namespace troupe {

SimLog::SimLog(LogLevel least, size_t lines_max, kj::Function<absl::Time()> now)
    : least_(least), lines_max_(lines_max), now_(kj::mv(now)) {
  const char* trace = std::getenv("TROUPE_SIM_TRACE");
  print_ = trace != nullptr && std::string_view(trace) == "1";
}

void SimLog::Write(LogLevel level, std::string_view node, std::string_view event,
                   std::initializer_list<LogField> fields) {
  std::string line =
      absl::StrFormat("%12.6f %c %s %s", absl::ToUnixNanos(now_()) * 1e-9,
                      "DIWE"[static_cast<int>(level)], std::string(node), std::string(event));
  for (const LogField& field : fields) {
    line.append(" ").append(field.key).append("=").append(field.value);
  }
  if (print_) std::fprintf(stderr, "%s\n", line.c_str());
  lines_.push_back(std::move(line));
  if (lines_.size() > lines_max_) lines_.pop_front();
}

bool SimLog::Contains(std::string_view text) const {
  for (const std::string& line : lines_) {
    if (line.find(text) != std::string::npos) return true;
  }
  return false;
}

}  // namespace troupe
