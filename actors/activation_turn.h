// Activation's parts that its sources share: one run of a method, and what the method sees of it.
#pragma once

#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "capnp/serialize.h"
#include "troupe/actors/activation.h"
#include "troupe/actors/method_context.h"
#include "troupe/actors/parent_side.h"
#include "troupe/rpc/status.h"

namespace troupe {

// What the calls of one method, or of the rest of the turn, are made with.
struct Activation::Frame {
  Id128 inbound;
  std::vector<ChainLink> chain;  // With this actor at its end.
  absl::Time deadline;
  bool interrupted = false;  // A run before it left something.
  CallMetadata metadata = {};
  std::map<std::tuple<ActorId, uint64_t, uint16_t>, uint64_t> ordinals = {};
};

class Activation::Parent final : public ParentSide {
 public:
  explicit Parent(Activation& self) : self_(self) {}
  Host& host() override { return self_.host_; }
  std::string ParentName() const override { return self_.Name(); }
  Within CallsWithin() const override;
  void RunLater(kj::Function<void()> work) override;
  kj::Promise<Payload> CallOut(CallHeader header, Payload params, absl::Time deadline) override;
  void Close() { closed_ = true; }  // The activation is being destroyed.

 private:
  Activation& self_;
  bool closed_ = false;
};

// One run of a method, or a turn of the actor's own.
struct Activation::Turn {
  TurnKind kind = TurnKind::kCall;
  kj::Own<InboundCall> call;  // Null for the actor's own, and once it is over.
  uint64_t argument_hash = 0;
  ReadTicket ticket;
  kj::Own<MethodContext> context;
  bool resume_before = false;  // What a failure goes back to.
  ReminderTable::Snapshot reminders_before;
  OutboxSnapshot outbox_before;
  WatchSnapshot watches_before;
  uint32_t told = 0;                        // Calls, so far.
  bool persisted = false;                   // Something of it stays, whatever becomes of it.
  bool erases = false;                      // Erase() was called.
  bool deactivates = false;                 // Deactivate() was called.
  std::optional<std::string> state_before;  // Of a new object; else it is the last that was saved.
  // Of the actor's own.
  kj::Function<kj::Promise<void>()> work;
  kj::Own<ActorTimer::Entry> timer;
  std::optional<ReminderTable::Firing> reminder;
  std::optional<Notice> notice;
  Id128 watch;  // Of the notice.
  uint64_t number = 0;
  absl::Time seen = absl::InfiniteFuture();  // When it was first seen to go on.
  Frame frame;
  kj::Own<kj::ForkedPromise<void>> earlier_safe;  // P6.6; made with the first call out.
  // P6.17: what runs within it, the innermost last, and what waits for that to end.
  std::vector<std::unique_ptr<Nested>> nested;
  std::vector<kj::Own<InboundCall>> nested_waiting;
  bool nested_called = false;           // Others.
  kj::Maybe<kj::Function<void()>> end;  // It is over itself, but not what runs within it.
  kj::Maybe<kj::Exception> spoiled;     // Why it cannot end well.
  bool cut = false;                     // By its limit: nothing more begins within it.
  kj::Promise<void> running = nullptr;

  void Abandon();  // Its calls are not answered here.
};

// A call of a $reentrant method within the open turn. While it runs, its frame is the turn's.
struct Activation::Nested {
  kj::Own<InboundCall> call;
  uint64_t argument_hash = 0;
  bool read_only = false;
  kj::Own<MethodContext> context;
  Frame outer;                              // Of what it runs within.
  std::optional<std::string> state_before;  // Nothing: it could not be saved.
  ReminderTable::Snapshot reminders_before;
  OutboxSnapshot outbox_before;
  WatchSnapshot watches_before;
  bool resume_before = false;
  bool over = false;
  kj::Maybe<kj::Exception> failure;  // With which it is over.
  kj::Promise<void> running = nullptr;
};

// A transaction has the actor.
struct Activation::Held {
  SharedHold hold;
  absl::Time since;
  absl::Time until;  // Then it is asked after, or ends.
  bool asking = false;
  std::optional<Decision> decided;  // As the first participant says.
};

// KJ lets nothing destroy what runs now: a turn's own promise, for one.
template <typename... T>
void Activation::DestroyLater(T... what) {
  tasks_.add(kj::evalLater([... what = kj::mv(what)] {}));
}

}  // namespace troupe
