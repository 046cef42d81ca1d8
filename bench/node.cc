// bench node: hosts the actors that the benchmarks call.
#include "bench.capnp.h"
#include "troupe/actors/main.h"

namespace {

class EchoActor final : public troupe::Actor<Echo, EchoState> {
  kj::Promise<void> echo(EchoContext call) override {
    auto data = call.getParams().getData();
    call.getResults(capnp::MessageSize{data.size() / 8 + 8, 0}).setData(data);
    return kj::READY_NOW;
  }
  kj::Promise<void> record(RecordContext call) override {
    auto data = call.getParams().getData();
    call.getResults(capnp::MessageSize{data.size() / 8 + 8, 0}).setData(data);
    ++calls_;
    return kj::READY_NOW;
  }
  void Save(EchoState::Builder out) const override { out.setCalls(calls_); }
  void Load(EchoState::Reader in) override { calls_ = in.getCalls(); }
  uint64_t calls_ = 0;
};

class CounterActor final : public troupe::Actor<Counter, CounterState> {
  kj::Promise<void> add(AddContext call) override {
    call.getResults().setValue(value_ += call.getParams().getBy());
    return kj::READY_NOW;
  }
  kj::Promise<void> value(ValueContext call) override {
    call.getResults().setValue(value_);
    return kj::READY_NOW;
  }
  void Save(CounterState::Builder out) const override { out.setValue(value_); }
  void Load(CounterState::Reader in) override { value_ = in.getValue(); }
  uint64_t value_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  return troupe::Main(argc, argv).Host<EchoActor>().Host<CounterActor>().Run();
}
