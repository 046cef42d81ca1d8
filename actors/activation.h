// Activation: the one live object of an actor, its mailbox, and its turns.
//
// Single loop. Turns follow docs/protocol.md P6: mutating ones one at a time, `$readOnly` ones
// together but never inside a mutating one, all in order of arrival. A started turn belongs to the
// actor: no cancel or deadline of a caller ends it. What a turn changed is encoded when it ends,
// before the next begins (P6.8), so a turn that fails undoes itself and nothing else. Beside calls,
// the actor's own turns take their place in the mailbox: timers and reminders (P6.13). The object
// is made when a turn needs one, and goes when it is idle (P6.10) or has failed; the activation
// stays as long as it remembers failures.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "kj/async.h"
#include "troupe/actors/activation_shard.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/actor_store.h"
#include "troupe/actors/actor_timer.h"
#include "troupe/actors/call.h"
#include "troupe/actors/loop_watch.h"
#include "troupe/actors/numbered_call.h"
#include "troupe/actors/outbox.h"
#include "troupe/actors/registry.h"
#include "troupe/actors/reminder_table.h"
#include "troupe/actors/router.h"
#include "troupe/actors/shard_replica.h"
#include "troupe/actors/supervisor.h"
#include "troupe/actors/transaction_message.h"
#include "troupe/runtime/host.h"
#include "troupe/runtime/kj_time.h"

namespace troupe {

inline constexpr size_t kMailboxMax = 1024;  // Waiting calls; then OVERLOADED, so that pressure
                                             // reaches the source.

// Actors called whose records are not settled yet. Beyond it no more are noted: their records of
// the last calls stay until they are called again.
inline constexpr size_t kCalledMax = 1 << 16;

// Turns of `$readOnly` methods at once; the rest waits.
inline constexpr size_t kReadersMax = 1024;

// Of OnDeactivate(): a move waits no longer for it than for other turns.
inline constexpr absl::Duration kDeactivateLimit = absl::Seconds(4);

class MethodContext;

class Activation final : private ActorContext, private ResumeContext, private ActorTimers::Owner {
 public:
  using Shard = ActivationShard;

  Activation(Host& host, Shard& shard, ActorId id, const ActorType& type);
  ~Activation() noexcept(false);
  KJ_DISALLOW_COPY(Activation);

  // Takes on what is stored, if anything; before any call. The object is not made yet.
  void Load(const StoredActor* stored);

  // Takes an admitted call: runs it, queues it, answers it from a record, or refuses it. False, and
  // the call is still there, when there is no room for its record now: it is to be sent again,
  // until earlier calls of its caller are answered and their records go.
  bool Deliver(kj::Own<InboundCall>& call);

  // Whether the open turn of that link waits, so that a call in whose chain it is may end it.
  bool Waits(const ChainLink& link) const { return IsNested(link); }

  // For the next batch; nothing while a mutating turn is open.
  std::optional<ActorChange> Encode();

  // A calling actor's last mark (P6.5).
  void DeliverSettle(kj::Own<InboundCall> call);

  // A reminder may be due: its turn takes its place in the mailbox.
  void Remind();

  // The newest map shows that something that it watches has ended (P6.16).
  void OnWatchedEnd();

  // What time brings: answers calls whose deadline has passed, tells actors that this one has
  // called its mark (P6.5). False when there is nothing more to look after: see IdleSince().
  bool Look(absl::Time now);
  absl::Time idle_since() const { return active_at_; }

  // Lets it go, now or as soon as it can be, if it is still idle and nothing holds it.
  void RetireIfIdle(absl::Time now);
  // Before the shard moves: once its mailbox is empty. Only if OnDeactivate() is to be called.
  void RetireForMove();
  void StayAfterAll();  // The shard does not move.
  // What it has not begun to answer, in order; it is over.
  std::vector<kj::Own<InboundCall>> TakeWaiting();

  // By the operator. FailedPrecondition when it is not suspended.
  absl::Status Unsuspend();
  std::string WhySuspended() const;

  // No more turns; waiting calls go back to their callers to be sent elsewhere.
  void Stop();

  // What it is at, for whoever asks why the loop stands still; empty: nothing.
  std::string OpenTurn() const;

