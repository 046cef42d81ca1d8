// Activation, part eleven: as a participant of transactions (P6.15).
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/activation_turn.h"
#include "troupe/actors/transaction.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr absl::Duration kAskAgain = absl::Seconds(1);
constexpr absl::Duration kAskLimit = absl::Seconds(5);

std::string Short(const Id128& id) { return id.ToString().substr(0, 8); }

}  // namespace

bool Activation::IsTentative() const {
  return turn_ != nullptr && turn_->call.get() != nullptr &&
         turn_->call->header().transaction != nullptr;
}

bool Activation::HeldBy(const InboundCall& call) const {
  const auto& stamp = call.header().transaction;
  return held_ != nullptr && stamp != nullptr && held_->hold->id == stamp->id;
}

void Activation::RequireOutsideOfTransaction(std::string_view asked) const {
  if (!IsTentative()) return;
  kj::throwFatalException(Failed(absl::StrCat(
      "actor ", Name(), " called ", std::string(asked),
      " in a call that is part of a transaction, which may yet be undone: do it in a method that "
      "is called by itself")));
}

std::string Activation::WhoHolds() const {
  if (held_ == nullptr) return "";
  const Hold& hold = *held_->hold;
  const auto since = host_.clock().Now() - held_->since;
  return absl::StrCat("; transaction ", Short(hold.id), ", which began with ",
                      shard_.NameOf(hold.first), ", has held it for ",
                      absl::FormatDuration(absl::Trunc(since, absl::Milliseconds(1))));
}

// ---- Calls

// Of whoever may run now: the calls of the transaction that has the actor, else all in order.
std::optional<size_t> Activation::NextLetter() const {
  if (held_ == nullptr) return mailbox_.empty() ? std::nullopt : std::optional<size_t>(0);
  for (size_t i = 0; i < mailbox_.size(); ++i) {
    if (mailbox_[i].call.get() != nullptr && HeldBy(*mailbox_[i].call)) return i;
  }
  return std::nullopt;
}

// A call that is not to run, nor to wait. With a record: a turn that runs again elsewhere makes the
// same attempts, and what ended one of them must end it again.
bool Activation::AnswerByHold(kj::Own<InboundCall>& call, uint64_t argument_hash) {
  auto stamp = *call->header().transaction;
  if (shard_.mutations().grant_not_compared) stamp.grant = {};
  const auto verdict = Judge(held_ == nullptr ? nullptr : held_->hold.get(), stamp);
  TransactedAnswer answer;
  if (verdict == HoldVerdict::kConflict) {
    answer.body = TransactedAnswer::Conflict{absl::StrCat("it waits for ", Name(), WhoHolds())};
  } else if (verdict == HoldVerdict::kGone) {
    answer.body = TransactedAnswer::Gone{absl::StrCat("its hold of ", Name(), " has ended")};
  } else {
    return false;
  }
  if (shard_.mutations().conflict_unrecorded) {
    FinishWaiters(KeyOf(call->header().id), Moved{});
    call->Finish(troupe::Encode(answer));
    return true;
  }
  AnswerWithRecord(kj::mv(call), argument_hash, troupe::Encode(answer));
  return true;
}

void Activation::AnswerWithRecord(kj::Own<InboundCall> call, uint64_t argument_hash,
                                  CallOutcome outcome) {
  records_.AdvanceFloor(host_.clock().Now(), call->header().id, shard_.mutations());
  Answer(kj::mv(call), argument_hash, std::move(outcome), Recorded::kYes);
}

// As the first thing of a turn, in whose batch it is.
void Activation::TakeHold(const TransactionStamp& stamp) {
  if (held_ != nullptr) return;
  auto hold = std::make_shared<Hold>();
  hold->id = stamp.id;
  hold->age = stamp.age;
  hold->limit = stamp.limit;
  hold->first = stamp.first;
  hold->grant = {shard_.lineage(), shard_.mutations().grant_not_compared ? 1 : turn_->number};
  hold->state = last_saved_;
  hold->reminders = reminders_.snapshot();
  hold->resume = resume_;
  hold->resume_since = resume_since_;
  const absl::Time now = host_.clock().Now();
  held_ = std::make_unique<Held>(Held{std::move(hold), now, now + stamp.limit, false, {}});
  hold_moved_ = true;
  if (retire_ == Retirement::kForMove) retire_ = Retirement::kNone;  // The next primary goes on.
  // Those that wait here and are younger may be what the transaction comes to wait for.
  std::vector<kj::Own<InboundCall>> waiting;
  std::erase_if(mailbox_, [&](Letter& letter) {
    if (letter.call.get() == nullptr || letter.call->header().transaction == nullptr) return false;
    const auto verdict = Judge(held_->hold.get(), *letter.call->header().transaction);
    if (verdict != HoldVerdict::kConflict) return false;
    waiting.push_back(kj::mv(letter.call));
    return true;
  });
  for (auto& call : waiting) {
    const uint64_t hash = open_.at(KeyOf(call->header().id)).argument_hash;
    AnswerByHold(call, hash);
  }
}

