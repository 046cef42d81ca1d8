// TripActor: books a seat at each of several purses, by a saga.
#pragma once

#include <string>
#include <vector>

#include "purse.troupe.h"
#include "trip.troupe.h"
#include "troupe/actors/saga.h"

namespace troupe {

// What the trips of a test are told beside their calls. Outlives the cluster.
struct TripOffice {
  bool gate_closed = false;  // The stage "gate" fails, and nobody keeps that.
};

class TripActor final : public Trip::Actor {
 public:
  explicit TripActor(TripOffice& office) : office_(office) {}

 private:
  Task<void> Book(capnp::List<capnp::Text>::Reader stages, std::string stuck) override {
    if (open_) co_await Fail("a trip is being booked already");
    ++number_;
    open_ = true;
    done_ = false;
    stages_.clear();
    for (auto stage : stages) stages_.emplace_back(stage.cStr());
    stuck_ = stuck;
    progress_ = {};
    context().RequestResume();
  }
  Task<void> Look(Trip::LookResults::Builder out) override {
    out.setOpen(open_);
    out.setDone(done_);
    out.setFailedStep(progress_.failed_step);
    out.setError(progress_.error);
    auto list = out.initTrouble(static_cast<unsigned>(progress_.trouble.size()));
    for (unsigned i = 0; i < list.size(); ++i) list.set(i, progress_.trouble[i]);
    co_return;
  }

  Task<void> Resume(ResumeContext& work) override {
    uint64_t number = 0;
    std::vector<std::string> stages;
    auto looked = work.InTurn([&] {
      number = number_;
      stages = stages_;
    });
    co_await looked;
    Saga saga(work, number, progress_);
    for (const auto& stage : stages) {
      if (stage == "gate") {
        saga.Step([&](Id128) { return PassGate(); }, [](Id128) -> Task<void> { co_return; });
        continue;
      }
      saga.Step([&](Id128 id) { return work.Get<Purse>(stage, id).Withdraw(1); },
                [&](Id128 id) {
                  auto purse = work.Get<Purse>(stage, id);
                  return stage == stuck_ ? purse.Withdraw(1'000'000) : purse.Deposit(1);
                });
    }
    auto ended = saga.Run();
    SagaOutcome outcome = co_await ended;
    auto turn = work.InTurn([&] {
      open_ = false;
      done_ = outcome.done;
      context().CancelResume();
    });
    co_await turn;
  }

  Task<void> PassGate() {
    if (office_.gate_closed) co_await Fail("the gate is closed");
  }

  void Save(TripState::Builder out) const override {
    out.setNumber(number_);
    out.setOpen(open_);
    out.setDone(done_);
    auto list = out.initStages(static_cast<unsigned>(stages_.size()));
    for (unsigned i = 0; i < list.size(); ++i) list.set(i, stages_[i]);
    out.setStuck(stuck_);
    progress_.Write(out.initProgress());
  }
  void Load(TripState::Reader in) override {
    number_ = in.getNumber();
    open_ = in.getOpen();
    done_ = in.getDone();
    for (auto stage : in.getStages()) stages_.emplace_back(stage.cStr());
    stuck_ = in.getStuck();
    progress_ = SagaProgress::Read(in.getProgress());
  }

  TripOffice& office_;
  uint64_t number_ = 0;
  bool open_ = false;
  bool done_ = false;
  std::vector<std::string> stages_;
  std::string stuck_;
  SagaProgress progress_;
};

}  // namespace troupe
