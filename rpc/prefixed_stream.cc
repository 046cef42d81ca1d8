#include <algorithm>
#include <cstring>

#include "troupe/rpc/link.h"

namespace troupe {
namespace {

class Prefixed final : public kj::AsyncIoStream {
 public:
  Prefixed(std::string first, kj::Own<kj::AsyncIoStream> inner)
      : first_(std::move(first)), inner_(kj::mv(inner)) {}

  kj::Promise<size_t> tryRead(void* buffer, size_t min_bytes, size_t max_bytes) override {
    const size_t n = std::min(max_bytes, first_.size() - given_);
    if (n == 0) return inner_->tryRead(buffer, min_bytes, max_bytes);
    std::memcpy(buffer, first_.data() + given_, n);
    given_ += n;
    if (n >= min_bytes) return n;
    return inner_->tryRead(static_cast<char*>(buffer) + n, min_bytes - n, max_bytes - n)
        .then([n](size_t more) { return n + more; });
  }
  kj::Promise<void> write(const void* buffer, size_t size) override {
    return inner_->write(buffer, size);
  }
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) override {
    return inner_->write(pieces);
  }
  kj::Promise<void> whenWriteDisconnected() override { return inner_->whenWriteDisconnected(); }
  void shutdownWrite() override { inner_->shutdownWrite(); }
  void abortRead() override { inner_->abortRead(); }

 private:
  std::string first_;
  size_t given_ = 0;
  kj::Own<kj::AsyncIoStream> inner_;
};

}  // namespace

kj::Own<kj::AsyncIoStream> PrefixedStream(std::string first, kj::Own<kj::AsyncIoStream> stream) {
  return kj::heap<Prefixed>(std::move(first), kj::mv(stream));
}

}  // namespace troupe
