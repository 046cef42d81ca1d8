// RegisterAcceptor: one voter of the register.
//
// Pure; not thread-safe. It never forgets: the shell makes AcceptorState durable where the voter id
// is a storage id, and lets the id die with the process where it is a nonce (docs/protocol.md
// P2.2-2.3). A voter that left the set keeps its state, and goes on answering.
#pragma once

#include <optional>

#include "troupe/membership/membership_mutations.h"
#include "troupe/membership/register_types.h"

namespace troupe {

struct AcceptorState {
  Ballot promised;  // Nothing below this is promised or accepted any more.
  Ballot accepted;  // Of `value`; round 0 when there is none.
  ValuePtr value;
  ValuePtr chosen;          // The newest value known as chosen; null: none.
  uint64_t generation = 0;  // Of the register that all this is about; 0: none yet (P2.12).
};

class RegisterAcceptor {
 public:
  explicit RegisterAcceptor(AcceptorState state = {},
                            const MembershipMutations& mutations = kNoMembershipMutations)
      : state_(std::move(state)), mutations_(&mutations) {}

  enum class Persist {
    kNothing,
    kSoon,         // Losing it is harmless.
    kBeforeReply,  // state() must be durable before the reply is sent. If that fails, the reply is
                   // dropped and the process stops being a voter.
  };
  struct Effects {
    Persist persist = Persist::kNothing;
    std::optional<VoterReply> reply;
  };
  Effects Step(const VoterRequest& request);

  // Whether a request of this generation may be answered: only that of its own register.
  bool VotesIn(uint64_t generation) const {
    return state_.generation == 0 || state_.generation == generation;
  }
  // From now on a voter of this generation. In a newer one than its own it forgets what it was;
  // into an older one it does not go back. Need not be durable: with the next promise it is.
  void Enter(uint64_t generation);

  const AcceptorState& state() const { return state_; }

 private:
  Effects On(const PrepareRequest& prepare);
  Effects On(const AcceptRequest& accept);
  Effects On(const ChosenNotice& chosen);
  // The answer to a proposer that knows less than this voter, if it does.
  std::optional<VoterReply> AnswerIfBehind(const Ballot& ballot, uint64_t known) const;

  AcceptorState state_;
  const MembershipMutations* mutations_;
};

}  // namespace troupe
