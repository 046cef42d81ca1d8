#include "troupe/actors/saga.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "troupe/actors/call.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr uint64_t kSagaIds = 0x74726f75706520ull;  // Apart from ids that users choose.

kj::StringPtr Text(const std::string& from) { return {from.c_str(), from.size()}; }

}  // namespace

void SagaProgress::Write(schema::SagaProgress::Builder out) const {
  out.setDone(done);
  out.setFailed(failed);
  out.setFailedStep(failed_step);
  out.setError(Text(error));
  auto list = out.initTrouble(static_cast<unsigned>(trouble.size()));
  for (unsigned i = 0; i < list.size(); ++i) list.set(i, Text(trouble[i]));
}

SagaProgress SagaProgress::Read(schema::SagaProgress::Reader in) {
  SagaProgress out{in.getDone(), in.getFailed(), in.getFailedStep(), in.getError().cStr(), {}};
  for (auto text : in.getTrouble()) out.trouble.emplace_back(text.cStr());
  return out;
}

Id128 Saga::IdOf(uint32_t step, Way way) const {
  return DerivedId({kSagaIds, number_}, ActorId{}, 0, static_cast<uint16_t>(way), step);
}

Task<SagaOutcome> Saga::Run() {
  auto looked = work_.InTurn([this] { seen_ = progress_; });
  co_await looked;
  if (!seen_.failed) {
    auto steps = DoSteps();
    co_await steps;
  }
  if (seen_.failed) {
    auto undone = UndoSteps();
    co_await undone;
  }
  co_return SagaOutcome{!seen_.failed, seen_.failed_step, seen_.error, seen_.trouble};
}

// What has come of a step is written down before the next leaves: a call of Resume() waits for what
// completed turns have changed. So a run that begins anew never decides otherwise.
Task<void> Saga::DoSteps() {
  while (seen_.done < steps_.size() && !seen_.failed) {
    const uint32_t step = seen_.done;
    auto call = steps_[step].make(IdOf(step, Way::kDo));
    auto outcome = co_await Settled(call);
    std::string error;
    if (!outcome.ok()) {
      auto& e = outcome.exception();
      if (e.getType() != kj::Exception::Type::FAILED) co_await Fail(kj::mv(e));
      error = Words(e);
    }
    auto noted = work_.InTurn([this, failed = !outcome.ok(), step, &error] {
      const bool perhaps_done = failed && absl::StartsWith(error, "ResultGone");
      if (!failed || perhaps_done) progress_.done = step + 1;
      if (failed) {
        progress_.failed = true;
        progress_.failed_step = step;
        progress_.error = error;
      }
      seen_ = progress_;
    });
    co_await noted;
  }
}

Task<void> Saga::UndoSteps() {
  while (seen_.done > 0) {
    const uint32_t step = seen_.done - 1;
    auto call = steps_[step].undo(IdOf(step, Way::kUndo));
    auto outcome = co_await Settled(call);
    std::string trouble;
    if (!outcome.ok()) {
      auto& e = outcome.exception();
      if (e.getType() != kj::Exception::Type::FAILED) co_await Fail(kj::mv(e));
      trouble = absl::StrCat("step ", step, " is not undone: ", Words(e));
    }
    auto noted = work_.InTurn([this, step, &trouble] {
      progress_.done = step;
      if (!trouble.empty()) progress_.trouble.push_back(trouble);
      seen_ = progress_;
    });
    co_await noted;
  }
}

}  // namespace troupe
