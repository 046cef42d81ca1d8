#include "troupe/runtime/log.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>

namespace troupe {

namespace {

const char* Mark(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug  ";
    case LogLevel::kInfo:
      return "info   ";
    case LogLevel::kWarning:
      return "WARNING";
    case LogLevel::kError:
      return "ERROR  ";
  }
  return "?";
}

bool NeedsQuotes(std::string_view value) {
  if (value.empty()) return true;
  for (unsigned char c : value) {
    if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) return true;
  }
  return false;
}

// Control characters are escaped, so that a value from the network cannot forge a line.
void AppendValue(std::string& line, std::string_view value) {
  if (!NeedsQuotes(value)) {
    line += value;
    return;
  }
  line += '"';
  for (unsigned char c : value) {
    if (c == '"' || c == '\\') {
      line += '\\';
      line += static_cast<char>(c);
    } else if (c == '\n') {
      line += "\\n";
    } else if (c < ' ' || c == 0x7f) {
      char escaped[5];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", c);
      line += escaped;
    } else {
      line += static_cast<char>(c);
    }
  }
  line += '"';
}

class StandardError final : public LogSink {
 public:
  bool Wants(LogLevel level) const override {
    return level >= least_.load(std::memory_order_relaxed);
  }

  void Write(LogLevel level, std::string_view node, std::string_view event,
             std::initializer_list<LogField> fields) override {
    const std::chrono::duration<double> age = std::chrono::steady_clock::now() - start_;
    char time[32];
    std::snprintf(time, sizeof time, "%10.3f ", age.count());
    std::string line = time;
    line += Mark(level);
    for (std::string_view part : {node, event}) {
      line += ' ';
      line += part;
    }
    for (const LogField& field : fields) {
      line += ' ';
      line += field.key;
      line += '=';
      AppendValue(line, field.value);
    }
    line += '\n';
    // One call a line, so that lines of several threads do not mix. What cannot be written is lost.
    while (::write(STDERR_FILENO, line.data(), line.size()) < 0 && errno == EINTR) {
    }
  }

  void SetLeast(LogLevel least) { least_.store(least, std::memory_order_relaxed); }

 private:
  std::atomic<LogLevel> least_{LogLevel::kInfo};
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Never destroyed: threads may log until the very end of the process.
StandardError& Sink() {
  static StandardError* sink = new StandardError;
  return *sink;
}

}  // namespace

LogSink& StandardErrorLog() { return Sink(); }

void SetStandardErrorLogLevel(LogLevel least) { Sink().SetLeast(least); }

}  // namespace troupe
