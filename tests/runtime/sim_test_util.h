// Words that the tests of the simulator share.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "troupe/runtime/sim_world.h"
#include "troupe/runtime/task.h"

namespace troupe {

inline std::vector<std::byte> Bytes(std::string_view text) {
  auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}
inline std::string Text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Keeps a promise going and remembers what became of it.
template <typename T>
class Pending {
 public:
  explicit Pending(kj::Promise<T> promise)
      : promise_(promise
                     .then([this](T&& value) { value_ = kj::mv(value); },
                           [this](kj::Exception&& e) { error_ = kj::mv(e); })
                     .eagerlyEvaluate(nullptr)) {}
  ~Pending() noexcept {}
  bool done() const { return value_ != nullptr; }
  bool failed() const { return error_ != nullptr; }
  T& value() { return KJ_REQUIRE_NONNULL(value_); }
  kj::Exception& error() { return KJ_REQUIRE_NONNULL(error_); }

 private:
  kj::Maybe<T> value_;
  kj::Maybe<kj::Exception> error_;
  kj::Promise<void> promise_;
};

template <>
class Pending<void> {
 public:
  explicit Pending(kj::Promise<void> promise)
      : promise_(
            promise
                .then([this]() { done_ = true; }, [this](kj::Exception&& e) { error_ = kj::mv(e); })
                .eagerlyEvaluate(nullptr)) {}
  ~Pending() noexcept {}
  bool done() const { return done_; }
  bool failed() const { return error_ != nullptr; }
  kj::Exception& error() { return KJ_REQUIRE_NONNULL(error_); }

 private:
  bool done_ = false;
  kj::Maybe<kj::Exception> error_;
  kj::Promise<void> promise_;
};

inline kj::ArrayPtr<const kj::byte> AsKj(const std::string& text) {
  return {reinterpret_cast<const kj::byte*>(text.data()), text.size()};
}

// All that arrives on a stream, until its end.
class Reader {
 public:
  explicit Reader(kj::AsyncIoStream& stream) : stream_(stream), loop_(Loop().AsPromise()) {}
  ~Reader() noexcept {}
  const std::string& text() const { return text_; }
  bool ended() const { return ended_; }
  bool reset() const { return reset_; }
  size_t reads() const { return reads_; }

 private:
  Task<void> Loop() {
    for (;;) {
      auto read = stream_.tryRead(buffer_, 1, sizeof buffer_);
      auto outcome = co_await Settled(read);
      if (!outcome.ok()) reset_ = true;
      if (outcome.ok() && outcome.value() == 0) ended_ = true;
      if (reset_ || ended_) co_return;
      text_.append(buffer_, outcome.value());
      ++reads_;
    }
  }
  kj::AsyncIoStream& stream_;
  char buffer_[4096];
  std::string text_;
  size_t reads_ = 0;
  bool ended_ = false;
  bool reset_ = false;
  kj::Promise<void> loop_;
};

// A world of machines a, b and c; b listens on port 7000.
class SimTest : public testing::Test {
 public:
  SimTest() : SimTest(SimOptions{}) {}
  explicit SimTest(SimOptions options) : world_(1, options) {
    for (const char* name : {"a", "b", "c"}) world_.AddMachine(name);
  }
  ~SimTest() noexcept override {}

 protected:
  static constexpr absl::Duration kSoon = absl::Seconds(1);

  Host& host(std::string_view name) { return world_.machine(name).control(); }
  Network& network(std::string_view name) { return host(name).network(); }
  std::string At(std::string_view name, int port) {
    return world_.Ip(name) + ":" + std::to_string(port);
  }
  template <typename T>
  T Await(kj::Promise<T> promise, absl::Duration limit = absl::Seconds(60)) {
    Pending<T> pending(kj::mv(promise));
    bool settled = world_.RunUntil([&]() { return pending.done() || pending.failed(); }, limit);
    KJ_REQUIRE(settled, "still pending after its limit");
    if (pending.failed()) kj::throwFatalException(kj::mv(pending.error()));
    if constexpr (!std::is_void_v<T>) return kj::mv(pending.value());
  }

  struct Pair {
    kj::Own<kj::AsyncIoStream> client;
    kj::Own<kj::AsyncIoStream> server;
  };
  // A stream from a to b.
  Pair Connect() {
    if (listener_.get() == nullptr) listener_ = *network("b").Listen("0.0.0.0:7000");
    auto accept = listener_->Accept();
    auto dialed = Await(network("a").Dial(At("b", 7000), absl::Seconds(1)));
    KJ_REQUIRE(dialed.outcome == DialOutcome::kConnected, dialed.detail.c_str());
    return Pair{kj::mv(dialed.stream), Await(kj::mv(accept)).stream};
  }
  DialOutcome Dial(std::string_view from, const std::string& to,
                   absl::Duration limit = absl::Seconds(1)) {
    return Await(network(from).Dial(to, limit)).outcome;
  }
  // Lets go of the sockets of the fixture when b dies.
  void LetGoOnKill(std::string_view name) {
    world_.OnDestroy(name, [this]() { listener_ = nullptr; });
  }

  SimWorld world_;
  kj::Own<Listener> listener_;
};

}  // namespace troupe
