// wordcount node: hosts the Word actors. See demo.cc for the client.
#include "troupe/actors/main.h"
#include "wordcount.troupe.h"

class WordActor final : public Word::Actor {
  Task<uint64_t> Add(uint64_t occurrences) override { co_return count_ += occurrences; }
  Task<uint64_t> Count() override { co_return count_; }
  void Save(WordState::Builder out) const override { out.setCount(count_); }
  void Load(WordState::Reader in) override { count_ = in.getCount(); }
  uint64_t count_ = 0;
};

int main(int argc, char** argv) { return troupe::Main(argc, argv).Host<WordActor>().Run(); }