// The answer is the vote: it leaves when the tentative state and the hold are on all in-sync
// copies.
Payload Activation::Prepared(const CallOutcome& outcome) const {
  TransactedAnswer::Done done{held_->hold->grant, Payload()};
  if (const auto* results = std::get_if<Payload>(&outcome)) {
    done.outcome.emplace<Payload>(*results);
  } else {
    done.outcome.emplace<kj::Exception>(kj::cp(std::get<kj::Exception>(outcome)));
  }
  return troupe::Encode(TransactedAnswer{std::move(done)});
}

// ---- Decisions. They are taken between turns, and need no object.

bool Activation::DeliverDecision(kj::Own<InboundCall>& call) {
  if (decisions_.size() >= kMailboxMax) {
    call->Finish(Overloaded(absl::StrCat(kMailboxMax, " outcomes of transactions wait at ", Name(),
                                         " (running: ", Running(), "); call again later")));
    return true;
  }
  if (call->header().method_id == kCommitMethod) {
    const uint64_t hash =
        ArgumentHash(call->header().interface_id, call->header().method_id, call->params());
    if (AnswerFromRecords(call, hash)) return true;
    if (!records_.CheckRoom(open_.size()).ok()) return false;
    open_[KeyOf(call->header().id)] = Open{hash, {}};
  }
  decisions_.push_back(kj::mv(call));
  used_ = true;
  if (!watched) shard_.Watch(*this);
  RunReady();
  return true;
}

bool Activation::Decided() const {
  return !decisions_.empty() || (held_ != nullptr && held_->decided.has_value());
}

void Activation::RunDecision() {
  if (held_ != nullptr && held_->decided) {
    if (*held_->decided == Decision::kCommitted) return KeepHold();
    return RollBack("its first participant says that it was aborted");
  }
  auto call = kj::mv(decisions_.front());
  decisions_.pop_front();
  const auto method = call->header().method_id;
  const auto& mutations = shard_.mutations();
  CallOutcome outcome;
  bool early = false;
  KJ_IF_MAYBE (e, kj::runCatchingExceptions([&] {
                 if (method == kCommitMethod) {
                   outcome.emplace<Payload>(troupe::Encode(Commit(*call)));
                 } else if (method == kAskMethod) {
                   outcome.emplace<Payload>(
                       troupe::Encode(DecisionFor(*call, DecodeHoldName(call->params()))));
                   early = mutations.ask_answered_early;
                 } else if (method == kFinishMethod) {
                   const auto* told = ToldCall(call->header().id);
                   const auto name = DecodeHoldName(call->params());
                   const bool ours = told != nullptr && held_ != nullptr &&
                                     told->caller == held_->hold->first &&
                                     name.id == held_->hold->id && name.grant == held_->hold->grant;
                   if (ours) KeepHold();
                   outcome.emplace<Payload>(EmptyResults());
                   early = mutations.finish_answered_early;
                 } else {
                   Release(DecodeHoldName(call->params()));
                   outcome.emplace<Payload>(EmptyResults());
                 }
               })) {
    outcome.emplace<kj::Exception>(
        Failed(absl::StrCat("the outcome of a transaction could not be read: ", Words(*e))));
  }
  if (early) return call->Finish(std::move(outcome));
  if (method == kCommitMethod) {
    const uint64_t hash = open_.at(KeyOf(call->header().id)).argument_hash;
    return AnswerWithRecord(kj::mv(call), hash, std::move(outcome));
  }
  // Whoever hears it goes by it: not before what it says is on all in-sync copies.
  FinishWhenSafe(HoldKind::kAnswer, kj::mv(call), std::move(outcome));
}

// In one change: the decision, and that the others will hear of it.
CommitReply Activation::Commit(const InboundCall& call) {
  const auto request = DecodeCommitRequest(call.params());
  if (held_ == nullptr || held_->hold->id != request.id || held_->hold->grant != request.grant) {
    return {false, absl::StrCat("its hold of ", Name(), " has ended", WhoHolds())};
  }
  const auto before = outbox_.snapshot();
  ToldNumber number{next_turn_, 0};
  for (const auto& other : request.others) {
    auto added =
        outbox_.Add({number, other.actor, kActivationInterface, kFinishMethod,
                     DerivedId(request.id, other.actor, kActivationInterface, kFinishMethod, 0),
                     troupe::Encode(HoldName{request.id, other.grant})},
                    watches_.reserve());
    ++number.index;
    if (!added.ok()) {
      outbox_ = Outbox(before);
      return {false, absl::StrCat(Name(), " cannot tell the others: ", added.message())};
    }
  }
  if (!request.others.empty()) {
    ++next_turn_;
    has_called_ = true;
    outbox_moved_ = true;
  }
  KeepHold();
  return {true, ""};
}

