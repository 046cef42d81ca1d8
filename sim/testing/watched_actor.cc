#include "troupe/testing/watched_actor.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kj/debug.h"
#include "troupe/actors/ref_message.h"
#include "troupe/rpc/status.h"
#include "troupe/testing/dynamic_text.h"

namespace troupe::testing {

// What an ActorContext does for those that derive from it, named for use on another one.
struct Protected : ActorContext {
  using ActorContext::AddTimer;
  using ActorContext::AsParent;
  using ActorContext::BeginTransaction;
  using ActorContext::Origin;
  using ActorContext::RunElsewhere;
  using ActorContext::ToldOrigin;
};

// Passes all on; takes note of timers.
class WatchedActor::Context final : public ActorContext {
 public:
  Context(WatchedActor& owner, ActorContext& real) : owner_(owner), real_(real) {}

  const ActorId& id() const override { return real_.id(); }
  std::string KeyBeside(std::string_view name) const override { return real_.KeyBeside(name); }
  Task<void> Sleep(absl::Duration duration) override { return real_.Sleep(duration); }
  Task<void> Persisted() override { return real_.Persisted(); }
  bool Interrupted() const override { return real_.Interrupted(); }
  void RequestResume() override { real_.RequestResume(); }
  void CancelResume() override { real_.CancelResume(); }
  void SetReminder(std::string_view name, const ReminderOptions& options) override {
    real_.SetReminder(name, options);
  }
  bool CancelReminder(std::string_view name) override { return real_.CancelReminder(name); }
  void Watch(const AnyRef& who) override { real_.Watch(who); }
  bool Unwatch(const AnyRef& who) override { return real_.Unwatch(who); }
  void WatchNode(std::string_view node) override { real_.WatchNode(node); }
  bool UnwatchNode(std::string_view node) override { return real_.UnwatchNode(node); }
  void Deactivate() override { real_.Deactivate(); }
  void Erase() override { real_.Erase(); }
  absl::Time WallNow() const override { return real_.WallNow(); }
  const Log& log() const override { return real_.log(); }

 private:
  kj::Own<TransactionScope> BeginTransaction() override {
    return (real_.*&Protected::BeginTransaction)();
  }
  kj::Promise<void> RunElsewhere(kj::Function<void()> work) override {
    return (real_.*&Protected::RunElsewhere)(kj::mv(work));
  }
  kj::Own<CallOrigin> Origin() override { return (real_.*&Protected::Origin)(); }
  kj::Own<CallOrigin> ToldOrigin() override { return (real_.*&Protected::ToldOrigin)(); }
  ParentSide& AsParent() override { return (real_.*&Protected::AsParent)(); }
  ActorTimer AddTimer(TimerOptions options, ActorTimer::Entry::Work work) override {
    auto timer = std::make_shared<Timer>();
    owner_.timers_.push_back(timer);
    const bool once = options.every == absl::ZeroDuration();
    auto run = [this, timer, once, work = kj::mv(work)]() mutable {
      return owner_.RunTimer(*timer, work, once);
    };
    return (real_.*&Protected::AddTimer)(options, kj::mv(run));
  }

