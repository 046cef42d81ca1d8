// CallAll: a call of each of many, so many at a time, and what became of each.
//
//   auto asked = CallAll(refs, [](auto& ref) { return ref.Ping(); });
//   auto outcomes = co_await asked;
//   for (size_t i = 0; i < refs.size(); ++i) {
//     if (!outcomes[i].ok()) Note(refs[i], Words(outcomes[i].exception()));
//   }
//
// Dropping the task ends all that are under way.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kj/async.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/task.h"

namespace troupe {

struct CallAllOptions {
  // Under way. Enough to keep some nodes busy, and a thousandth of what one caller may have open.
  size_t at_once = 64;
};

namespace internal {
template <typename T>
struct AwaitedBy;
template <typename T>
struct AwaitedBy<Task<T>> {
  using Type = T;
};
template <typename T>
struct AwaitedBy<kj::Promise<T>> {
  using Type = T;
};

template <typename Ref, typename Call>
auto CallEach(std::vector<Ref> all, Call call, CallAllOptions options)
    -> Task<std::vector<Outcome<typename AwaitedBy<std::invoke_result_t<Call&, Ref&>>::Type>>> {
  using T = typename AwaitedBy<std::invoke_result_t<Call&, Ref&>>::Type;
  if (options.at_once == 0) {
    co_await Fail("CallAll() was told to have 0 calls under way at once; it needs 1");
  }
  std::vector<std::optional<Outcome<T>>> ended(all.size());
  size_t next = 0;
  // Lives as long as its tasks, which go before it.
  auto one_after_the_other = [&all, &call, &ended, &next]() -> Task<void> {
    while (next < all.size()) {
      const size_t i = next++;
      auto called = kj::evalNow([&]() -> kj::Promise<T> { return call(all[i]); });
      auto outcome = co_await Settled(called);
      ended[i].emplace(kj::mv(outcome));
    }
  };
  std::vector<Task<void>> rows;
  for (size_t i = std::min(options.at_once, all.size()); i > 0; --i) {
    rows.push_back(one_after_the_other());
  }
  for (auto& row : rows) co_await row;
  std::vector<Outcome<T>> outcomes;
  outcomes.reserve(ended.size());
  for (auto& outcome : ended) outcomes.push_back(kj::mv(*outcome));
  co_return outcomes;
}
}  // namespace internal

// `call`, given each element of `all` in order, returns a Task or a promise; it may throw. Resolves
// once all have ended, to their outcomes in the order of `all`. Rejects only with FAILED, when none
// may be under way. Each call has the deadline that it has by itself, from when it is made.
template <typename Ref, typename Call>
auto CallAll(std::vector<Ref> all, Call call, CallAllOptions options = {}) {
  using T = typename internal::AwaitedBy<std::invoke_result_t<Call&, Ref&>>::Type;
  return NamedTask<std::vector<Outcome<T>>>(
      internal::CallEach(std::move(all), std::move(call), options));
}

}  // namespace troupe
