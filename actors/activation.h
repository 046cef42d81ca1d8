// Activation: the one live object of an actor, its mailbox, and its turns.
//
// Single loop. Turns follow docs/protocol.md P6: mutating ones one at a time, `$readOnly` ones
// together but never inside a mutating one, all in order of arrival. A started turn belongs to the
// actor: no cancel or deadline of a caller ends it. What a turn changed is encoded when it ends,
// before the next begins (P6.8), so a turn that fails undoes itself and nothing else.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "kj/async.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/actor_store.h"
#include "troupe/actors/call.h"
#include "troupe/actors/registry.h"
#include "troupe/actors/router.h"
#include "troupe/actors/shard_replica.h"
#include "troupe/actors/turn_slice.h"
#include "troupe/runtime/host.h"

namespace troupe {

inline constexpr size_t kMailboxMax = 1024;  // Waiting calls; then OVERLOADED, so that pressure
                                             // reaches the source.

// Actors called whose records are not settled yet. Beyond it no more are noted: their records of
// the last calls stay until they are called again.
inline constexpr size_t kCalledMax = 1 << 16;

inline constexpr size_t kReadersMax =
    1024;  // Turns of `$readOnly` methods at once; the rest waits.

class Activation final : private ActorContext, private ResumeContext {
 public:
  // What an activation asks of its shard.
  class Shard {
   public:
    // Where the shard stands: part of the ids of the calls that turns make.
    virtual uint64_t lineage() const = 0;
    virtual Epoch epoch() const = 0;

    virtual void Dirty(const ActorId& actor) = 0;
    virtual void Stage(const ActorId& actor, ActorChange change) = 0;
    // `done` runs when what the token waits for is safe, with ok; or when this copy has stopped
    // serving, without. Possibly at once.
    using Done = kj::Function<void(bool ok)>;
    virtual void Hold(const ActorId& actor, HoldKind kind, ReadTicket ticket, Done done) = 0;
    virtual ReadTicket StartRead() = 0;
    virtual Router& router() = 0;
    // Ids for the calls of turns that leave no record.
    virtual ClientSequence& own_calls() = 0;
    virtual const ReplicaMutations& mutations() const = 0;
    virtual TurnSlice& slice() = 0;

   protected:
    ~Shard() = default;
  };

  Activation(Host& host, Shard& shard, ActorId id, const ActorType& type);
  ~Activation() noexcept(false);
  KJ_DISALLOW_COPY(Activation);

  // Takes on what is stored, if anything; before any call. The error names the actor.
  absl::Status Load(const StoredActor* stored);

  // Takes an admitted call: runs it, queues it, answers it from a record, or refuses it. False, and
  // the call is still there, when there is no room for its record now: it is to be sent again,
  // until earlier calls of its caller are answered and their records go.
  bool Deliver(kj::Own<InboundCall>& call);

  // For the next batch; nothing while a mutating turn is open.
  std::optional<ActorChange> Encode();

  // A calling actor's last mark (P6.5).
  void DeliverSettle(kj::Own<InboundCall> call);

  // Tells actors that this one has called, and not for a while again, its mark.
  void SettleCalls(absl::Time now);

  // Answers calls whose deadline has passed: those that wait are dropped, an open turn goes on.
  void CheckDeadlines(absl::Time now);

  // No more turns; waiting calls go back to their callers to be sent elsewhere.
  void Stop();

  bool idle() const { return mailbox_.empty() && !turn_ && readers_ == 0; }
  const ActorId& id() const override { return id_; }

 private:
  class Context;
  class TurnOrigin;
  class BackgroundOrigin;
  struct Turn;
  // Who called, under which id: an actor may choose ids that others choose too.
  using CallKey = std::tuple<ActorId, Id128, uint64_t>;

  static CallKey KeyOf(const CallId& id);
  const MethodInfo& InfoOf(const InboundCall& call) const;
  std::string Describe(const InboundCall& call) const;

