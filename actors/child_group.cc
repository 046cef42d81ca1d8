#include "troupe/actors/child_group.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/child_run.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/kj_time.h"

namespace troupe {
namespace {

constexpr absl::Duration kNever = absl::Hours(24 * 36500);

Supervision RulesOf(const ChildrenOptions& options) {
  return {.failures_max = options.restarts_max,
          .window = options.window,
          .pause_min = options.pause_min,
          .pause_max = options.pause_max,
          .suspended_for = absl::InfiniteDuration()};
}

}  // namespace

// By the parent, and by whoever it gives the ref to in its own code.
class ChildGroup::ParentOrigin final : public CallOrigin {
 public:
  ParentOrigin(kj::Own<ChildGroup> group, kj::Own<CallOrigin> others)
      : group_(kj::mv(group)), others_(kj::mv(others)) {}

  kj::Promise<Payload> Call(const ActorId& target, uint64_t interface_id, uint16_t method_id,
                            Payload params, const CallOptions& options) override {
    if (!IsChildKey(target.key)) {  // A ref that a child has answered.
      return others_->Call(target, interface_id, method_id, std::move(params), options);
    }
    auto within = group_->over_.empty() ? group_->parent_.CallsWithin() : ParentSide::Within();
    return group_->Call(target, interface_id, method_id, std::move(params), options,
                        std::move(within));
  }

