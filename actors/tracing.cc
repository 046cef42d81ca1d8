#include "troupe/actors/tracing.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/json_text.h"
#include "troupe/runtime/thread_name.h"

namespace troupe {
namespace {

constexpr size_t kLength = 55;  // 00-<32>-<16>-<2>

// Of lower-case hex digits only, as the specification wants them.
std::optional<uint64_t> Hex(std::string_view digits) {
  uint64_t out = 0;
  for (const char c : digits) {
    if (c >= '0' && c <= '9') {
      out = out << 4 | static_cast<uint64_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      out = out << 4 | static_cast<uint64_t>(c - 'a' + 10);
    } else {
      return std::nullopt;
    }
  }
  return out;
}

uint64_t NewSpan(Random& random) {
  for (;;) {
    if (const uint64_t id = random.Next(); id != 0) return id;
  }
}

std::string TraceId(const Id128& id) { return absl::StrFormat("%016x%016x", id.hi, id.lo); }
std::string SpanId(uint64_t id) { return absl::StrFormat("%016x", id); }

int64_t Microseconds(absl::Duration duration) { return absl::ToInt64Microseconds(duration); }

}  // namespace

std::optional<TraceContext> TraceContext::Parse(std::string_view text) {
  if (text.size() < kLength || text[2] != '-' || text[35] != '-' || text[52] != '-') {
    return std::nullopt;
  }
  const auto version = Hex(text.substr(0, 2));
  if (!version || *version == 0xff) return std::nullopt;
  if (*version == 0 ? text.size() != kLength : text.size() > kLength && text[kLength] != '-') {
    return std::nullopt;
  }
  const auto hi = Hex(text.substr(3, 16)), lo = Hex(text.substr(19, 16));
  const auto parent = Hex(text.substr(36, 16)), flags = Hex(text.substr(53, 2));
  if (!hi || !lo || !parent || !flags) return std::nullopt;
  if ((*hi == 0 && *lo == 0) || *parent == 0) return std::nullopt;
  return TraceContext{{*hi, *lo}, *parent, (*flags & 1) != 0};
}

std::string TraceContext::ToString() const {
  return absl::StrCat("00-", TraceId(trace), "-", SpanId(parent), sampled ? "-01" : "-00");
}

std::string NewTraceparent(Random& random) {
  return TraceContext{{NewSpan(random), NewSpan(random)}, NewSpan(random), true}.ToString();
}

// ---- The interceptor

void Tracing::Before(CallInfo& call) {
  auto context = TraceContext::Parse(call.received.Find(kTraceparent));
  if (!context || !context->sampled) return;
  context->parent = NewSpan(*call.random);
  call.metadata = call.metadata.With(kTraceparent, context->ToString());
}

void Tracing::After(const CallInfo& call, const CallResult& result) {
  const auto caller = TraceContext::Parse(call.received.Find(kTraceparent));
  const auto own = TraceContext::Parse(call.metadata.Find(kTraceparent));
  if (!caller || !caller->sampled || !own || result.moved) return;
  const absl::Time end = call.arrived + result.queued + result.ran + result.held;
  std::string line = absl::StrCat(
      "{\"traceId\":\"", TraceId(own->trace), "\",\"spanId\":\"", SpanId(own->parent),
      "\",\"parentSpanId\":\"", SpanId(caller->parent), "\",\"name\":", QuotedJson(call.method),
      ",\"kind\":\"SPAN_KIND_SERVER\",\"startTimeUnixNano\":\"", absl::ToUnixNanos(call.arrived),
      "\",\"endTimeUnixNano\":\"", absl::ToUnixNanos(end), "\"");
  absl::StrAppend(&line, ",\"attributes\":{\"troupe.actor\":",
                  QuotedJson(absl::StrCat(call.type, "/", call.actor.key)),
                  ",\"troupe.node\":", QuotedJson(call.node),
                  ",\"troupe.queued_us\":", Microseconds(result.queued),
                  ",\"troupe.ran_us\":", Microseconds(result.ran),
                  ",\"troupe.held_us\":", Microseconds(result.held), "}");
  if (result.error != nullptr) {
    absl::StrAppend(&line, ",\"status\":{\"code\":\"STATUS_CODE_ERROR\",\"message\":",
                    QuotedJson(Words(*result.error)), "}");
  }
  sink_->Write(line + "}");
}

// ---- The file

absl::StatusOr<std::unique_ptr<FileSpans>> FileSpans::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot write spans to ", path, ": ", std::strerror(errno)));
  }
  return std::unique_ptr<FileSpans>(new FileSpans(fd));
}

FileSpans::FileSpans(int fd) : fd_(fd), thread_([this] { Run(); }) {}

FileSpans::~FileSpans() {
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
  }
  some_.notify_one();
  thread_.join();
  close(fd_);
}

void FileSpans::Write(std::string line) {
  {
    std::lock_guard lock(mutex_);
    if (waiting_.size() >= kSpansWaitingMax) {
      ++dropped_;
      return;
    }
    waiting_.push_back(std::move(line));
  }
  some_.notify_one();
}

void FileSpans::Run() {
  SetThreadName("trace");
  uint64_t told = 0;
  for (bool last = false; !last;) {
    std::deque<std::string> lines;
    {
      std::unique_lock lock(mutex_);
      some_.wait(lock, [this] { return ended_ || !waiting_.empty(); });
      lines.swap(waiting_);
      last = ended_;
    }
    std::string text;
    for (const auto& line : lines) absl::StrAppend(&text, line, "\n");
    if (const uint64_t dropped = dropped_; dropped != told) {
      absl::StrAppend(&text, "{\"droppedSpansCount\":", dropped - told, "}\n");
      told = dropped;
    }
    WriteAll(text);
  }
}

// What a full disk does not take is dropped, and counted.
void FileSpans::WriteAll(const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t written = write(fd_, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      ++dropped_;
      return;
    }
    done += static_cast<size_t>(written);
  }
}

}  // namespace troupe
