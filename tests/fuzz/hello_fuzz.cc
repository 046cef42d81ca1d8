// The first bytes of a connection, from a stranger who dials us and from one whom we dial: each
// ends in a link, a refusal or an error, within the limits, and leaves nothing behind.
#include "fuzz.h"
#include "troupe/rpc/link.h"
#include "troupe/runtime/sim_world.h"

namespace troupe {
namespace {

Introduction Ours() {
  Introduction out;
  out.node = "server";
  out.nonce = {1, 1};
  out.cluster = {5, 5};
  out.generation = 2;
  return out;
}

struct Strangers {
  Strangers()
      : world(1, {.log_level = LogLevel::kError}),
        server(world.AddMachine("server").control()),
        client(world.AddMachine("client").control()),
        address(world.Ip("server") + ":7100"),
        listener(std::move(server.network().Listen(address)).value()) {}

  SimWorld world;
  Host& server;
  Host& client;
  std::string address;
  kj::Own<Listener> listener;
};

// Says the bytes, then ends the stream, and waits for the other side to end it too.
kj::Promise<void> Say(kj::Own<kj::AsyncIoStream> stream, kj::ArrayPtr<const kj::byte> bytes) {
  auto written = stream->write(bytes.begin(), bytes.size());
  return written.then([stream = kj::mv(stream)]() mutable {
    stream->shutdownWrite();
    return stream->readAllBytes().ignoreResult().attach(kj::mv(stream));
  });
}

kj::Promise<void> Accept(Host& host, kj::Own<kj::AsyncIoStream> stream) {
  auto& view = *stream;
  return ReadGreeting(host, view)
      .then([&host, stream = kj::mv(stream)](Greeting&& greeting) mutable -> kj::Promise<void> {
        if (greeting.kind == Greeting::Kind::kOther) return kj::READY_NOW;
        return AcceptLink(host, kj::mv(stream), Ours(),
                          [](const Introduction&) { return std::optional<RefusalReason>(); })
            .ignoreResult();
      });
}

kj::Promise<void> Forgiven(kj::Promise<void> promise) {
  return promise.catch_([](kj::Exception&&) {});
}

// Runs both promises to their ends; neither may take longer than the hello may.
void RunBoth(SimWorld& world, kj::Promise<void> one, kj::Promise<void> other) {
  size_t open = 2;
  auto count = [&open](kj::Promise<void> promise) {
    return Forgiven(kj::mv(promise)).then([&open] { --open; }).eagerlyEvaluate(nullptr);
  };
  auto first = count(kj::mv(one));
  auto second = count(kj::mv(other));
  fuzz::Require(world.RunUntil([&open] { return open == 0; }, absl::Seconds(30)),
                "a greeting comes to an end");
}

}  // namespace
}  // namespace troupe

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace troupe;
  static auto* strangers = new Strangers;
  auto& all = *strangers;
  const kj::ArrayPtr<const kj::byte> bytes(data, size);
  // They dial us.
  RunBoth(all.world,
          all.client.network().Dial(all.address, absl::Seconds(1)).then([&](Dialed&& dialed) {
            return Say(kj::mv(dialed.stream), bytes);
          }),
          all.listener->Accept().then(
              [&](Accepted&& accepted) { return Accept(all.server, kj::mv(accepted.stream)); }));
  // We dial them.
  RunBoth(
      all.world,
      DialLink(all.client, all.address, Lane::kData, 0, Ours(), absl::Seconds(2)).ignoreResult(),
      all.listener->Accept().then(
          [&](Accepted&& accepted) { return Say(kj::mv(accepted.stream), bytes); }));
  return 0;
}
