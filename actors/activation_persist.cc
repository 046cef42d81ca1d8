// Activation, part twelve: what an open turn keeps before its end (P6.8, P6.17).
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/activation_turn.h"
#include "troupe/rpc/status.h"

namespace troupe {

// As if one turn ended here and another one began, of which only the last answers the call (P6.8).
Task<void> Activation::Persisted() {
  RequireTurnThatGoesOn("Persisted()");
  RequireOutsideOfTransaction("Persisted()");
  if (turn_->erases) {
    return kj::Promise<void>(Failed(absl::StrCat("actor ", Name(),
                                                 " called Persisted() after Erase(): nothing is "
                                                 "left that it could keep")));
  }
  KJ_IF_MAYBE (e, Persist()) return kj::Promise<void>(kj::mv(*e));
  StageOpenTurn();
  return EarlierSafe();
}

kj::Maybe<kj::Exception> Activation::Persist() {
  // It is to be undone, with all that comes until then.
  KJ_IF_MAYBE (e, turn_->spoiled) {
    if (!KeepsWhatFails()) return kj::cp(*e);
  }
  KJ_IF_MAYBE (e, SaveState(turn_->state_before ? *turn_->state_before : *last_saved_)) {
    return kj::mv(*e);
  }
  turn_->state_before = std::nullopt;
  const absl::Time now = host_.clock().Now();
  auto begun = [&](const InboundCall& call, uint64_t hash) {
    records_.Add(now, call.header().id, hash, RecordStatus::kBegun, "");
  };
  if (turn_->call.get() != nullptr) begun(*turn_->call, turn_->argument_hash);
  for (const auto& nested : turn_->nested) {
    if (!nested->read_only) begun(*nested->call, nested->argument_hash);
  }
  NoteMoved(*turn_);
  turn_->reminders_before = reminders_.snapshot();
  turn_->outbox_before = outbox_.snapshot();
  turn_->watches_before = watches_.snapshot();
  turn_->resume_before = resume_;
  turn_->persisted = true;
  return nullptr;
}

// What it has kept so far goes to the copies.
void Activation::StageOpenTurn() {
  turn_->earlier_safe = nullptr;  // Calls from here on wait for this too.
  ++marks_;
  shard_.Stage(id_, TakeChange());
  ProceedWithTold();
}

bool Activation::Interrupted() const { return turn_ != nullptr && turn_->frame.interrupted; }

}  // namespace troupe
