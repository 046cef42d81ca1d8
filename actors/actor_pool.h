// ActorPool: the objects of one worker loop that run calls to pools of actors (P6.18).
//
// Any object of the type that has nothing to do takes the next call; where all are busy there is
// one more, up to ActorTypeOptions::pool_size, and then calls wait. They keep nothing: no state, no
// records, no place in the cluster. What a call is answered may be answered by another run of it,
// on another node.
//
// Single loop; owned by the worker.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "kj/async.h"
#include "troupe/actors/call.h"
#include "troupe/actors/registry.h"
#include "troupe/actors/router.h"
#include "troupe/runtime/host.h"

namespace troupe {

inline constexpr size_t kPoolWaitingMax = 1024;  // Calls of one type; then OVERLOADED.

class ActorPool {
 public:
  // All outlive it. `router`: by which pooled objects call.
  ActorPool(Host& host, const Registry& registry, Router& router, std::string node);
  ~ActorPool() noexcept(false);
  KJ_DISALLOW_COPY(ActorPool);

  // Of a type that is hosted here; answers UNIMPLEMENTED for a method that it does not have.
  void Deliver(kj::Own<InboundCall> call);

  // Answers what is late, and lets objects go that have been idle for long.
  void Tick(absl::Time now);

  // Whoever waits for a call is told to go elsewhere.
  void Stop();

  size_t objects() const;

 private:
  class Object;
  struct OfType {
    std::vector<kj::Own<Object>> objects;
    std::deque<kj::Own<InboundCall>> waiting;
  };

  void Run(OfType& of_type);
  void OnDone(const ActorType& type);

  Host& host_;
  const Registry& registry_;
  const std::string node_;
  ClientSequence sequence_;
  Router::Caller caller_;
  std::map<uint64_t, OfType> types_;
  struct Errors final : kj::TaskSet::ErrorHandler {
    explicit Errors(const Log& log) : log(log) {}
    void taskFailed(kj::Exception&& exception) override;
    const Log& log;
  } errors_;
  kj::TaskSet tasks_;
};

}  // namespace troupe
