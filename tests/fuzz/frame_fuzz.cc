// Frames of a peer that has said hello: cut as the bytes come, each header read as its kind says.
// The first byte of an input says in what portions the rest arrives.
#include <algorithm>

#include "fuzz.h"
#include "troupe/actors/call.h"
#include "troupe/actors/ref_message.h"
#include "troupe/actors/replica_codec.h"
#include "troupe/rpc/link.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/sim_world.h"

namespace troupe {
namespace {

// Gives `bytes` in portions; swallows what is written.
class FixedStream final : public kj::AsyncIoStream {
 public:
  FixedStream(kj::ArrayPtr<const kj::byte> bytes, size_t portion)
      : bytes_(bytes), portion_(portion) {}

  kj::Promise<size_t> tryRead(void* buffer, size_t, size_t max) override {
    const size_t n = std::min({max, portion_, bytes_.size()});
    std::copy_n(bytes_.begin(), n, static_cast<kj::byte*>(buffer));
    bytes_ = bytes_.slice(n, bytes_.size());
    return n;
  }
  kj::Promise<void> write(const void*, size_t) override { return kj::READY_NOW; }
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>>) override {
    return kj::READY_NOW;
  }
  kj::Promise<void> whenWriteDisconnected() override { return kj::NEVER_DONE; }
  void shutdownWrite() override {}

 private:
  kj::ArrayPtr<const kj::byte> bytes_;
  size_t portion_;
};

// Reads each header as what its kind says it is; what is wrong with it is an exception.
class HeaderReader final : public FrameSink {
 public:
  explicit HeaderReader(Clock& clock) : clock_(clock) {}

  void OnFrame(kj::Own<Frame> frame) override {
    ++frames;
    switch (frame->kind()) {
      case wire::KIND_HELLO: {
        const auto hello = Decode(frame->header<wire::Hello>());
        Judge(Introduction(), hello, 1, 1);
        break;
      }
      case wire::KIND_CALL: {
        const auto header = DecodeCall(frame->header<wire::CallFrame>());
        ArgumentHash(header.interface_id, header.method_id, Payload::Copy(frame->payload()));
        CheckMessage(frame->payload());
        break;
      }
      case wire::KIND_ANSWER: {
        auto answer = frame->header<wire::AnswerFrame>();
        if (answer.isFailure()) DecodeFailure(answer.getFailure());
        if (answer.isResults()) CheckMessage(frame->payload());
        break;
      }
      case wire::KIND_REPLICA:
        for (auto message : frame->header<wire::ReplicaFrame>().getMessages()) {
          DecodeReplicaMessage(message, clock_.Now()).IgnoreError();
        }
        break;
      default:
        frame->header<wire::Refusal>().getDetail();
    }
  }
  size_t frames = 0;

 private:
  Clock& clock_;
};

}  // namespace
}  // namespace troupe

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace troupe;
  if (size == 0) return 0;
  static auto* world = new SimWorld(1);
  static Host& host = world->AddMachine("a").control();
  HeaderReader reader(host.clock());
  FrameStream stream(
      kj::heap<FixedStream>(kj::arrayPtr(data + 1, size - 1), data[0] == 0 ? size : data[0]),
      host.clock());
  bool ended = false;
  auto running = stream.Run(reader)
                     .then([&ended] { ended = true; }, [&ended](kj::Exception&&) { ended = true; })
                     .eagerlyEvaluate(nullptr);
  fuzz::Require(world->RunUntil([&ended] { return ended; }, absl::Seconds(1)),
                "a stream that has ended is seen to end");
  return 0;
}
