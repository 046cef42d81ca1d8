// StatelessContext: what the context of an object that keeps nothing has in common: of a pool, or a
// child. It can wait, work elsewhere and tell the time; what would be kept is refused.
//
// Single loop; `host` outlives it.
#pragma once

#include <string_view>

#include "kj/exception.h"
#include "troupe/actors/actor.h"
#include "troupe/runtime/host.h"
#include "troupe/runtime/kj_time.h"

namespace troupe {

class StatelessContext : public ActorContext {
 protected:
  explicit StatelessContext(Host& host) : host_(host) {}
  // FAILED, naming what was asked for and why it cannot be had.
  virtual kj::Exception Refusal(std::string_view asked) const = 0;
  [[noreturn]] void Refuse(std::string_view asked) const {
    kj::throwFatalException(Refusal(asked));
  }

  std::string KeyBeside(std::string_view) const override { Refuse("KeyBeside()"); }
  Task<void> Sleep(absl::Duration duration) override {
    return host_.timer().afterDelay(ToKj(duration));
  }
  kj::Promise<void> RunElsewhere(kj::Function<void()> work) override {
    return host_.Offload(kj::mv(work));
  }
  Task<void> Persisted() override { Refuse("Persisted()"); }
  bool Interrupted() const override { return false; }
  void RequestResume() override { Refuse("RequestResume()"); }
  void CancelResume() override { Refuse("CancelResume()"); }
  void SetReminder(std::string_view, const ReminderOptions&) override { Refuse("SetReminder()"); }
  bool CancelReminder(std::string_view) override { Refuse("CancelReminder()"); }
  void Watch(const AnyRef&) override { Refuse("Watch()"); }
  bool Unwatch(const AnyRef&) override { Refuse("Unwatch()"); }
  void WatchNode(std::string_view) override { Refuse("WatchNode()"); }
  bool UnwatchNode(std::string_view) override { Refuse("UnwatchNode()"); }
  void Erase() override { Refuse("Erase()"); }
  absl::Time WallNow() const override { return host_.clock().WallNow(); }
  const Log& log() const override { return host_.log(); }
  kj::Own<CallOrigin> ToldOrigin() override { Refuse("Tell()"); }
  kj::Own<TransactionScope> BeginTransaction() override { Refuse("Transact()"); }

 private:
  Host& host_;
};

}  // namespace troupe
