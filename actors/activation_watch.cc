// Activation, part ten: whom it watches, by whom it is watched, and notices of an end (P6.16).
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/activation_turn.h"
#include "troupe/actors/child_key.h"
#include "troupe/actors/observer_key.h"
#include "troupe/actors/pool_key.h"
#include "troupe/actors/shard_of.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr uint16_t kNoticeTurn = 2;  // Among the ids of own turns.

Payload WatchMessage(Id128 watch) {
  capnp::MallocMessageBuilder message;
  auto id = message.initRoot<wire::WatchParams>().initId();
  id.setHi(watch.hi);
  id.setLo(watch.lo);
  return Payload::Of(message);
}

Payload NoticeMessage(Id128 watch, Notice::Why why, const std::string& text) {
  capnp::MallocMessageBuilder message;
  auto notice = message.initRoot<wire::NoticeParams>();
  notice.initId().setHi(watch.hi);
  notice.getId().setLo(watch.lo);
  notice.setWhy(static_cast<uint8_t>(why));
  notice.setText(kj::StringPtr(text.c_str(), text.size()));
  return Payload::Of(message);
}

Id128 IdIn(wire::Id128::Reader in) { return {in.getHi(), in.getLo()}; }

}  // namespace

// ---- What a turn asks for

void Activation::Watch(const AnyRef& who) {
  RequireTurnThatGoesOn("Watch()");
  RequireOutsideOfTransaction("Watch()");
  const ActorId& target = who.id();
  if (target.type == 0 || IsObserverKey(target.key) || IsPoolKey(target.key) ||
      IsChildKey(target.key)) {
    kj::throwFatalException(Failed(absl::StrCat(
        "actor ", Name(), " cannot watch ",
        target.type == 0 ? "a ref that refers to nobody" : shard_.NameOf(target),
        ": actors are watched; a call to an observer that is gone says DISCONNECTED")));
  }
  const auto* present = watches_.Find(target);
  const bool served = present != nullptr && turn_->notice && present->id == turn_->watch;
  if (present != nullptr && !served) return;
  const uint64_t ordinal = turn_->frame.ordinals[{target, kActivationInterface, kWatchMethod}];
  Watched watch;
  watch.target = target;
  watch.id = DerivedId(turn_->frame.inbound, target, kActivationInterface, kWatchMethod, ordinal);
  const Id128 id = watch.id;
  const auto before = watches_.snapshot();
  if (auto set = watches_.Watch(std::move(watch)); !set.ok()) {
    kj::throwFatalException(Failed(absl::StrCat("actor ", Name(), ": ", set.message())));
  }
  KJ_ON_SCOPE_FAILURE(watches_ = WatchTable(before));
  TellWatched(target, kWatchMethod, id);
}

bool Activation::Unwatch(const AnyRef& who) {
  RequireTurnThatGoesOn("Unwatch()");
  RequireOutsideOfTransaction("Unwatch()");
  const auto was = who.id().type == 0 ? std::nullopt : watches_.Unwatch(who.id());
  if (!was) return false;
  if (!was->ended) TellWatched(was->target, kUnwatchMethod, was->id);
  return true;
}

void Activation::TellWatched(const ActorId& target, uint16_t method, Id128 watch) {
  Tell({{}, target, kActivationInterface, method, {}, WatchMessage(watch)});
}

void Activation::WatchNode(std::string_view node) {
  RequireTurnThatGoesOn("WatchNode()");
  RequireOutsideOfTransaction("WatchNode()");
  if (node.empty() || node.size() > kKeyBytesMax) {
    kj::throwFatalException(
        Failed(absl::StrCat("actor ", Name(), " cannot watch a node with a name of ", node.size(),
                            " bytes, expected 1 to ", kKeyBytesMax)));
  }
  Watched watch;
  watch.target.key = std::string(node);
  const auto* present = watches_.Find(watch.target);
  const bool served = present != nullptr && turn_->notice && present->id == turn_->watch;
  if (present != nullptr && !served) return;
  const uint64_t ordinal =
      turn_->frame.ordinals[{watch.target, kActivationInterface, kWatchMethod}]++;
  watch.id =
      DerivedId(turn_->frame.inbound, watch.target, kActivationInterface, kWatchMethod, ordinal);
  const auto* entry = shard_.map().FindNode(node);
  if (entry != nullptr) watch.since = entry->boot;
  if (auto set = watches_.Watch(std::move(watch)); !set.ok()) {
    kj::throwFatalException(Failed(absl::StrCat("actor ", Name(), ": ", set.message())));
  }
}

