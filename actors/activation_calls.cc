// Activation, part five: the calls that the actor makes, and that their records may go.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/activation_turn.h"
#include "troupe/actors/observer_key.h"
#include "troupe/actors/shard_of.h"

namespace troupe {
namespace {

constexpr absl::Duration kSettleAfter = absl::Seconds(1);   // Without a further call to the actor.
constexpr absl::Duration kSettleAgain = absl::Seconds(10);  // When it could not be told.

}  // namespace

// Calls by whichever turn is open when the ref is used. Outlives the activation in refs.
class Activation::TurnOrigin final : public CallOrigin {
 public:
  explicit TurnOrigin(Activation& activation) : activation_(&activation) {}
  void Detach() { activation_ = nullptr; }

  kj::Promise<Payload> Call(const ActorId& target, uint64_t interface_id, uint16_t method_id,
                            Payload params, const CallOptions& options) override {
    if (activation_ == nullptr) return Disconnected("the calling actor has been deactivated");
    auto& self = *activation_;
    CallHeader header{target, interface_id, method_id, {}, {}};
    absl::Time deadline = self.host_.clock().Now() + std::min(options.TimeLimit(), kDeadlineMax);
    if (self.turn_ == nullptr) {
      // A read-only turn: nothing to be kept in step with, so the call is of this object alone.
      if (self.readers_ == 0) {
        return Failed(absl::StrCat("actor ", self.id_.ToString(self.type_.name),
                                   " made a call outside of a turn: wait for it in the method"));
      }
      if (!self.reading_) self.reading_ = std::make_unique<ClientSequence>(self.host_.RandomId());
      header.id = self.reading_->Next();
      header.metadata = options.metadata;  // Several may be open: whose would it be?
      header.by_actor = true;
      return self.caller_.Call(std::move(header), std::move(params), deadline, self.reading_.get());
    }
    if (self.IsTentative()) {
      return Failed(absl::StrCat("actor ", self.Name(), " called ", self.shard_.NameOf(target),
                                 " in a call that is part of a transaction: call it in the "
                                 "transaction's body, or by Tell(), which leaves with the commit"));
    }
    Turn& turn = *self.turn_;
    Frame& frame = turn.frame;
    deadline = std::min(deadline, frame.deadline);
    header.chain = frame.chain;
    header.metadata = frame.metadata.And(options.metadata);
    const uint64_t ordinal = frame.ordinals[{target, interface_id, method_id}]++;
    if (self.shard_.mutations().ordinal_forgotten) frame.inbound.lo += self.shard_.epoch();
    header.id =
        ActorCall{self.id_,
                  self.shard_.lineage(),
                  self.shard_.epoch(),
                  turn.number,
                  self.OldestUnsettled(),
                  options.id ? *options.id
                             : DerivedId(frame.inbound, target, interface_id, method_id, ordinal)};
    self.NoteCall(target, turn.number);
    if (turn.earlier_safe.get() == nullptr) {
      turn.earlier_safe = kj::heap(self.EarlierSafe().fork());
    }
    return Send(turn.earlier_safe->addBranch(), std::move(header), std::move(params), deadline);
  }

  kj::Promise<Payload> Send(kj::Promise<void> safe, CallHeader header, Payload params,
                            absl::Time deadline) {
    return safe.then([origin = kj::addRef(*this), header = std::move(header),
                      params = std::move(params), deadline]() mutable -> kj::Promise<Payload> {
      if (origin->activation_ == nullptr) return Disconnected("the calling actor was deactivated");
      return origin->activation_->caller_.Call(std::move(header), std::move(params), deadline,
                                               nullptr);
    });
  }

 private:
  friend class BackgroundOrigin;
  friend class TurnScope;
  Activation* activation_;
};

// Calls of Resume(): outside of any turn, under ids of their own.
class Activation::BackgroundOrigin final : public CallOrigin {
 public:
  explicit BackgroundOrigin(kj::Own<TurnOrigin> turns) : turns_(kj::mv(turns)) {}

  kj::Promise<Payload> Call(const ActorId& target, uint64_t interface_id, uint16_t method_id,
                            Payload params, const CallOptions& options) override {
    if (turns_->activation_ == nullptr) {
      return Disconnected("the calling actor has been deactivated");
    }
    auto& self = *turns_->activation_;
    CallHeader header{target, interface_id, method_id, {}, {}};
    // As of the turn that asked for Resume(): it is unsettled until Resume() is done.
    const uint64_t oldest = std::min(self.resume_since_, self.outbox_.OldestTurn());
    header.id =
        ActorCall{self.id_, self.shard_.lineage(),       self.shard_.epoch(), self.resume_since_,
                  oldest,   options.id.value_or(Id128())};
    header.metadata = options.metadata;
    self.NoteCall(target, self.resume_since_);
    const absl::Time deadline =
        self.host_.clock().Now() + std::min(options.TimeLimit(), kDeadlineMax);
    return turns_->Send(self.EarlierSafe(), std::move(header), std::move(params), deadline);
  }

 private:
  kj::Own<TurnOrigin> turns_;
};

// Of a transaction that the open turn begins.
class Activation::TurnScope final : public TransactionScope {
 public:
  TurnScope(Activation& activation, kj::Own<TurnOrigin> turns, Id128 id)
      : turns_(kj::mv(turns)),
        self_(activation.id_),
        turn_(activation.turn_->number),
        latest_(activation.turn_->frame.deadline),
        id_(id) {}

