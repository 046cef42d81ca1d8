// RegisterProposer: changes the register's value, one proposal at a time.
//
// Pure: driven by Start, OnReply and Tick, it returns what to send. Not thread-safe. The rules are
// docs/protocol.md P2.1 to P2.5; any voter may run one, and several at once are slow, never wrong.
//
// A proposal runs: [prepare, write back what was found unless it is known as chosen,] accept the
// changed value. With the kept ballot of the last success the bracket is skipped.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "troupe/membership/membership_mutations.h"
#include "troupe/membership/register_types.h"
#include "troupe/runtime/random.h"

namespace troupe {

struct ProposerTimings {
  absl::Duration attempt = absl::Milliseconds(100);      // Then a new ballot; above 2 round trips.
  absl::Duration backoff = absl::Milliseconds(5);        // After a lost duel, doubled each time,
  absl::Duration backoff_max = absl::Milliseconds(200);  // up to this; drawn uniformly below it.
};

class RegisterProposer {
 public:
  // The next value for a chosen one: pure, a later version, or the same value when nothing changes
  // (a read, or commands that are refused or already so). May be called several times a proposal;
  // what its last call judged is what the outcome confirms.
  using Change = std::function<ValuePtr(const ValuePtr& chosen)>;

  struct Send {
    VoterId to;
    VoterRequest request;
  };
  struct Effects {
    std::vector<Send> send;
    // The proposal's end. The value that is now chosen, or an error: DeadlineExceeded (what was
    // proposed may be chosen yet), Unimplemented (the value has a format this program does not
    // know).
    std::optional<absl::StatusOr<ValuePtr>> outcome;
  };

  // `known` is a value known as chosen: the founding value or a newer map.
  RegisterProposer(std::string node, Id128 nonce, ValuePtr known, Random random,
                   ProposerTimings timings = {},
                   const MembershipMutations& mutations = kNoMembershipMutations);

  // Only when !busy(). Ends by `deadline` at the latest.
  Effects Start(absl::Time now, absl::Time deadline, Change change);
  // `from` as the shell has established it, not as the message claims.
  Effects OnReply(absl::Time now, const VoterId& from, const VoterReply& reply);
  Effects Tick(absl::Time now);  // At or after wake().
  absl::Time wake() const;       // InfiniteFuture when idle.
  void Cancel();                 // Forgets the proposal; it may be chosen all the same.

  // Learned elsewhere: a newer map.
  void Learn(const ValuePtr& chosen);

  bool busy() const { return phase_ != Phase::kIdle; }
  const ValuePtr& known() const { return known_; }
  bool keeps_ballot() const { return kept_.has_value(); }

 private:
  enum class Phase { kIdle, kPreparing, kWritingBack, kProposing, kBackingOff };
  using VoterSet = std::set<VoterId>;

  void Attempt(absl::Time now, Effects& out);
  void SendPrepares(absl::Time now, Effects& out);
  void SendAccepts(absl::Time now, Phase phase, ValuePtr value, Effects& out);
  void Propose(absl::Time now, Effects& out);
  void OnPrepared(absl::Time now, Effects& out);
  void OnWritten(absl::Time now, Effects& out);
  void TellChosen(Effects& out) const;
  void BackOff(absl::Time now);
  void Finish(absl::StatusOr<ValuePtr> outcome, Effects& out);

  void On(absl::Time now, const VoterId& from, const PromisedReply& reply, Effects& out);
  void On(absl::Time now, const VoterId& from, const AcceptedReply& reply, Effects& out);
  void On(absl::Time now, const VoterId& from, const RejectedReply& reply, Effects& out);
  void On(absl::Time now, const VoterId& from, const SupersededReply& reply, Effects& out);

  Ballot NextBallot();
  bool HasQuorum(const RegisterValue& value, const VoterSet& voters) const;
  bool IsAccepted(const VoterSet& voters) const;
  bool CanStillSucceed() const;

  const std::string node_;
  const Id128 nonce_;
  const ProposerTimings timings_;
  const MembershipMutations& mutations_;
  Random random_;

  ValuePtr known_;              // The newest value known as chosen.
  uint64_t round_ = 0;          // The highest round used or seen.
  std::optional<Ballot> kept_;  // Promised by a quorum that holds known_ as its newest value.

  Phase phase_ = Phase::kIdle;
  Change change_;
  absl::Time deadline_;
  absl::Time attempt_ends_;
  int conflicts_ = 0;

  Ballot ballot_;
  std::optional<Ballot> next_;  // Asked for with the accepts now out.
  bool contested_ = false;      // Somebody rejected this ballot: the next one is not kept.
  VoterSet asked_, answered_, refused_;
  VoterSet extra_;  // Voters of values found that known_ does not name.
  ValuePtr found_;  // While preparing: the value of the highest ballot.
  Ballot found_at_;
  ValuePtr base_;  // What the value being written was derived from (itself, when written back).
  ValuePtr writing_;
};

}  // namespace troupe
