#include "counter.troupe.h"
#include "troupe/actors/main.h"

class CounterActor final : public Counter::Actor {
  Task<uint64_t> Add(uint64_t by) override { co_return value_ += by; }
  Task<uint64_t> Value() override { co_return value_; }
  void Save(CounterState::Builder out) const override { out.setValue(value_); }
  void Load(CounterState::Reader in) override { value_ = in.getValue(); }
  uint64_t value_ = 0;
};

int main(int argc, char** argv) { return troupe::Main(argc, argv).Host<CounterActor>().Run(); }
