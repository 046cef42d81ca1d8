// Activation, part two: turns that may change something, and what they leave.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "capnp/serialize.h"
#include "troupe/actors/activation_turn.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr absl::Duration kAgingInterval = absl::Seconds(30);  // Ageing looks at every record.

// P6.6: its caller makes it again under the same id, and it is to run then.
bool IsToldAgain(const CallId& id, const kj::Maybe<kj::Exception>& failure) {
  KJ_IF_MAYBE (e, failure) {
    return ToldCall(id) != nullptr && e->getType() != kj::Exception::Type::FAILED;
  }
  return false;
}

}  // namespace

void Activation::BeginTurn(TurnKind kind, Id128 inbound, std::vector<ChainLink> chain,
                           absl::Time deadline) {
  ForgetTold();
  if (dirty_) {
    ++marks_;
    shard_.Stage(id_, TakeChange());
  }
  turn_ = std::make_unique<Turn>();
  turn_->kind = kind;
  turn_->resume_before = resume_;
  turn_->reminders_before = reminders_.snapshot();
  turn_->outbox_before = outbox_.snapshot();
  turn_->watches_before = watches_.snapshot();
  turn_->number = next_turn_++;
  turn_->frame = {inbound, std::move(chain), deadline};
  turn_->frame.chain.push_back({id_, LinkOf(inbound)});
}

// ---- Calls

void Activation::StartMutating(kj::Own<InboundCall> call) {
  BeginTurn(TurnKind::kCall, InboundId(call->header().id), call->header().chain, call->deadline());
  records_.AdvanceFloor(host_.clock().Now(), call->header().id, shard_.mutations());
  turn_->argument_hash = open_.at(KeyOf(call->header().id)).argument_hash;
  if (call->header().transaction != nullptr) TakeHold(*call->header().transaction);
  turn_->frame.interrupted =
      InfoOf(*call).resumable &&
      records_.Lookup(call->header().id, turn_->argument_hash, shard_.mutations()).record !=
          nullptr;
  turn_->context = kj::refcounted<MethodContext>(call->params(), Origin());
  turn_->frame.metadata = call->header().metadata;
  call->NoteBegin();
  turn_->call = kj::mv(call);
  turn_->running =
      Dispatch(*turn_->call, *turn_->context)
          .then([this] { EndMutating(nullptr); },
                [this](kj::Exception&& e) { EndMutating(kj::mv(e)); })
          .eagerlyEvaluate([this](kj::Exception&& e) { errors_.taskFailed(kj::mv(e)); });
}

void Activation::EndMutating(kj::Maybe<kj::Exception> failure) {
  if (!turn_->nested.empty()) {
    turn_->end = kj::Function<void()>(
        [this, failure = kj::mv(failure)]() mutable { EndMutating(kj::mv(failure)); });
    return;
  }
  if (!stopped_) shard_.loop_watch().Ended([this] { return OpenTurn(); });
  auto call = kj::mv(turn_->call);
  if (stopped_) return;
  call->NoteEnd();
  const uint64_t hash = turn_->argument_hash;
  auto context = kj::mv(turn_->context);
  CallOutcome outcome;
  if (failure == nullptr) failure = TakeResults(*context, *call, outcome);
  const bool undone = CloseTurn(failure);
  KJ_IF_MAYBE (e, failure) outcome.emplace<kj::Exception>(kj::cp(*e));
  if (call->header().transaction != nullptr) outcome.emplace<Payload>(Prepared(outcome));
  const bool again = undone && IsToldAgain(call->header().id, failure);
  Answer(kj::mv(call), hash, std::move(outcome), again ? Recorded::kNo : Recorded::kYes);
  KJ_IF_MAYBE (e, failure) OnFailedCall(*e);
  ProceedWithTold();
  if (resume_) ScheduleResume();
  RunReady();
}

// ---- Turns of the actor's own

// Another than any call's, and than that of any other turn of the epoch that has called others.
Id128 Activation::OwnTurnId() const {
  return DerivedId({shard_.lineage(), shard_.epoch()}, id_, 0, 0, next_turn_);
}

