// Router, part two: calls whose time is up.
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/actor_name.h"
#include "troupe/actors/router_lane.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/kj_time.h"

namespace troupe {
namespace {

constexpr absl::Duration kDeadlineCheck = absl::Milliseconds(20);

}  // namespace

void Router::WatchDeadlines() {
  if (watching_deadlines_) return;
  watching_deadlines_ = true;
  tasks_.add(host_.timer().afterDelay(ToKj(kDeadlineCheck)).then([this] {
    watching_deadlines_ = false;
    auto failure = kj::runCatchingExceptions([this] { Expire(); });
    KJ_IF_MAYBE (e, failure) {
      host_.log().Error("calls could not be ended", {{"error", Words(*e)}});
    }
    if (!deadlines_.empty()) WatchDeadlines();
  }));
}

void Router::Expire() {
  const absl::Time now = host_.clock().Now();
  while (!deadlines_.empty() && deadlines_.begin()->first.first <= now) {
    Outgoing* call = deadlines_.begin()->second;
    auto& lane = *call->lane;
    auto error = Overloaded(Explain(*call));
    if (auto it = in_flight_.find(call->number); it != in_flight_.end()) {
      auto owned = kj::mv(it->second);
      in_flight_.erase(it);
      --lane.in_flight;
      Complete(kj::mv(owned), kj::mv(error));
    } else {
      auto waiting = lane.waiting.find(call->serial);
      auto owned = kj::mv(waiting->second);
      lane.waiting.erase(waiting);
      Complete(kj::mv(owned), kj::mv(error));
    }
    if (lane.stalled) {
      Stall(lane);
    } else if (!lane.waiting.empty()) {
      Pump(lane);  // What waited for room in the window.
    }
  }
}

std::string Router::Explain(const Outgoing& call) const {
  const auto spent =
      absl::FormatDuration(absl::Floor(host_.clock().Now() - call.started, absl::Milliseconds(1)));
  const std::string where = call.number == 0    ? std::string("not sent")
                            : call.node.empty() ? std::string("waiting at this node")
                                                : absl::StrCat("sent to node ", call.node);
  return absl::StrCat("no answer from actor ", NameOf(call.header.actor, map_.get()), ", method ",
                      call.header.method_id, ", within ", spent, " (", where, ", attempt ",
                      call.attempts, call.trouble.empty() ? "" : "; ", call.trouble, ")");
}

}  // namespace troupe
