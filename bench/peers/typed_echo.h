// TypedEcho: a closed loop of calls of an Echo capability, whatever is behind it.
#pragma once

#include <cstring>

#include "bench.capnp.h"
#include "closed_loop.h"
#include "echo_peer.h"
#include "kj/debug.h"

// Throws unless `data` is the echo of call `sequence` with `bytes` bytes.
inline void CheckEcho(capnp::Data::Reader data, uint64_t sequence, size_t bytes) {
  uint64_t got = 0;
  if (data.size() == bytes) std::memcpy(&got, data.begin(), sizeof got);
  KJ_REQUIRE(data.size() == bytes && got == sequence, "a wrong echo came back", sequence, got,
             data.size());
}

template <typename Request>
kj::Promise<void> CallEcho(Request request, uint64_t sequence, size_t bytes) {
  auto data = request.initData(static_cast<unsigned>(bytes));
  std::memcpy(data.begin(), &sequence, sizeof sequence);
  return request.send().then(
      [sequence, bytes](auto&& results) { CheckEcho(results.getData(), sequence, bytes); });
}

inline capnp::MessageSize EchoSize(size_t bytes) { return {bytes / 8 + 8, 0}; }

constexpr double kWarmUpSeconds = 0.03;

// Warms up, then measures; microseconds per call.
template <typename Call>
double MeasureCalls(Call call, const EchoShape& shape, kj::WaitScope& scope, double seconds) {
  ClosedLoop<Call>(call, shape.width, Latencies::kIgnore).Run(scope, kWarmUpSeconds);
  return ClosedLoop<Call>(call, shape.width, Latencies::kIgnore).Run(scope, seconds).us_per_call();
}