bool Activation::UnwatchNode(std::string_view node) {
  RequireTurnThatGoesOn("UnwatchNode()");
  RequireOutsideOfTransaction("UnwatchNode()");
  return watches_.Unwatch({0, std::string(node)}).has_value();
}

// ---- What others say

// Between turns: a turn that fails takes back what has been changed since it began.
void Activation::RunWatchCalls() {
  while (!stopped_ && !watch_calls_.empty()) {
    auto call = kj::mv(watch_calls_.front());
    watch_calls_.pop_front();
    RunCall(kj::mv(call));
  }
}

void Activation::RunWatchCall(kj::Own<InboundCall> call) {
  const auto& id = call->header().id;
  const uint64_t hash = open_.at(KeyOf(id)).argument_hash;
  records_.AdvanceFloor(host_.clock().Now(), id, shard_.mutations());
  CallOutcome outcome;
  auto failure = kj::runCatchingExceptions([&] { outcome.emplace<Payload>(TakeWatchCall(*call)); });
  bool again = false;
  KJ_IF_MAYBE (e, failure) {
    again = e->getType() != kj::Exception::Type::FAILED;
    outcome.emplace<kj::Exception>(kj::mv(*e));
  }
  Answer(kj::mv(call), hash, std::move(outcome), again ? Recorded::kNo : Recorded::kYes);
}

Payload Activation::TakeWatchCall(const InboundCall& call) {
  IncomingMessage params(call.params(), {});
  const auto* caller = std::get_if<ActorCall>(&call.header().id);
  const uint16_t method = call.header().method_id;
  if (method == kNoticeMethod) {
    auto notice = params.root().getAs<wire::NoticeParams>();
    auto why = static_cast<Notice::Why>(notice.getWhy());
    if (why > Notice::Why::kRefused) why = Notice::Why::kErased;
    Id128 id = IdIn(notice.getId());
    if (shard_.mutations().any_watch_ends && caller != nullptr) {
      if (const auto* watch = watches_.Find(caller->caller)) id = watch->id;
    }
    const auto text = notice.getText();
    watches_moved_ |= watches_.End(id, why, std::string_view(text.begin(), text.size()));
    return EmptyResults();
  }
  if (caller == nullptr) {
    kj::throwFatalException(Failed("only an actor can watch an actor"));
  }
  const Id128 id = IdIn(params.root().getAs<wire::WatchParams>().getId());
  if (method == kUnwatchMethod) {
    watches_.RemoveWatcher({caller->caller, id});
    watches_moved_ = true;
    return EmptyResults();
  }
  AddWatcher(*caller, id);
  capnp::MallocMessageBuilder message;
  auto results = message.initRoot<wire::WatchResults>();
  results.setShard(ShardOf(id_, shard_.map()));
  results.setLineage(shard_.lineage());
  return Payload::Of(message);
}

void Activation::AddWatcher(const ActorCall& caller, Id128 watch) {
  const auto before = watches_.snapshot();
  if (auto added = watches_.AddWatcher({caller.caller, watch}); !added.ok()) {
    kj::throwFatalException(
        Failed(absl::StrCat("actor ", Name(), " cannot be watched: ", added.message())));
  }
  if (!outbox_.HasRoom(watches_.reserve())) {
    watches_ = WatchTable(before);
    kj::throwFatalException(Overloaded(absl::StrCat(
        "actor ", Name(), " cannot be watched now: what it has told fills its outbox")));
  }
  watches_moved_ = true;
  if (Suspended(host_.clock().Now())) {
    TellWatchers(Notice::Why::kSuspended, supervisor_->last_error());
  }
}

// ---- The end of this one