  bool AnswerFromRecords(kj::Own<InboundCall>& call, uint64_t argument_hash);
  void AnswerRecorded(kj::Own<InboundCall> call, const CallRecord& record);
  void AnswerRepeat(kj::Own<InboundCall> repeat, uint64_t argument_hash);
  void RunReady();
  void ReadInsideTurn();
  bool PauseAtEndOfSlice();
  bool OutdatedWhileWaiting(const InboundCall& call) const;
  void StartRead(kj::Own<InboundCall> call);
  void StartMutating(kj::Own<InboundCall> call);
  void BeginTurn(Id128 inbound, std::vector<ActorId> chain, absl::Time deadline);
  void EndRead(Turn& turn, kj::Maybe<kj::Exception> failure);
  void EndMutating(kj::Maybe<kj::Exception> failure);
  void CloseTurn(kj::Maybe<kj::Exception>& failure);
  void Record(const CallId& id, uint64_t argument_hash, const CallOutcome& outcome);
  void FinishWaiters(const CallKey& key, const CallOutcome& outcome);
  // ---- activation_resume.cc
  void ScheduleResume();
  void StartResume();
  void EndResume(kj::Maybe<kj::Exception> failure);
  void AbandonResume();  // The object it runs on is gone; begins anew if it is still wanted.
  void RunInternalTurn();
  kj::Promise<void> InTurn(kj::Function<void()> work) override;
  kj::Own<CallOrigin> ResumeOrigin() override;

  // ---- activation_calls.cc
  kj::Own<CallOrigin> MakeTurnOrigin();
  kj::Own<CallOrigin> MakeBackgroundOrigin();
  void DetachOrigins();
  void NoteCall(const ActorId& callee, uint64_t turn);
  kj::Promise<void> EarlierSafe();  // P6.6: resolves when what completed turns changed is safe.
  kj::Promise<void> SendSettle(const ActorId& callee, uint64_t mark);

  ActorChange TakeChange();
  uint64_t OldestUnsettled(const Turn& turn) const;
  kj::Maybe<kj::Exception> SaveState();
  void RestoreState();  // The object is made anew from last_saved_.
  ActorBase& Object();  // Made anew if the last turn failed.
  kj::Maybe<kj::Exception> TakeResults(Context& context, const InboundCall& call,
                                       CallOutcome& out) const;

  // ActorContext
  void RequestResume() override;
  void CancelResume() override;
  const Log& log() const override { return host_.log(); }
  kj::Own<CallOrigin> Origin() override;

  Host& host_;
  Shard& shard_;
  const ActorId id_;
  const ActorType& type_;
  kj::Own<ActorBase> actor_;  // Null after a turn that failed, until the next.

  RecordTable records_;
  absl::Time next_aging_ = absl::InfinitePast();
  uint64_t next_turn_ = 1;
  bool resume_ = false;
  // The turn that asked for the Resume() that is not done yet. Until then it counts as unsettled,
  // so that callees keep the records of what Resume() has called (P6.5).
  uint64_t resume_since_ = 0;
  std::shared_ptr<const std::string> last_saved_;  // Never null; empty: no state yet.
  bool state_moved_ = false;   // last_saved_ is newer than what was taken for a batch.
  bool whole_records_ = true;  // The next change carries the whole table.
  bool dirty_ = false;         // Completed turns changed something that is in no ActorChange.

  std::deque<kj::Own<InboundCall>> mailbox_;
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
  std::deque<InternalTurn> internal_turns_;  // Run next, before what waits in the mailbox.
  kj::Maybe<kj::Promise<void>> resuming_;
  absl::Duration resume_pause_ = absl::ZeroDuration();
  bool stopped_ = false;
  bool pausing_ = false;  // Until the loop has looked at its sockets.

  struct Called {
    uint64_t turn;  // The last that called it.
    absl::Time at;
    bool settling = false;
  };
  std::map<ActorId, Called> called_;  // Those that keep records of our calls, as far as we know.
  absl::Time next_settling_ = absl::InfinitePast();

  kj::Own<CallOrigin> origin_;             // What refs of this actor hold.
  kj::Own<CallOrigin> background_origin_;  // What refs of its Resume() hold.
  Router::Caller caller_;
  struct Errors final : kj::TaskSet::ErrorHandler {
    explicit Errors(const Log& log) : log(log) {}
    void taskFailed(kj::Exception&& exception) override;
    const Log& log;
  } errors_;
  kj::TaskSet tasks_;
};

}  // namespace troupe
