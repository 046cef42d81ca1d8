// Activation, part six: the object: made, found to fail, and let go.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/activation_turn.h"
#include "troupe/rpc/status.h"
#include "troupe/rpc/words.h"
#include "troupe/runtime/kj_time.h"

namespace troupe {
namespace {

// For the last mark to be told (P6.5) to whom cannot be reached.
constexpr absl::Duration kLastMarkLimit = absl::Seconds(1);
// The same, of an actor that has nothing else to do.
constexpr absl::Duration kLastMarkOfIdleLimit = absl::Minutes(1);

}  // namespace

// ---- The object

bool Activation::Ready() {
  const absl::Time now = host_.clock().Now();
  if (supervisor_ && now < supervisor_->not_before()) {
    WakeAt(supervisor_->not_before());
    return false;
  }
  BeginObject();
  if (!ready_ && turn_ == nullptr && supervisor_) WakeAt(supervisor_->not_before());
  return ready_;
}

void Activation::BeginObject() {
  restart_due_ = false;
  uint32_t version = 0;
  auto failure = kj::runCatchingExceptions([this, &version] {
    auto fresh = type_.make();
    fresh->Attach(*this);
    if (!last_saved_->empty()) {
      IncomingMessage state(Payload::Own(CopyWords(*last_saved_)), Origin());
      version = state.state_version();
      if (IsNewer(version)) return;
      fresh->LoadState(state.root());
    }
    actor_ = kj::mv(fresh);
  });
  KJ_IF_MAYBE (e, failure) {
    DropObject();
    return OnFailedOwnTurn(
        Failed(absl::StrCat("the snapshot of actor ", Name(), " does not load: ", Words(*e))),
        TurnKind::kActivate);
  }
  if (IsNewer(version)) return OnNewerState(version);
  if (!type_.activates) {
    ready_ = true;
    if (supervisor_) supervisor_->OnActivated();
    return;
  }
  StartOwn(TurnKind::kActivate, OwnTurnId(),
           [this]() -> kj::Promise<void> { return actor_->OnActivate(); });
}

bool Activation::IsNewer(uint32_t state_version) const {
  return state_version > type_.options.state_version;
}

// Loaded and saved here it would lose what this program does not know. Another node, or this one
// with the newer program, goes on with it.
void Activation::OnNewerState(uint32_t version) {
  if (!supervisor_) supervisor_ = std::make_unique<Supervisor>(type_.options.supervision);
  RefuseWaiting(Suspend(absl::StrCat(
      "its state was saved by a newer program, with state_version ", version, "; node ",
      shard_.node(), " hosts ", type_.name, " with ", type_.options.state_version,
      " and would lose what is new in it: run the newer program on that node")));
  AnnounceReminders();
}

void Activation::DropObject() {
  ready_ = false;
  timers_.CancelAll();
  DropResuming();
  DestroyLater(kj::mv(actor_));
}

// ---- Failures

// An error is an answer: it does not count. Its type may say that it is more than that.
void Activation::OnFailedCall(const kj::Exception& failure) {
  using Directive = Supervision::Directive;
  const Directive directive = type_.options.supervision.directive;
  if (!ready_ && type_.activates) restart_due_ = true;  // It may have had timers.
  if (directive == Directive::kRestart || directive == Directive::kResume) return;
  if (directive == Directive::kEscalate) {
    RefuseWaiting(Supervise(failure, "a call"));
  } else {
    restart_due_ = false;
    RefuseWaiting(Failed(
        absl::StrCat("actor ", Name(), " was stopped by the failure of a call: ", Words(failure))));
    TellWatchers(Notice::Why::kStopped, Words(failure));
  }
  AnnounceReminders();
}

void Activation::OnFailedOwnTurn(const kj::Exception& failure, TurnKind kind) {
  const char* const what = kind == TurnKind::kActivate     ? "its activation"
                           : kind == TurnKind::kDeactivate ? "its OnDeactivate"
                           : kind == TurnKind::kTimer      ? "a timer"
                           : kind == TurnKind::kNotice     ? "a notice"
                                                           : "a reminder";
  host_.log().Warning("a turn of an actor's own failed",
                      {{"actor", Name()}, {"turn", what}, {"error", Words(failure)}});
  if (kind == TurnKind::kDeactivate) return;
  const auto directive = type_.options.supervision.directive;
  if (directive == Supervision::Directive::kResume && ready_) return;
  if (kind != TurnKind::kActivate && type_.activates) restart_due_ = true;
  const bool stops = directive == Supervision::Directive::kStop;
  auto refusal = Supervise(failure, what);
  if (kind == TurnKind::kActivate || stops || Suspended(host_.clock().Now())) {
    restart_due_ &= !stops;
    RefuseWaiting(refusal);
    if (stops) TellWatchers(Notice::Why::kStopped, Words(failure));
  }
  AnnounceReminders();
}

// Notes the failure. What calls that wait are told, should they be refused.
kj::Exception Activation::Supervise(const kj::Exception& failure, const std::string& what) {
  const absl::Time now = host_.clock().Now();
  const auto& rules = type_.options.supervision;
  if (!supervisor_) supervisor_ = std::make_unique<Supervisor>(rules);
  const std::string error = absl::StrCat(what, " failed: ", Words(failure));
  if (rules.directive == Supervision::Directive::kEscalate) return Suspend(error);
  supervisor_->OnFailure(now, host_.random(), error);
  if (Suspended(now)) return Suspend(error);
  return Failed(absl::StrCat("actor ", Name(), " could not go on: ", error));
}

kj::Exception Activation::Suspend(const std::string& error) {
  supervisor_->Suspend(host_.clock().Now(), error);
  host_.log().Error("actor suspended", {{"actor", Name()}, {"error", error}});
  shard_.OnSuspended(id_, true);
  WakeAt(supervisor_->not_before());
  TellWatchers(Notice::Why::kSuspended, error);
  return SuspendedError();
}

kj::Exception Activation::SuspendedError() const {
  return Overloaded(absl::StrCat("actor ", Name(), " is suspended: ", supervisor_->last_error(),
                                 "; it is tried again after ",
                                 absl::FormatDuration(type_.options.supervision.suspended_for),
                                 ", or at once by `troupe resume ", Name(), "`"));
}

void Activation::RefuseWaiting(const kj::Exception& why) {
  auto refused = std::move(mailbox_);
  mailbox_.clear();
  reminder_waits_ = notice_waits_ = false;
  // Only now: an answer to a caller of this worker may bring its next call at once.
  for (auto& letter : refused) {
    if (letter.call.get() == nullptr) continue;
    const auto key = KeyOf(letter.call->header().id);
    if (!IsRead(*letter.call)) FinishWaiters(key, kj::cp(why));
    letter.call->Finish(kj::cp(why));
  }
}

// ---- Time

void Activation::WakeAt(absl::Time when) {
  if (when >= wake_at_ || when == absl::InfiniteFuture()) return;
  wake_at_ = when;
  tasks_.add(host_.timer().afterDelay(ToKj(when - host_.clock().Now())).then([this, when] {
    if (stopped_ || wake_at_ != when) return;
    wake_at_ = absl::InfiniteFuture();
    if (supervisor_ && !Suspended(host_.clock().Now())) shard_.OnSuspended(id_, false);
    RunReady();
  }));
}

absl::Status Activation::Unsuspend() {
  if (!Suspended(host_.clock().Now())) {
    return absl::FailedPreconditionError(absl::StrCat("actor ", Name(), " is not suspended"));
  }
  supervisor_->Release();
  wake_at_ = absl::InfiniteFuture();
  shard_.OnSuspended(id_, false);
  AnnounceReminders();
  RunReady();
  return absl::OkStatus();
}

std::string Activation::WhySuspended() const {
  return absl::StrCat(Name(), ": ", supervisor_ ? supervisor_->last_error() : "");
}

bool Activation::Look(absl::Time now) {
  if (!idle()) {
    CheckDeadlines(now);
    EndWhatNeverEnds(now);
  }
  if (held_ != nullptr) LookAtHold(now);
  SettleCalls(now);
  if (stopped_) return false;
  if (supervisor_ && supervisor_->Forgettable(now)) supervisor_ = nullptr;
  if (used_ || !idle()) active_at_ = now;
  used_ = false;
  if (retire_ != Retirement::kNone) ProceedToRetire();
  const bool told = called_.empty() || now >= active_at_ + kLastMarkOfIdleLimit;
  return !idle() || !told || held_ != nullptr || retire_ != Retirement::kNone;
}

// ---- Its end (P6.10)

void Activation::RetireIfIdle(absl::Time now) {
  const bool held = resume_ || !outbox_.empty() || watches_.HasDue() || held_ != nullptr ||
                    timers_.KeepActive() || restart_due_ ||
                    (supervisor_ && !supervisor_->Forgettable(now));
  if (held || !idle() || retire_ != Retirement::kNone) return;
  retire_ = Retirement::kIdle;
  retire_since_ = now;
  ProceedToRetire();
}

// A move does not wait for a transaction: the next primary goes on with it.
bool Activation::busy() const {
  const bool only_held = held_ != nullptr && turn_ == nullptr;
  return (!idle() && !only_held) || retire_ == Retirement::kForMove;
}

void Activation::RetireForMove() {
  if (!type_.deactivates || !ready_ || deactivated_ || held_ != nullptr) return;
  retire_ = Retirement::kForMove;
  retire_since_ = host_.clock().Now();
  ProceedToRetire();
}

void Activation::StayAfterAll() {
  if (retire_ == Retirement::kForMove && !deactivated_) retire_ = Retirement::kNone;
}

bool Activation::Leaving() const {
  const bool rests = !resume_ && outbox_.empty() && held_ == nullptr && !watches_.HasDue();
  return deactivated_ || (retire_ == Retirement::kAsked && rests);
}

void Activation::ProceedToRetire() {
  if (retire_ == Retirement::kNone || stopped_ || turn_ != nullptr || readers_ > 0) return;
  if (held_ != nullptr) return;
  if (!deactivated_ && (resume_ || !outbox_.empty() || watches_.HasDue())) {
    // What is to be finished is finished first; a move does not wait for that.
    if (retire_ != Retirement::kAsked) retire_ = Retirement::kNone;
    return;
  }
  if (!Leaving() && !mailbox_.empty()) return;
  if (awaiting_safe_) return;
  const absl::Time now = host_.clock().Now();
  if (shard_.mutations().passivated_early) {
    if (dirty_) shard_.Stage(id_, TakeChange());
    return shard_.Retire(*this);
  }
  if (marks_ != safe_marks_) {
    awaiting_safe_ = true;
    tasks_.add(EarlierSafe().then(
        [this, marks = marks_] {
          awaiting_safe_ = false;
          safe_marks_ = marks;
          RunReady();
        },
        [](kj::Exception&&) {}));  // It is being stopped.
    return;
  }
  if (retire_ == Retirement::kAsked && !called_.empty() && now < retire_since_ + kLastMarkLimit) {
    for (auto& [callee, called] : called_)
      called.at = std::min(called.at, retire_since_ - kLastMarkLimit);
    next_settling_ = std::min(next_settling_, now);
    return SettleCalls(now);  // Look() comes back.
  }
  if (!std::exchange(deactivated_, true) && type_.deactivates && ready_) {
    LimitDeactivation();
    return StartOwn(TurnKind::kDeactivate, OwnTurnId(),
                    [this]() -> kj::Promise<void> { return actor_->OnDeactivate(); });
  }
  AnnounceReminders();
  shard_.Retire(*this);
}

// A turn that is cut short changes nothing: what it did is encoded at its end only.
void Activation::LimitDeactivation() {
  tasks_.add(host_.timer().afterDelay(ToKj(kDeactivateLimit)).then([this] {
    if (stopped_ || turn_ == nullptr) return;
    host_.log().Warning("OnDeactivate does not end; what it did is undone", {{"actor", Name()}});
    reminders_ = ReminderTable(turn_->reminders_before);
    AnnounceReminders();
    if (dirty_) shard_.Stage(id_, TakeChange());  // Of records, meanwhile.
    shard_.Retire(*this);
  }));
}

std::vector<kj::Own<InboundCall>> Activation::TakeWaiting() {
  std::vector<kj::Own<InboundCall>> out;
  auto take = [&](kj::Own<InboundCall> call) {
    auto open = open_.find(KeyOf(call->header().id));
    out.push_back(kj::mv(call));
    if (open == open_.end()) return;
    for (auto& repeat : open->second.repeats) out.push_back(kj::mv(repeat));
    open_.erase(open);
  };
  for (auto& decision : std::exchange(decisions_, {})) take(kj::mv(decision));
  for (auto& letter : std::exchange(mailbox_, {})) {
    if (letter.call.get() != nullptr) take(kj::mv(letter.call));
  }
  for (auto& call : std::exchange(watch_calls_, {})) take(kj::mv(call));
  return out;
}

}  // namespace troupe