 private:
  kj::Own<ChildGroup> group_;
  kj::Own<CallOrigin> others_;
};

ChildGroup::ChildGroup(ActorContext& context, ParentSide& parent, ChildrenOptions options)
    : context_(context),
      parent_(parent),
      options_(options),
      rules_(RulesOf(options)),
      supervisor_(rules_),
      parent_name_(parent.ParentName()),
      errors_(parent.host().log()),
      tasks_(std::make_unique<kj::TaskSet>(errors_)) {
  place_ = context_.StartTimer({.after = kNever, .keeps_active = options_.keeps_active}, [] {});
}

void ChildGroup::Errors::taskFailed(kj::Exception&& exception) {
  log.Error("an actor's children ended", {{"error", Words(exception)}});
}

kj::Own<CallOrigin> ChildGroup::MakeOrigin() {
  return kj::refcounted<ParentOrigin>(kj::addRef(*this), context_.Origin());
}

std::string ChildGroup::Name(const Slot& slot) const {
  return absl::StrCat("child ", slot.name, " of ", parent_name_);
}

ChildGroup::Slot* ChildGroup::Find(std::string_view name) const {
  auto it = std::ranges::find_if(slots_, [&](const auto& slot) { return slot->name == name; });
  return it == slots_.end() ? nullptr : it->get();
}

bool ChildGroup::Has(std::string_view name) const {
  const Slot* slot = Find(name);
  return slot != nullptr && slot->run.get() != nullptr;
}

size_t ChildGroup::size() const {
  return static_cast<size_t>(
      std::ranges::count_if(slots_, [](const auto& slot) { return slot->run.get() != nullptr; }));
}

// ---- Starts and ends

void ChildGroup::Add(std::string_view name, uint64_t type, Make make, ChildOptions options) {
  auto refuse = [&](const std::string& why) {
    kj::throwFatalException(
        Failed(absl::StrCat("child ", std::string(name), " of ", parent_name_, why)));
  };
  if (name.empty() || name.size() > kChildNameBytesMax) {
    refuse(
        absl::StrCat(" has a name of ", name.size(), " bytes, expected 1 to ", kChildNameBytesMax));
  }
  if (!over_.empty()) refuse(absl::StrCat(" cannot be started any more: ", over_));
  if (Has(name)) refuse(" is there already: Stop() it before, or give another name");
  std::erase_if(slots_,
                [&](const auto& slot) { return slot->name == name; });  // One that has ended.
  if (slots_.size() >= kChildrenMax) {
    std::erase_if(slots_, [](const auto& slot) { return slot->run.get() == nullptr; });
  }
  if (slots_.size() >= kChildrenMax) {
    refuse(absl::StrCat(" would be one too many: at most ", kChildrenMax,
                        " can be started by one Children"));
  }
  slots_.push_back(std::make_unique<Slot>());
  Slot& slot = *slots_.back();
  slot.name = std::string(name);
  slot.type = type;
  slot.make = std::move(make);
  slot.options = options;
  Renew(slot, absl::InfinitePast());
  OpenDue();
}

bool ChildGroup::Stop(std::string_view name) {
  Slot* slot = Find(name);
  if (slot == nullptr || slot->run.get() == nullptr) return false;
  EndSlot(*slot, "its parent has stopped it",
          Disconnected(absl::StrCat(Name(*slot), " has ended: its parent has stopped it")));
  OpenDue();
  return true;
}

void ChildGroup::End() {
  if (over_.empty()) over_ = "its parent's object has gone";
  for (auto it = slots_.rbegin(); it != slots_.rend(); ++it) {
    if ((*it)->run.get() == nullptr) continue;
    EndSlot(**it, over_, Disconnected(absl::StrCat(Name(**it), " has ended: ", over_)));
  }
  tasks_ = nullptr;
  place_ = {};
}

void ChildGroup::EndSlot(Slot& slot, const std::string& why, kj::Exception answer) {
  auto run = kj::mv(slot.run);
  slot.ended = why;
  run->End(answer);
  parent_.RunLater([run = kj::mv(run)]() mutable { run = nullptr; });
}

// The calls that come meanwhile wait for the object.
void ChildGroup::Renew(Slot& slot, absl::Time not_before) {
  slot.run = kj::heap<Run>(*this, parent_, Name(slot), ActorId{slot.type, ChildKey(slot.name)});
  slot.not_before = not_before;
}

void ChildGroup::OpenDue() {
  const absl::Time now = parent_.host().clock().Now();
  bool before_are_up = true;
  for (size_t i = 0; i < slots_.size() && over_.empty(); ++i) {
    Slot& slot = *slots_[i];
    if (slot.run.get() == nullptr) continue;
    if (!slot.run->opened() && slot.not_before > now) WakeAt(slot.not_before);
    const bool may = options_.strategy == Strategy::kOneForOne || before_are_up;
    if (may && !slot.run->opened() && slot.not_before <= now) slot.run->Open(slot.make);
    before_are_up &= slot.run.get() == nullptr || slot.run->activated();
  }
}

void ChildGroup::WakeAt(absl::Time when) {
  if (when >= wake_at_) return;
  wake_at_ = when;
  const auto pause = when - parent_.host().clock().Now();
  tasks_->add(parent_.host().timer().afterDelay(ToKj(pause)).then([this, when] {
    if (wake_at_ == when) wake_at_ = absl::InfiniteFuture();
    OpenDue();
  }));
}

void ChildGroup::OnActivated() {
  if (tasks_) tasks_->add(kj::evalLater([this] { OpenDue(); }));
}

// ---- Failures

void ChildGroup::OnFailed(Run& run, const kj::Exception& error) {
  const auto failed =
      std::ranges::find_if(slots_, [&](const auto& slot) { return slot->run.get() == &run; });
  if (failed == slots_.end()) return;
  Slot& slot = **failed;
  const std::string words = Words(error);
  parent_.host().log().Warning("a child failed",
                               {{"child", slot.name}, {"parent", parent_name_}, {"error", words}});
  if (slot.options.restart == ChildOptions::Restart::kTemporary) {
    EndSlot(slot, absl::StrCat("it failed: ", words),
            Disconnected(absl::StrCat(Name(slot), " has ended: it failed: ", words)));
    return OnActivated();
  }
  const absl::Time now = parent_.host().clock().Now();
  supervisor_.OnFailure(now, parent_.host().random(), words);
  if (supervisor_.suspended(now)) {
    return Escalate(absl::StrCat("child ", slot.name, " has failed, the last of more than ",
                                 options_.restarts_max, " failures of children within ",
                                 absl::FormatDuration(options_.window), ": ", words));
  }
  std::vector<Slot*> anew;
  for (auto it = slots_.begin(); it != slots_.end(); ++it) {
    const bool with_it = it == failed || options_.strategy == Strategy::kOneForAll ||
                         (options_.strategy == Strategy::kRestForOne && it > failed);
    if (with_it && (*it)->run.get() != nullptr) anew.push_back(it->get());
  }
  for (auto it = anew.rbegin(); it != anew.rend(); ++it) {
    EndSlot(
        **it, absl::StrCat("child ", slot.name, " failed: ", words),
        Disconnected(absl::StrCat(Name(**it), " is started anew, and a call to it is lost: child ",
                                  slot.name, " failed: ", words)));
  }
  for (Slot* each : anew) {
    if (each->options.restart == ChildOptions::Restart::kTemporary) continue;
    Renew(*each, supervisor_.not_before());
  }
  OpenDue();
}

// In order, by itself.
void ChildGroup::OnEnded(Run& run) {
  const auto ended =
      std::ranges::find_if(slots_, [&](const auto& slot) { return slot->run.get() == &run; });
  if (ended == slots_.end()) return;
  Slot& slot = **ended;
  if (slot.options.restart == ChildOptions::Restart::kPermanent) {
    return OnFailed(run, Failed("it called Deactivate(), and is to be there always"));
  }
  EndSlot(slot, "it called Deactivate()",
          Disconnected(absl::StrCat(Name(slot), " has ended: it called Deactivate()")));
  OnActivated();
}

// As a turn of the parent's that fails: its supervision says what follows.
void ChildGroup::Escalate(const std::string& why) {
  place_ = {};
  over_ = why;
  for (auto it = slots_.rbegin(); it != slots_.rend(); ++it) {
    if ((*it)->run.get() == nullptr) continue;
    EndSlot(**it, over_, Disconnected(absl::StrCat(Name(**it), " has ended: ", over_)));
  }
  place_ = context_.StartTimer({.after = absl::ZeroDuration()},
                               [why]() -> kj::Promise<void> { return Failed(why); });
}

// ---- Calls

kj::Promise<Payload> ChildGroup::Call(const ActorId& target, uint64_t interface_id,
                                      uint16_t method_id, Payload params,
                                      const CallOptions& options, ParentSide::Within within) {
  const std::string name(NameOfChildKey(target.key));
  const std::string whole = absl::StrCat("child ", name, " of ", parent_name_);
  Slot* slot = Find(name);
  if (slot == nullptr || slot->run.get() == nullptr) {
    return Disconnected(absl::StrCat(
        whole, slot == nullptr && over_.empty()
                   ? " has not been started"
                   : absl::StrCat(" has ended: ", slot == nullptr ? over_ : slot->ended)));
  }
  if (slot->type != target.type) {
    return Unimplemented(absl::StrCat(whole, " is of another type than the ref that calls it"));
  }
  for (const auto& link : within.chain) {
    if (link.actor == target && link.turn == slot->run->number()) {
      return Failed(absl::StrCat("call cycle: ", whole, " is called by what it waits for"));
    }
  }
  auto& host = parent_.host();
  const absl::Time now = host.clock().Now();
  const absl::Time deadline =
      std::min(now + std::min(options.TimeLimit(), kDeadlineMax), within.deadline);
  CallHeader header{target, interface_id, method_id, {}, std::move(within.chain)};
  header.metadata = within.metadata.And(options.metadata);
  auto paf = kj::newPromiseAndFulfiller<Payload>();
  auto answer = [fulfiller = kj::mv(paf.fulfiller), whole](CallOutcome&& outcome) mutable {
    if (auto* results = std::get_if<Payload>(&outcome)) {
      fulfiller->fulfill(std::move(*results));
    } else if (auto* error = std::get_if<kj::Exception>(&outcome)) {
      fulfiller->reject(kj::mv(*error));
    } else {
      fulfiller->reject(Disconnected(absl::StrCat(whole, " has ended")));
    }
  };
  slot->run->Deliver(
      kj::heap<InboundCall>(std::move(header), std::move(params), deadline, kj::mv(answer)));
  auto late = host.timer().afterDelay(ToKj(deadline - now)).then([whole, limit = deadline - now]() {
    return kj::Promise<Payload>(
        Overloaded(absl::StrCat(whole, " has not answered within ", absl::FormatDuration(limit))));
  });
  return paf.promise.exclusiveJoin(kj::mv(late));
}

// ---- Children

Children::Children(ActorContext& parent, ChildrenOptions options)
    : group_(kj::refcounted<ChildGroup>(parent, parent.AsParent(), options)) {}
Children::~Children() noexcept(false) { group_->End(); }

bool Children::Stop(std::string_view name) { return group_->Stop(name); }
bool Children::Has(std::string_view name) const { return group_->Has(name); }
size_t Children::size() const { return group_->size(); }

void Children::Add(std::string_view name, uint64_t type, std::function<kj::Own<ActorBase>()> make,
                   ChildOptions options) {
  group_->Add(name, type, std::move(make), options);
}

kj::Own<CallOrigin> Children::Origin() { return group_->MakeOrigin(); }

}  // namespace troupe
