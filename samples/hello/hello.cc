// hello: an actor that greets and counts. Any Cap'n Proto client can talk to it.
#include "hello.troupe.h"
#include "troupe/actors/main.h"

class GreeterActor final : public Greeter::Actor {
  Task<Greeter::GreetReply> Greet(std::string name) override {
    co_return {"Hello, " + name + "!", ++times_};
  }
  void Save(GreeterState::Builder out) const override { out.setTimes(times_); }
  void Load(GreeterState::Reader in) override { times_ = in.getTimes(); }
  uint64_t times_ = 0;
};

int main(int argc, char** argv) { return troupe::Main(argc, argv).Host<GreeterActor>().Run(); }