void Activation::StartOwn(TurnKind kind, Id128 inbound, kj::Function<kj::Promise<void>()> work) {
  // Whoever waits for the call that needs the object waits for its OnActivate() too.
  std::vector<ChainLink> chain;
  if (kind == TurnKind::kActivate && !mailbox_.empty() && mailbox_.front().call.get() != nullptr) {
    chain = mailbox_.front().call->header().chain;
  }
  BeginTurn(kind, inbound, std::move(chain), absl::InfiniteFuture());
  turn_->work = kj::mv(work);
  turn_->running =
      shard_.loop_watch()
          .Run(
              nullptr,
              [this] {
                // What changes nothing leaves nothing, whatever an object that was just made
                // encodes to.
                if (turn_->kind == TurnKind::kActivate || last_saved_->empty()) {
                  turn_->state_before = EncodeState();
                }
                return turn_->work();
              },
              [this] { return OpenTurn(); })
          .then([this] { EndOwn(nullptr); }, [this](kj::Exception&& e) { EndOwn(kj::mv(e)); })
          .eagerlyEvaluate([this](kj::Exception&& e) { errors_.taskFailed(kj::mv(e)); });
}

void Activation::EndOwn(kj::Maybe<kj::Exception> failure) {
  if (stopped_) return;
  if (!turn_->nested.empty()) {
    turn_->end = kj::Function<void()>(
        [this, failure = kj::mv(failure)]() mutable { EndOwn(kj::mv(failure)); });
    return;
  }
  shard_.loop_watch().Ended([this] { return OpenTurn(); });
  const TurnKind kind = turn_->kind;
  auto timer = kj::mv(turn_->timer);
  CloseTurn(failure);
  if (dirty_) MarkDirty();
  if (timer.get() != nullptr) timers_.Ended(*timer);
  KJ_IF_MAYBE (e, failure) {
    OnFailedOwnTurn(*e, kind);
  } else if (kind == TurnKind::kActivate) {
    ready_ = true;
    if (supervisor_) supervisor_->OnActivated();
  }
  if (kind == TurnKind::kReminder) AnnounceReminders();
  ProceedWithTold();
  if (resume_) ScheduleResume();
  RunReady();
}

// ---- Their end

bool Activation::KeepsWhatFails() const {
  return type_.options.supervision.directive == Supervision::Directive::kResume &&
         turn_->kind != TurnKind::kActivate;
}

// What the turn changed is saved or, if it failed and its type does not keep that, undone.
bool Activation::CloseTurn(kj::Maybe<kj::Exception>& failure) {
  const bool keeps = KeepsWhatFails();
  if (failure == nullptr && !keeps) failure = kj::mv(turn_->spoiled);
  bool undo = failure != nullptr && !keeps;
  if (!undo) {
    kj::Maybe<kj::Exception> unsaved;
    if (turn_->erases) {
      TellOfErasure();
      DropState();
    } else {
      unsaved = SaveState(turn_->state_before ? *turn_->state_before : *last_saved_);
    }
    undo = unsaved != nullptr;  // What cannot be saved is as if the turn had failed.
    if (failure == nullptr) failure = kj::mv(unsaved);
  }
  for (auto& waiting : turn_->nested_waiting) mailbox_.push_back({kj::mv(waiting), {}});
  auto retired = std::move(turn_);  // Its promise is what runs now.
  KJ_IF_MAYBE (e, failure) {
    host_.log().Debug("turn failed", {{"actor", id_.ToString(type_.name)}, {"error", Words(*e)}});
  }
  if (undo && shard_.mutations().failure_keeps_state) {
    (void)SaveState(*last_saved_);
  } else if (undo) {
    UndoTurn(*retired);
  } else if (retired->reminder && !shard_.mutations().reminder_outside_batch) {
    reminders_.Advance(*retired->reminder);
  } else if (retired->notice && !shard_.mutations().notice_outside_batch) {
    watches_.Remove(retired->watch);
  }
  if (undo) AbandonResume();
  GoOnAfterTurn();
  if (!undo && (retired->deactivates || retired->erases) && retire_ != Retirement::kForMove) {
    retire_ = Retirement::kAsked;
    retire_since_ = host_.clock().Now();
  }
  const bool moved = NoteMoved(*retired);
  const bool changed = moved || resume_ != retired->resume_before ||
                       !retired->frame.ordinals.empty() || retired->nested_called ||
                       state_moved_;  // What earlier turns moved was staged before this one.
  const bool of_its_own = retired->kind != TurnKind::kCall && retired->kind != TurnKind::kResume;
  if (of_its_own && !changed) {
    next_turn_ = retired->number;  // As if it had not been: nothing is to be told of it.
  } else {
    dirty_ = true;
  }
  const bool all = undo && !retired->persisted;
  DestroyLater(std::move(retired));
  return all;
}

