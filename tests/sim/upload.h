// UploadActor: takes numbered chunks. For tests: an office can have it stop, or refuse.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/rpc/status.h"
#include "troupe/runtime/task.h"
#include "upload.troupe.h"

namespace troupe {

// What the actors of a test are told beside their calls. Outlives the cluster.
struct UploadOffice {
  bool holds = false;  // Each write waits until it is released.
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> held;
  std::optional<uint64_t> refuses;  // The chunk of this number.
  uint64_t refused = 0;             // For that, and for a gap.
  uint64_t taken = 0;
  StreamOptions window;  // Of streams that the actors write.

  void Release() {
    for (auto& one : std::exchange(held, {})) one->fulfill();
  }
};

class UploadActor final : public Upload::Actor {
 public:
  explicit UploadActor(UploadOffice& office) : office_(office) {}

 private:
  Task<void> Write(uint64_t number, std::string chunk) override {
    if (office_.holds) {
      auto paf = kj::newPromiseAndFulfiller<void>();
      office_.held.push_back(kj::mv(paf.fulfiller));
      co_await paf.promise;
    }
    if (number == office_.refuses || number != chunks_) {
      ++office_.refused;
      co_await Fail(number == chunks_ ? "the disk is full" : "there is a gap");
    }
    ++office_.taken;
    ++chunks_;
    bytes_ += chunk.size();
  }
  Task<Upload::LookReply> Look() override { co_return {chunks_, bytes_, office_.refused}; }

  Task<std::string> Read(Sink::Ref to, uint64_t lines, uint32_t bytes) override {
    Sink::Writer out(to, office_.window);
    std::string error;
    for (uint64_t i = 0; i < lines && error.empty(); ++i) {
      auto written = out.Line(i, std::string(bytes, 'x'));
      auto outcome = co_await Settled(written);
      if (!outcome.ok()) error = Words(outcome.exception());
    }
    auto done = out.Done();
    auto outcome = co_await Settled(done);
    if (!outcome.ok()) error = Words(outcome.exception());
    co_return error;
  }

  Task<void> Copy(Upload::Ref to, uint64_t chunks, uint32_t bytes) override {
    Upload::Writer out(to, office_.window);
    for (uint64_t i = 0; i < chunks; ++i) co_await out.Write(i, std::string(bytes, 'x'));
    co_await out.Done();
  }

  Task<void> TellEach(Upload::Ref to, uint64_t chunks) override {
    for (uint64_t i = 0; i < chunks; ++i) context().Tell(to).Write(i, "told");
    co_return;
  }

  void Save(UploadState::Builder out) const override {
    out.setChunks(chunks_);
    out.setBytes(bytes_);
  }
  void Load(UploadState::Reader in) override {
    chunks_ = in.getChunks();
    bytes_ = in.getBytes();
  }

  UploadOffice& office_;
  uint64_t chunks_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace troupe
