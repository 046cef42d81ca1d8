#include "troupe/actors/activation.h"
#include "troupe/actors/activation_turn.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "capnp/serialize.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr absl::Duration kAgingInterval = absl::Seconds(30);  // Ageing looks at every record.

std::string ToBytes(kj::ArrayPtr<const capnp::word> words) {
  auto bytes = words.asBytes();
  return std::string(reinterpret_cast<const char*>(bytes.begin()), bytes.size());
}

}  // namespace

// ---- Life

Activation::Activation(Host& host, Shard& shard, ActorId id, const ActorType& type)
    : host_(host),
      shard_(shard),
      id_(std::move(id)),
      type_(type),
      last_saved_(std::make_shared<const std::string>()),
      origin_(MakeTurnOrigin()),
      background_origin_(MakeBackgroundOrigin()),
      caller_(shard.router()),
      errors_(host.log()),
      tasks_(errors_) {}

Activation::~Activation() noexcept(false) { Stop(); }

void Activation::Errors::taskFailed(kj::Exception&& exception) {
  log.Error("turn bookkeeping failed", {{"error", Words(exception)}});
}

absl::Status Activation::Load(const StoredActor* stored) {
  if (stored != nullptr) {
    if (!shard_.mutations().records_forgotten) records_ = stored->records;
    next_turn_ = std::max<uint64_t>(1, stored->turn);
    resume_ = stored->resume;
    resume_since_ = stored->oldest_unsettled;
    last_saved_ = stored->state;
  }
  whole_records_ = stored == nullptr;
  try {
    RestoreState();
  } catch (kj::Exception& e) {
    return absl::InternalError(absl::StrCat("the snapshot of actor ", type_.name, "/", id_.key,
                                            " does not load: ", Words(e)));
  } catch (std::exception& e) {
    return absl::InternalError(absl::StrCat("the snapshot of actor ", type_.name, "/", id_.key,
                                            " does not load: ", e.what()));
  }
  if (resume_) ScheduleResume();
  return absl::OkStatus();
}

void Activation::RestoreState() {
  auto fresh = type_.make();
  fresh->Attach(*this);
  if (!last_saved_->empty()) {
    IncomingMessage state(Payload::Own(ToWords(*last_saved_)), Origin());
    fresh->LoadState(state.root());
  }
  actor_ = kj::mv(fresh);
}

// Within a turn, so that a snapshot that does not load fails the turn and nothing else.
ActorBase& Activation::Object() {
  if (actor_.get() == nullptr) RestoreState();
  return *actor_;
}

// What cannot be saved is as if the turn had failed.
kj::Maybe<kj::Exception> Activation::SaveState() {
  return kj::runCatchingExceptions([this] {
    OutgoingMessage message;
    actor_->SaveState(message.root());
    auto bytes = ToBytes(message.ToWords());
    if (bytes == *last_saved_) return;
    if (bytes.size() > kStateBytesMax) {
      kj::throwRecoverableException(Failed(absl::StrCat(
          "the state of ", type_.name, "/", id_.key, " would be ", bytes.size(), " bytes; at most ",
          kStateBytesMax, " can be kept, so the turn has been undone")));
      return;
    }
    last_saved_ = std::make_shared<const std::string>(std::move(bytes));
    state_moved_ = true;
  });
}

void Activation::Stop() {
  stopped_ = true;
  DetachOrigins();
  mailbox_.clear();  // Dropping them says Moved.
  open_.clear();
  if (turn_) turn_->call = {};
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
  return type_.methods.at({call.header().interface_id, call.header().method_id});
}

std::string Activation::Describe(const InboundCall& call) const {
  return absl::StrCat(InfoOf(call).name, " on ", type_.name, "/", id_.key);
}

