#include "troupe/testing/fake_actor.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kj/debug.h"
#include "troupe/rpc/status.h"
#include "troupe/testing/watch.h"

namespace troupe::testing {

FakeActor& FakeActor::Set(std::string_view method, Way way) {
  RequireMethod(schema_, name_, method);
  ways_.insert_or_assign(std::string(method), std::make_shared<Way>(kj::mv(way)));
  return *this;
}

FakeActor& FakeActor::Fails(std::string_view method, std::string error) {
  return Set(method, [error = std::move(error)](Params, Results) -> kj::Promise<void> {
    return Failed(error);
  });
}

FakeActor& FakeActor::Hangs(std::string_view method) {
  return Set(method, [](Params, Results) -> kj::Promise<void> { return kj::NEVER_DONE; });
}

kj::Promise<void> FakeActor::Answer(const std::string& method, Params params, Results results) {
  auto found = ways_.find(method);
  if (found == ways_.end()) return kj::READY_NOW;
  auto way = found->second;
  auto answer = (*way)(params, results);
  return answer.attach(kj::mv(way));
}

}  // namespace troupe::testing
