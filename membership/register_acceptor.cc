#include "troupe/membership/register_acceptor.h"

#include <algorithm>

namespace troupe {

void RegisterAcceptor::Enter(uint64_t generation) {
  if (generation <= state_.generation) return;
  if (state_.generation != 0) state_ = {};
  state_.generation = generation;
}

RegisterAcceptor::Effects RegisterAcceptor::Step(const VoterRequest& request) {
  return std::visit([this](const auto& r) { return On(r); }, request);
}

std::optional<VoterReply> RegisterAcceptor::AnswerIfBehind(const Ballot& ballot,
                                                           uint64_t known) const {
  if (mutations_->stale_proposer_served) return std::nullopt;
  if (state_.chosen == nullptr || state_.chosen->version <= known) return std::nullopt;
  return SupersededReply{ballot, state_.chosen};
}

RegisterAcceptor::Effects RegisterAcceptor::On(const PrepareRequest& prepare) {
  if (auto answer = AnswerIfBehind(prepare.ballot, prepare.known)) {
    return {Persist::kNothing, answer};
  }
  // Strictly higher: a ballot that was promised once may already name a value.
  const bool again = mutations_->equal_ballot_promised && prepare.ballot == state_.promised;
  if (prepare.ballot <= state_.promised && !again) {
    return {Persist::kNothing, RejectedReply{prepare.ballot, state_.promised}};
  }
  if (!mutations_->promise_forgotten) state_.promised = prepare.ballot;
  return {Persist::kBeforeReply, PromisedReply{prepare.ballot, state_.accepted, state_.value}};
}

RegisterAcceptor::Effects RegisterAcceptor::On(const AcceptRequest& accept) {
  // A repeat: one ballot carries one value, so it is this one, whatever was promised since. What it
  // repeats may still be on its way to the disk.
  if (state_.value != nullptr && accept.ballot == state_.accepted && !mutations_->ballot_reused) {
    return {Persist::kBeforeReply, AcceptedReply{accept.ballot}};
  }
  if (auto answer = AnswerIfBehind(accept.ballot, accept.known)) {
    return {Persist::kNothing, answer};
  }
  if (accept.ballot < state_.promised) {
    return {Persist::kNothing, RejectedReply{accept.ballot, state_.promised}};
  }
  state_.promised = std::max(accept.ballot, accept.next);
  state_.accepted = accept.ballot;
  state_.value = accept.value;
  return {Persist::kBeforeReply, AcceptedReply{accept.ballot}};
}

RegisterAcceptor::Effects RegisterAcceptor::On(const ChosenNotice& chosen) {
  ValuePtr value = chosen.value;
  if (value == nullptr && chosen.ballot == state_.accepted) value = state_.value;
  bool newer =
      value != nullptr && (state_.chosen == nullptr || value->version > state_.chosen->version);
  if (!newer) return {};
  state_.chosen = value;
  return {Persist::kSoon, std::nullopt};
}

}  // namespace troupe