bool Activation::Deliver(kj::Own<InboundCall>& call) {
  if (stopped_) return false;
  const auto& chain = call->header().chain;
  if (std::find(chain.begin(), chain.end(), id_) != chain.end()) {
    std::string path;
    for (const auto& actor : chain) absl::StrAppend(&path, actor.ToString(), " -> ");
    call->Finish(Failed(absl::StrCat("call cycle: ", path, id_.ToString(),
                                     "; the first of them waits for the last")));
    return true;
  }
  if (!InfoOf(*call).read_only) {
    const uint64_t hash =
        ArgumentHash(call->header().interface_id, call->header().method_id, call->params());
    if (AnswerFromRecords(call, hash)) return true;
    if (!records_.CheckRoom(open_.size()).ok()) {
      // What this call says of those before it may make the room.
      records_.AdvanceFloor(host_.clock().Now(), call->header().id, shard_.mutations());
      dirty_ = true;
      shard_.Dirty(id_);
      if (!records_.CheckRoom(open_.size()).ok()) return false;
    }
    if (mailbox_.size() < kMailboxMax) open_[KeyOf(call->header().id)] = Open{hash, {}};
  }
  if (mailbox_.size() >= kMailboxMax) {
    call->Finish(Overloaded(
        absl::StrCat("the mailbox of ", type_.name, "/", id_.key, " is full (", kMailboxMax,
                     " calls wait; running: ",
                     turn_ && turn_->call.get() ? Describe(*turn_->call) : std::string("nothing"),
                     "); call again later")));
    return true;
  }
  mailbox_.push_back(kj::mv(call));
  RunReady();
  return true;
}

// ---- Turns

void Activation::RunReady() {
  if (shard_.mutations().reads_inside_turns) ReadInsideTurn();
  while (!stopped_ && turn_ == nullptr && (!internal_turns_.empty() || !mailbox_.empty())) {
    if (PauseAtEndOfSlice()) return;
    if (!internal_turns_.empty()) {
      if (readers_ > 0) return;
      RunInternalTurn();
      continue;
    }
    const bool read_only = InfoOf(*mailbox_.front()).read_only;
    if (read_only ? readers_ >= kReadersMax : readers_ > 0) return;
    auto call = kj::mv(mailbox_.front());
    mailbox_.pop_front();
    if (call->deadline() <= host_.clock().Now()) {
      if (!read_only) FinishWaiters(KeyOf(call->header().id), Moved{});
      call->Finish(
          Overloaded(absl::StrCat(Describe(*call), " waited for its turn past its deadline")));
      continue;
    }
    if (read_only) {
      StartRead(kj::mv(call));
    } else if (OutdatedWhileWaiting(*call)) {
      FinishWaiters(KeyOf(call->header().id), Moved{});
      call->Finish(Failed(absl::StrCat("Stale: the caller of ", Describe(*call), " has moved on")));
    } else {
      StartMutating(kj::mv(call));
    }
  }
}