  bool idle() const {
    return mailbox_.empty() && watch_calls_.empty() && decisions_.empty() && !turn_ &&
           readers_ == 0;
  }
  bool busy() const;  // A move is to wait for it.
  bool leaving() const { return retire_ != Retirement::kNone; }
  bool watched = false;  // Kept by whoever watches.
  const ActorType& type() const { return type_; }
  const ActorId& id() const override { return id_; }

 private:
  class TurnOrigin;
  class BackgroundOrigin;
  class OutboxOrigin;
  class TurnScope;
  class Parent;
  struct Turn;
  struct Frame;
  struct Nested;
  struct Held;
  enum class TurnKind : uint8_t {
    kCall,
    kResume,
    kActivate,
    kDeactivate,
    kTimer,
    kReminder,
    kNotice
  };
  // Who called, under which id: an actor may choose ids that others choose too.
  using CallKey = std::tuple<ActorId, Id128, uint64_t>;

  static CallKey KeyOf(const CallId& id);
  const MethodInfo& InfoOf(const InboundCall& call) const;
  bool IsRead(const InboundCall& call) const;
  std::string Describe(const InboundCall& call) const;

  // ---- activation.cc: calls in, reads
  bool Intercepted(InboundCall& call) const;
  void RunReady();
  bool HasWork() const;
  void BetweenTurns();
  void RunLetter(size_t index);
  bool WaitedInVain(kj::Own<InboundCall>& call);
  void RunCall(kj::Own<InboundCall> call);
  void ReadInsideTurn();
  bool PauseAtEndOfSlice();
  bool OutdatedWhileWaiting(const InboundCall& call) const;
  bool ResumesFrom(const InboundCall& call, const RecordLookup& found) const;
  kj::Promise<void> Dispatch(const InboundCall& call, MethodContext& context);
  void StartRead(kj::Own<InboundCall> call);
  void EndRead(Turn& turn, kj::Maybe<kj::Exception> failure);
  kj::Maybe<kj::Exception> TakeResults(MethodContext& context, const InboundCall& call,
                                       CallOutcome& out) const;
  std::string Running() const;  // What the open turn is, for error texts.

  // ---- activation_records.cc
  bool AnswerFromRecords(kj::Own<InboundCall>& call, uint64_t argument_hash);
  void AnswerRecorded(kj::Own<InboundCall> call, const CallRecord& record);
  bool Overtaken(const CallId& id) const;
  void AnswerRepeat(kj::Own<InboundCall> repeat, uint64_t argument_hash);
  void Record(const CallId& id, uint64_t argument_hash, const CallOutcome& outcome);
  void AnswerRepeats(const CallId& id, uint64_t argument_hash);
  void FinishWhenSafe(HoldKind kind, kj::Own<InboundCall> call, CallOutcome outcome,
                      ReadTicket ticket = {});
  void FinishWaiters(const CallKey& key, const CallOutcome& outcome);
  enum class Recorded : uint8_t { kYes, kNo };
  void Answer(kj::Own<InboundCall> call, uint64_t hash, CallOutcome outcome, Recorded recorded);

  // ---- activation_turn.cc: mutating turns, and what they leave
  void BeginTurn(TurnKind kind, Id128 inbound, std::vector<ChainLink> chain, absl::Time deadline);
  void StartMutating(kj::Own<InboundCall> call);
  void EndMutating(kj::Maybe<kj::Exception> failure);
  void StartOwn(TurnKind kind, Id128 inbound, kj::Function<kj::Promise<void>()> work);
  void EndOwn(kj::Maybe<kj::Exception> failure);
  Id128 OwnTurnId() const;
  bool KeepsWhatFails() const;                        // By the rules of its type.
  bool CloseTurn(kj::Maybe<kj::Exception>& failure);  // True: all of it is undone.
  void UndoTurn(const Turn& turn);
  std::string EncodeState() const;
  kj::Maybe<kj::Exception> SaveState(const std::string& before);
  void DropState();
  void MarkDirty();
  ActorChange TakeChange();
  uint64_t OldestUnsettled() const;
  bool NoteMoved(const Turn& turn);
  void RequireTurn(std::string_view asked) const;
  void RequireTurnThatGoesOn(std::string_view asked) const;
  kj::Maybe<kj::Exception> Persist();
  Task<void> Persisted() override;
  bool Interrupted() const override;

