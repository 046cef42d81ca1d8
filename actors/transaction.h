// Transaction: calls to a few actors whose effects become visible together, or not at all.
//
//   auto moved = client.Transact([&](troupe::Transaction& tx) -> troupe::Task<void> {
//     co_await tx.Get<Account>("alice").Withdraw(5);
//     co_await tx.Get<Account>("bob").Deposit(5);
//   });
//   co_await moved;
//
// The body may run several times: it begins anew when another transaction has what it needs. So it
// does nothing but call by `tx`, and sets what it leaves behind anew in each run. If it throws,
// nothing has happened, and Transact() rejects with what it threw. What it returns is the result.
//
// From its first call to an actor until the end, the transaction holds that actor: calls of others
// wait for their turn, reads too. See docs/guide/transactions.md for what that costs, and for when
// Tell() is the better way.
//
// Belongs to the loop of whoever began it. Dropping what Transact() returned gives it up; if the
// commit was under way, it may have happened.
#pragma once

#include <concepts>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/time/time.h"
#include "kj/async.h"
#include "kj/function.h"
#include "troupe/actors/any_ref.h"
#include "troupe/actors/call_origin.h"
#include "troupe/actors/ref.h"
#include "troupe/runtime/ids.h"
#include "troupe/runtime/task.h"

namespace troupe {

class Host;

inline constexpr size_t kTransactionCallsMax = 256;  // In one run of a body.

struct TransactOptions {
  // For how long one run may hold actors; then it is undone and begins anew. At most 60 s. Also how
  // long actors stay held when whoever began it dies.
  absl::Duration limit = absl::Seconds(10);
  // From the beginning to the outcome, over all runs. At most kDeadlineMax; within a turn, no more
  // than what the turn's own call has left.
  absl::Duration deadline = kDeadlineDefault;
};

// On whose behalf: a client, or a turn of an actor.
class TransactionScope : public CallOrigin {
 public:
  virtual Host* host() = 0;  // Null once whoever began it has ended.
  // The same for a turn that runs again elsewhere, and for no other transaction.
  virtual Id128 id() const = 0;
  virtual const ActorId& self() const = 0;    // The actor that began it; type 0: a client.
  virtual absl::Time latest() const = 0;      // No later than this.
  virtual bool TellsWhenDropped() const = 0;  // Calls can be made while it is being dropped.
};

// One run of a body. Refs that it gives are of this run alone.
class Transaction {
 public:
  explicit Transaction(kj::Own<CallOrigin> origin) : origin_(kj::mv(origin)) {}
  KJ_DISALLOW_COPY(Transaction);

  template <typename Interface>
  RefOf<Interface> Get(std::string_view key, CallOptions options = {}) {
    return Refer<Interface>(Share(origin_), key, options);
  }
  // The same actor, called as part of the transaction.
  template <std::derived_from<AnyRef> Ref>
  Ref Get(const Ref& ref) {
    return Ref(Share(origin_), ref.id(), {});
  }

 private:
  kj::Own<CallOrigin> origin_;
};

using TransactionBody = kj::Function<kj::Promise<void>(Transaction&)>;
kj::Promise<void> RunTransaction(kj::Own<TransactionScope> scope, TransactionBody body,
                                 TransactOptions options);

namespace internal {
template <typename T>
struct ResultOf;
template <typename T>
struct ResultOf<Task<T>> {
  using Type = T;
};
}  // namespace internal

// What Transact() of a client or an actor is. `Body`: callable with a Transaction&, giving a Task.
template <typename Body>
auto Transact(kj::Own<TransactionScope> scope, Body body, TransactOptions options) {
  using T = typename internal::ResultOf<std::invoke_result_t<Body&, Transaction&>>::Type;
  if constexpr (std::is_void_v<T>) {
    return NamedTask<void>(RunTransaction(
        kj::mv(scope),
        [body = std::move(body)](Transaction& tx) mutable { return body(tx).AsPromise(); },
        options));
  } else {
    auto result = std::make_shared<std::optional<T>>();
    auto run = [body = std::move(body), result](Transaction& tx) mutable -> kj::Promise<void> {
      result->reset();
      return body(tx).AsPromise().then([result](T&& value) { result->emplace(kj::mv(value)); });
    };
    auto done = RunTransaction(kj::mv(scope), std::move(run), options);
    return NamedTask<T>(done.then([result]() -> T { return kj::mv(**result); }));
  }
}

}  // namespace troupe
