// SimLog: the log lines of simulated nodes, with virtual time; keeps the last ones.
//
// With TROUPE_SIM_TRACE=1 in the environment every line goes to standard error too.
#pragma once

#include <deque>
#include <string>

#include "absl/time/time.h"
#include "kj/function.h"
#include "troupe/runtime/log.h"

namespace troupe {

class SimLog final : public LogSink {
 public:
  SimLog(LogLevel least, size_t lines_max, kj::Function<absl::Time()> now);
  ~SimLog() noexcept override {}

  bool Wants(LogLevel level) const override { return level >= least_; }
  void Write(LogLevel level, std::string_view node, std::string_view event,
             std::initializer_list<LogField> fields) override;

  const std::deque<std::string>& lines() const { return lines_; }
  bool Contains(std::string_view text) const;

 private:
  LogLevel least_;
  size_t lines_max_;
  kj::Function<absl::Time()> now_;
  bool print_;
  std::deque<std::string> lines_;
};

}  // namespace troupe
