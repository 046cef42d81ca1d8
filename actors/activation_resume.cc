// Activation, part three: work that goes on beside the turns until it is finished.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/activation_turn.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/kj_time.h"

namespace troupe {
namespace {

constexpr absl::Duration kPauseMin = absl::Milliseconds(20);
constexpr absl::Duration kPauseMax = absl::Seconds(1);

}  // namespace

kj::Own<CallOrigin> Activation::ResumeOrigin() { return kj::addRef(*background_origin_); }

void Activation::ScheduleResume() {
  if (resume_scheduled_ || stopped_ || held_ != nullptr) return;
  resume_scheduled_ = true;
  auto paf = kj::newPromiseAndFulfiller<void>();
  shard_.Hold(id_, HoldKind::kAnswer, {}, [fulfiller = kj::mv(paf.fulfiller)](bool ok) mutable {
    if (ok) fulfiller->fulfill();  // Else the activation ends.
  });
  auto wait = resume_pause_ > absl::ZeroDuration() ? host_.timer().afterDelay(ToKj(resume_pause_))
                                                   : kj::Promise<void>(kj::READY_NOW);
  tasks_.add(paf.promise.then([wait = kj::mv(wait)]() mutable { return kj::mv(wait); })
                 .then([this] { StartResume(); },
                       [this](kj::Exception&&) {
                         resume_scheduled_ = false;  // The token was dropped: we are being stopped.
                       }));
}

void Activation::StartResume() {
  if (stopped_ || !resume_ || held_ != nullptr) {
    resume_scheduled_ = false;
    return;
  }
  if (!ready_) {
    resume_due_ = true;
    return RunReady();
  }
  resuming_ =
      kj::evalNow([this]() -> kj::Promise<void> { return actor_->Resume(*this); })
          .then([this] { EndResume(nullptr); }, [this](kj::Exception&& e) { EndResume(kj::mv(e)); })
          .eagerlyEvaluate([this](kj::Exception&& e) { errors_.taskFailed(kj::mv(e)); });
}

void Activation::EndResume(kj::Maybe<kj::Exception> failure) {
  KJ_IF_MAYBE (e, failure) {
    host_.log().Warning("resume failed, to be tried again",
                        {{"actor", id_.ToString(type_.name)}, {"error", Words(*e)}});
  }
  resume_pause_ = failure == nullptr ? absl::ZeroDuration() : resume_pause_;
  AbandonResume();
}

void Activation::DropResuming() {
  KJ_IF_MAYBE (resuming, resuming_) {
    DestroyLater(kj::mv(*resuming));
    resuming_ = nullptr;
    resume_scheduled_ = false;
    DestroyLater(std::exchange(turn_over_, {}));  // Those who wait are gone by then.
  }
}

void Activation::AbandonResume() {
  DropResuming();
  internal_turns_.clear();
  if (!resume_) {
    resume_pause_ = absl::ZeroDuration();
    return;
  }
  resume_pause_ = std::clamp(resume_pause_ * 2, kPauseMin, kPauseMax);
  ScheduleResume();
}

kj::Promise<void> Activation::InTurn(kj::Function<void()> work) {
  if (stopped_) return Disconnected("the actor has been deactivated");
  auto paf = kj::newPromiseAndFulfiller<void>();
  internal_turns_.push_back({kj::mv(work), kj::mv(paf.fulfiller)});
  used_ = true;
  RunReady();
  return kj::mv(paf.promise);
}

kj::Promise<void> Activation::Pause(absl::Duration time) {
  return host_.timer().afterDelay(ToKj(time));
}

// And kept: what a transaction may yet undo is not.
kj::Promise<void> Activation::TurnOver() {
  if (turn_ == nullptr && held_ == nullptr) return kj::READY_NOW;
  auto paf = kj::newPromiseAndFulfiller<void>();
  turn_over_.push_back(kj::mv(paf.fulfiller));
  return kj::mv(paf.promise);
}

void Activation::GoOnAfterTurn() {
  if (held_ != nullptr) return;
  for (auto& waiter : std::exchange(turn_over_, {})) waiter->fulfill();  // They run a little later.
}

// P6.19: under a name and marks of the sequence's own.
kj::Promise<Payload> Activation::Call(NumberedCall call) {
  CallHeader header{call.target, call.interface_id, call.method_id, {}, {}};
  header.id = ActorCall{{id_.type, absl::StrCat(id_.key, "\n", call.sequence)},
                        shard_.lineage(),
                        shard_.epoch(),
                        call.number,
                        call.oldest,
                        Id128{shard_.lineage() << 1 | (call.part & 1), call.number},
                        call.told};
  // By then another turn may be open, which is not waited for.
  auto safe = TurnOver().then([this] { return EarlierSafe(); });
  return safe.then([this, header = std::move(header),
                    params = std::move(call.params)]() mutable -> kj::Promise<Payload> {
    if (stopped_) return Disconnected("the calling actor has been deactivated");
    return caller_.Call(std::move(header), std::move(params),
                        host_.clock().Now() + kDeadlineDefault, nullptr);
  });
}

void Activation::RunInternalTurn() {
  auto turn = kj::mv(internal_turns_.front());
  internal_turns_.pop_front();
  BeginTurn(TurnKind::kResume, OwnTurnId(), {}, host_.clock().Now() + kDeadlineDefault);
  kj::Maybe<kj::Exception> failure = kj::runCatchingExceptions([&turn] { turn.work(); });
  CloseTurn(failure);
  MarkDirty();
  ProceedWithTold();
  KJ_IF_MAYBE (e, failure) {
    turn.done->reject(kj::mv(*e));
  } else {
    turn.done->fulfill();
  }
}

}  // namespace troupe