  // ---- activation_nested.cc: calls that run within the turn that waits for them
  kj::Exception CallCycle(const InboundCall& call) const;
  const ChainLink* OwnLink(const InboundCall& call) const;
  bool IsNested(const ChainLink& link) const;
  void RunNested();
  void StartNested(kj::Own<InboundCall> call);
  void CloseNested();
  void EndNested(Nested& nested);
  void KeepNested(Nested& nested, kj::Maybe<kj::Exception>& failure, CallOutcome& outcome,
                  const CallId& id);
  bool NestedChanged(const Nested& nested) const;
  void StageOpenTurn();
  void CheckNestedDeadlines(absl::Time now);
  void CutNestedShort(const kj::Exception& why);

  // ---- activation_life.cc: the object, its failures, its end
  bool Ready();  // The object is there; else it is on its way, or not to be tried yet.
  void BeginObject();
  void DropObject();
  kj::Exception Supervise(const kj::Exception& failure, const std::string& what);
  kj::Exception Suspend(const std::string& error);
  bool IsNewer(uint32_t state_version) const;
  void OnNewerState(uint32_t version);
  void OnFailedCall(const kj::Exception& failure);
  void OnFailedOwnTurn(const kj::Exception& failure, TurnKind kind);
  void RefuseWaiting(const kj::Exception& why);
  void WakeAt(absl::Time when);
  bool Suspended(absl::Time now) const { return supervisor_ && supervisor_->suspended(now); }
  kj::Exception SuspendedError() const;
  std::string Name() const;
  void CheckDeadlines(absl::Time now);
  kj::Exception StillRunning(const InboundCall& call) const;
  void EndWhatNeverEnds(absl::Time now);
  void EndOpenTurn(const kj::Exception& why);
  void PassOn(kj::Own<InboundCall>& place, absl::Time now);
  bool PassOnOutdated(kj::Own<InboundCall>& place, absl::Time now);
  void EndLate(kj::Own<InboundCall> call, const std::string& why);
  bool Leaving() const;  // No letter is begun any more.
  void ProceedToRetire();
  void LimitDeactivation();

  // ---- activation_time.cc: timers and reminders
  void OnTimer(kj::Own<ActorTimer::Entry> entry) override;
  void Discard(kj::Promise<void> wait) override { DestroyLater(kj::mv(wait)); }
  void StartTimerTurn(kj::Own<ActorTimer::Entry> entry);
  void StartReminderTurn();
  void AnnounceReminders();

  // ---- activation_resume.cc
  void ScheduleResume();
  void StartResume();
  void EndResume(kj::Maybe<kj::Exception> failure);
  void AbandonResume();  // The object it runs on is gone; begins anew if it is still wanted.
  void DropResuming();   // Before the object.
  void RunInternalTurn();
  kj::Promise<void> InTurn(kj::Function<void()> work) override;
  kj::Promise<void> Pause(absl::Duration time) override;
  kj::Promise<Payload> Call(NumberedCall call) override;
  kj::Promise<void> TurnOver();
  void GoOnAfterTurn();
  kj::Own<CallOrigin> ResumeOrigin() override;

  // ---- activation_calls.cc
  kj::Own<CallOrigin> MakeTurnOrigin();
  kj::Own<CallOrigin> MakeBackgroundOrigin();
  kj::Own<CallOrigin> MakeOutboxOrigin();
  void DetachOrigins();
  void NoteCall(const ActorId& callee, uint64_t turn);
  kj::Promise<void> EarlierSafe();  // P6.6: resolves when what completed turns changed is safe.
  void SettleCalls(absl::Time now);
  kj::Promise<void> SendSettle(const ActorId& callee, uint64_t mark);

  // ---- activation_outbox.cc: what turns tell others
  kj::Own<CallOrigin> ToldOrigin() override;
  void Tell(Told told);
  ToldNumber LastKeptTold() const;
  void ProceedWithTold();
  void AwaitTold();
  void SendTold(const ActorId* to = nullptr);
  void MakeCall(const SharedTold& told);
  void EndTold(const SharedTold& told, kj::Maybe<kj::Exception> failure);
  void EndFinish(const SharedTold& told, const kj::Maybe<kj::Exception>& failure);
  void ForgetTold();

