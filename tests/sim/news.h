// ReaderActor: keeps what it reads of a topic; EditorActor: publishes.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "news.troupe.h"
#include "troupe/actors/topic.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/task.h"

namespace troupe {

// What the actors of a test are told beside their calls. Outlives the cluster.
struct NewsOffice {
  std::set<std::string> stuck;            // Readers whose turns do not end.
  std::map<std::string, int> overloaded;  // How often a reader refuses for now.
  std::map<std::string, int> failing;     // The same, for good.
  uint64_t items = 0;                     // That readers were given.
};

class ReaderActor final : public Reader::Actor {
 public:
  explicit ReaderActor(NewsOffice& office) : office_(office) {}

 private:
  Task<void> Item(uint64_t number, std::string) override {
    const std::string key(context().key());
    ++office_.items;
    if (office_.stuck.contains(key)) co_await kj::Promise<void>(kj::NEVER_DONE);
    if (office_.overloaded[key]-- > 0) {
      co_await Fail(kj::Exception::Type::OVERLOADED, "not just now");
    }
    if (office_.failing[key]-- > 0) co_await Fail("not this one");
    numbers_.push_back(number);
  }
  Task<void> About(News::Ref subject) override {
    subjects_ += subject.ToString() + ";";
    co_return;
  }
  Task<void> Missed(std::string, uint64_t count, uint64_t) override {
    missed_ += count;
    co_return;
  }
  Task<void> Read(Reader::ReadResults::Builder results) override {
    auto numbers = results.initNumbers(static_cast<unsigned>(numbers_.size()));
    for (unsigned i = 0; i < numbers.size(); ++i) numbers.set(i, numbers_[i]);
    results.setMissed(missed_);
    results.setSubjects(subjects_);
    co_return;
  }
  Task<uint64_t> Follow(std::string topic) override {
    co_return co_await context().Topic<News>(topic).Subscribe(Self());
  }
  Task<bool> Forget(std::string topic) override {
    co_return co_await context().Topic<News>(topic).Unsubscribe(Self());
  }

  void Save(ReaderState::Builder out) const override {
    auto numbers = out.initNumbers(static_cast<unsigned>(numbers_.size()));
    for (unsigned i = 0; i < numbers.size(); ++i) numbers.set(i, numbers_[i]);
    out.setMissed(missed_);
    out.setSubjects(subjects_);
  }
  void Load(ReaderState::Reader in) override {
    for (auto number : in.getNumbers()) numbers_.push_back(number);
    missed_ = in.getMissed();
    subjects_ = in.getSubjects().cStr();
  }

  NewsOffice& office_;
  std::vector<uint64_t> numbers_;
  uint64_t missed_ = 0;
  std::string subjects_;
};

class EditorActor final : public Editor::Actor {
  Task<uint64_t> Print(std::string topic, uint32_t items, bool fails) override {
    context().Topic<News>(topic).Tell([&](auto& all) {
      for (uint32_t i = 0; i < items; ++i) all.Item(++printed_, "printed");
    });
    if (fails) co_await Fail("told to fail");
    co_return printed_;
  }
  Task<uint64_t> Ask(std::string topic) override {
    ++printed_;
    auto published =
        context().Topic<News>(topic).Publish([&](auto& all) { all.Item(printed_, "asked"); });
    co_return co_await published;
  }
  void Save(EditorState::Builder out) const override { out.setPrinted(printed_); }
  void Load(EditorState::Reader in) override { printed_ = in.getPrinted(); }

  uint64_t printed_ = 0;
};

// An observer.
class Screen final : public News::Actor {
 public:
  std::vector<uint64_t> numbers;
  uint64_t missed = 0;
  std::function<kj::Promise<void>()> on_item = []() -> kj::Promise<void> { return kj::READY_NOW; };

 private:
  Task<void> Item(uint64_t number, std::string) override {
    auto held = on_item();
    co_await held;
    numbers.push_back(number);
  }
  Task<void> About(News::Ref) override { co_return; }
  Task<void> Missed(std::string, uint64_t count, uint64_t) override {
    missed += count;
    co_return;
  }
};

}  // namespace troupe