// A mutation (P6.9).
void Activation::ReadInsideTurn() {
  while (turn_ != nullptr && actor_.get() != nullptr && !mailbox_.empty() &&
         InfoOf(*mailbox_.front()).read_only) {
    auto call = kj::mv(mailbox_.front());
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
  return records_.Lookup(id, hash, shard_.mutations()).kind != RecordLookup::Kind::kUnknown;
}

void Activation::StartRead(kj::Own<InboundCall> call) {
  const uint64_t number = next_read_++;
  auto& turn = *(reads_[number] = std::make_unique<Turn>());
  ++readers_;
  turn.ticket = shard_.StartRead();
  turn.deadline = call->deadline();
  turn.context = kj::refcounted<Context>(call->params(), Origin());
  turn.call = kj::mv(call);
  auto ended = [this, number](kj::Maybe<kj::Exception> failure) {
    auto& turn = *reads_.at(number);
    EndRead(turn, kj::mv(failure));
    auto retired = std::move(reads_.at(number));
    reads_.erase(number);
    // Its promise is what runs now.
    tasks_.add(kj::evalLater([retired = std::move(retired)] {}));
    RunReady();
  };
  turn.running =
      kj::evalNow([&] {
        const auto& header = turn.call->header();
        return Object()
            .server()
            .dispatchCall(header.interface_id, header.method_id,
                          capnp::CallContext<capnp::AnyPointer, capnp::AnyPointer>(*turn.context))
            .promise;
      })
          .then([ended]() mutable { ended(nullptr); },
                [ended](kj::Exception&& e) mutable { ended(kj::mv(e)); })
          .eagerlyEvaluate([this](kj::Exception&& e) { errors_.taskFailed(kj::mv(e)); });
}

// What no frame could carry is an error instead.
kj::Maybe<kj::Exception> Activation::TakeResults(Context& context, const InboundCall& call,
                                                 CallOutcome& out) const {
  return kj::runCatchingExceptions([&] {
    auto results = context.TakeResults();
    if (results.size_bytes() > kCallBytesMax) {
      kj::throwRecoverableException(
          Failed(absl::StrCat("the results of ", Describe(call), " are ", results.size_bytes(),
                              " bytes; at most ", kCallBytesMax, " can be sent")));
      return;
    }
    out.emplace<Payload>(std::move(results));
  });
}

void Activation::EndRead(Turn& turn, kj::Maybe<kj::Exception> failure) {
  --readers_;
  if (turn.call.get() == nullptr) return;  // Stopped meanwhile.
  CallOutcome outcome;
  if (failure == nullptr) failure = TakeResults(*turn.context, *turn.call, outcome);
  KJ_IF_MAYBE (e, failure) outcome.emplace<kj::Exception>(kj::mv(*e));
  shard_.Hold(id_, HoldKind::kRead, turn.ticket,
              [call = kj::mv(turn.call), outcome = std::move(outcome)](bool ok) mutable {
                if (ok) call->Finish(std::move(outcome));
              });
}

void Activation::BeginTurn(Id128 inbound, std::vector<ActorId> chain, absl::Time deadline) {
  if (dirty_) shard_.Stage(id_, TakeChange());
  turn_ = std::make_unique<Turn>();
  turn_->resume_before = resume_;
  turn_->number = next_turn_++;
  turn_->inbound = inbound;
  turn_->chain = std::move(chain);
  turn_->chain.push_back(id_);
  turn_->deadline = deadline;
}

void Activation::StartMutating(kj::Own<InboundCall> call) {
  BeginTurn(InboundId(call->header().id), call->header().chain, call->deadline());
  records_.AdvanceFloor(host_.clock().Now(), call->header().id, shard_.mutations());
  turn_->argument_hash = open_.at(KeyOf(call->header().id)).argument_hash;
  turn_->context = kj::refcounted<Context>(call->params(), Origin());
  turn_->call = kj::mv(call);
  turn_->running =
      kj::evalNow([&] {
        const auto& header = turn_->call->header();
        return Object()
            .server()
            .dispatchCall(header.interface_id, header.method_id,
                          capnp::CallContext<capnp::AnyPointer, capnp::AnyPointer>(*turn_->context))
            .promise;
      })
          .then([this] { EndMutating(nullptr); },
                [this](kj::Exception&& e) { EndMutating(kj::mv(e)); })
          .eagerlyEvaluate([this](kj::Exception&& e) { errors_.taskFailed(kj::mv(e)); });
}

// The turn is over: what it changed is saved or, if it failed, undone.
void Activation::CloseTurn(kj::Maybe<kj::Exception>& failure) {
  if (failure == nullptr) failure = SaveState();
  auto retired = std::move(turn_);  // Its promise is what runs now.
  kj::Own<ActorBase> failed_actor;
  KJ_IF_MAYBE (e, failure) {
    host_.log().Debug("method failed", {{"actor", id_.ToString()}, {"error", Words(*e)}});
    if (shard_.mutations().failure_keeps_state) {
      (void)SaveState();
    } else {
      failed_actor = kj::mv(actor_);  // The next turn makes it anew.
    }
    resume_ = retired->resume_before;
    AbandonResume();
  }
  tasks_.add(kj::evalLater([turn = std::move(retired), actor = kj::mv(failed_actor)] {}));
  dirty_ = true;
}

void Activation::EndMutating(kj::Maybe<kj::Exception> failure) {
  auto call = kj::mv(turn_->call);
  if (stopped_) return;
  const uint64_t hash = turn_->argument_hash;
  auto context = kj::mv(turn_->context);
  CallOutcome outcome;
  if (failure == nullptr) failure = TakeResults(*context, *call, outcome);
  CloseTurn(failure);
  KJ_IF_MAYBE (e, failure) outcome.emplace<kj::Exception>(kj::cp(*e));
  const auto& id = call->header().id;
  Record(id, hash, outcome);
  shard_.Dirty(id_);
  auto repeats = std::move(open_.at(KeyOf(id)).repeats);
  open_.erase(KeyOf(id));
  for (auto& repeat : repeats) AnswerRepeat(kj::mv(repeat), hash);
  shard_.Hold(id_, HoldKind::kAnswer, {},
              [call = kj::mv(call), outcome = std::move(outcome)](bool ok) mutable {
                if (ok) call->Finish(std::move(outcome));
              });
  if (resume_) ScheduleResume();
  RunReady();
}

// ---- Encoding

void Activation::RequestResume() {
  KJ_REQUIRE(turn_ != nullptr, "RequestResume() is called within a mutating method");
  if (!resume_ && !turn_->resume_before) resume_since_ = turn_->number;
  resume_ = true;
}

void Activation::CancelResume() {
  KJ_REQUIRE(turn_ != nullptr, "CancelResume() is called within a mutating method");
  resume_ = false;
}

// Earlier turns are settled when a call of this one leaves, but for what waits to be resumed.
uint64_t Activation::OldestUnsettled(const Turn& turn) const {
  if (shard_.mutations().caller_mark_ahead) return turn.number + 1;
  return turn.resume_before ? resume_since_ : turn.number;
}

std::optional<ActorChange> Activation::Encode() {
  if (turn_ != nullptr && shard_.mutations().open_turn_saved && actor_.get() != nullptr) {
    (void)SaveState();
  } else if (turn_ != nullptr) {
    return std::nullopt;
  }
  return TakeChange();
}

ActorChange Activation::TakeChange() {
  ActorChange change;
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
  change.oldest_unsettled = resume_ ? resume_since_ : next_turn_;
  change.resume = resume_;
  return change;
}

void Activation::CheckDeadlines(absl::Time now) {
  const size_t waiting = mailbox_.size();
  auto late = std::stable_partition(mailbox_.begin(), mailbox_.end(),
                                    [now](const auto& call) { return call->deadline() > now; });
  std::vector<kj::Own<InboundCall>> expired(std::make_move_iterator(late),
                                            std::make_move_iterator(mailbox_.end()));
  mailbox_.erase(late, mailbox_.end());
  // Only now: an answer to a caller of this worker may bring its next call at once.
  for (auto& call : expired) {
    if (!InfoOf(*call).read_only) FinishWaiters(KeyOf(call->header().id), Moved{});
    call->Finish(Overloaded(absl::StrCat(
        Describe(*call), " did not get its turn before its deadline: ", waiting, " calls wait",
        turn_ && turn_->call.get() ? absl::StrCat(", running: ", Describe(*turn_->call))
                                   : std::string())));
  }
  if (turn_ && turn_->call.get() && turn_->call->deadline() <= now) {
    if (shard_.mutations().cancel_ends_turn) return EndMutating(Failed("cancelled"));
    turn_->call->Finish(
        Overloaded(absl::StrCat(Describe(*turn_->call),
                                " is still running at its deadline; it goes on, and a retry under "
                                "the same id would get its answer")));
  }
}

kj::Own<CallOrigin> Activation::Origin() { return kj::addRef(*origin_); }

}  // namespace troupe
