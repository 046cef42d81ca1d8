// Call: what travels between a caller and an actor, however far apart they are.
//
// Values and one owner each; moved between the workers of a process, encoded between processes
// (call.capnp). Deadlines are of the boot-time clock of the process and travel as time left.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "kj/exception.h"
#include "kj/function.h"
#include "troupe/actors/actor_id.h"
#include "troupe/actors/call.capnp.h"
#include "troupe/actors/call_metadata.h"
#include "troupe/actors/call_record.h"
#include "troupe/rpc/payload.h"

namespace troupe {

class Frame;
class FrameStream;
struct TransactionStamp;

// The caller's order of calls to one actor (P6.9). After a refusal the caller sends the whole lane
// again under the next attempt; until then nothing of the refused attempt may run.
struct CallLane {
  uint64_t origin = 0;  // Random, of the caller's router.
  uint64_t number = 0;
  uint32_t attempt = 0;
};

// An actor whose open turn waits for the call, and which turn that is; 0: not known.
struct ChainLink {
  ActorId actor;
  uint64_t turn = 0;
};

struct CallHeader {
  ActorId actor;
  uint64_t interface_id = 0;
  uint16_t method_id = 0;
  CallId id;
  std::vector<ChainLink> chain;  // Whose open turns wait for this call, outermost first.
  CallLane lane = {};
  std::shared_ptr<const TransactionStamp> transaction = nullptr;  // That it is part of; or null.
  CallMetadata metadata = {};
  // By an actor's object, though under a client's id: in a `$readOnly` method, of a pool, by a
  // child.
  bool by_actor = false;
};

// The call did not run here: another node is the primary, or nobody can be now. To be sent again.
struct Moved {
  uint64_t map_version = 0;
  std::string text;
};

using CallOutcome = std::variant<Payload, kj::Exception, Moved>;

// Is told how a call goes on: see interception.h.
class CallHook {
 public:
  virtual ~CallHook() = default;
  virtual void OnBegin() = 0;  // Its turn.
  virtual void OnEnd() = 0;
  virtual void OnFinish(const CallOutcome& outcome) = 0;  // The last.
};

// A call at the node that is to run it. Answered exactly once; one that is dropped unanswered
// answers Moved, so that no caller waits for nothing.
class InboundCall {
 public:
  using Answer = kj::Function<void(CallOutcome&&)>;

  InboundCall(CallHeader header, Payload params, absl::Time deadline, Answer answer)
      : header_(std::move(header)),
        params_(std::move(params)),
        deadline_(deadline),
        answer_(kj::mv(answer)) {}
  ~InboundCall() noexcept(false) {
    if (!answered_) Finish(Moved{0, "the node stopped serving before the call ran"});
  }
  KJ_DISALLOW_COPY(InboundCall);

  const CallHeader& header() const { return header_; }
  const Payload& params() const { return params_; }
  absl::Time deadline() const { return deadline_; }
  bool answered() const { return answered_; }

  // Later ones are ignored: the deadline may have answered already.
  void Finish(CallOutcome&& outcome) {
    if (answered_) return;
    answered_ = true;
    if (hook_) hook_->OnFinish(outcome);
    answer_(std::move(outcome));
  }

  void SetMetadata(CallMetadata metadata) { header_.metadata = std::move(metadata); }
  void SetHook(std::unique_ptr<CallHook> hook) { hook_ = std::move(hook); }
  bool hooked() const { return hook_ != nullptr; }
  void TakeHook(InboundCall& other) {
    std::swap(hook_, other.hook_);
    std::swap(header_.metadata, other.header_.metadata);
  }
  void NoteBegin() {
    if (hook_) hook_->OnBegin();
  }
  void NoteEnd() {
    if (hook_) hook_->OnEnd();
  }

  // Nobody is there any more to be answered: the loop that the call came to has ended.
  void Abandon() { answered_ = true; }

 private:
  CallHeader header_;
  Payload params_;
  absl::Time deadline_;
  Answer answer_;
  std::unique_ptr<CallHook> hook_;  // Null: nobody asks.
  bool answered_ = false;
};

// No interface has it: what is said to an activation, not to the actor (call.capnp, CallFrame).
inline constexpr uint64_t kActivationInterface = 0;
inline constexpr uint16_t kSettleMethod = 0;
inline constexpr uint16_t kUnsuspendMethod = 1;
inline constexpr uint16_t kWatchMethod = 8;
inline constexpr uint16_t kUnwatchMethod = 9;
inline constexpr uint16_t kNoticeMethod = 10;

// Of P6.16: run between the turns of an actor, and recorded as its calls are.
inline bool IsWatchCall(const CallHeader& header) {
  return header.interface_id == kActivationInterface && header.method_id >= kWatchMethod &&
         header.method_id <= kNoticeMethod;
}
// Of transactions (transaction.capnp).
inline constexpr uint16_t kTransactedMethod = 16;
inline constexpr uint16_t kCommitMethod = 17;
inline constexpr uint16_t kReleaseMethod = 18;
inline constexpr uint16_t kFinishMethod = 19;
inline constexpr uint16_t kAskMethod = 20;

inline constexpr size_t kChainMax = 64;           // Calls within calls; beyond it is a runaway.
inline constexpr size_t kCallBytesMax = 8 << 20;  // Parameters or results.

void EncodeActor(const ActorId& actor, wire::ActorName::Builder out);
ActorId DecodeActor(wire::ActorName::Reader in);  // Throws when the key is over the limit.

void EncodeCall(uint64_t number, const CallHeader& header, absl::Duration time_left,
                wire::CallFrame::Builder out);
// Throws kj::Exception for what is out of bounds.
CallHeader DecodeCall(wire::CallFrame::Reader in);

// A message with nothing in it: of whom nobody reads the results.
Payload EmptyResults();

// Of the call that `what` names.
kj::Exception ResultsTooLarge(const std::string& what, size_t bytes);

// Sends the answer frame. `map_version`: that this side goes by, for Moved.
void SendAnswer(FrameStream& stream, uint64_t number, CallOutcome&& outcome, uint64_t map_version);
// What an answer frame says.
CallOutcome ReadAnswer(kj::Own<Frame> frame);

// Hash of the call's arguments, the same for the same words.
uint64_t ArgumentHash(uint64_t interface_id, uint16_t method_id, const Payload& params);

// The id of a call that an actor makes (docs/protocol.md P6.5): the same whenever the inbound call
// runs again and makes its calls in the same order.
Id128 DerivedId(const Id128& inbound, const ActorId& callee, uint64_t interface_id,
                uint16_t method_id, uint64_t ordinal);
// One id for an inbound call of either kind.
Id128 InboundId(const CallId& id);
// By which a chain names the turn of an inbound id; never 0.
inline uint64_t LinkOf(const Id128& inbound) { return (inbound.hi ^ inbound.lo) | 1; }

}  // namespace troupe
