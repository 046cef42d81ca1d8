// FrameStream: frames (wire.capnp) over any kj::AsyncIoStream, read ahead and written corked.
//
// Single loop. Sends never block: frames gather in a buffer that is written once, just before the
// loop sleeps; while a write is under way the next buffer gathers. Received frames alias a
// reference-counted read chunk and may outlive the stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "capnp/message.h"
#include "capnp/serialize.h"
#include "kj/async-io.h"
#include "kj/async.h"
#include "kj/refcount.h"
#include "troupe/runtime/clock.h"

namespace troupe {

inline constexpr size_t kFrameBytesMax = 16 << 20;  // Larger content goes in chunks or is refused.
inline constexpr size_t kBacklogPause = 8 << 20;    // Unwritten bytes above which reading pauses.

// Bytes that frames alias; freed with the last of them.
class ReadChunk : public kj::AtomicRefcounted {
 public:
  explicit ReadChunk(size_t words) : words_(kj::heapArray<capnp::word>(words)) {}
  kj::ArrayPtr<capnp::word> words() { return words_; }

 private:
  kj::Array<capnp::word> words_;
};

// One received frame. Movable between threads with the bytes it aliases; read on one at a time.
class Frame {
 public:
  // How often a header may be read over: a short one that claims long lists is found out.
  static constexpr size_t kReadingsMax = 8;

  Frame(uint16_t kind, absl::Duration transit, kj::Own<ReadChunk> chunk,
        kj::ArrayPtr<const capnp::word> header, kj::ArrayPtr<const capnp::word> payload)
      : kind_(kind),
        transit_(transit),
        chunk_(kj::mv(chunk)),
        payload_(payload),
        header_(header, {.traversalLimitInWords = kReadingsMax * header.size() + 1024}) {}

  uint16_t kind() const { return kind_; }

  // Time that the frame spent under way beyond what the fastest before it needed: waiting in
  // buffers counts against a call's deadline.
  absl::Duration transit() const { return transit_; }

  // Throws kj::Exception when the bytes are not a message with such a root; FrameStream turns that
  // into the end of the link.
  template <typename T>
  typename T::Reader header() {
    return header_.getRoot<T>();
  }

  // A whole Cap'n Proto message in standard framing; empty if there is none.
  kj::ArrayPtr<const capnp::word> payload() const { return payload_; }

  // Lets the bytes live on by themselves.
  kj::Own<ReadChunk> ShareBytes() { return kj::atomicAddRef(*chunk_); }

 private:
  uint16_t kind_;
  absl::Duration transit_;
  kj::Own<ReadChunk> chunk_;
  kj::ArrayPtr<const capnp::word> payload_;
  capnp::FlatArrayMessageReader header_;
};

// Receives what arrives on a stream. Exceptions thrown by OnFrame end the stream.
class FrameSink {
 public:
  virtual void OnFrame(kj::Own<Frame> frame) = 0;

 protected:
  ~FrameSink() = default;
};

class FrameStream {
 public:
  FrameStream(kj::Own<kj::AsyncIoStream> stream, Clock& clock);
  ~FrameStream() noexcept(false);
  KJ_DISALLOW_COPY(FrameStream);

  // Both copy into the send buffer. `payload` is a whole message in standard framing, or empty.
  // What is sent after the stream broke is dropped; Run() tells.
  void Send(uint16_t kind, capnp::MessageBuilder& header,
            kj::ArrayPtr<const capnp::word> payload = nullptr);
  void Send(uint16_t kind, capnp::MessageBuilder& header, capnp::MessageBuilder& payload);
  void SendPreamble(kj::ArrayPtr<const kj::byte> preamble);

  size_t backlog() const { return gathering_.size() + writing_.size(); }  // Bytes not yet written.

  // Reads until the end of the stream: resolves at a clean EOF, rejects DISCONNECTED when the
  // connection breaks, FAILED when what came is not a frame. One call at a time; `sink` outlives
  // it.
  kj::Promise<void> Run(FrameSink& sink);
  // Reads just one frame, of that size at most; for the hello.
  kj::Promise<kj::Own<Frame>> ReadOne(size_t bytes_max);

  // Resolves when everything sent so far has been handed to the operating system.
  kj::Promise<void> Flushed();

 private:
  void BeginFrame(uint16_t kind, size_t header_words, size_t payload_words);
  void Append(const void* data, size_t bytes);
  void AppendMessage(capnp::MessageBuilder& message);
  void ScheduleFlush();
  kj::Promise<void> Flush();
  kj::Promise<void> ReadMore();
  kj::Own<Frame> NextFrame(size_t bytes_max);  // Null when more bytes are needed.
  void EnsureRoom(size_t frame_words);
  kj::Promise<void> ReadLoop(FrameSink& sink);

  kj::Own<kj::AsyncIoStream> stream_;
  Clock& clock_;

  std::vector<kj::byte> gathering_;
  std::vector<kj::byte> writing_;
  bool flush_scheduled_ = false;
  bool broken_ = false;
  absl::Time first_sent_ = absl::InfinitePast();
  kj::ForkedPromise<void> flushing_;

  kj::Own<ReadChunk> chunk_;
  size_t filled_bytes_ = 0;  // Of chunk_, from its start.
  size_t parsed_bytes_ = 0;
  absl::Duration TransitOf(uint32_t sent_ms);

  absl::Time first_received_ = absl::InfinitePast();
  uint32_t least_lag_ms_ = 0;  // Receiver's time less sender's, of the fastest frame.
  absl::Time judged_ = absl::InfinitePast();
};

}  // namespace troupe