  // ---- activation_watch.cc
  void RunWatchCalls();
  void RunWatchCall(kj::Own<InboundCall> call);
  Payload TakeWatchCall(const InboundCall& call);
  void AddWatcher(const ActorCall& caller, Id128 watch);
  void ProceedWithWatches();
  void StartNoticeTurn();
  void TellWatchers(Notice::Why why, const std::string& text);
  void TellOfErasure();  // Of this turn.
  void NoteTold(const Told& told, const CallOutcome& outcome);
  void TellWatched(const ActorId& target, uint16_t method, Id128 watch);
  void Watch(const AnyRef& who) override;
  bool Unwatch(const AnyRef& who) override;
  void WatchNode(std::string_view node) override;
  bool UnwatchNode(std::string_view node) override;

  // ---- activation_transaction.cc: as a participant of transactions (P6.15)
  bool DeliverDecision(kj::Own<InboundCall>& call);
  bool IsTentative() const;
  bool HeldBy(const InboundCall& call) const;
  void RequireOutsideOfTransaction(std::string_view asked) const;
  bool AnswerByHold(kj::Own<InboundCall>& call, uint64_t argument_hash);
  void AnswerWithRecord(kj::Own<InboundCall> call, uint64_t argument_hash, CallOutcome outcome);
  void TakeHold(const TransactionStamp& stamp);
  Payload Prepared(const CallOutcome& outcome) const;
  std::optional<size_t> NextLetter() const;  // None: nothing in the mailbox may run.
  bool Decided() const;
  void RunDecision();
  CommitReply Commit(const InboundCall& call);
  void Release(const HoldName& hold);
  Decision DecisionFor(const InboundCall& call, const HoldName& hold) const;
  void KeepHold();
  void RollBack(std::string_view why);
  void LookAtHold(absl::Time now);
  void AskFirst();
  std::string WhoHolds() const;  // For errors; empty: nobody.

  // ActorContext
  std::string KeyBeside(std::string_view name) const override;
  Task<void> Sleep(absl::Duration duration) override {
    return host_.timer().afterDelay(ToKj(duration));
  }
  kj::Promise<void> RunElsewhere(kj::Function<void()> work) override {
    return host_.Offload(kj::mv(work));
  }
  kj::Own<TransactionScope> BeginTransaction() override;
  void RequestResume() override;
  void CancelResume() override;
  ActorTimer AddTimer(TimerOptions options, ActorTimer::Entry::Work work) override;
  void SetReminder(std::string_view name, const ReminderOptions& options) override;
  bool CancelReminder(std::string_view name) override;
  void Deactivate() override;
  void Erase() override;
  absl::Time WallNow() const override { return host_.clock().WallNow(); }
  const Log& log() const override { return host_.log(); }
  kj::Own<CallOrigin> Origin() override;
  ParentSide& AsParent() override;

  // What may be what runs now.
  template <typename... T>
  void DestroyLater(T... what);

  Host& host_;
  Shard& shard_;
  const ActorId id_;
  const ActorType& type_;
  std::unique_ptr<Parent> parent_;  // To its children; null before there are any.
  kj::Own<ActorBase> actor_;        // Null before the first turn, and after one that failed.
  bool ready_ = false;              // It has had its OnActivate().
  bool restart_due_ = false;        // To be made anew without waiting for a call.
  bool resume_due_ = false;         // Resume() waits for the object.
  std::unique_ptr<Supervisor> supervisor_;  // Null while there is no failure to remember.
  absl::Time wake_at_ = absl::InfiniteFuture();

  RecordTable records_;
  absl::Time next_aging_ = absl::InfinitePast();
  uint64_t next_turn_ = 1;
  bool has_called_ = false;  // Others, ever: they may remember its turn numbers.
  bool resume_ = false;
  // The turn that asked for the Resume() that is not done yet. Until then it counts as unsettled,
  // so that callees keep the records of what Resume() has called (P6.5).
  uint64_t resume_since_ = 0;
  std::shared_ptr<const std::string> last_saved_;  // Never null; empty: no state yet.
  bool state_moved_ = false;   // last_saved_ is newer than what was taken for a batch.
  bool whole_records_ = true;  // The next change carries the whole table.
  bool dirty_ = false;         // Completed turns changed something that is in no ActorChange.
  ReminderTable reminders_;
  bool reminders_moved_ = false;  // As of last_saved_.
  Outbox outbox_;
  bool outbox_moved_ = false;
  WatchTable watches_;
  WatchSnapshot watches_seen_;  // As compared with the map, and told to the shard.
  bool watches_moved_ = false;
  bool map_moved_ = false;      // It shows an end.
  std::unique_ptr<Held> held_;  // By a transaction; else null.
  bool hold_moved_ = false;
  std::deque<kj::Own<InboundCall>>
      decisions_;  // About transactions; before what is in the mailbox.

