// Activation, part nine: calls of $reentrant methods that come back to a turn that waits for them,
// and run within it (P6.17).
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/activation_turn.h"
#include "troupe/rpc/status.h"

namespace troupe {

void Activation::Turn::Abandon() {
  call = {};
  for (auto& inner : nested) inner->call = {};
  nested_waiting.clear();  // Dropping them says Moved.
}

// ---- Which call runs within which turn

// The innermost of this actor's turns that wait for the call.
const ChainLink* Activation::OwnLink(const InboundCall& call) const {
  const auto& chain = call.header().chain;
  const auto found = std::find_if(chain.rbegin(), chain.rend(),
                                  [this](const ChainLink& link) { return link.actor == id_; });
  return found == chain.rend() ? nullptr : &*found;
}

// Whether the turn is open, or runs within the open one. Else it was cut short by a failover, and
// the call is a turn of its own.
bool Activation::IsNested(const ChainLink& link) const {
  if (turn_ == nullptr) return false;
  if (turn_->frame.chain.back().turn == link.turn) return true;
  return std::any_of(turn_->nested.begin(), turn_->nested.end(), [&link](const auto& nested) {
    return nested->outer.chain.back().turn == link.turn;
  });
}

kj::Exception Activation::CallCycle(const InboundCall& call) const {
  std::string path;
  for (const auto& link : call.header().chain) {
    absl::StrAppend(&path, shard_.NameOf(link.actor), " -> ");
  }
  return Failed(absl::StrCat("call cycle: ", path, id_.ToString(type_.name),
                             "; the first of them waits for the last. Tell() does not wait, and a "
                             "$Troupe.reentrant method runs within the turn that waits for it"));
}

// ---- Their run

// Those that the innermost waits for. Others wait until that is done: one at a time.
void Activation::RunNested() {
  while (!stopped_ && turn_ != nullptr && !turn_->cut) {
    auto& waiting = turn_->nested_waiting;
    const auto next = std::find_if(waiting.begin(), waiting.end(), [this](const auto& call) {
      return OwnLink(*call)->turn == turn_->frame.chain.back().turn;
    });
    if (next == waiting.end()) return;
    auto call = kj::mv(*next);
    waiting.erase(next);
    if (!WaitedInVain(call)) StartNested(kj::mv(call));
  }
}

void Activation::StartNested(kj::Own<InboundCall> call) {
  const auto& header = call->header();
  const auto& id = header.id;
  turn_->nested.push_back(std::make_unique<Nested>());
  Nested& nested = *turn_->nested.back();
  nested.read_only = InfoOf(*call).read_only;
  Frame frame{InboundId(id), header.chain, call->deadline()};
  frame.chain.push_back({id_, LinkOf(frame.inbound)});
  frame.metadata = header.metadata;
  call->NoteBegin();
  if (!nested.read_only) {
    records_.AdvanceFloor(host_.clock().Now(), id, shard_.mutations());
    nested.argument_hash = open_.at(KeyOf(id)).argument_hash;
    frame.interrupted =
        InfoOf(*call).resumable &&
        records_.Lookup(id, nested.argument_hash, shard_.mutations()).record != nullptr;
  }
  nested.reminders_before = reminders_.snapshot();
  nested.outbox_before = outbox_.snapshot();
  nested.watches_before = watches_.snapshot();
  nested.resume_before = resume_;
  nested.outer = std::exchange(turn_->frame, std::move(frame));
  nested.context = kj::refcounted<MethodContext>(call->params(), Origin());
  nested.call = kj::mv(call);
  auto over = [this, &nested](kj::Maybe<kj::Exception> failure) {
    nested.over = true;
    nested.failure = kj::mv(failure);
    CloseNested();
  };
  nested.running =
      kj::evalNow([&] {
        if (!nested.read_only) nested.state_before = EncodeState();
        return Dispatch(*nested.call, *nested.context);
      })
          .then([over]() mutable { over(nullptr); },
                [over](kj::Exception&& e) mutable { over(kj::mv(e)); })
          .eagerlyEvaluate([this](kj::Exception&& e) { errors_.taskFailed(kj::mv(e)); });
}

// From the innermost outwards: what has others running within it ends after them.
void Activation::CloseNested() {
  if (stopped_) return;
  while (!turn_->nested.empty() && turn_->nested.back()->over) {
    auto nested = std::move(turn_->nested.back());
    turn_->nested.pop_back();
    EndNested(*nested);
    DestroyLater(std::move(nested));  // Its promise is what runs now.
    if (stopped_) return;
  }
  RunNested();
  if (turn_ == nullptr || !turn_->nested.empty()) return;
  KJ_IF_MAYBE (end, turn_->end) {
    auto end_turn = kj::mv(*end);
    turn_->end = nullptr;
    end_turn();
  }
}

// ---- Their end

void Activation::EndNested(Nested& nested) {
  auto call = kj::mv(nested.call);
  call->NoteEnd();
  turn_->nested_called |= !turn_->frame.ordinals.empty();
  turn_->frame = std::move(nested.outer);
  CallOutcome outcome;
  auto failure = kj::mv(nested.failure);
  if (failure == nullptr) failure = TakeResults(*nested.context, *call, outcome);
  if (!nested.read_only) {
    const auto& id = call->header().id;
    KeepNested(nested, failure, outcome, id);
    AnswerRepeats(id, nested.argument_hash);
  } else KJ_IF_MAYBE (e, failure) {
    outcome.emplace<kj::Exception>(kj::mv(*e));
  }
  // The turn that waits for it is open: what that has changed itself cannot be waited for.
  FinishWhenSafe(HoldKind::kOutgoing, kj::mv(call), std::move(outcome));
}

// If it has changed something, that and all that the turn has changed so far stays, as by
// Persisted(): its caller, who has the answer, would not ask again should the turn run anew.
// One that has failed cannot be undone by itself, so the turn is.
void Activation::KeepNested(Nested& nested, kj::Maybe<kj::Exception>& failure, CallOutcome& outcome,
                            const CallId& id) {
  bool changed = true;
  auto unsaved = kj::runCatchingExceptions([&] { changed = NestedChanged(nested); });
  const bool kept =
      changed && (failure == nullptr || KeepsWhatFails()) && !shard_.mutations().nested_not_kept;
  if (unsaved == nullptr && kept) unsaved = Persist();
  if (failure == nullptr) failure = kj::mv(unsaved);
  KJ_IF_MAYBE (e, failure) {
    if (changed && turn_->spoiled == nullptr) {
      turn_->spoiled = Failed(absl::StrCat(
          "the turn is undone, for a method that ran within it had changed ", Name(),
          " and then failed: let it fail before it changes anything; it said: ", Words(*e)));
    }
    outcome.emplace<kj::Exception>(kj::cp(*e));
  }
  Record(id, nested.argument_hash, outcome);
  StageOpenTurn();
}

bool Activation::NestedChanged(const Nested& nested) const {
  return outbox_.snapshot() != nested.outbox_before ||
         watches_.snapshot() != nested.watches_before ||
         reminders_.snapshot() != nested.reminders_before || resume_ != nested.resume_before ||
         !nested.state_before || EncodeState() != *nested.state_before;
}

void Activation::CutNestedShort(const kj::Exception& why) {
  for (auto& nested : turn_->nested) {
    nested->running = nullptr;
    if (std::exchange(nested->over, true)) continue;
    nested->failure = kj::cp(why);
  }
  CloseNested();
}

void Activation::CheckNestedDeadlines(absl::Time now) {
  auto& waiting = turn_->nested_waiting;
  for (auto& call : waiting) PassOn(call, now);
  auto late = std::stable_partition(waiting.begin(), waiting.end(),
                                    [now](const auto& call) { return call->deadline() > now; });
  std::vector<kj::Own<InboundCall>> expired(std::make_move_iterator(late),
                                            std::make_move_iterator(waiting.end()));
  waiting.erase(late, waiting.end());
  for (auto& call : expired) {
    const auto why =
        absl::StrCat(Describe(*call), " did not get its turn before its deadline: ", Running(),
                     " runs, and another call within it");
    EndLate(kj::mv(call), why);
  }
  if (turn_ == nullptr) return;
  for (auto& nested : turn_->nested) {
    if (nested->call.get() == nullptr || nested->call->deadline() > now) continue;
    nested->call->Finish(StillRunning(*nested->call));
  }
}

}  // namespace troupe
