// Activation, part eight: what turns tell others, and that it is answered (P6.6).
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/activation_turn.h"
#include "troupe/actors/child_key.h"
#include "troupe/actors/observer_key.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/kj_time.h"

namespace troupe {
namespace {

constexpr absl::Duration kPauseMin = absl::Milliseconds(20);
constexpr absl::Duration kPauseMax = absl::Seconds(2);
constexpr absl::Duration kFinishPause = absl::Milliseconds(100);
constexpr size_t kPushedMax = 16;  // To one observer at once; the next waits for an answer.

// Of a transaction that this actor has committed (P6.15).
bool IsFinish(const Told& told) {
  return told.interface_id == kActivationInterface && told.method_id == kFinishMethod;
}

}  // namespace

// Writes calls down instead of making them. Throws what cannot be, into the turn that tells.
class Activation::OutboxOrigin final : public CallOrigin {
 public:
  explicit OutboxOrigin(Activation& activation) : activation_(activation) {}

  kj::Promise<Payload> Call(const ActorId& target, uint64_t interface_id, uint16_t method_id,
                            Payload params, const CallOptions& options) override {
    activation_.RequireTurnThatGoesOn("Tell()");
    activation_.Tell(
        {{}, target, interface_id, method_id, {}, std::move(params), options.metadata});
    return kj::NEVER_DONE;  // TellTo drops it.
  }
  kj::Promise<Payload> Refuse(kj::Exception&& why) override {
    kj::throwFatalException(kj::mv(why));
  }