// Whether it has changed what stands beside the state. The end of a reminder's turn announces by
// itself.
bool Activation::NoteMoved(const Turn& turn) {
  const bool reminders = reminders_.snapshot() != turn.reminders_before;
  const bool told = outbox_.snapshot() != turn.outbox_before;
  const bool watches = watches_.snapshot() != turn.watches_before;
  reminders_moved_ |= reminders;
  outbox_moved_ |= told;
  watches_moved_ |= watches;
  if (reminders && turn.kind != TurnKind::kReminder) AnnounceReminders();
  return reminders || told || watches;
}

void Activation::UndoTurn(const Turn& turn) {
  DropObject();  // The next turn makes it anew.
  resume_ = turn.resume_before;
  reminders_ = ReminderTable(turn.reminders_before);
  outbox_ = Outbox(turn.outbox_before);
  watches_ = WatchTable(turn.watches_before);
}

std::string Activation::EncodeState() const {
  OutgoingMessage message;
  actor_->SaveState(message.root());
  const auto words = message.ToWords(type_.options.state_version);
  const auto bytes = words.asBytes();
  return std::string(reinterpret_cast<const char*>(bytes.begin()), bytes.size());
}

kj::Maybe<kj::Exception> Activation::SaveState(const std::string& before) {
  return kj::runCatchingExceptions([this, &before] {
    auto bytes = EncodeState();
    if (bytes == before) return;
    // The state to go back to takes its part of what a frame can carry.
    const size_t most = kStateBytesMax - (held_ == nullptr ? 0 : held_->hold->state->size());
    if (bytes.size() > most) {
      kj::throwRecoverableException(Failed(absl::StrCat(
          "the state of ", Name(), " would be ", bytes.size(), " bytes; at most ", most,
          held_ == nullptr ? " can be kept, so the turn has been undone"
                           : " can be kept in a transaction, beside the one before it, so the "
                             "turn has been undone")));
      return;
    }
    last_saved_ = std::make_shared<const std::string>(std::move(bytes));
    state_moved_ = true;
  });
}

// As an actor that never was, but for the answers that it has given.
void Activation::DropState() {
  last_saved_ = std::make_shared<const std::string>();
  state_moved_ = true;
  reminders_.Clear();
  resume_ = false;
  DropObject();
}

void Activation::MarkDirty() {
  dirty_ = true;
  ++marks_;
  shard_.Dirty(id_);
}

// ---- What a turn asks for, and what goes to the copies

void Activation::RequireTurn(std::string_view asked) const {
  if (turn_ != nullptr) return;
  kj::throwFatalException(Failed(absl::StrCat(
      "actor ", Name(), " called ", std::string(asked),
      readers_ > 0 ? " in a $Troupe.readOnly method" : " outside of its turns",
      ": call it in a turn that may change the actor, such as a method without $Troupe.readOnly")));
}

