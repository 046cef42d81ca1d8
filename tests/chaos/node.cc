// chaos node: hosts the actors whose histories are judged. See disk_delay.cc for its slow disk.
#include <chrono>
#include <string>
#include <vector>

#include "chaos.capnp.h"
#include "troupe/actors/main.h"

namespace {

class CellActor final : public troupe::Actor<Cell, CellState> {
  kj::Promise<void> read(ReadContext call) override {
    call.getResults().setValue(value_);
    return kj::READY_NOW;
  }
  kj::Promise<void> write(WriteContext call) override {
    value_ = call.getParams().getValue().cStr();
    return kj::READY_NOW;
  }
  kj::Promise<void> cas(CasContext call) override {
    const bool done = value_ == call.getParams().getExpected().cStr();
    if (done) value_ = call.getParams().getValue().cStr();
    call.getResults().setDone(done);
    return kj::READY_NOW;
  }
  void Save(CellState::Builder out) const override { out.setValue(value_); }
  void Load(CellState::Reader in) override { value_ = in.getValue().cStr(); }
  std::string value_;
};

class TallyActor final : public troupe::Actor<Tally, TallyState> {
  kj::Promise<void> add(AddContext call) override {
    call.getResults().setValue(value_ += call.getParams().getBy());
    return kj::READY_NOW;
  }
  kj::Promise<void> get(GetContext call) override {
    call.getResults().setValue(value_);
    return kj::READY_NOW;
  }
  kj::Promise<void> keep(KeepContext call) override {
    auto data = call.getParams().getData();
    data_.assign(data.begin(), data.end());
    return kj::READY_NOW;
  }
  kj::Promise<void> ballast(BallastContext call) override {
    call.getResults().initData(static_cast<unsigned>(call.getParams().getBytes()));
    return kj::READY_NOW;
  }
  kj::Promise<void> work(WorkContext call) override {
    using Clock = std::chrono::steady_clock;
    const auto until = Clock::now() + std::chrono::microseconds(call.getParams().getMicroseconds());
    while (Clock::now() < until) {
    }
    call.getResults().setValue(++value_);
    return kj::READY_NOW;
  }
  void Save(TallyState::Builder out) const override {
    out.setValue(value_);
    if (!data_.empty()) out.setData(kj::arrayPtr(data_.data(), data_.size()));
  }
  void Load(TallyState::Reader in) override {
    value_ = in.getValue();
    data_.assign(in.getData().begin(), in.getData().end());
  }
  int64_t value_ = 0;
  std::vector<kj::byte> data_;
};

}  // namespace

// Read by asan at its start. Its quarantine of freed memory would look like growth.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "quarantine_size_mb=8"; }

int main(int argc, char** argv) {
  return troupe::Main(argc, argv).Host<CellActor>().Host<TallyActor>().Run();
}
