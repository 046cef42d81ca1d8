// hello: an actor that greets and counts. Any Cap'n Proto client can talk to it.
#include "hello.capnp.h"
#include "troupe/actors/main.h"

class GreeterActor final : public troupe::Actor<Greeter, GreeterState> {
  kj::Promise<void> greet(GreetContext call) override {
    call.getResults().setGreeting(kj::str("Hello, ", call.getParams().getName(), "!"));
    call.getResults().setTimes(++times_);
    return kj::READY_NOW;
  }
  void Save(GreeterState::Builder out) const override { out.setTimes(times_); }
  void Load(GreeterState::Reader in) override { times_ = in.getTimes(); }
  uint64_t times_ = 0;
};

int main(int argc, char** argv) { return troupe::Main(argc, argv).Host<GreeterActor>().Run(); }