void Activation::Release(const HoldName& name) {
  if (held_ != nullptr && held_->hold->id == name.id) RollBack("it was given up");
  std::vector<kj::Own<InboundCall>> waiting;
  std::erase_if(mailbox_, [&](Letter& letter) {
    const bool of_it = letter.call.get() != nullptr &&
                       letter.call->header().transaction != nullptr &&
                       letter.call->header().transaction->id == name.id;
    if (of_it) waiting.push_back(kj::mv(letter.call));
    return of_it;
  });
  // With a record, as any refusal: the turn that makes them may run again elsewhere by now, and
  // what ends this run for it must not come about later.
  for (auto& call : waiting) {
    const uint64_t hash = open_.at(KeyOf(call->header().id)).argument_hash;
    TransactedAnswer gone{TransactedAnswer::Gone{absl::StrCat("it was given up at ", Name())}};
    AnswerWithRecord(kj::mv(call), hash, troupe::Encode(gone));
  }
}

Decision Activation::DecisionFor(const InboundCall& call, const HoldName& name) const {
  if (held_ != nullptr && held_->hold->id == name.id) return Decision::kUndecided;
  const auto* asking = std::get_if<ActorCall>(&call.header().id);
  if (asking == nullptr || shard_.mutations().ask_forgets_outbox) return Decision::kAborted;
  for (const auto& told : outbox_.entries()) {
    const bool finish = told->interface_id == kActivationInterface &&
                        told->method_id == kFinishMethod && told->target == asking->caller;
    if (!finish) continue;
    const auto known = DecodeHoldName(told->params);
    if (known.id == name.id && known.grant == name.grant) return Decision::kCommitted;
  }
  return Decision::kAborted;
}

// ---- The end of a hold

void Activation::KeepHold() {
  held_ = nullptr;
  hold_moved_ = true;
  MarkDirty();
  GoOnAfterTurn();
  ProceedWithTold();
  if (resume_) ScheduleResume();
}

void Activation::RollBack(std::string_view why) {
  const auto held = std::move(held_);
  const Hold& hold = *held->hold;
  hold_moved_ = true;
  host_.log().Debug(
      "a transaction has ended without a commit",
      {{"actor", Name()}, {"transaction", Short(hold.id)}, {"why", std::string(why)}});
  last_saved_ = hold.state;
  state_moved_ = true;
  reminders_ = ReminderTable(hold.reminders);
  reminders_moved_ = true;
  // That it is suspended is told in between, by no turn of the transaction.
  outbox_.RemoveSince(hold.grant.turn, [](const Told& told) {
    return told.interface_id == kActivationInterface && told.method_id == kNoticeMethod;
  });
  outbox_moved_ = true;
  resume_ = hold.resume;
  resume_since_ = hold.resume_since;
  MarkDirty();
  restart_due_ = type_.activates && ready_;  // It may have had timers.
  DropObject();
  AbandonResume();
  AnnounceReminders();
  ProceedWithTold();
}

// Nobody stays held for ever: the participant that decides gives up, the others ask it.
void Activation::LookAtHold(absl::Time now) {
  if (turn_ != nullptr || now < held_->until) return;
  if (held_->hold->first == id_ || shard_.mutations().hold_ends_by_itself) {
    RollBack("it took longer than its limit");
    return RunReady();
  }
  if (!held_->asking) AskFirst();
}

void Activation::AskFirst() {
  held_->asking = true;
  const auto hold = held_->hold;
  CallHeader header{hold->first, kActivationInterface, kAskMethod, {}, {}};
  header.id =
      ActorCall{id_, shard_.lineage(), shard_.epoch(), next_turn_, OldestUnsettled(), hold->id};
  auto ended = [this, hold](Decision decision) {
    if (stopped_ || held_ == nullptr || held_->hold != hold) return;
    held_->asking = false;
    held_->until = host_.clock().Now() + std::min(kAskAgain, hold->limit);
    if (decision == Decision::kUndecided) return;
    held_->decided = decision;
    RunReady();
  };
  tasks_.add(
      caller_
          .Call(std::move(header), troupe::Encode(HoldName{hold->id, hold->grant}),
                host_.clock().Now() + kAskLimit, nullptr)
          .then([ended](Payload&& reply) { ended(DecodeDecision(reply)); })
          .catch_([this, hold, ended](kj::Exception&& e) {
            host_.log().Warning(
                "the outcome of a transaction is not known yet",
                {{"actor", Name()}, {"asked", shard_.NameOf(hold->first)}, {"error", Words(e)}});
            ended(Decision::kUndecided);
          }));
}

}  // namespace troupe