 private:
  Activation& activation_;
};

kj::Own<CallOrigin> Activation::MakeOutboxOrigin() { return kj::refcounted<OutboxOrigin>(*this); }

kj::Own<CallOrigin> Activation::ToldOrigin() { return kj::addRef(*outbox_origin_); }

// In a turn.
void Activation::Tell(Told told) {
  if (IsChildKey(told.target.key)) {
    kj::throwFatalException(Failed(absl::StrCat(
        "actor ", Name(), " cannot tell its child ", std::string(NameOfChildKey(told.target.key)),
        " anything that is to outlive it: call it, and wait or drop the promise")));
  }
  const uint64_t ordinal =
      turn_->frame.ordinals[{told.target, told.interface_id, told.method_id}]++;
  told.id =
      DerivedId(turn_->frame.inbound, told.target, told.interface_id, told.method_id, ordinal);
  told.number = {turn_->number, turn_->told++};
  // Watches keep room for what they tell, and that carries none.
  if (told.interface_id != kActivationInterface) {
    told.metadata = turn_->frame.metadata.And(told.metadata);
  }
  const auto added = outbox_.Add(std::move(told), watches_.reserve());
  if (!added.ok()) {
    kj::throwFatalException(
        Overloaded(absl::StrCat("actor ", Name(), " cannot tell more: ", added.message())));
  }
  has_called_ = true;
}

// Of what was told the last that neither a failure of the turn nor a transaction takes back.
ToldNumber Activation::LastKeptTold() const {
  const Outbox kept(turn_ == nullptr ? outbox_.snapshot() : turn_->outbox_before);
  if (held_ == nullptr || shard_.mutations().told_before_commit) return kept.last();
  return kept.LastBefore(held_->hold->grant.turn);
}

// If the turn that has ended, or is safe so far, has told something.
void Activation::ProceedWithTold() {
  if (LastKeptTold() > told_awaited_) AwaitTold();
}

// Sends what is there once it is safe.
void Activation::AwaitTold() {
  told_awaited_ = std::max(told_awaited_, LastKeptTold());
  auto proceed = [this, safe = told_awaited_, floor = OldestUnsettled()] {
    told_safe_ = std::max(told_safe_, safe);
    told_floor_ = std::max(told_floor_, floor);
    SendTold();
  };
  if (shard_.mutations().told_early) return proceed();
  tasks_.add(EarlierSafe().then(kj::mv(proceed), [](kj::Exception&&) {}));  // Being stopped.
}

// The oldest call for each of those who are told something, or for this one; several for an
// observer, which is told nothing again (P6.14).
void Activation::SendTold(const ActorId* to) {
  const auto list = outbox_.snapshot();  // One to this actor may begin at once, and tell more.
  if (list == nullptr) return;
  for (const auto& told : list->entries) {
    if (stopped_ || told->number > told_safe_) return;
    if (to != nullptr && told->target != *to) continue;
    if (told_done_.contains(told->number)) continue;
    if (IsFinish(*told)) {
      // Never behind what waits there for the end of the hold.
      if (finishing_.insert(told->number).second) MakeCall(told);
      continue;
    }
    auto& telling = telling_[told->target];
    if (IsObserverKey(told->target.key)) {
      if (telling.pushed.size() >= kPushedMax) continue;
      if (telling.pushed.insert(told->number).second) MakeCall(told);
    } else if (!std::exchange(telling.busy, true)) {
      MakeCall(told);
    }
  }
}

void Activation::MakeCall(const SharedTold& told) {
  CallHeader header{told->target, told->interface_id, told->method_id, {}, {}};
  const uint64_t turn = told->number.turn;
  const uint64_t oldest = shard_.mutations().told_record_dropped ? next_turn_ : told_floor_;
  header.id =
      ActorCall{id_, shard_.lineage(), shard_.epoch(), turn, oldest, told->id, /*told=*/true};
  header.metadata = told->metadata;
  NoteCall(told->target, turn);
  tasks_.add(
      caller_.Call(std::move(header), told->params, host_.clock().Now() + kDeadlineDefault, nullptr)
          .then(
              [this, told](Payload&& results) {
                NoteTold(*told, results);
                EndTold(told, nullptr);
              },
              [this, told](kj::Exception&& e) { EndTold(told, kj::mv(e)); }));
}

void Activation::EndTold(const SharedTold& told, kj::Maybe<kj::Exception> failure) {
  if (stopped_) return;
  if (IsFinish(*told)) return EndFinish(told, failure);
  auto& telling = telling_[told->target];
  telling.pushed.erase(told->number);
  KJ_IF_MAYBE (e, failure) {
    // An observer has no record by which it could be told again, and what it does not take must not
    // fill the outbox (P6.14).
    const bool to_observer = IsObserverKey(told->target.key);
    const bool final = to_observer || e->getType() == kj::Exception::Type::FAILED;
    auto& pause = telling.pause;
    const auto next = std::clamp(pause * 2, kPauseMin, kPauseMax);
    if (to_observer && e->getType() != kj::Exception::Type::FAILED) {
      host_.log().Debug("what was told has not reached its observer",
                        {{"actor", Name()}, {"to", told->target.ToString()}, {"error", Words(*e)}});
    } else if (final || pause == absl::ZeroDuration() || (next == kPauseMax && pause < next)) {
      host_.log().Warning(
          final ? "what was told has failed, and is not told again"
                : "what was told is not answered, and is told again",
          {{"actor", Name()}, {"to", shard_.NameOf(told->target)}, {"error", Words(*e)}});
    }
    if (!final) {
      pause = next;
      tasks_.add(host_.timer().afterDelay(ToKj(pause)).then([this, to = told->target] {
        telling_[to].busy = false;
        SendTold(&to);
      }));
      return;
    }
  }
  KJ_IF_MAYBE (e, failure) NoteTold(*told, kj::cp(*e));
  if (telling.pushed.empty()) telling_.erase(told->target);
  told_done_.insert(told->number);
  SendTold(&told->target);
  if (!stopped_) RunReady();
}

void Activation::EndFinish(const SharedTold& told, const kj::Maybe<kj::Exception>& failure) {
  KJ_IF_MAYBE (e, failure) {
    host_.log().Warning(
        "a participant has not heard yet that its transaction is committed",
        {{"actor", Name()}, {"to", shard_.NameOf(told->target)}, {"error", Words(*e)}});
    if (e->getType() != kj::Exception::Type::FAILED) {
      tasks_.add(host_.timer().afterDelay(ToKj(kFinishPause)).then([this, told] {
        finishing_.erase(told->number);
        SendTold(&told->target);
      }));
      return;
    }
  }
  finishing_.erase(told->number);
  told_done_.insert(told->number);
  RunReady();
}

// What was answered while a turn was open, or just now. The turn's own effects are apart from it.
void Activation::ForgetTold() {
  if (told_done_.empty()) return;
  outbox_.Remove(told_done_);
  told_done_.clear();
  for (auto& note : std::exchange(told_notes_, {})) note();
  outbox_moved_ = true;
  MarkDirty();
  AwaitTold();
}

}  // namespace troupe