  // What waits for its turn: a call, a timer that is due, a notice, or else reminders.
  struct Letter {
    kj::Own<InboundCall> call;
    kj::Own<ActorTimer::Entry> timer;
    bool notice = false;
  };
  std::deque<Letter> mailbox_;
  bool reminder_waits_ = false, notice_waits_ = false;  // There is a letter for it.
  std::deque<kj::Own<InboundCall>> watch_calls_;  // Run between turns, with or without an object.
  // Calls waiting or running, with those that came again under the same id.
  struct Open {
    uint64_t argument_hash;
    std::vector<kj::Own<InboundCall>> repeats;
  };
  std::map<CallKey, Open> open_;
  std::unique_ptr<Turn> turn_;  // The open mutating turn.
  std::map<uint64_t, std::unique_ptr<Turn>> reads_;
  uint64_t next_read_ = 1;
  size_t readers_ = 0;
  bool resume_scheduled_ = false;  // Resume() is waited for, or running.
  struct InternalTurn {
    kj::Function<void()> work;
    kj::Own<kj::PromiseFulfiller<void>> done;
  };
  std::list<InternalTurn> internal_turns_;  // Run next, before what waits in the mailbox.
  kj::Maybe<kj::Promise<void>> resuming_;
  absl::Duration resume_pause_ = absl::ZeroDuration();
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> turn_over_;  // Of Resume(); they wait for it.
  // Why it goes, once it can: not wanted, Deactivate(), its shard moves.
  enum class Retirement : uint8_t { kNone, kIdle, kAsked, kForMove } retire_ = Retirement::kNone;
  absl::Time retire_since_;
  bool deactivated_ = false;  // OnDeactivate() has begun: nothing else does.
  bool awaiting_safe_ = false;
  uint64_t marks_ = 0;       // Times that something changed, ...
  uint64_t safe_marks_ = 0;  // ... and how many of them are on all in-sync copies.
  absl::Time active_at_;     // Last seen with something to do for others.
  bool used_ = true;         // Since then.
  bool stopped_ = false;
  bool pausing_ = false;  // Until the loop has looked at its sockets.

  struct Called {
    uint64_t turn;  // The last that called it.
    absl::Time at;
    bool settling = false;
  };
  std::map<ActorId, Called> called_;  // Those that keep records of our calls, as far as we know.
  absl::Time next_settling_ = absl::InfinitePast();

  ToldNumber told_awaited_;         // What was told up to here will be safe; ...
  ToldNumber told_safe_;            // ... is on all in-sync copies.
  uint64_t told_floor_ = 0;         // They know too that what earlier turns told is answered.
  std::set<ToldNumber> told_done_;  // Answered, while a turn was open.
  std::vector<std::function<void()>> told_notes_;  // What those answers say of watches.
  std::set<ToldNumber> finishing_;  // Of commits: those under way, and those that pause.
  struct Telling {
    absl::Duration pause = absl::ZeroDuration();
    bool busy = false;            // A call is under way, or the pause.
    std::set<ToldNumber> pushed;  // To an observer: those under way.
  };
  std::map<ActorId, Telling> telling_;

  kj::Own<CallOrigin> origin_;               // What refs of this actor hold.
  kj::Own<CallOrigin> background_origin_;    // What refs of its Resume() hold.
  kj::Own<CallOrigin> outbox_origin_;        // What tells by.
  std::unique_ptr<ClientSequence> reading_;  // Ids for the calls of turns that leave no record.
  Router::Caller caller_;
  struct Errors final : kj::TaskSet::ErrorHandler {
    explicit Errors(const Log& log) : log(log) {}
    void taskFailed(kj::Exception&& exception) override;
    const Log& log;
  } errors_;
  ActorTimers timers_;
  kj::TaskSet tasks_;
};

}  // namespace troupe
