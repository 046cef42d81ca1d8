// DeskActor: its tours come back to it while it waits for them. For tests of $reentrant methods.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "desk.troupe.h"

namespace troupe {

// What the actors of a test are told beside their calls. Outlives the cluster.
struct DeskOffice {
  std::function<kj::Promise<void>()> gate;  // For marks that wait.
  bool leaves_early = false;                // A tour does not wait for its answer.
  std::string tour;             // What a tour does beside: "tell, fail", "resume", "both",
                                // "flood".
  std::string then;             // Not empty: a tour has one more pass, so.
  std::string again = "again";  // By whom.
  uint64_t resumed = 0;
};

class DeskActor final : public Desk::Actor {
 public:
  explicit DeskActor(DeskOffice& office) : office_(office) {}

 private:
  using Way = capnp::List<capnp::Text>::Reader;

  Task<Desk::TourReply> Tour(Way way, std::string how) override {
    if (!context().Interrupted()) ++halves_;
    if (office_.tour == "tell, fail") context().Tell<Desk>("ledger").Told();
    if (office_.tour == "resume") context().RequestResume();
    auto passed = Pass(way, std::string(context().key()), how);
    if (office_.tour == "both") co_await Again(office_.then);
    if (office_.tour == "flood") {
      std::vector<Task<int64_t>> floods;
      for (int i = 0; i < 6; ++i) floods.push_back(PassBack("f" + std::to_string(i), "flood"));
      for (auto& flood : floods) co_await flood;
    }
    if (office_.leaves_early) {
      auto sent = kj::mv(passed).AsPromise().ignoreResult().eagerlyEvaluate(nullptr);
      auto pause = kj::evalLater([] {});
      for (int i = 0; i < 100; ++i) pause = pause.then([] { return kj::evalLater([] {}); });
      co_await pause;
    } else {
      auto outcome = co_await Settled(kj::mv(passed));
      const bool expected = how == "fail" || how == "mark and fail, softly";
      if (!outcome.ok() && !expected) kj::throwFatalException(kj::cp(outcome.exception()));
    }
    if (office_.tour == "tell, fail") co_await Fail("no tour for you");
    if (!office_.then.empty()) co_await Again(office_.then);
    co_return {++tours_, marks_};
  }

  Task<int64_t> PassBack(std::string key, std::string how) {
    return context().Get<Desk>(key).PassWith([&](Desk::PassParams::Builder out) {
      out.initWay(0);
      out.setBack(std::string(context().key()).c_str());
      out.setHow(how);
    });
  }
  Task<void> Again(std::string how) {
    auto passed = PassBack(office_.again, how);
    co_await passed;
  }

  Task<int64_t> Pass(Way way, std::string back, std::string how) override {
    if (way.size() == 0) {
      if (how == "slow" || how == "flood") co_await context().Sleep(absl::Seconds(1));
      if (how == "flood") {
        std::vector<Task<uint64_t>> seen;
        for (int i = 0; i < 250; ++i) seen.push_back(context().Get<Desk>(back).Seen());
        for (auto& one : seen) co_await one;
        co_return 0;
      }
      if (how == "late") {
        auto opened = office_.gate();
        co_await opened;
      }
      if (how == "seen") {
        auto seen = context().Get<Desk>(back).Seen();
        co_return static_cast<int64_t>(co_await seen);
      }
      auto marked = context().Get<Desk>(back).Mark(how);
      co_return co_await marked;
    }
    auto passed = context().Get<Desk>(way[0].cStr()).PassWith([&](Desk::PassParams::Builder out) {
      auto rest = out.initWay(way.size() - 1);
      for (unsigned i = 0; i < rest.size(); ++i) rest.set(i, way[i + 1]);
      out.setBack(back);
      out.setHow(how);
    });
    co_return co_await passed;
  }

  Task<int64_t> Mark(std::string how) override {
    if (how == "fail") co_await Fail("no mark for you");
    if (how != "look") ++marks_;
    if (how.starts_with("mark and fail")) co_await Fail("marked, alas");
    if (how == "erase") context().Erase();
    if (how == "tell") context().Tell<Desk>("ledger").Told();
    if (how == "again") {
      auto again = context().Get<Desk>("other").PassWith([&](Desk::PassParams::Builder out) {
        out.initWay(0);
        out.setBack(std::string(context().key()).c_str());
      });
      co_await again;
    }
    if (how == "wait") {
      auto opened = office_.gate();
      co_await opened;
    }
    co_return static_cast<int64_t>(halves_);
  }
  Task<Desk::LookReply> Look() override { co_return {halves_, tours_, marks_, told_}; }
  Task<uint64_t> Seen() override { co_return halves_; }
  Task<std::string> Beside(std::string name) override { co_return context().KeyBeside(name); }
  Task<void> Resume(ResumeContext&) override {
    ++office_.resumed;
    co_return;
  }
  Task<void> Told() override {
    ++told_;
    co_return;
  }

  void Save(DeskState::Builder out) const override {
    out.setHalves(halves_);
    out.setTours(tours_);
    out.setMarks(marks_);
    out.setTold(told_);
  }
  void Load(DeskState::Reader in) override {
    halves_ = in.getHalves();
    tours_ = in.getTours();
    marks_ = in.getMarks();
    told_ = in.getTold();
  }

  DeskOffice& office_;
  uint64_t halves_ = 0;
  uint64_t tours_ = 0;
  uint64_t marks_ = 0;
  uint64_t told_ = 0;
};

}  // namespace troupe
