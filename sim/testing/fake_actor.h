// FakeActor: stands in for an actor of some interface: the test says how each method answers.
//
//   auto& smtp = harness.Fake<Mailer>("smtp");
//   smtp.On("send", [](auto params, auto results) { results.set("id", 7); });
//   smtp.Fails("cancel", "sent already");
//   ...
//   EXPECT_THAT(smtp.calls(), ElementsAre("send(to = \"bob\")"));
//
// Methods are named as in the schema. One of which nothing was said answers with defaults: zero,
// empty text. What it keeps is the test's, so no restart or kill takes it away.
//
// Stateless: what a mock of gmock, or a fake with methods, derives from:
//
//   class MailerMock : public troupe::testing::Stateless<Mailer> {
//    public:
//     MOCK_METHOD(Task<uint64_t>, Send, (std::string to), (override));
//   };
//   MailerMock smtp;
//   harness.StandIn("smtp", smtp);
//
// Threads: that of the harness. A retry that is answered from a record is no call.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "capnp/dynamic.h"
#include "capnp/schema.h"
#include "kj/async.h"
#include "kj/function.h"
#include "troupe/actors/actor.h"
#include "troupe/testing/turn_log.h"

namespace troupe::testing {

class FakeActor {
 public:
  using Params = capnp::DynamicStruct::Reader;
  using Results = capnp::DynamicStruct::Builder;

  FakeActor(ActorId id, std::string name, capnp::InterfaceSchema schema, const TurnLog& log)
      : id_(std::move(id)), name_(std::move(name)), schema_(schema), log_(log) {}
  FakeActor(const FakeActor&) = delete;
  FakeActor& operator=(const FakeActor&) = delete;

  // From now on. `answer` fills the results; it may return nothing, a promise or a Task, until
  // which the call is not answered. What it throws is the call's error. Throws for a method that
  // the interface does not have.
  template <typename Answer>
  FakeActor& On(std::string_view method, Answer answer) {
    return Set(
        method,
        [answer = std::move(answer)](Params params, Results results) mutable -> kj::Promise<void> {
          if constexpr (std::is_void_v<decltype(answer(params, results))>) {
            answer(params, results);
            return kj::READY_NOW;
          } else {
            return answer(params, results);
          }
        });
  }
  // The same, with what Cap'n Proto generates:
  //   smtp.On<Mailer::SendParams, Mailer::SendResults>("send", [](auto params, auto results) {
  //     results.setId(params.getTo().size());
  //   });
  template <typename ParamsStruct, typename ResultsStruct, typename Answer>
  FakeActor& On(std::string_view method, Answer answer) {
    return On(method, [answer = std::move(answer)](Params params, Results results) mutable {
      return answer(params.as<ParamsStruct>(), results.as<ResultsStruct>());
    });
  }
  FakeActor& Fails(std::string_view method, std::string error);
  // Its calls are never answered: they end by their deadlines.
  FakeActor& Hangs(std::string_view method);

  // As "send(to = \"bob\")", in order; the last kTurnsKept of the harness.
  std::vector<std::string> calls() const { return log_.CallsOf(id_); }
  const ActorId& id() const { return id_; }

  // By the harness.
  kj::Promise<void> Answer(const std::string& method, Params params, Results results);

 private:
  using Way = kj::Function<kj::Promise<void>(Params, Results)>;
  FakeActor& Set(std::string_view method, Way way);

  const ActorId id_;
  const std::string name_;
  const capnp::InterfaceSchema schema_;
  const TurnLog& log_;
  std::map<std::string, std::shared_ptr<Way>, std::less<>> ways_;  // Shared by running calls.
};

namespace internal {
template <typename Interface, typename State>
State StateOf(const Actor<Interface, State>*);
template <typename ActorClass>
using StateOfClass = decltype(StateOf(std::declval<const ActorClass*>()));
}  // namespace internal

template <typename Interface, typename State = internal::StateOfClass<typename Interface::Actor>>
class Stateless : public Interface::Actor {
  void Save(typename State::Builder) const final {}
  void Load(typename State::Reader) final {}
};
template <typename Interface>
class Stateless<Interface, void> : public Interface::Actor {};

}  // namespace troupe::testing
