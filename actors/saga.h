// Saga: steps at other actors, each with what undoes it, that hold nobody while they go on.
//
//   Task<void> Resume(ResumeContext& work) override {
//     Saga saga(work, trip_.number, trip_.progress);
//     saga.Step([&](Id128 id) { return work.Get<Flight>(trip_.flight, id).Book(trip_.seat); },
//               [&](Id128 id) { return work.Get<Flight>(trip_.flight, id).Cancel(trip_.seat); });
//     saga.Step(...);
//     auto ended = saga.Run();
//     SagaOutcome outcome = co_await ended;
//     auto turn = work.InTurn([&] { ...; context().CancelResume(); });
//     co_await turn;
//   }
//
// Begun by a method that writes the trip down and calls RequestResume(); finished by whichever node
// is left. A step that answers FAILED ends it: the steps before it are undone, the last one first.
// Any other error makes Run() reject, and Resume() with it, which begins anew after a pause: so a
// step is tried until it answers. Each step and each undoing has an id of its own, the same in each
// run, and is done once.
//
// Single loop; within Resume(). The progress is part of the actor's state, and the actor saves it.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "kj/async.h"
#include "kj/function.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/saga.capnp.h"
#include "troupe/runtime/ids.h"
#include "troupe/runtime/task.h"

namespace troupe {

struct SagaProgress {
  uint32_t done = 0;  // Steps that are done, and not undone again.
  bool failed = false;
  uint32_t failed_step = 0;
  std::string error;
  std::vector<std::string> trouble;

  void Write(schema::SagaProgress::Builder out) const;
  static SagaProgress Read(schema::SagaProgress::Reader in);
};

struct SagaOutcome {
  bool done = false;                 // All steps. Else:
  uint32_t failed_step = 0;          // from 0, in the order of Step(),
  std::string error;                 // with what it failed,
  std::vector<std::string> trouble;  // and "step 1 is not undone: ..." for what answered FAILED.
};

class Saga {
 public:
  // `number`: of this saga among all that the actor ever runs. `progress` is fresh, or as it was
  // saved; it and `work` are there as long as Run() goes on.
  Saga(ResumeContext& work, uint64_t number, SagaProgress& progress)
      : work_(work), number_(number), progress_(progress) {}
  KJ_DISALLOW_COPY(Saga);

  // Both are functions of an id that make one call under it and give its Task. The same steps in
  // the same order each time. An answer of over 64 KiB is not kept for a second run, which then
  // counts the step as failed, and undoes it too.
  template <typename Do, typename Undo>
  void Step(Do make, Undo undo) {
    steps_.push_back({Wrap(std::move(make)), Wrap(std::move(undo))});
  }

  // Once.
  Task<SagaOutcome> Run();

 private:
  using Call = kj::Function<kj::Promise<void>(Id128)>;
  enum class Way : uint8_t { kDo, kUndo };
  struct StepCalls {
    Call make;
    Call undo;
  };

  template <typename Make>
  static Call Wrap(Make make) {
    return [make = std::move(make)](Id128 id) mutable -> kj::Promise<void> {
      auto promise = make(id).AsPromise();
      if constexpr (std::is_same_v<decltype(promise), kj::Promise<void>>) {
        return promise;
      } else {
        return promise.ignoreResult();
      }
    };
  }
  Id128 IdOf(uint32_t step, Way way) const;
  Task<void> DoSteps();
  Task<void> UndoSteps();

  ResumeContext& work_;
  const uint64_t number_;
  SagaProgress& progress_;
  SagaProgress seen_;  // As of the last turn; the rest is read and written in turns.
  std::vector<StepCalls> steps_;
};

}  // namespace troupe
