// ChildGroup: the children of one object, and who of them is made anew when one has failed.
//
// Internal to Children. Single loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kj/async.h"
#include "kj/refcount.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/children.h"
#include "troupe/actors/parent_side.h"
#include "troupe/actors/supervisor.h"

namespace troupe {

class ChildGroup final : public kj::Refcounted {
 public:
  ChildGroup(ActorContext& context, ParentSide& parent, ChildrenOptions options);

  using Make = std::function<kj::Own<ActorBase>()>;
  void Add(std::string_view name, uint64_t type, Make make, ChildOptions options);
  bool Stop(std::string_view name);
  bool Has(std::string_view name) const;
  size_t size() const;
  // The parent's object goes. Refs are left, and reach nobody.
  void End();

  kj::Own<CallOrigin> MakeOrigin();  // What the parent calls by.

 private:
  class ParentOrigin;
  class Run;  // One object of a child, until it ends or fails.
  struct Slot {
    std::string name;
    uint64_t type = 0;
    Make make;
    ChildOptions options;
    kj::Own<Run> run;   // Null: it has ended for good, ...
    std::string ended;  // ... and why.
    absl::Time not_before = absl::InfinitePast();
  };

  Slot* Find(std::string_view name) const;
  kj::Promise<Payload> Call(const ActorId& target, uint64_t interface_id, uint16_t method_id,
                            Payload params, const CallOptions& options, ParentSide::Within within);
  std::string Name(const Slot& slot) const;
  void Renew(Slot& slot, absl::Time not_before);
  void OpenDue();
  void WakeAt(absl::Time when);
  void OnActivated();
  void OnFailed(Run& run, const kj::Exception& error);
  void OnEnded(Run& run);
  void EndSlot(Slot& slot, const std::string& why, kj::Exception answer);
  void Escalate(const std::string& why);

  ActorContext& context_;
  ParentSide& parent_;
  const ChildrenOptions options_;
  const Supervision rules_;
  Supervisor supervisor_;
  const std::string parent_name_;
  ActorTimer place_;  // Held, so that the timer by which the parent fails has room.
  std::vector<std::unique_ptr<Slot>> slots_;  // In the order of their starts.
  absl::Time wake_at_ = absl::InfiniteFuture();
  std::string over_;  // Not empty: all have ended, and why.
  struct Errors final : kj::TaskSet::ErrorHandler {
    explicit Errors(const Log& log) : log(log) {}
    void taskFailed(kj::Exception&& exception) override;
    const Log& log;
  } errors_;
  std::unique_ptr<kj::TaskSet> tasks_;
};

}  // namespace troupe
