#include "troupe/actors/actor_pool.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/interception.h"
#include "troupe/actors/method_context.h"
#include "troupe/actors/stateless_context.h"
#include "troupe/rpc/status.h"

namespace troupe {

// One object, and the call that it runs.
class ActorPool::Object final : private StatelessContext {
 public:
  Object(ActorPool& pool, const ActorType& type)
      : StatelessContext(pool.host_),
        pool_(pool),
        type_(type),
        id_{type.id, ""},
        origin_(kj::refcounted<OfObject>(*this)) {}
  ~Object() noexcept(false) { origin_->Detach(); }

  bool busy() const { return call_.get() != nullptr || running_; }
  bool spent() const { return spent_; }  // A call of it has failed.
  absl::Time idle_since() const { return idle_since_; }

  void Begin(kj::Own<InboundCall> call) {
    call_ = kj::mv(call);
    call_->NoteBegin();
    begun_at_ = pool_.host_.clock().Now();
    running_ = true;
    work_ = Run().AsPromise().eagerlyEvaluate([this](kj::Exception&& e) { OnError(kj::mv(e)); });
  }

  void EndIfLate(absl::Time now) {
    if (call_.get() == nullptr || call_->deadline() > now) return;
    call_->Finish(Overloaded(absl::StrCat(Describe(), " is still running at its deadline")));
  }

  // Waits for what does not come: it is to go. Its caller is told so.
  bool EndIfOverLimit(absl::Time now) {
    const auto limit = type_.options.turn_limit;
    if (call_.get() == nullptr || now < begun_at_ + limit) return false;
    call_->Finish(Failed(
        absl::StrCat(Describe(), " has not ended within ", absl::FormatDuration(limit),
                     ", the turn_limit of its type: ", "does it wait for what never comes?")));
    return true;
  }

 private:
  // Calls by whatever this object runs; outlives it in refs.
  class OfObject final : public CallOrigin {
   public:
    explicit OfObject(Object& object) : object_(&object) {}
    void Detach() { object_ = nullptr; }
    kj::Promise<Payload> Call(const ActorId& target, uint64_t interface_id, uint16_t method_id,
                              Payload params, const CallOptions& options) override {
      if (object_ == nullptr || !object_->running_) {
        return Failed(
            "an actor of a pool made a call outside of its methods: wait for it in the method");
      }
      auto& pool = object_->pool_;
      CallHeader header{target, interface_id, method_id, pool.sequence_.Next(), {}};
      auto deadline = pool.host_.clock().Now() + std::min(options.TimeLimit(), kDeadlineMax);
      if (object_->call_.get() != nullptr) {
        header.chain = object_->call_->header().chain;  // They wait for this call, too.
        header.metadata = object_->call_->header().metadata;
        deadline = std::min(deadline, object_->call_->deadline());
      }
      header.metadata = header.metadata.And(options.metadata);
      header.by_actor = true;
      return pool.caller_.Call(std::move(header), std::move(params), deadline, &pool.sequence_);
    }

   private:
    Object* object_;
  };

  std::string Describe() const {
    const auto& header = call_->header();
    return absl::StrCat(type_.methods.at({header.interface_id, header.method_id}).name,
                        " of the pool ", type_.name);
  }

  Task<void> Run() {
    auto later = kj::evalLater([] {});  // Not within what delivers.
    co_await later;
    if (actor_.get() == nullptr) {
      actor_ = type_.make();
      actor_->Attach(*this);
      auto activated = actor_->OnActivate();
      co_await activated;
    }
    const auto& header = call_->header();
    auto context = kj::refcounted<MethodContext>(call_->params(), Origin());
    auto done =
        actor_->server()
            .dispatchCall(header.interface_id, header.method_id,
                          capnp::CallContext<capnp::AnyPointer, capnp::AnyPointer>(*context))
            .promise;
    co_await done;
    CallOutcome outcome;
    KJ_IF_MAYBE (e, context->TakeResults([this] { return Describe(); }, outcome)) {
      outcome.emplace<kj::Exception>(kj::mv(*e));
    }
    context = nullptr;
    Finish(std::move(outcome));
  }

  // What it was in the middle of is not known: the next call has a new one.
  void OnError(kj::Exception&& e) {
    spent_ = true;
    Finish(kj::mv(e));
  }

  void Finish(CallOutcome&& outcome) {
    auto call = kj::mv(call_);
    call->NoteEnd();
    idle_since_ = pool_.host_.clock().Now();
    // Not within the promise that ends here.
    pool_.tasks_.add(kj::evalLater([this, &pool = pool_, &type = type_] {
      running_ = false;
      pool.OnDone(type);
    }));
    call->Finish(std::move(outcome));
  }

  kj::Exception Refusal(std::string_view asked) const override {
    return Failed(
        absl::StrCat("an actor of the pool ", type_.name, " called ", std::string(asked),
                     ": it keeps nothing and has no place of its own. Call by Get<", type_.name,
                     ">(key) for an actor that has, or leave it to whoever calls the pool"));
  }

