// Harness, part two: what actors watch, and notices to them.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "troupe/actors/actor_store.h"
#include "troupe/actors/call.h"
#include "troupe/rpc/status.h"
#include "troupe/testing/harness.h"

namespace troupe::testing {
namespace {

constexpr absl::Duration kNoticeTime = absl::Milliseconds(20);

}  // namespace

WatchSnapshot Harness::WatchesOf(const ActorId& actor) {
  WatchSnapshot out;
  const auto node = cluster().PrimaryOf(actor);
  if (!cluster().has(node)) return nullptr;
  cluster().node(node).ForEachReplica([&](const ShardReplica& replica) {
    if (!replica.serving()) return;
    if (const auto* held = replica.store().Find(actor)) out = held->watches;
  });
  return out;
}

std::vector<std::string> Harness::Watched(const Whom& watcher) {
  std::vector<std::string> out;
  const auto lists = WatchesOf(watcher.id);
  if (lists == nullptr) return out;
  for (const auto& watch : lists->watched) {
    out.push_back(watch.is_node() ? absl::StrCat("node ", watch.target.key)
                                  : watch_.NameOf(watch.target));
  }
  std::sort(out.begin(), out.end());
  return out;
}

void Harness::Notify(const Whom& watcher, const Whom& who, Notice::Why why, std::string text) {
  Notify(watcher.id, who.id, why, text);
}

void Harness::NotifyNode(const Whom& watcher, std::string_view node, std::string text) {
  Notify(watcher.id, ActorId{0, std::string(node)}, Notice::Why::kNodeGone, text);
}

// By the call that the watched would make.
void Harness::Notify(const ActorId& watcher, const ActorId& who, Notice::Why why,
                     const std::string& text) {
  const auto lists = WatchesOf(watcher);
  const auto* watch = lists == nullptr ? nullptr : WatchTable(lists).Find(who);
  if (watch == nullptr) {
    const auto others = Watched(watcher);
    kj::throwFatalException(Failed(
        absl::StrCat("Notify: ", watch_.NameOf(watcher), " does not watch ",
                     who.type == 0 ? absl::StrCat("node ", who.key) : watch_.NameOf(who),
                     "; it watches: ", others.empty() ? "nothing" : absl::StrJoin(others, ", "))));
  }
  capnp::MallocMessageBuilder message;
  auto notice = message.initRoot<wire::NoticeParams>();
  notice.initId().setHi(watch->id.hi);
  notice.getId().setLo(watch->id.lo);
  notice.setWhy(static_cast<uint8_t>(why));
  notice.setText(text.c_str());
  Await(client()
            .Origin()
            ->Call(watcher, kActivationInterface, kNoticeMethod, Payload::Of(message), {})
            .then([](Payload&&) { return 0; }));
  cluster().Run(kNoticeTime);
}

}  // namespace troupe::testing