void Activation::TellWatchers(Notice::Why why, const std::string& text) {
  const auto watchers = watches_.TakeWatchers();
  if (watchers.empty()) return;
  const std::string words = NoticeText(text);
  const uint64_t turn = turn_ != nullptr ? turn_->number : next_turn_++;
  uint32_t index = turn_ != nullptr ? turn_->told : 0;
  for (const auto& watcher : watchers) {
    // One id for one watch, whatever ends it: it ends once.
    const Id128 id = DerivedId(watcher.id, watcher.actor, kActivationInterface, kNoticeMethod, 0);
    auto told = outbox_.Add({{turn, index++},
                             watcher.actor,
                             kActivationInterface,
                             kNoticeMethod,
                             id,
                             NoticeMessage(watcher.id, why, words)});
    KJ_ASSERT(told.ok(), "room is kept for them", std::string(told.message()).c_str());
  }
  has_called_ = true;
  if (turn_ != nullptr) {
    turn_->told = index;
    return;  // Its end does the rest.
  }
  watches_moved_ = outbox_moved_ = true;
  MarkDirty();
  ProceedWithTold();
}

// As part of the turn: with the watches of this one, which nobody is to keep.
void Activation::TellOfErasure() {
  for (const auto& watch : watches_.TakeWatched()) {
    if (!watch.is_node() && !watch.ended) TellWatched(watch.target, kUnwatchMethod, watch.id);
  }
  TellWatchers(Notice::Why::kErased, absl::StrCat(Name(), " has been erased"));
}

// ---- Notices to this one

void Activation::OnWatchedEnd() {
  map_moved_ = true;
  tasks_.add(kj::evalLater([this] {
    if (!stopped_) RunReady();
  }));
}

// What the answer to a call of the framework's says. Applied between turns, with the entry's
// removal from the outbox: one change.
void Activation::NoteTold(const Told& told, const CallOutcome& outcome) {
  if (told.interface_id != kActivationInterface || told.method_id != kWatchMethod) return;
  IncomingMessage params(told.params, {});
  const Id128 id = IdIn(params.root().getAs<wire::WatchParams>().getId());
  if (const auto* results = std::get_if<Payload>(&outcome)) {
    if (results->empty()) return;
    IncomingMessage message(*results, {});
    auto answer = message.root().getAs<wire::WatchResults>();
    told_notes_.push_back([this, id, shard = answer.getShard(), lineage = answer.getLineage()] {
      watches_.Registered(id, shard, lineage);
      watches_moved_ = true;
    });
    return;
  }
  const auto& map = shard_.map();
  const bool lost = map.shards[ShardOf(told.target, map)].state == ShardState::kLost;
  const auto why = lost ? Notice::Why::kStateLost : Notice::Why::kRefused;
  told_notes_.push_back([this, id, why, words = Words(std::get<kj::Exception>(outcome))] {
    watches_moved_ |= watches_.End(id, why, words);
  });
}

// Between turns: what the map ends is due, and what is due has its turn.
void Activation::ProceedWithWatches() {
  if (std::exchange(map_moved_, false) || watches_.snapshot() != watches_seen_) {
    if (watches_.EndByMap(shard_.map())) {
      watches_moved_ = true;
      MarkDirty();
    }
    watches_seen_ = watches_.snapshot();
    shard_.SetWatches(id_, watches_seen_);
  }
  if (!watches_.HasDue() || std::exchange(notice_waits_, true)) return;
  mailbox_.push_back({{}, {}, /*notice=*/true});
  used_ = true;
  if (!watched) shard_.Watch(*this);
}

// One at a time; RunReady() brings the next.
void Activation::StartNoticeTurn() {
  notice_waits_ = false;
  const auto* due = watches_.FindDue();
  if (due == nullptr) return;  // Unwatched meanwhile.
  Notice notice;
  if (due->is_node()) {
    notice.node = due->target.key;
  } else {
    notice.who = AnyRef(Origin(), due->target, {});
  }
  notice.why = *due->ended;
  notice.text = due->text;
  const Id128 watch = due->id;
  if (shard_.mutations().notice_outside_batch) {
    watches_.Remove(watch);
    watches_moved_ = true;
    MarkDirty();
  }
  // The same on whichever node it runs, so that the calls that it makes have the same ids.
  StartOwn(TurnKind::kNotice, DerivedId(watch, id_, 0, kNoticeTurn, 0),
           [this, watch, notice = std::move(notice)]() mutable -> kj::Promise<void> {
             turn_->notice = std::move(notice);
             turn_->watch = watch;
             return actor_->OnNotice(*turn_->notice);
           });
}

}  // namespace troupe
