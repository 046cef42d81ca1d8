#include "troupe/rpc/payload.h"

#include "troupe/rpc/frame_stream.h"

namespace troupe {

Payload Payload::Of(kj::Own<Frame> frame) {
  const auto view = frame->payload();
  return Payload(std::make_shared<kj::Own<Frame>>(kj::mv(frame)), view);
}

}  // namespace troupe