  // ActorContext
  const ActorId& id() const override { return id_; }
  void Deactivate() override { spent_ = true; }
  kj::Own<CallOrigin> Origin() override { return kj::addRef(*origin_); }
  ActorTimer AddTimer(TimerOptions, ActorTimer::Entry::Work) override { Refuse("StartTimer()"); }
  ParentSide& AsParent() override { Refuse("Children()"); }

  ActorPool& pool_;
  const ActorType& type_;
  const ActorId id_;  // With an empty key.
  kj::Own<OfObject> origin_;
  kj::Own<ActorBase> actor_;
  kj::Own<InboundCall> call_;
  bool running_ = false;
  bool spent_ = false;
  absl::Time begun_at_, idle_since_;
  kj::Promise<void> work_ = nullptr;
};

ActorPool::ActorPool(Host& host, const Registry& registry, Router& router, std::string node)
    : host_(host),
      registry_(registry),
      node_(std::move(node)),
      sequence_(host.RandomId()),
      caller_(router),
      errors_(host.log()),
      tasks_(errors_) {}

ActorPool::~ActorPool() noexcept(false) { Stop(); }

void ActorPool::Stop() { types_.clear(); }

void ActorPool::Errors::taskFailed(kj::Exception&& exception) {
  log.Error("a pool's bookkeeping failed", {{"error", Words(exception)}});
}

void ActorPool::Deliver(kj::Own<InboundCall> call) {
  const auto& header = call->header();
  const ActorType& type = *registry_.Find(header.actor.type);
  if (type.has_state) {
    return call->Finish(
        Failed(absl::StrCat("actors of type ", type.name,
                            " have state, so there is no pool of them: call one of them, by Get<",
                            type.name, ">(key)")));
  }
  if (!type.methods.contains({header.interface_id, header.method_id})) {
    return call->Finish(Unimplemented(
        absl::StrCat("actor type ", type.name, " has no interface ", absl::Hex(header.interface_id),
                     " with a method ", header.method_id, "; is its schema older here?")));
  }
  const auto& method = type.methods.at({header.interface_id, header.method_id}).name;
  if (!type.interceptors->empty() && !Intercept(*call, type, method, host_, node_)) return;
  auto& of_type = types_[type.id];
  if (of_type.waiting.size() >= kPoolWaitingMax) {
    return call->Finish(
        Overloaded(absl::StrCat("the pool of ", type.name, " is full: all ", of_type.objects.size(),
                                " of its actors here are busy, and ", kPoolWaitingMax,
                                " calls wait; call again later, or give it a larger pool_size")));
  }
  of_type.waiting.push_back(kj::mv(call));
  Run(of_type);
}

void ActorPool::Run(OfType& of_type) {
  while (!of_type.waiting.empty()) {
    auto& objects = of_type.objects;
    const ActorType& type = *registry_.Find(of_type.waiting.front()->header().actor.type);
    auto free = std::find_if(objects.begin(), objects.end(),
                             [](const kj::Own<Object>& object) { return !object->busy(); });
    if (free == objects.end()) {
      if (objects.size() >= type.options.pool_size) return;
      free = objects.insert(objects.end(), kj::heap<Object>(*this, type));
    }
    auto call = kj::mv(of_type.waiting.front());
    of_type.waiting.pop_front();
    (*free)->Begin(kj::mv(call));
  }
}

void ActorPool::OnDone(const ActorType& type) {
  auto& of_type = types_.at(type.id);
  std::erase_if(of_type.objects,
                [](const kj::Own<Object>& object) { return object->spent() && !object->busy(); });
  Run(of_type);
}

void ActorPool::Tick(absl::Time now) {
  for (auto& [id, of_type] : types_) {
    const ActorType& type = *registry_.Find(id);
    auto& waiting = of_type.waiting;
    const size_t before = waiting.size();
    auto late = std::stable_partition(waiting.begin(), waiting.end(),
                                      [now](const auto& call) { return call->deadline() > now; });
    std::vector<kj::Own<InboundCall>> expired(std::make_move_iterator(late),
                                              std::make_move_iterator(waiting.end()));
    waiting.erase(late, waiting.end());
    for (auto& call : expired) {
      call->Finish(Overloaded(
          absl::StrCat("a call to the pool of ", type.name, " found none of its ",
                       of_type.objects.size(), " actors here free before its deadline, as did ",
                       before - 1, " others; call again later, or give it a larger pool_size")));
    }
    for (auto& object : of_type.objects) object->EndIfLate(now);
    std::erase_if(of_type.objects,
                  [now](kj::Own<Object>& object) { return object->EndIfOverLimit(now); });
    Run(of_type);
    if (type.idle_timeout == absl::ZeroDuration()) continue;
    std::erase_if(of_type.objects, [&](const kj::Own<Object>& object) {
      return !object->busy() && now >= object->idle_since() + type.idle_timeout;
    });
  }
}

size_t ActorPool::objects() const {
  size_t count = 0;
  for (const auto& [id, of_type] : types_) count += of_type.objects.size();
  return count;
}

}  // namespace troupe
