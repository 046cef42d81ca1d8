// Log: one line an event, key=value, with the node's name and the time since its start.
//
// A Log is a cheap value that borrows its sink; sinks are thread-safe. Events are short sentences
// in the present or past tense ("member suspected"), fields carry what varies.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace troupe {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogField {
  template <typename T>
  LogField(std::string_view k, const T& v) : key(k), value(absl::StrCat(v)) {}
  LogField(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  std::string_view key;
  std::string value;
};

// Where lines go. Implementations are thread-safe and never throw.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual bool Wants(LogLevel level) const = 0;
  virtual void Write(LogLevel level, std::string_view node, std::string_view event,
                     std::initializer_list<LogField> fields) = 0;
};

// Standard error, `format` as "time level node event key=value ...". Values with blanks are quoted.
LogSink& StandardErrorLog();
void SetStandardErrorLogLevel(LogLevel least);

class Log {
 public:
  Log(LogSink& sink, std::string node) : sink_(&sink), node_(std::move(node)) {}

  void Debug(std::string_view event, std::initializer_list<LogField> fields = {}) const {
    Write(LogLevel::kDebug, event, fields);
  }
  void Info(std::string_view event, std::initializer_list<LogField> fields = {}) const {
    Write(LogLevel::kInfo, event, fields);
  }
  void Warning(std::string_view event, std::initializer_list<LogField> fields = {}) const {
    Write(LogLevel::kWarning, event, fields);
  }
  void Error(std::string_view event, std::initializer_list<LogField> fields = {}) const {
    Write(LogLevel::kError, event, fields);
  }
  bool debug_enabled() const { return sink_->Wants(LogLevel::kDebug); }

 private:
  void Write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) const {
    if (sink_->Wants(level)) sink_->Write(level, node_, event, fields);
  }
  LogSink* sink_;
  std::string node_;
};

}  // namespace troupe