void Activation::RequireTurnThatGoesOn(std::string_view asked) const {
  RequireTurn(asked);
  if (turn_->kind != TurnKind::kDeactivate) return;
  kj::throwFatalException(Failed(absl::StrCat("actor ", Name(), " called ", std::string(asked),
                                              " in OnDeactivate(), its object's last turn: call it "
                                              "in an earlier one")));
}

void Activation::RequestResume() {
  RequireTurnThatGoesOn("RequestResume()");
  if (!resume_ && !turn_->resume_before) resume_since_ = turn_->number;
  resume_ = true;
}

void Activation::CancelResume() {
  RequireTurn("CancelResume()");
  resume_ = false;
}

void Activation::Deactivate() {
  RequireTurn("Deactivate()");
  RequireOutsideOfTransaction("Deactivate()");
  turn_->deactivates = true;
}

void Activation::Erase() {
  RequireTurn("Erase()");
  RequireOutsideOfTransaction("Erase()");
  // Its caller would have the answer, and the turn that runs again would not erase.
  if (!turn_->nested.empty()) {
    kj::throwFatalException(
        Failed(absl::StrCat("actor ", Name(),
                            " called Erase() in a method that runs within another turn: let that "
                            "turn erase it, or Tell() it to")));
  }
  turn_->erases = true;
}

// Earlier turns are settled when a call of the open one leaves, but for what waits to be resumed,
// and what was told and is not answered.
uint64_t Activation::OldestUnsettled() const {
  if (turn_ != nullptr && shard_.mutations().caller_mark_ahead) return turn_->number + 1;
  const bool resumes = turn_ != nullptr ? turn_->resume_before : resume_;
  const uint64_t newest = turn_ != nullptr ? turn_->number : next_turn_;
  uint64_t oldest = std::min(resumes ? resume_since_ : newest, outbox_.OldestTurn());
  // What a transaction has called off it may take back.
  if (held_ != nullptr && held_->hold->resume) oldest = std::min(oldest, held_->hold->resume_since);
  return oldest;
}

std::optional<ActorChange> Activation::Encode() {
  if (turn_ != nullptr && shard_.mutations().open_turn_saved && actor_.get() != nullptr) {
    (void)SaveState(*last_saved_);
  } else if (turn_ != nullptr) {
    return std::nullopt;
  }
  return TakeChange();
}

ActorChange Activation::TakeChange() {
  ActorChange change;
  // Of an open turn what it has kept so far, as with all else.
  const bool resume = turn_ != nullptr ? turn_->resume_before : resume_;
  bool whole_table = whole_records_;
  if (const absl::Time now = host_.clock().Now(); now >= next_aging_) {
    whole_table |= records_.Age(now);
    next_aging_ = now + kAgingInterval;
  }
  change.records = whole_table ? records_.TakeWhole() : records_.TakeChanges();
  if (state_moved_ || whole_records_) change.state = last_saved_;
  whole_records_ = false;
  state_moved_ = false;
  dirty_ = false;
  change.turn = next_turn_;
  change.oldest_unsettled = resume ? resume_since_ : next_turn_;
  change.called = has_called_;
  change.resume = resume;
  if (std::exchange(reminders_moved_, false)) {
    static const auto kNone = std::make_shared<const ReminderTable::List>();
    change.reminders = reminders_.snapshot() != nullptr ? reminders_.snapshot() : kNone;
  }
  if (std::exchange(outbox_moved_, false) && !shard_.mutations().told_outside_batch) {
    static const auto kNothing = std::make_shared<const OutboxList>();
    change.outbox = outbox_.snapshot() != nullptr ? outbox_.snapshot() : kNothing;
  }
  if (std::exchange(watches_moved_, false) && !shard_.mutations().watches_outside_batch) {
    static const auto kUnwatched = std::make_shared<const WatchLists>();
    change.watches = watches_.snapshot() != nullptr ? watches_.snapshot() : kUnwatched;
  }
  if (std::exchange(hold_moved_, false) && !shard_.mutations().hold_outside_batch) {
    change.hold = held_ != nullptr ? held_->hold : NoHold();
  }
  return change;
}

}  // namespace troupe
