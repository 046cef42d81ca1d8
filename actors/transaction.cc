#include "troupe/actors/transaction.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/call.h"
#include "troupe/actors/transaction_origin.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/host.h"
#include "troupe/runtime/kj_time.h"

namespace troupe {
namespace {

// Between two runs; half of it random, so that those who met do not meet again.
constexpr absl::Duration kPauseMin = absl::Milliseconds(2);
constexpr absl::Duration kPauseMax = absl::Milliseconds(200);

class TransactionRun {
 public:
  TransactionRun(kj::Own<TransactionScope> scope, TransactionBody body, TransactOptions options)
      : scope_(kj::mv(scope)), body_(kj::mv(body)), options_(options) {}
  ~TransactionRun() noexcept {
    const bool tells = stage_ == Stage::kRunning && scope_->TellsWhenDropped();
    if (!tells || origin_.get() == nullptr || scope_->host() == nullptr) return;
    // They leave at once; nobody is there to wait for the answers.
    (void)kj::runCatchingExceptions([this] { (void)origin_->Release(); });
  }
  KJ_DISALLOW_COPY(TransactionRun);

  Task<void> Run();

 private:
  enum class Stage : uint8_t { kRunning, kDeciding, kOver };

  void Begin(uint64_t run);
  Host& host() {
    if (scope_->host() == nullptr) {
      kj::throwFatalException(Disconnected("whoever began the transaction has ended"));
    }
    return *scope_->host();
  }
  absl::Duration Pause(uint64_t run);
  kj::Exception TooLate(uint64_t runs, const std::string& then);

  kj::Own<TransactionScope> scope_;
  TransactionBody body_;
  TransactOptions options_;
  absl::Time began_;
  absl::Time deadline_;
  std::string why_;  // The last run did not come to a commit.
  int64_t age_ = 0;
  Stage stage_ = Stage::kOver;
  kj::Own<TransactionOrigin> origin_;
  std::unique_ptr<Transaction> transaction_;
};

void TransactionRun::Begin(uint64_t run) {
  const Id128 id =
      DerivedId(scope_->id(), scope_->self(), kActivationInterface, kTransactedMethod, run);
  origin_ =
      kj::refcounted<TransactionOrigin>(kj::addRef(*scope_), id, age_, options_.limit, deadline_);
  transaction_ = std::make_unique<Transaction>(kj::addRef(*origin_));
  stage_ = Stage::kRunning;
}

absl::Duration TransactionRun::Pause(uint64_t run) {
  const auto longest = std::min(kPauseMax, kPauseMin * (1 << std::min<uint64_t>(run, 8)));
  return longest / 2 + longest / 2 * host().random().Unit();
}

kj::Exception TransactionRun::TooLate(uint64_t runs, const std::string& then) {
  const auto took = absl::Trunc(host().clock().Now() - began_, absl::Milliseconds(1));
  return Overloaded(absl::StrCat("the transaction did not come about within ",
                                 absl::FormatDuration(took), ", in ", runs,
                                 runs == 1 ? " run: " : " runs: ", why_, then));
}

Task<void> TransactionRun::Run() {
  began_ = host().clock().Now();
  deadline_ = std::min(scope_->latest(), began_ + std::min(options_.deadline, kDeadlineMax));
  age_ = absl::ToUnixNanos(host().clock().WallNow());
  for (uint64_t run = 0;; ++run) {
    Begin(run);
    auto body = kj::evalNow([this] { return body_(*transaction_); });
    auto ended = body.exclusiveJoin(origin_->Lost());
    auto outcome = co_await Settled(ended);
    origin_->Close();
    if (outcome.ok()) {
      auto answered = origin_->Answered();
      co_await answered;
    }
    kj::Maybe<kj::Exception> failure;
    if (!outcome.ok()) {
      failure = kj::mv(outcome.exception());
    } else {
      KJ_IF_MAYBE (e, origin_->unknown()) failure = kj::cp(*e);
    }
    if (!origin_->lost() && failure == nullptr) {
      if (!origin_->has_participants()) {
        stage_ = Stage::kOver;
        co_return;
      }
      stage_ = Stage::kDeciding;
      auto commit = origin_->Commit();
      auto reply = co_await Settled(commit);
      if (!reply.ok()) {
        stage_ = Stage::kOver;
        co_await Fail(reply.exception().getType(),
                      absl::StrCat("it is not known whether the transaction was committed: ",
                                   Words(reply.exception())));
      }
      if (reply.value().committed) {
        stage_ = Stage::kOver;
        co_return;
      }
      why_ = reply.value().trouble;
    } else if (origin_->lost()) {
      why_ = origin_->lost_why();
    }
    const bool again = origin_->lost() || failure == nullptr;
    auto released = origin_->Release();
    co_await released;
    stage_ = Stage::kOver;
    if (!again) {
      KJ_IF_MAYBE (e, failure) {
        const bool late = run > 0 && e->getType() == kj::Exception::Type::OVERLOADED;
        if (late) co_await Fail(TooLate(run + 1, absl::StrCat("; then ", Words(*e))));
        co_await Fail(kj::mv(*e));
      }
    }
    const auto pause = Pause(run);
    if (host().clock().Now() + pause >= deadline_) co_await Fail(TooLate(run + 1, ""));
    auto later = host().timer().afterDelay(ToKj(pause));
    co_await later;
  }
}

kj::Maybe<kj::Exception> Check(const TransactOptions& options) {
  if (options.limit > absl::ZeroDuration() && options.limit <= kHoldLimitMax) return nullptr;
  return Failed(absl::StrCat("TransactOptions::limit must be from 1ms to ",
                             absl::FormatDuration(kHoldLimitMax), ", got ",
                             absl::FormatDuration(options.limit)));
}

}  // namespace

kj::Promise<void> RunTransaction(kj::Own<TransactionScope> scope, TransactionBody body,
                                 TransactOptions options) {
  if (auto refusal = Check(options); refusal != nullptr) return kj::mv(KJ_ASSERT_NONNULL(refusal));
  auto run = kj::heap<TransactionRun>(kj::mv(scope), kj::mv(body), options);
  auto task = run->Run().AsPromise();
  return task.attach(kj::mv(run));
}

}  // namespace troupe