  WatchedActor& owner_;
  ActorContext& real_;
};

WatchedActor::WatchedActor(Watch& watch, const Watch::Type& type) : watch_(watch), type_(type) {
  watch_.objects.insert(this);
}

WatchedActor::~WatchedActor() noexcept(false) {
  watch_.objects.erase(this);
  for (auto turn : open_) watch_.log.End(turn, watch_.now(), "was cut short");
}

ActorBase* WatchedActor::object() const {
  if (std::exchange(met_, true)) return object_;
  auto& self = const_cast<WatchedActor&>(*this);
  auto& real = self.context();
  id_ = real.id();
  if (auto stand_in = watch_.stand_ins.find(id_); stand_in != watch_.stand_ins.end()) {
    object_ = stand_in->second.object;
    fake_ = stand_in->second.fake.get();
  } else if (!type_.make) {
    met_ = false;
    kj::throwFatalException(Unimplemented(absl::StrCat(
        "nothing stands in for ", watch_.NameOf(id_), "; say harness.Fake<", type_.name, ">(\"",
        id_.key, "\"), or host a class: harness.Host<", type_.name, "Actor>()")));
  } else {
    own_ = type_.make();
    object_ = own_.get();
  }
  if (object_ != nullptr) {
    passed_ = kj::heap<Context>(self, real);
    object_->Attach(*passed_);
  }
  return object_;
}

ActorNamer WatchedActor::Namer() const {
  return [this](const ActorId& actor) { return watch_.NameOf(actor); };
}

// ---- Calls

Dispatched WatchedActor::dispatchCall(uint64_t interface_id, uint16_t method_id, AnyCall call) {
  object();
  auto schema = KJ_REQUIRE_NONNULL(type_.schema.findSuperclass(interface_id));
  auto method = schema.getMethods()[method_id];
  if (auto fault = watch_.faults.Take(id_, method.getProto().getName())) {
    return Meet(*fault, interface_id, method_id, call, method);
  }
  return Run(interface_id, method_id, call, method);
}

Dispatched WatchedActor::Meet(const CallFault& fault, uint64_t interface_id, uint16_t method_id,
                              AnyCall call, capnp::InterfaceSchema::Method method) {
  switch (fault.kind) {
    case CallFault::Kind::kFails: {
      const auto turn = Begin(method.getProto().getName());
      return {Logged(turn, Failed(fault.error), [] { return std::string(); }), false};
    }
    case CallFault::Kind::kWaits: {
      auto pair = kj::newPromiseAndFulfiller<void>();
      watch_.after(fault.after, [go = kj::mv(pair.fulfiller)]() mutable { go->fulfill(); });
      return {pair.promise.then([this, interface_id, method_id, call, method] {
                return Run(interface_id, method_id, call, method).promise;
              }),
              false};
    }
    case CallFault::Kind::kLosesAnswer: {
      auto run = Run(interface_id, method_id, call, method);
      return {run.promise.then([&watch = watch_, actor = id_] {
                watch.after(absl::ZeroDuration(), [&watch, actor] { watch.cut_callers(actor); });
              }),
              false};
    }
    case CallFault::Kind::kKillsNode:
      break;
  }
  auto run = Run(interface_id, method_id, call, method);
  watch_.after(fault.after, [&watch = watch_, actor = id_] { watch.kill_node(actor); });
  return {run.promise.then([]() -> kj::Promise<void> { return kj::NEVER_DONE; }), false};
}

Dispatched WatchedActor::Run(uint64_t interface_id, uint16_t method_id, AnyCall call,
                             capnp::InterfaceSchema::Method method) {
  const auto turn = Begin(absl::StrCat(
      method.getProto().getName().cStr(),
      TextOf(capnp::AnyPointer::Reader(call.getParams()), method.getParamType(), Namer())));
  auto answer = [this, call, method]() mutable {
    return absl::StrCat("answered ",
                        TextOf(call.getResults().asReader(), method.getResultType(), Namer()));
  };
  auto running = kj::evalNow([&] {
    return fake_ != nullptr ? RunFake(*fake_, call, method).promise
                            : object_->server().dispatchCall(interface_id, method_id, call).promise;
  });
  const auto& methods = watch_.registry.Find(id_.type)->methods;
  const bool read_only = methods.at({interface_id, method_id}).read_only;
  auto logged = Logged(turn, kj::mv(running), kj::mv(answer));
  return {read_only ? kj::mv(logged) : logged.then([this, turn] {
            unsaved_ = turn;
            MakeRoomForANewOne();
          }),
          false};
}

Dispatched WatchedActor::RunFake(FakeActor& fake, AnyCall call,
                                 capnp::InterfaceSchema::Method method) {
  auto params = call.getParams().getAs<capnp::DynamicStruct>(method.getParamType());
  auto results = call.getResults().initAs<capnp::DynamicStruct>(method.getResultType());
  return {fake.Answer(method.getProto().getName(), params, results), false};
}

TurnLog::Number WatchedActor::Begin(std::string call) {
  return watch_.log.Begin(watch_.now(), TurnLog::Kind::kCall, id_, watch_.NameOf(id_),
                          std::move(call));
}

kj::Promise<void> WatchedActor::Logged(TurnLog::Number turn, kj::Promise<void> work,
                                       kj::Function<std::string()> answer) {
  open_.push_back(turn);
  return work.then(
      [this, turn, answer = kj::mv(answer)]() mutable -> kj::Promise<void> {
        std::erase(open_, turn);
        watch_.log.End(turn, watch_.now(), answer());
        return kj::READY_NOW;
      },
      [this, turn](kj::Exception&& e) -> kj::Promise<void> {
        std::erase(open_, turn);
        watch_.log.End(turn, watch_.now(), absl::StrCat("failed: ", watch_.Readable(e)));
        return kj::mv(e);
      });
}

// ---- The object and its state

void WatchedActor::MakeRoomForANewOne() {
  if (watch_.renewal != Renewal::kAfterEachTurn || own_.get() == nullptr) return;
  if (watch_.failed.contains(id_)) return;
  for (const auto& weak : timers_) {
    if (auto timer = weak.lock(); timer != nullptr && !timer->over) return;
  }
  // What a transaction may yet undo does not go before its outcome.
  (void)kj::runCatchingExceptions([this] { context().Deactivate(); });
}

void WatchedActor::Leave() {
  leaving_ =
      context().StartTimer({.after = absl::ZeroDuration()}, [this] { context().Deactivate(); });
}

void WatchedActor::SaveState(capnp::AnyPointer::Builder out) const {
  if (object() == nullptr || own_.get() == nullptr) return;
  own_->SaveState(out);
  if (!unsaved_ || !type_.state) return;
  auto saved = TextOf(out.asReader(), *type_.state, Namer());
  const bool same = saved == last_saved_;
  watch_.log.Saved(*std::exchange(unsaved_, std::nullopt),
                   same ? absl::StrCat(saved, ", as before") : saved);
  last_saved_ = std::move(saved);
}

void WatchedActor::LoadState(capnp::AnyPointer::Reader in) {
  if (object() == nullptr || own_.get() == nullptr) return;
  own_->LoadState(in);
  if (!type_.state) return;
  last_saved_ = TextOf(in, *type_.state, Namer());
  OutgoingMessage again;
  own_->SaveState(again.root());
  const auto before = TextOf(in, *type_.state, Namer(), ListOrder::kSorted);
  const auto after = TextOf(again.root().asReader(), *type_.state, Namer(), ListOrder::kSorted);
  if (before == after || !watch_.reported.insert(id_).second) return;
  watch_.report(absl::StrCat(watch_.NameOf(id_), ": Load does not take on all that Save wrote: ",
                             before, "; loaded from that, Save writes ", after,
                             ". What is missing is lost whenever the object is made anew."));
}

// ---- The actor's own turns

kj::Promise<void> WatchedActor::RunOwn(std::string what, AndThen then,
                                       kj::Function<kj::Promise<void>()> work) {
  const auto turn =
      watch_.log.Begin(watch_.now(), TurnLog::Kind::kOwn, id_, watch_.NameOf(id_), std::move(what));
  return Logged(turn, kj::evalNow([&] { return work(); }), [] { return std::string("done"); })
      .then(
          [this, turn, then]() -> kj::Promise<void> {
            unsaved_ = turn;
            if (then == AndThen::kAnew) MakeRoomForANewOne();
            return kj::READY_NOW;
          },
          [this](kj::Exception&& e) -> kj::Promise<void> {
            watch_.failed.insert(id_);
            return kj::mv(e);
          });
}

Task<void> WatchedActor::OnActivate() {
  if (object() == nullptr) return kj::READY_NOW;
  return RunOwn("OnActivate", AndThen::kStays,
                [this]() -> kj::Promise<void> { return object_->OnActivate(); });
}

Task<void> WatchedActor::OnDeactivate() {
  if (object() == nullptr) return kj::READY_NOW;
  return RunOwn("OnDeactivate", AndThen::kStays,
                [this]() -> kj::Promise<void> { return object_->OnDeactivate(); });
}

Task<void> WatchedActor::OnReminder(const DueReminder& reminder) {
  if (object() == nullptr) return kj::READY_NOW;
  return RunOwn(absl::StrCat("reminder \"", reminder.name, "\""), AndThen::kAnew,
                [this, &reminder]() -> kj::Promise<void> { return object_->OnReminder(reminder); });
}

Task<void> WatchedActor::OnNotice(const Notice& notice) {
  if (object() == nullptr) return kj::READY_NOW;
  const auto who = notice.who ? watch_.NameOf(notice.who.id()) : absl::StrCat("node ", notice.node);
  return RunOwn(absl::StrCat("notice: ", who, " ", troupe::Name(notice.why)), AndThen::kAnew,
                [this, &notice]() -> kj::Promise<void> { return object_->OnNotice(notice); });
}

kj::Promise<void> WatchedActor::RunTimer(Timer& timer, ActorTimer::Entry::Work& work, bool once) {
  timer.over = once;
  return RunOwn("a timer", AndThen::kAnew, [&work] { return work(); });
}

Task<void> WatchedActor::Resume(ResumeContext& resume) {
  if (object() == nullptr) return kj::READY_NOW;
  return object_->Resume(resume);
}

}  // namespace troupe::testing
