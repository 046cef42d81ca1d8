#include "troupe/rpc/frame_stream.h"

#include <algorithm>
#include <cstring>

namespace troupe {
namespace {

constexpr size_t kChunkBytes = 64 << 10;
constexpr size_t kPrefixBytes = 16;
constexpr size_t kWord = sizeof(capnp::word);
constexpr int kFramesAtOnce = 16;  // Handled before the loop has a look at what else there is.
constexpr double kClockDrift =
    500e-6;  // Of two clocks against each other; quartz has a tenth of it.

struct Prefix {
  uint32_t header_words;
  uint32_t payload_words;
  uint16_t kind;
  uint16_t zero;
  uint32_t sent_ms;
};
static_assert(sizeof(Prefix) == kPrefixBytes);

}  // namespace

FrameStream::FrameStream(kj::Own<kj::AsyncIoStream> stream, Clock& clock)
    : stream_(kj::mv(stream)),
      clock_(clock),
      flushing_(kj::Promise<void>(kj::READY_NOW).fork()),
      chunk_(kj::atomicRefcounted<ReadChunk>(kChunkBytes / kWord)) {}

FrameStream::~FrameStream() noexcept(false) = default;

void FrameStream::Append(const void* data, size_t bytes) {
  auto* from = static_cast<const kj::byte*>(data);
  gathering_.insert(gathering_.end(), from, from + bytes);
}

void FrameStream::AppendMessage(capnp::MessageBuilder& message) {
  auto segments = message.getSegmentsForOutput();
  const uint32_t last = static_cast<uint32_t>(segments.size()) - 1;
  Append(&last, 4);
  for (auto segment : segments) {
    const uint32_t words = static_cast<uint32_t>(segment.size());
    Append(&words, 4);
  }
  if (segments.size() % 2 == 0) {
    const uint32_t padding = 0;
    Append(&padding, 4);
  }
  for (auto segment : segments) Append(segment.begin(), segment.size() * kWord);
}

void FrameStream::BeginFrame(uint16_t kind, size_t header_words, size_t payload_words) {
  KJ_REQUIRE((header_words + payload_words) * kWord <= kFrameBytesMax, "frame over the size limit",
             kind, header_words, payload_words);
  const absl::Time now = clock_.Now();
  if (first_sent_ == absl::InfinitePast()) first_sent_ = now;
  const Prefix prefix{static_cast<uint32_t>(header_words), static_cast<uint32_t>(payload_words),
                      kind, 0, static_cast<uint32_t>(absl::ToInt64Milliseconds(now - first_sent_))};
  Append(&prefix, sizeof prefix);
}

void FrameStream::Send(uint16_t kind, capnp::MessageBuilder& header,
                       kj::ArrayPtr<const capnp::word> payload) {
  if (broken_) return;
  BeginFrame(kind, capnp::computeSerializedSizeInWords(header), payload.size());
  AppendMessage(header);
  Append(payload.begin(), payload.size() * kWord);
  ScheduleFlush();
}

void FrameStream::Send(uint16_t kind, capnp::MessageBuilder& header,
                       capnp::MessageBuilder& payload) {
  if (broken_) return;
  BeginFrame(kind, capnp::computeSerializedSizeInWords(header),
             capnp::computeSerializedSizeInWords(payload));
  AppendMessage(header);
  AppendMessage(payload);
  ScheduleFlush();
}

void FrameStream::SendPreamble(kj::ArrayPtr<const kj::byte> preamble) {
  Append(preamble.begin(), preamble.size());
  ScheduleFlush();
}

void FrameStream::ScheduleFlush() {
  if (flush_scheduled_) return;
  flush_scheduled_ = true;
  // After whatever else this turn of the loop wants to send.
  flushing_ = flushing_.addBranch()
                  .then([this] { return kj::evalLast([this] { return Flush(); }); })
                  .catch_([this](kj::Exception&&) {
                    broken_ = true;  // The reading side reports why.
                    gathering_.clear();
                    writing_.clear();
                  })
                  .fork();
  // Runs by itself; only the newest branch is kept, and it includes the earlier ones.
}

kj::Promise<void> FrameStream::Flush() {
  flush_scheduled_ = false;
  if (broken_ || gathering_.empty()) return kj::READY_NOW;
  writing_.swap(gathering_);
  return stream_->write(writing_.data(), writing_.size()).then([this] {
    if (writing_.capacity() > kBacklogPause) std::vector<kj::byte>().swap(writing_);
    writing_.clear();
  });
}

kj::Promise<void> FrameStream::Flushed() { return flushing_.addBranch(); }

void FrameStream::EnsureRoom(size_t frame_words) {
  const size_t tail = filled_bytes_ - parsed_bytes_;
  const size_t wanted = std::max(frame_words * kWord, kPrefixBytes);
  const size_t capacity = chunk_->words().size() * kWord;
  if (capacity - parsed_bytes_ >= wanted && capacity > filled_bytes_) return;
  // Start a new chunk, aligned at the frame; frames handed out keep the old one alive.
  auto fresh =
      kj::atomicRefcounted<ReadChunk>(std::max(kChunkBytes, wanted + kPrefixBytes) / kWord);
  std::memcpy(fresh->words().begin(),
              reinterpret_cast<const kj::byte*>(chunk_->words().begin()) + parsed_bytes_, tail);
  chunk_ = kj::mv(fresh);
  parsed_bytes_ = 0;
  filled_bytes_ = tail;
}

// The sender's milliseconds wrap around after 49 days, and its clock need not go as fast as ours:
// differences are taken modulo 2^32, and the baseline follows a slower sender by kClockDrift.
absl::Duration FrameStream::TransitOf(uint32_t sent_ms) {
  const absl::Time now = clock_.Now();
  if (first_received_ == absl::InfinitePast()) {
    first_received_ = judged_ = now;
    least_lag_ms_ = 0 - sent_ms;
  }
  const auto received_ms = static_cast<uint32_t>(absl::ToInt64Milliseconds(now - first_received_));
  const auto drift_ms = absl::ToInt64Milliseconds((now - judged_) * kClockDrift);
  if (drift_ms > 0) {
    least_lag_ms_ += static_cast<uint32_t>(drift_ms);
    judged_ = now;
  }
  const uint32_t lag_ms = received_ms - sent_ms;
  const auto late_ms = static_cast<int32_t>(lag_ms - least_lag_ms_);
  if (late_ms >= 0) return absl::Milliseconds(late_ms);
  least_lag_ms_ = lag_ms;
  return absl::ZeroDuration();
}

kj::Own<Frame> FrameStream::NextFrame(size_t bytes_max) {
  const size_t available = filled_bytes_ - parsed_bytes_;
  if (available < kPrefixBytes) {
    EnsureRoom(0);
    return {};
  }
  auto* base = reinterpret_cast<const kj::byte*>(chunk_->words().begin()) + parsed_bytes_;
  Prefix prefix;
  std::memcpy(&prefix, base, sizeof prefix);
  const uint64_t words = uint64_t{prefix.header_words} + prefix.payload_words;
  KJ_REQUIRE(prefix.header_words > 0 && words * kWord <= bytes_max,
             "not a frame, or one over the size limit", prefix.header_words, prefix.payload_words,
             bytes_max);
  if (available < kPrefixBytes + words * kWord) {
    EnsureRoom(words + kPrefixBytes / kWord);
    return {};
  }
  auto* body = reinterpret_cast<const capnp::word*>(base + kPrefixBytes);
  const absl::Duration transit = TransitOf(prefix.sent_ms);
  parsed_bytes_ += kPrefixBytes + words * kWord;
  return kj::heap<Frame>(prefix.kind, transit, kj::atomicAddRef(*chunk_),
                         kj::arrayPtr(body, prefix.header_words),
                         kj::arrayPtr(body + prefix.header_words, prefix.payload_words));
}

kj::Promise<void> FrameStream::ReadMore() {
  if (parsed_bytes_ == filled_bytes_ && !chunk_->isShared()) {
    parsed_bytes_ = filled_bytes_ = 0;  // Nobody looks at the chunk: use it again.
  }
  EnsureRoom(0);
  auto* base = reinterpret_cast<kj::byte*>(chunk_->words().begin());
  const size_t room = chunk_->words().size() * kWord - filled_bytes_;
  return stream_->tryRead(base + filled_bytes_, 1, room).then([this](size_t bytes) {
    if (bytes == 0) {
      KJ_REQUIRE(filled_bytes_ == parsed_bytes_, "the stream ended within a frame");
      kj::throwFatalException(KJ_EXCEPTION(DISCONNECTED, "end of stream"));
    }
    filled_bytes_ += bytes;
  });
}

kj::Promise<kj::Own<Frame>> FrameStream::ReadOne(size_t bytes_max) {
  auto frame = NextFrame(bytes_max);
  if (frame.get() != nullptr) return kj::mv(frame);
  return ReadMore().then([this, bytes_max] { return ReadOne(bytes_max); });
}

kj::Promise<void> FrameStream::ReadLoop(FrameSink& sink) {
  // A peer that does not read its answers is not read from either; of what has been read, a few
  // frames at a time, as the answers to many small ones can be large.
  for (int taken = 0; taken < kFramesAtOnce && backlog() <= kBacklogPause; ++taken) {
    auto frame = NextFrame(kFrameBytesMax);
    if (frame.get() == nullptr) {
      return ReadMore().then([this, &sink] { return ReadLoop(sink); });
    }
    sink.OnFrame(kj::mv(frame));
  }
  auto ready = backlog() > kBacklogPause ? Flushed() : kj::evalLater([] {});
  return ready.then([this, &sink] { return ReadLoop(sink); });
}

kj::Promise<void> FrameStream::Run(FrameSink& sink) {
  return kj::evalNow([this, &sink] { return ReadLoop(sink); })
      .catch_([](kj::Exception&& e) -> kj::Promise<void> {
        if (e.getType() == kj::Exception::Type::DISCONNECTED &&
            e.getDescription() == "end of stream") {
          return kj::READY_NOW;
        }
        return kj::mv(e);
      });
}

}  // namespace troupe
