#include "troupe/actors/transaction_origin.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/observer_key.h"
#include "troupe/actors/pool_key.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/host.h"

namespace troupe {
namespace {

constexpr absl::Duration kReleaseLimit = absl::Seconds(1);

kj::ForkedPromise<void> MakeFork(kj::Own<kj::PromiseFulfiller<void>>& fulfiller) {
  auto paf = kj::newPromiseAndFulfiller<void>();
  fulfiller = kj::mv(paf.fulfiller);
  return paf.promise.fork();
}

}  // namespace

TransactionOrigin::TransactionOrigin(kj::Own<TransactionScope> scope, Id128 id, int64_t age,
                                     absl::Duration limit, absl::Time deadline)
    : scope_(kj::mv(scope)),
      id_(id),
      age_(age),
      limit_(limit),
      deadline_(deadline),
      lost_(MakeFork(lose_)),
      first_answered_(MakeFork(first_answers_)),
      tasks_(*this) {}

kj::Maybe<kj::Exception> TransactionOrigin::WhyNot(const ActorId& target) {
  if (closed_ || scope_->host() == nullptr) {
    return Failed(
        "a ref of a transaction was called after its body had ended: wait for its calls in the "
        "body, and use other refs after it");
  }
  if (target == scope_->self()) {
    return Failed(absl::StrCat("actor ", target.ToString(),
                               " began the transaction, and cannot be one of its participants: "
                               "change it in its method, once the transaction is done"));
  }
  if (IsObserverKey(target.key)) {
    return Failed("an observer cannot be part of a transaction: call it when that is done");
  }
  if (IsPoolKey(target.key)) {
    return Failed("a pool has no state, so it cannot be part of a transaction: call it before");
  }
  if (calls_ >= kTransactionCallsMax) {
    return Failed(absl::StrCat("a transaction makes at most ", kTransactionCallsMax, " calls"));
  }
  if (members_.size() >= kParticipantsMax && !members_.contains(target)) {
    return Failed(absl::StrCat("a transaction has at most ", kParticipantsMax, " participants"));
  }
  return nullptr;
}

kj::Promise<Payload> TransactionOrigin::Call(const ActorId& target, uint64_t interface_id,
                                             uint16_t method_id, Payload params,
                                             const CallOptions& options) {
  if (lost()) return kj::NEVER_DONE;
  if (auto refusal = WhyNot(target); refusal != nullptr) {
    return kj::mv(KJ_ASSERT_NONNULL(refusal));
  }
  ++calls_;
  members_.try_emplace(target);
  const bool first = !first_.has_value();
  if (first) first_ = target;
  // The same for this run wherever it is made, and for no other.
  const uint64_t ordinal = ordinals_[{target, interface_id, method_id}]++;
  const Id128 id = DerivedId(id_, target, interface_id, method_id, ordinal);
  TransactedCall call{{id_, age_, limit_, *first_, {}}, interface_id, method_id, std::move(params)};
  const absl::Time now = scope_->host()->clock().Now();
  const absl::Time deadline =
      options.deadline ? std::min(deadline_, now + *options.deadline) : deadline_;
  auto self = kj::addRef(*this);
  auto sent =
      first ? Send(target, std::move(call), id, deadline, options.metadata)
            : first_answered_.addBranch().then([this, target, call = std::move(call), id, deadline,
                                                metadata = options.metadata]() mutable {
                return Send(target, std::move(call), id, deadline, std::move(metadata));
              });
  auto known = sent.then([](Payload&& payload) { return DecodeTransactedAnswer(payload); });
  auto answer =
      known
          .then(
              [this, target](TransactedAnswer&& said) { return OnAnswer(target, std::move(said)); },
              [this, first](kj::Exception&& e) -> kj::Promise<Payload> {
                if (unknown_ == nullptr) unknown_ = kj::cp(e);
                if (first) first_answers_->reject(kj::cp(e));
                return kj::mv(e);
              })
          .fork();
  // Also of a call that nobody waits for: without its answer there is no commit. One that never
  // comes ends with the run.
  auto kept = answer.addBranch().ignoreResult().catch_([](kj::Exception&&) {});
  tasks_.add(kept.exclusiveJoin(lost_.addBranch()));
  return answer.addBranch().attach(kj::mv(self));
}

CallOptions TransactionOrigin::Until(absl::Time deadline, Id128 id) {
  const auto left = deadline - scope_->host()->clock().Now();
  return {std::max<absl::Duration>(left, absl::ZeroDuration()), id};
}

kj::Promise<Payload> TransactionOrigin::Send(const ActorId& target, TransactedCall call, Id128 id,
                                             absl::Time deadline, CallMetadata metadata) {
  if (lost()) return kj::NEVER_DONE;
  if (scope_->host() == nullptr) return Disconnected("whoever began the transaction has ended");
  call.stamp.grant = members_[target].grant;
  auto options = Until(deadline, id);
  options.metadata = std::move(metadata);
  return scope_->Call(target, kActivationInterface, kTransactedMethod, Encode(call), options);
}

kj::Promise<Payload> TransactionOrigin::OnAnswer(const ActorId& target, TransactedAnswer answer) {
  if (const auto* conflict = std::get_if<TransactedAnswer::Conflict>(&answer.body)) {
    Lose(conflict->holder);
    return kj::NEVER_DONE;
  }
  if (const auto* gone = std::get_if<TransactedAnswer::Gone>(&answer.body)) {
    Lose(gone->hold);
    return kj::NEVER_DONE;
  }
  auto& done = std::get<TransactedAnswer::Done>(answer.body);
  auto& grant = members_[target].grant;
  if (grant && grant != done.grant) {
    Lose(absl::StrCat("its hold of ", target.ToString(), " has ended"));
    return kj::NEVER_DONE;
  }
  grant = done.grant;
  if (target == *first_) first_answers_->fulfill();
  if (auto* results = std::get_if<Payload>(&done.outcome)) return std::move(*results);
  return kj::mv(std::get<kj::Exception>(done.outcome));
}

void TransactionOrigin::Lose(std::string why) {
  if (lost()) return;
  lost_why_ = std::move(why);
  lose_->fulfill();
}

kj::Promise<CommitReply> TransactionOrigin::Commit() {
  CommitRequest request{id_, members_.at(*first_).grant, {}};
  for (const auto& [actor, member] : members_) {
    if (actor != *first_) request.others.push_back({actor, member.grant});
  }
  const Id128 id = DerivedId(id_, *first_, kActivationInterface, kCommitMethod, 0);
  return scope_
      ->Call(*first_, kActivationInterface, kCommitMethod, Encode(request), Until(deadline_, id))
      .then([](Payload&& reply) { return DecodeCommitReply(reply); });
}

kj::Promise<void> TransactionOrigin::Release() {
  if (scope_->host() == nullptr) return kj::READY_NOW;
  Lose("it was given up");  // What waits for the first answer is not sent any more.
  const absl::Time deadline = scope_->host()->clock().Now() + kReleaseLimit;
  kj::Vector<kj::Promise<void>> released;
  for (const auto& [actor, member] : members_) {
    const Id128 id = DerivedId(id_, actor, kActivationInterface, kReleaseMethod, 0);
    released.add(scope_
                     ->Call(actor, kActivationInterface, kReleaseMethod, Encode(HoldName{id_, {}}),
                            Until(deadline, id))
                     .ignoreResult()
                     .catch_([](kj::Exception&&) {}));
  }
  return kj::joinPromises(released.releaseAsArray());
}

}  // namespace troupe
