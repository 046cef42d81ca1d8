// Activation, part thirteen: calls that are too late, and turns that do not end.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/activation_turn.h"
#include "troupe/rpc/status.h"

namespace troupe {

void Activation::CheckDeadlines(absl::Time now) {
  const size_t waiting = mailbox_.size();
  for (auto& letter : mailbox_) {
    if (letter.call.get() != nullptr) PassOn(letter.call, now);
  }
  auto late = std::stable_partition(mailbox_.begin(), mailbox_.end(), [now](const Letter& letter) {
    return letter.call.get() == nullptr || letter.call->deadline() > now;
  });
  std::vector<Letter> expired(std::make_move_iterator(late),
                              std::make_move_iterator(mailbox_.end()));
  mailbox_.erase(late, mailbox_.end());
  // Only now: an answer to a caller of this worker may bring its next call at once.
  for (auto& [call, timer, notice] : expired) {
    const auto why = absl::StrCat(
        Describe(*call), " did not get its turn before its deadline: ", waiting, " calls wait",
        turn_ ? absl::StrCat(", running: ", Running()) : "", WhoHolds());
    EndLate(kj::mv(call), why);
  }
  if (turn_ && turn_->call.get() && turn_->call->deadline() <= now) {
    if (shard_.mutations().cancel_ends_turn) return EndMutating(Failed("cancelled"));
    turn_->call->Finish(StillRunning(*turn_->call));
  }
  if (turn_) CheckNestedDeadlines(now);
}

kj::Exception Activation::StillRunning(const InboundCall& call) const {
  return Overloaded(absl::StrCat(Describe(call),
                                 " is still running at its deadline; it goes on, and a retry under "
                                 "the same id would get its answer"));
}

// A turn that waits for what does not come would block its actor for ever.
void Activation::EndWhatNeverEnds(absl::Time now) {
  const absl::Duration limit = type_.options.turn_limit;
  auto over = [&](Turn& turn) {
    turn.seen = std::min(turn.seen, now);
    return now >= turn.seen + limit;
  };
  auto why = [&](const std::string& what) {
    host_.log().Warning("a turn has not ended, and is undone", {{"actor", Name()}, {"turn", what}});
    return Failed(absl::StrCat(what, " has not ended within ", absl::FormatDuration(limit),
                               ", the turn_limit of its type, and has been undone: does it wait "
                               "for what never comes?"));
  };
  std::vector<uint64_t> reads;
  for (auto& [number, turn] : reads_) {
    if (over(*turn)) reads.push_back(number);
  }
  for (uint64_t number : reads) {
    auto it = reads_.find(number);
    if (stopped_ || it == reads_.end()) continue;
    auto read = std::move(it->second);
    reads_.erase(it);
    read->running = nullptr;
    kj::Maybe<kj::Exception> failure;
    if (read->call.get() != nullptr) failure = why(Describe(*read->call));
    EndRead(*read, kj::mv(failure));
  }
  if (!reads.empty() && !stopped_) RunReady();
  if (stopped_ || turn_ == nullptr || !over(*turn_)) return;
  EndOpenTurn(why(OpenTurn()));
}

void Activation::EndOpenTurn(const kj::Exception& why) {
  const uint64_t number = turn_->number;
  const bool of_a_call = turn_->call.get() != nullptr;
  turn_->cut = true;
  // While the object is still there.
  turn_->running = nullptr;
  CutNestedShort(why);
  if (stopped_ || turn_ == nullptr || turn_->number != number) return;
  if (of_a_call) return EndMutating(kj::cp(why));
  EndOwn(kj::cp(why));
}

// P6.9: a place in the mailbox is of an id. When the time of the arrival that has it is up, it goes
// to one that came again, if that has time left.
void Activation::PassOn(kj::Own<InboundCall>& place, absl::Time now) {
  if (place->deadline() > now || shard_.mutations().place_of_first_arrival) return;
  auto open = open_.find(KeyOf(place->header().id));
  if (open == open_.end()) return;  // `$readOnly`.
  for (auto& repeat : open->second.repeats) {
    if (repeat->deadline() <= place->deadline()) continue;
    std::swap(repeat, place);
    place->TakeHook(*repeat);
  }
}

// The same when its caller has moved on: to one that the caller has made since, in a later epoch.
// What had the place is answered when that ends.
bool Activation::PassOnOutdated(kj::Own<InboundCall>& place, absl::Time now) {
  for (auto& repeat : open_.at(KeyOf(place->header().id)).repeats) {
    if (repeat->deadline() <= now || OutdatedWhileWaiting(*repeat)) continue;
    std::swap(repeat, place);
    place->TakeHook(*repeat);
    return true;
  }
  return false;
}

void Activation::EndLate(kj::Own<InboundCall> call, const std::string& why) {
  if (shard_.mutations().place_of_first_arrival) {
    FinishWaiters(KeyOf(call->header().id), Moved{});
  } else {
    FinishWaiters(KeyOf(call->header().id), Overloaded(why));
  }
  call->Finish(Overloaded(why));
}

}  // namespace troupe
