// wordcount node: hosts the Word actors. See demo.cc for the client.
#include "troupe/actors/main.h"
#include "wordcount.capnp.h"

class WordActor final : public troupe::Actor<Word, WordState> {
  kj::Promise<void> add(AddContext call) override {
    call.getResults().setCount(count_ += call.getParams().getOccurrences());
    return kj::READY_NOW;
  }
  kj::Promise<void> count(CountContext call) override {
    call.getResults().setCount(count_);
    return kj::READY_NOW;
  }
  void Save(WordState::Builder out) const override { out.setCount(count_); }
  void Load(WordState::Reader in) override { count_ = in.getCount(); }
  uint64_t count_ = 0;
};

int main(int argc, char** argv) { return troupe::Main(argc, argv).Host<WordActor>().Run(); }
