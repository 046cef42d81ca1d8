// TransactionOrigin: makes the calls of one run of a transaction's body, and knows its
// participants.
//
// Single loop. Who runs the body (transaction.cc) asks it how the run stands, and has it commit or
// let go (docs/protocol.md P6.15).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "kj/async.h"
#include "troupe/actors/transaction.h"
#include "troupe/actors/transaction_message.h"

namespace troupe {

class TransactionOrigin final : public CallOrigin, private kj::TaskSet::ErrorHandler {
 public:
  // `id`: of this run; `age`: of the transaction, as TransactionStamp has it.
  TransactionOrigin(kj::Own<TransactionScope> scope, Id128 id, int64_t age, absl::Duration limit,
                    absl::Time deadline);

  kj::Promise<Payload> Call(const ActorId& target, uint64_t interface_id, uint16_t method_id,
                            Payload params, const CallOptions& options) override;

  // Resolves when this run cannot come to a commit, and another may.
  kj::Promise<void> Lost() { return lost_.addBranch(); }
  bool lost() const { return lost_why_.has_value(); }
  const std::string& lost_why() const { return *lost_why_; }
  // A call of which nobody knows whether it ran: it is not to be committed, nor begun anew.
  const kj::Maybe<kj::Exception>& unknown() const { return unknown_; }

  // No more calls from now.
  void Close() { closed_ = true; }
  // When all calls are answered, also those that nobody waits for.
  kj::Promise<void> Answered() { return tasks_.onEmpty(); }
  bool has_participants() const { return first_.has_value(); }
  // All are answered. Rejects when the outcome is not known.
  kj::Promise<CommitReply> Commit();
  // All participants go back. Resolves when they have said so, or a moment later.
  kj::Promise<void> Release();

 private:
  struct Member {
    Grant grant;  // Of its answers; or none yet.
  };

  void taskFailed(kj::Exception&&) override {}
  kj::Maybe<kj::Exception> WhyNot(const ActorId& target);
  kj::Promise<Payload> Send(const ActorId& target, TransactedCall call, Id128 id,
                            absl::Time deadline, CallMetadata metadata);
  kj::Promise<Payload> OnAnswer(const ActorId& target, TransactedAnswer answer);
  void Lose(std::string why);
  CallOptions Until(absl::Time deadline, Id128 id);

  kj::Own<TransactionScope> scope_;
  const Id128 id_;
  const int64_t age_;
  const absl::Duration limit_;
  const absl::Time deadline_;
  std::optional<ActorId> first_;
  std::map<ActorId, Member> members_;
  std::map<std::tuple<ActorId, uint64_t, uint16_t>, uint64_t> ordinals_;
  size_t calls_ = 0;
  bool closed_ = false;
  std::optional<std::string> lost_why_;
  kj::Maybe<kj::Exception> unknown_;
  kj::Own<kj::PromiseFulfiller<void>> lose_;
  kj::ForkedPromise<void> lost_;
  kj::Own<kj::PromiseFulfiller<void>> first_answers_;
  kj::ForkedPromise<void> first_answered_;
  kj::TaskSet tasks_;  // Calls that are not answered.
};

}  // namespace troupe