  kj::Promise<Payload> Call(const ActorId& target, uint64_t interface_id, uint16_t method_id,
                            Payload params, const CallOptions& options) override {
    auto* activation = turns_->activation_;
    if (activation == nullptr) return Disconnected("the calling actor has been deactivated");
    if (activation->turn_ == nullptr || activation->turn_->number != turn_) {
      return Failed(absl::StrCat("the method of ", activation->Name(),
                                 " that began a transaction has ended: wait for it in the method"));
    }
    return turns_->Call(target, interface_id, method_id, std::move(params), options);
  }
  Host* host() override {
    return turns_->activation_ == nullptr ? nullptr : &turns_->activation_->host_;
  }
  Id128 id() const override { return id_; }
  const ActorId& self() const override { return self_; }
  absl::Time latest() const override { return latest_; }
  bool TellsWhenDropped() const override { return false; }

 private:
  kj::Own<TurnOrigin> turns_;
  const ActorId self_;
  const uint64_t turn_;
  const absl::Time latest_;
  const Id128 id_;
};

kj::Own<TransactionScope> Activation::BeginTransaction() {
  RequireTurn("Transact()");
  RequireOutsideOfTransaction("Transact()");
  const uint64_t ordinal = turn_->frame.ordinals[{id_, kActivationInterface, kTransactedMethod}]++;
  return kj::refcounted<TurnScope>(
      *this, kj::addRef(kj::downcast<TurnOrigin>(*origin_)),
      DerivedId(turn_->frame.inbound, id_, kActivationInterface, kTransactedMethod, ordinal));
}

kj::Own<CallOrigin> Activation::MakeTurnOrigin() { return kj::refcounted<TurnOrigin>(*this); }

kj::Own<CallOrigin> Activation::MakeBackgroundOrigin() {
  return kj::refcounted<BackgroundOrigin>(kj::addRef(kj::downcast<TurnOrigin>(*origin_)));
}

void Activation::DetachOrigins() { kj::downcast<TurnOrigin>(*origin_).Detach(); }

kj::Promise<void> Activation::EarlierSafe() {
  auto paf = kj::newPromiseAndFulfiller<void>();
  // An open turn's own changes are not waited for; without one, all there are were completed.
  const auto kind = turn_ != nullptr ? HoldKind::kOutgoing : HoldKind::kAnswer;
  shard_.Hold(id_, kind, {}, [fulfiller = kj::mv(paf.fulfiller)](bool ok) mutable {
    if (ok) return fulfiller->fulfill();
    fulfiller->reject(Disconnected("the shard has moved"));
  });
  return kj::mv(paf.promise);
}

std::string Activation::KeyBeside(std::string_view name) const {
  return ::troupe::KeyBeside(id_, *shard_.router().map(), name);
}

// ---- Records at those that were called (P6.5)

void Activation::NoteCall(const ActorId& callee, uint64_t turn) {
  if (IsObserverKey(callee.key) || IsPoolKey(callee.key)) return;  // They keep no records.
  has_called_ = true;
  auto it = called_.find(callee);
  if (it == called_.end()) {
    if (called_.size() >= kCalledMax) return;
    it = called_.try_emplace(callee).first;
  }
  it->second.turn = std::max(it->second.turn, turn);
  it->second.at = host_.clock().Now();
}

void Activation::SettleCalls(absl::Time now) {
  // A turn that has called Resume() off may yet fail.
  const bool resumes = resume_ || (turn_ != nullptr && turn_->resume_before);
  if (called_.empty() || now < next_settling_ || stopped_ || resumes) return;
  next_settling_ = now + kSettleAfter;
  const uint64_t mark = OldestUnsettled();
  for (auto& [callee, called] : called_) {
    if (called.settling || called.turn >= mark || now < called.at + kSettleAfter) continue;
    called.settling = true;
    tasks_.add(
        EarlierSafe().then([this, callee = callee, mark] { return SendSettle(callee, mark); },
                           [](kj::Exception&&) {}));
  }
}

kj::Promise<void> Activation::SendSettle(const ActorId& callee, uint64_t mark) {
  if (stopped_) return kj::READY_NOW;
  capnp::MallocMessageBuilder nothing;
  nothing.getRoot<capnp::AnyPointer>();
  CallHeader header{callee, kActivationInterface, kSettleMethod, {}, {}};
  header.id = ActorCall{id_, shard_.lineage(), shard_.epoch(), mark, mark, Id128{0, mark}};
  auto ended = [this, callee, mark](bool told) {
    auto it = called_.find(callee);
    if (it == called_.end()) return;
    it->second.settling = false;
    if (told && it->second.turn < mark) {
      called_.erase(it);
    } else if (!told) {
      it->second.at = host_.clock().Now() + kSettleAgain;
    }
  };
  return caller_
      .Call(std::move(header), Payload::Of(nothing), host_.clock().Now() + kDeadlineDefault,
            nullptr)
      .then(
          [ended](Payload&&) { ended(true); },
          [ended](kj::Exception&& e) { ended(e.getType() == kj::Exception::Type::UNIMPLEMENTED); });
}

}  // namespace troupe
