#include "memory_bench.h"

#include <malloc.h>

#include <chrono>
#include <string>
#include <thread>

#include "bench.capnp.h"
#include "troupe/actors/client.h"
#include "troupe/actors/due_heap.h"
#include "troupe/actors/node.h"
#include "troupe/actors/registry.h"
#include "troupe/runtime/uv_machine.h"

namespace {

using troupe::Actor;

// Bytes that malloc has given out, of all threads: they share one arena here.
double BytesInUse() { return static_cast<double>(mallinfo2().uordblks); }

class SleeperActor final : public Actor<Sleeper, SleeperState> {
  kj::Promise<void> touch(TouchContext) override {
    ++touched_;
    return kj::READY_NOW;
  }
  kj::Promise<void> remindMe(RemindMeContext) override {
    context().SetReminder("wake up", {.after = absl::Hours(1), .every = absl::Hours(1)});
    return kj::READY_NOW;
  }
  void Save(SleeperState::Builder out) const override { out.setTouched(touched_); }
  void Load(SleeperState::Reader in) override { touched_ = in.getTouched(); }
  uint64_t touched_ = 0;
};

struct Bench {
  explicit Bench(int actors) : actors(actors) {}

  // A call to every actor, some hundred at a time.
  template <typename Call>
  void ForAll(Call call) {
    constexpr int kAtOnce = 200;
    for (int first = 0; first < actors; first += kAtOnce) {
      auto calls = kj::heapArrayBuilder<kj::Promise<void>>(kAtOnce);
      for (int i = first; i < first + kAtOnce; ++i) {
        calls.add(call(client->Get<Sleeper>("sleeper/" + std::to_string(i))));
      }
      kj::joinPromises(calls.finish()).wait(machine->wait_scope());
    }
  }
  uint64_t Active() {
    return client->Status("bench", absl::Seconds(5))
        .then([](troupe::Payload&& payload) {
          capnp::FlatArrayMessageReader reader(payload.words());
          return reader.getRoot<troupe::wire::StatusFrame>().getActors();
        })
        .wait(machine->wait_scope());
  }
  void Rest() {
    while (Active() > 0) {
      machine->control().timer().afterDelay(50 * kj::MILLISECONDS).wait(machine->wait_scope());
    }
  }
  double PerActor(double since) const { return (BytesInUse() - since) / actors; }

  void Run(Report& report) {
    registry.Host<SleeperActor>({.idle_timeout = absl::Seconds(20)});
    machine = troupe::UvMachine::Create({.node = "bench"}).value();
    troupe::NodeOptions options;
    options.membership.node = "bench";
    options.membership.listen = "127.0.0.1:0";
    node = kj::heap<troupe::Node>(*machine, registry, options);
    if (auto started = node->Start(); !started.ok()) throw std::runtime_error("no port");
    node->Ready().wait(machine->wait_scope());
    client = kj::heap<troupe::Client>(machine->control(),
                                      troupe::ClientOptions{.nodes = {node->address()}});
    client->Get<Sleeper>("first").touchRequest().send().ignoreResult().wait(machine->wait_scope());

    const double before = BytesInUse();
    ForAll([](auto sleeper) { return sleeper.touchRequest().send().ignoreResult(); });
    report.Add({"memory/active", PerActor(before), "bytes", {}, "object, mailbox, state, record"});
    Rest();
    report.Add(
        {"memory/idle", PerActor(before), "bytes", 1024, "state and the record of one call"});
    ForAll([](auto sleeper) { return sleeper.remindMeRequest().send().ignoreResult(); });
    Rest();
    report.Add(
        {"memory/idle_with_reminder", PerActor(before), "bytes", {}, "the same, and one reminder"});
    client = nullptr;
    node = nullptr;
    machine = nullptr;
  }

  const int actors;
  troupe::Registry registry;
  kj::Own<troupe::UvMachine> machine;
  kj::Own<troupe::Node> node;
  kj::Own<troupe::Client> client;
};

void MeasureHeap(int actors, Report& report) {
  const double before = BytesInUse();
  const auto start = std::chrono::steady_clock::now();
  troupe::DueHeap heap;
  for (int i = 0; i < actors; ++i) {
    heap.Set({1, "sleeper/" + std::to_string(i)}, absl::FromUnixSeconds(i * 7919 % actors));
  }
  const std::chrono::duration<double, std::micro> spent = std::chrono::steady_clock::now() - start;
  report.Add({"memory/due_heap", (BytesInUse() - before) / actors, "bytes", 256, "of each entry"});
  report.Add({"memory/due_heap_set", spent.count() / actors, "us", {}, "to add one"});
}

}  // namespace

void RunMemoryBench(const BenchSettings& settings, Report& report) {
  const int actors = settings.length == Length::kQuick ? 2000 : 100000;
  report.Begin("memory: bytes of malloc per actor with 8 bytes of state, one node");
  mallopt(M_ARENA_MAX, 1);
  MeasureHeap(actors, report);
  std::thread([&] { Bench(actors).Run(report); }).join();
}
