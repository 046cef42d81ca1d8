// Tracing: an interceptor that writes a span for each sampled call, by W3C Trace Context.
//
// A caller that wants its call traced adds `traceparent` (NewTraceparent) to its metadata with the
// sampled flag; each call of the trace then gets a span id of its own, which what its turn calls
// and tells hands on as their parent. Calls without one, or with one that is not sampled or
// malformed, are left as they are.
//
// Spans go to a SpanSink, one line of JSON each, with the names of OTLP. FileSpans writes them to a
// file by a thread of its own: it never holds up a loop, and when it cannot follow drops spans and
// writes how many.
//
// Threads: any. Errors: absl::Status, of the file.
// Sources: W3C Recommendation "Trace Context", 23 November 2021, www.w3.org/TR/trace-context/;
// OpenTelemetry protocol (OTLP) 1.3, opentelemetry/proto/trace/v1/trace.proto.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/statusor.h"
#include "troupe/actors/interceptor.h"

namespace troupe {

inline constexpr char kTraceparent[] = "traceparent";  // Key of a call's metadata.
inline constexpr size_t kSpansWaitingMax = 8192;       // Lines, of FileSpans; more are dropped.

// What a traceparent says, of version 00 or what a later one has in common with that.
struct TraceContext {
  Id128 trace;
  uint64_t parent = 0;  // Span id.
  bool sampled = false;

  static std::optional<TraceContext> Parse(std::string_view traceparent);
  std::string ToString() const;
  friend bool operator==(const TraceContext&, const TraceContext&) = default;
};

// Of a new trace, sampled, for a caller that is not traced itself.
std::string NewTraceparent(Random& random);

class SpanSink {
 public:
  virtual ~SpanSink() = default;
  virtual void Write(std::string line) = 0;  // Without its end.
};

class FileSpans final : public SpanSink {
 public:
  // Appends; makes the file if it is not there.
  static absl::StatusOr<std::unique_ptr<FileSpans>> Open(const std::string& path);
  ~FileSpans() override;  // What waits is written.
  void Write(std::string line) override;
  uint64_t dropped() const { return dropped_; }

 private:
  explicit FileSpans(int fd);
  void Run();
  void WriteAll(const std::string& text);

  const int fd_;
  std::mutex mutex_;
  std::condition_variable some_;
  std::deque<std::string> waiting_;  // By mutex_, as is:
  bool ended_ = false;
  std::atomic<uint64_t> dropped_ = 0;
  std::thread thread_;
};

class Tracing final : public Interceptor {
 public:
  explicit Tracing(std::shared_ptr<SpanSink> sink) : sink_(std::move(sink)) {}
  void Before(CallInfo& call) override;
  void After(const CallInfo& call, const CallResult& result) override;

 private:
  const std::shared_ptr<SpanSink> sink_;
};

}  // namespace troupe
