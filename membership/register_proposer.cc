#include "troupe/membership/register_proposer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/membership/limits.h"

namespace troupe {
namespace {

bool Majority(const std::vector<VoterId>& of, const std::set<VoterId>& voters) {
  auto there = std::count_if(of.begin(), of.end(),
                             [&](const VoterId& voter) { return voters.contains(voter); });
  return 2 * static_cast<size_t>(there) > of.size();
}

void AddSets(const RegisterValue& value, std::set<VoterId>& voters) {
  voters.insert(value.voters.begin(), value.voters.end());
  voters.insert(value.pending.begin(), value.pending.end());
}

bool SameSets(const RegisterValue& a, const RegisterValue& b) {
  return a.voters == b.voters && a.pending == b.pending;
}

}  // namespace

RegisterProposer::RegisterProposer(std::string node, Id128 nonce, ValuePtr known, Random random,
                                   ProposerTimings timings, const MembershipMutations& mutations)
    : node_(std::move(node)),
      nonce_(nonce),
      timings_(timings),
      mutations_(mutations),
      random_(random),
      known_(std::move(known)) {}

Ballot RegisterProposer::NextBallot() { return {++round_, node_, nonce_}; }

bool RegisterProposer::HasQuorum(const RegisterValue& value, const VoterSet& voters) const {
  if (!Majority(value.voters, voters)) return false;
  if (value.pending.empty() || mutations_.one_set_only) return true;
  return Majority(value.pending, voters);
}

// A write needs majorities of the sets of the value it was derived from, and where it changes the
// sets, of those of the value it writes (P2.4).
bool RegisterProposer::IsAccepted(const VoterSet& voters) const {
  if (mutations_.answer_before_quorum) return !voters.empty();
  if (!HasQuorum(*base_, voters)) return false;
  return SameSets(*base_, *writing_) || HasQuorum(*writing_, voters);
}

// Whether the ballot could still win if everybody who has not refused agreed.
bool RegisterProposer::CanStillSucceed() const {
  VoterSet rest;
  std::set_difference(asked_.begin(), asked_.end(), refused_.begin(), refused_.end(),
                      std::inserter(rest, rest.end()));
  return phase_ == Phase::kPreparing ? HasQuorum(*known_, rest) : IsAccepted(rest);
}

RegisterProposer::Effects RegisterProposer::Start(absl::Time now, absl::Time deadline,
                                                  Change change) {
  Effects out;
  change_ = std::move(change);
  deadline_ = deadline;
  conflicts_ = 0;
  Attempt(now, out);
  return out;
}

void RegisterProposer::Attempt(absl::Time now, Effects& out) {
  if (!kept_) return SendPrepares(now, out);
  ballot_ = *std::exchange(kept_, std::nullopt);
  base_ = known_;
  Propose(now, out);
}

void RegisterProposer::SendPrepares(absl::Time now, Effects& out) {
  phase_ = Phase::kPreparing;
  attempt_ends_ = now + timings_.attempt;
  kept_.reset();
  ballot_ = NextBallot();
  contested_ = false;
  asked_ = extra_;
  AddSets(*known_, asked_);
  answered_.clear();
  refused_.clear();
  found_ = nullptr;
  found_at_ = {};
  for (const VoterId& voter : asked_) {
    out.send.push_back({voter, PrepareRequest{ballot_, known_->version}});
  }
}

void RegisterProposer::On(absl::Time now, const VoterId& from, const PromisedReply& reply,
                          Effects& out) {
  if (phase_ != Phase::kPreparing) return;
  answered_.insert(from);
  if (reply.value != nullptr && reply.accepted > found_at_) {
    found_ = reply.value;
    found_at_ = reply.accepted;
    round_ = std::max(round_, found_at_.round);
  }
  if (mutations_.learn_accepted) Learn(reply.value);
  // A majority that is empty throughout entitles nobody to write.
  if (found_ == nullptr) return;
  if (mutations_.build_on_unchosen) {
    if (HasQuorum(*known_, answered_)) OnPrepared(now, out);
    return;
  }
  VoterSet named;
  AddSets(*found_, named);
  if (!std::includes(asked_.begin(), asked_.end(), named.begin(), named.end())) {
    // Quorums of what was found need voters that were not asked: ask all, under a higher ballot.
    if (extra_.size() > 8 * kVotersMax) extra_.clear();
    extra_.merge(named);
    return SendPrepares(now, out);
  }
  if (HasQuorum(*found_, answered_)) OnPrepared(now, out);
}

void RegisterProposer::OnPrepared(absl::Time now, Effects& out) {
  if (found_->format > kClusterFormat) {
    return Finish(
        absl::UnimplementedError(absl::StrCat("the register's value has format ", found_->format,
                                              ", this program knows ", kClusterFormat)),
        out);
  }
  // Older than what is known as chosen: these voters were left behind, or the ballot was.
  if (found_->version < known_->version) return BackOff(now);
  base_ = found_;
  if (Same(found_, known_) || mutations_.build_on_unchosen) {
    return Propose(now, out);
  }
  SendAccepts(now, Phase::kWritingBack, found_, out);
}

void RegisterProposer::Propose(absl::Time now, Effects& out) {
  SendAccepts(now, Phase::kProposing, change_(base_), out);
}

void RegisterProposer::SendAccepts(absl::Time now, Phase phase, ValuePtr value, Effects& out) {
  phase_ = phase;
  attempt_ends_ = now + timings_.attempt;
  contested_ = false;
  writing_ = std::move(value);
  next_ = mutations_.ballot_reused ? ballot_ : NextBallot();
  asked_.clear();
  answered_.clear();
  refused_.clear();
  AddSets(*base_, asked_);
  AddSets(*writing_, asked_);
  for (const VoterId& voter : asked_) {
    out.send.push_back({voter, AcceptRequest{ballot_, *next_, writing_, known_->version}});
  }
}

void RegisterProposer::On(absl::Time now, const VoterId& from, const AcceptedReply&, Effects& out) {
  if (phase_ != Phase::kWritingBack && phase_ != Phase::kProposing) return;
  answered_.insert(from);
  if (IsAccepted(answered_)) OnWritten(now, out);
}

void RegisterProposer::OnWritten(absl::Time now, Effects& out) {
  Learn(writing_);
  extra_.clear();
  // The acceptances were promises of the next ballot as well, by a quorum of this value's sets.
  if (!contested_ && SameSets(*base_, *writing_) && Same(known_, writing_)) kept_ = next_;
  TellChosen(out);
  if (phase_ == Phase::kProposing) return Finish(writing_, out);
  if (!kept_) return SendPrepares(now, out);
  // The write-back was a quorum's word on this very value: what changes nothing is answered by it.
  base_ = writing_;
  ValuePtr changed = change_(base_);
  if (Same(changed, base_)) return Finish(base_, out);
  ballot_ = *std::exchange(kept_, std::nullopt);
  SendAccepts(now, Phase::kProposing, std::move(changed), out);
}

void RegisterProposer::TellChosen(Effects& out) const {
  for (const VoterId& voter : asked_) {
    ValuePtr value = answered_.contains(voter) ? nullptr : writing_;
    out.send.push_back({voter, ChosenNotice{ballot_, std::move(value)}});
  }
}

void RegisterProposer::On(absl::Time now, const VoterId& from, const RejectedReply& reply,
                          Effects&) {
  // One's own higher ballot, promised with an accept that overtook this request, is no rival.
  if (reply.promised.node == node_ && reply.promised.nonce == nonce_) return;
  round_ = std::max(round_, reply.promised.round);
  contested_ = !mutations_.kept_after_rejection;
  refused_.insert(from);
  if (phase_ == Phase::kIdle && contested_) kept_.reset();
  if (phase_ == Phase::kIdle || phase_ == Phase::kBackingOff) return;
  if (!CanStillSucceed()) BackOff(now);
}

void RegisterProposer::On(absl::Time now, const VoterId&, const SupersededReply& reply,
                          Effects& out) {
  if (reply.chosen->version <= known_->version) return;
  Learn(reply.chosen);
  if (phase_ != Phase::kIdle && phase_ != Phase::kBackingOff) SendPrepares(now, out);
}

void RegisterProposer::BackOff(absl::Time now) {
  phase_ = Phase::kBackingOff;
  kept_.reset();
  // The first time at once: a proposer that is new knows no rounds, and this taught it one.
  absl::Duration most = timings_.backoff * (1 << std::min(conflicts_, 16));
  absl::Duration wait = std::min(most, timings_.backoff_max) * random_.Unit();
  attempt_ends_ = conflicts_ == 0 ? now : now + wait;
  ++conflicts_;
}

RegisterProposer::Effects RegisterProposer::OnReply(absl::Time now, const VoterId& from,
                                                    const VoterReply& reply) {
  Effects out;
  std::visit(
      [&](const auto& r) {
        if (r.ballot == ballot_ && asked_.contains(from)) On(now, from, r, out);
      },
      reply);
  return out;
}

RegisterProposer::Effects RegisterProposer::Tick(absl::Time now) {
  Effects out;
  if (!busy()) return out;
  if (now >= deadline_) {
    Finish(absl::DeadlineExceededError(
               "no quorum of voters answered in time; the change may still come to be"),
           out);
  } else if (now >= attempt_ends_) {
    SendPrepares(now, out);
  }
  return out;
}

absl::Time RegisterProposer::wake() const {
  return busy() ? std::min(deadline_, attempt_ends_) : absl::InfiniteFuture();
}

void RegisterProposer::Cancel() {
  phase_ = Phase::kIdle;
  change_ = nullptr;
}

void RegisterProposer::Finish(absl::StatusOr<ValuePtr> outcome, Effects& out) {
  Cancel();
  out.outcome = std::move(outcome);
}

void RegisterProposer::Learn(const ValuePtr& chosen) {
  if (chosen == nullptr || chosen->version <= known_->version) return;
  known_ = chosen;
  kept_.reset();  // Somebody got in between, or the voters changed.
}

}  // namespace troupe
