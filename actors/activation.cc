#include "troupe/actors/activation.h"
#include "troupe/actors/activation_turn.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/interception.h"
#include "troupe/rpc/status.h"

namespace troupe {
// ---- Life

Activation::Activation(Host& host, Shard& shard, ActorId id, const ActorType& type)
    : host_(host),
      shard_(shard),
      id_(std::move(id)),
      type_(type),
      last_saved_(std::make_shared<const std::string>()),
      active_at_(host.clock().Now()),
      origin_(MakeTurnOrigin()),
      background_origin_(MakeBackgroundOrigin()),
      outbox_origin_(MakeOutboxOrigin()),
      caller_(shard.router()),
      errors_(host.log()),
      timers_(host.timer(), *this),
      tasks_(errors_) {}

Activation::~Activation() noexcept(false) {
  Stop();
  if (parent_) parent_->Close();
}

void Activation::Errors::taskFailed(kj::Exception&& exception) {
  log.Error("turn bookkeeping failed", {{"error", Words(exception)}});
}

void Activation::Load(const StoredActor* stored) {
  whole_records_ = stored == nullptr;
  if (stored == nullptr) return;
  if (!shard_.mutations().records_forgotten) records_ = stored->records;
  next_turn_ = std::max<uint64_t>(1, stored->turn);
  has_called_ = stored->called;
  resume_ = stored->resume;
  resume_since_ = stored->oldest_unsettled;
  last_saved_ = stored->state;
  reminders_ = ReminderTable(stored->reminders);
  outbox_ = Outbox(stored->outbox);
  watches_ = WatchTable(stored->watches);
  if (stored->hold != nullptr) {
    const absl::Time now = host_.clock().Now();
    held_ = std::make_unique<Held>(Held{stored->hold, now, now + stored->hold->limit, false, {}});
  }
  if (resume_) ScheduleResume();
  if (watches_.HasDue()) OnWatchedEnd();
  if (!outbox_.empty()) ProceedWithTold();
}

void Activation::Stop() {
  stopped_ = true;
  DetachOrigins();
  timers_.CancelAll();
  mailbox_.clear();  // Dropping them says Moved.
  watch_calls_.clear();
  decisions_.clear();
  open_.clear();
  if (turn_) turn_->Abandon();
  for (auto& [number, turn] : reads_) turn->call = {};
}

// ---- Calls in

Activation::CallKey Activation::KeyOf(const CallId& id) {
  if (const auto* client = std::get_if<ClientCall>(&id)) {
    return {ActorId{}, client->client, client->sequence};
  }
  const auto& call = std::get<ActorCall>(id);
  return {call.caller, call.id, ~uint64_t{0}};
}

const MethodInfo& Activation::InfoOf(const InboundCall& call) const {
  static const MethodInfo kWatchCall{"a watch", false, false};
  if (IsWatchCall(call.header())) return kWatchCall;
  return type_.methods.at({call.header().interface_id, call.header().method_id});
}

bool Activation::IsRead(const InboundCall& call) const {
  return call.header().transaction == nullptr && InfoOf(call).read_only;
}

std::string Activation::Name() const { return absl::StrCat(type_.name, "/", id_.key); }

std::string Activation::Describe(const InboundCall& call) const {
  const bool decides =
      call.header().interface_id == kActivationInterface && !IsWatchCall(call.header());
  return absl::StrCat(decides ? "the outcome of a transaction" : InfoOf(call).name, " on ", Name());
}

std::string Activation::Running() const {
  if (turn_ == nullptr) return "nothing";
  switch (turn_->kind) {
    case TurnKind::kActivate:
      return "its OnActivate";
    case TurnKind::kDeactivate:
      return "its OnDeactivate";
    case TurnKind::kTimer:
      return "a timer of its own";
    case TurnKind::kReminder:
      return "a reminder of its own";
    case TurnKind::kNotice:
      return "its OnNotice";
    case TurnKind::kResume:
    case TurnKind::kCall:
      break;
  }
  return turn_->call.get() != nullptr ? Describe(*turn_->call) : "nothing";
}

std::string Activation::OpenTurn() const {
  if (turn_ != nullptr) {
    const bool of_a_call = turn_->call.get() != nullptr;
    return of_a_call ? Describe(*turn_->call) : absl::StrCat(Running(), " of ", Name());
  }
  if (reads_.empty() || reads_.begin()->second->call.get() == nullptr) return "";
  return Describe(*reads_.begin()->second->call);
}

// False: it was refused. What the object before this one has left has been through them.
bool Activation::Intercepted(InboundCall& call) const {
  if (type_.interceptors->empty() || call.hooked()) return true;
  return Intercept(call, type_, InfoOf(call).name, host_, shard_.node());
}

bool Activation::Deliver(kj::Own<InboundCall>& call) {
  if (stopped_) return false;
  const bool watch_call = IsWatchCall(call->header());
  if (call->header().interface_id == kActivationInterface && !watch_call) {
    return DeliverDecision(call);
  }
  const bool tentative = call->header().transaction != nullptr;
  const ChainLink* link = OwnLink(*call);
  const bool leaves = turn_ != nullptr && turn_->kind == TurnKind::kDeactivate;
  if (link != nullptr && (!InfoOf(*call).reentrant || link->turn == 0 || leaves || tentative)) {
    call->Finish(CallCycle(*call));
    return true;
  }
  const bool nested = link != nullptr && IsNested(*link);
  const bool read_only = IsRead(*call);
  uint64_t hash = 0;
  if (!read_only) {
    hash = ArgumentHash(call->header().interface_id, call->header().method_id, call->params());
    if (tentative) hash ^= call->header().transaction->id.lo;
    if (AnswerFromRecords(call, hash)) return true;
  }
  if (!nested && !watch_call && supervisor_ && Suspended(host_.clock().Now())) {
    call->Finish(SuspendedError());
    return true;
  }
  const size_t waiting = nested       ? turn_->nested_waiting.size()
                         : watch_call ? watch_calls_.size()
                                      : mailbox_.size();
  if (!read_only) {
    if (!records_.CheckRoom(open_.size()).ok()) {
      // What this call says of those before it may make the room.
      records_.AdvanceFloor(host_.clock().Now(), call->header().id, shard_.mutations());
      MarkDirty();
      if (!records_.CheckRoom(open_.size()).ok()) return false;
    }
  }
  if (!watch_call && !Intercepted(*call)) return true;
  if (tentative && AnswerByHold(call, hash)) return true;
  if (waiting >= kMailboxMax && !HeldBy(*call)) {
    call->Finish(Overloaded(absl::StrCat("the mailbox of ", Name(), " is full (", kMailboxMax,
                                         " calls wait; running: ", Running(), WhoHolds(),
                                         "); call again later")));
    return true;
  }
  if (!read_only) open_[KeyOf(call->header().id)] = Open{hash, {}};
  if (nested) {
    turn_->nested_waiting.push_back(kj::mv(call));
    RunNested();
    return true;
  }
  if (watch_call) {
    watch_calls_.push_back(kj::mv(call));
  } else {
    mailbox_.push_back({kj::mv(call), {}});
  }
  used_ = true;
  if (retire_ == Retirement::kIdle && !deactivated_) retire_ = Retirement::kNone;
  if (!watched) shard_.Watch(*this);
  RunReady();
  return true;
}

// ---- Turns

bool Activation::HasWork() const {
  if (Decided()) return true;
  if (held_ != nullptr) return NextLetter().has_value();
  return !internal_turns_.empty() || restart_due_ || resume_due_ ||
         (!mailbox_.empty() && !Leaving());
}

// Not of what a transaction may yet undo.
void Activation::BetweenTurns() {
  if (turn_ != nullptr || stopped_) return;
  if (held_ == nullptr) RunWatchCalls();
  ProceedWithWatches();
}

void Activation::RunReady() {
  if (shard_.mutations().reads_inside_turns) ReadInsideTurn();
  if (turn_ == nullptr) ForgetTold();
  BetweenTurns();
  while (!stopped_ && turn_ == nullptr && HasWork()) {
    if (PauseAtEndOfSlice()) return;
    if (Decided()) {
      RunDecision();
      BetweenTurns();
      continue;
    }
    if (readers_ > 0 && (!ready_ || !internal_turns_.empty())) return;
    if (!ready_) {
      if (!Ready()) return;
      continue;
    }
    restart_due_ = false;
    if (held_ == nullptr && std::exchange(resume_due_, false)) {
      StartResume();
    } else if (held_ == nullptr && !internal_turns_.empty()) {
      RunInternalTurn();
    } else if (const auto next = NextLetter()) {
      const auto& letter = mailbox_[*next];
      const bool read_only = letter.call.get() != nullptr && IsRead(*letter.call);
      if (read_only ? readers_ >= kReadersMax : readers_ > 0) return;
      RunLetter(*next);
    }
  }
  ProceedToRetire();
}

void Activation::RunLetter(size_t index) {
  auto letter = kj::mv(mailbox_[index]);
  if (index == 0) {
    mailbox_.pop_front();
  } else {
    mailbox_.erase(mailbox_.begin() + static_cast<ptrdiff_t>(index));
  }
  if (letter.call.get() != nullptr) return RunCall(kj::mv(letter.call));
  if (letter.timer.get() != nullptr) return StartTimerTurn(kj::mv(letter.timer));
  if (letter.notice) return StartNoticeTurn();
  StartReminderTurn();
}

// Whether it waited until nobody would hear it any more; then it is answered.
bool Activation::WaitedInVain(kj::Own<InboundCall>& call) {
  const absl::Time now = host_.clock().Now();
  PassOn(call, now);
  if (call->deadline() <= now) {
    const auto why = absl::StrCat(Describe(*call), " waited for its turn past its deadline");
    EndLate(kj::mv(call), why);
    return true;
  }
  if (IsRead(*call) || !OutdatedWhileWaiting(*call)) return false;
  if (PassOnOutdated(call, now)) return false;
  const auto stale =
      Failed(absl::StrCat("Stale: the caller of ", Describe(*call), " has moved on"));
  FinishWaiters(KeyOf(call->header().id), kj::cp(stale));
  call->Finish(kj::cp(stale));
  return true;
}

void Activation::RunCall(kj::Own<InboundCall> call) {
  if (WaitedInVain(call)) return;
  if (IsRead(*call)) {
    StartRead(kj::mv(call));
  } else if (IsWatchCall(call->header())) {
    RunWatchCall(kj::mv(call));
  } else if (call->header().transaction == nullptr ||
             !AnswerByHold(call, open_.at(KeyOf(call->header().id)).argument_hash)) {
    StartMutating(kj::mv(call));
  }
}

// A mutation (P6.9).
void Activation::ReadInsideTurn() {
  while (turn_ != nullptr && ready_ && !mailbox_.empty() &&
         mailbox_.front().call.get() != nullptr && IsRead(*mailbox_.front().call)) {
    auto call = kj::mv(mailbox_.front().call);
    mailbox_.pop_front();
    StartRead(kj::mv(call));
  }
}

bool Activation::PauseAtEndOfSlice() {
  if (pausing_ || !shard_.slice().over()) return pausing_;
  pausing_ = true;
  tasks_.add(shard_.slice().NextLook().then([this] {
    pausing_ = false;
    RunReady();
  }));
  return true;
}

// P6.4, P6.5: a call that ran meanwhile may have raised the floor past this one, or the epoch.
bool Activation::OutdatedWhileWaiting(const InboundCall& call) const {
  if (shard_.mutations().repeat_runs_again) return false;
  const auto& id = call.header().id;
  const auto hash = open_.at(KeyOf(id)).argument_hash;
  const auto found = records_.Lookup(id, hash, shard_.mutations());
  return found.kind != RecordLookup::Kind::kUnknown && !ResumesFrom(call, found);
}

kj::Promise<void> Activation::Dispatch(const InboundCall& call, MethodContext& context) {
  return shard_.loop_watch().Run(
      &InfoOf(call),
      [&] {
        const auto& header = call.header();
        return actor_->server()
            .dispatchCall(header.interface_id, header.method_id, AnyCall(context))
            .promise;
      },
      [&] { return Describe(call); });
}

void Activation::StartRead(kj::Own<InboundCall> call) {
  const uint64_t number = next_read_++;
  auto& turn = *(reads_[number] = std::make_unique<Turn>());
  ++readers_;
  turn.ticket = shard_.StartRead();
  call->NoteBegin();
  turn.context = kj::refcounted<MethodContext>(call->params(), Origin());
  turn.call = kj::mv(call);
  auto ended = [this, number](kj::Maybe<kj::Exception> failure) {
    auto& turn = *reads_.at(number);
    EndRead(turn, kj::mv(failure));
    auto retired = std::move(reads_.at(number));
    reads_.erase(number);
    DestroyLater(std::move(retired));
    RunReady();
  };
  turn.running = Dispatch(*turn.call, *turn.context)
                     .then([ended]() mutable { ended(nullptr); },
                           [ended](kj::Exception&& e) mutable { ended(kj::mv(e)); })
                     .eagerlyEvaluate([this](kj::Exception&& e) { errors_.taskFailed(kj::mv(e)); });
}

// What no frame could carry is an error instead.
kj::Maybe<kj::Exception> Activation::TakeResults(MethodContext& context, const InboundCall& call,
                                                 CallOutcome& out) const {
  return context.TakeResults([&] { return Describe(call); }, out);
}

void Activation::EndRead(Turn& turn, kj::Maybe<kj::Exception> failure) {
  --readers_;
  if (turn.call.get() == nullptr) return;  // Stopped meanwhile.
  turn.call->NoteEnd();
  shard_.loop_watch().Ended([&] { return Describe(*turn.call); });
  CallOutcome outcome;
  if (failure == nullptr) failure = TakeResults(*turn.context, *turn.call, outcome);
  KJ_IF_MAYBE (e, failure) outcome.emplace<kj::Exception>(kj::mv(*e));
  FinishWhenSafe(HoldKind::kRead, kj::mv(turn.call), std::move(outcome), turn.ticket);
}

kj::Own<CallOrigin> Activation::Origin() { return kj::addRef(*origin_); }

}  // namespace troupe
