// Node, part two: what it tells of itself, for `troupe status`.
#include "troupe/actors/node.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "troupe/actors/call.capnp.h"
#include "troupe/runtime/kj_time.h"

namespace troupe {
namespace {

constexpr absl::Duration kWatchInterval = absl::Milliseconds(250);
constexpr absl::Duration kStandsStill = absl::Seconds(1);

}  // namespace

void Node::Status(size_t worker, uint64_t number, kj::Function<void(Payload)> done) {
  ToControl([worker, number, done = kj::mv(done)](Node& node) mutable {
    node.tasks_->add(node.CollectStatus(number).then(
        [&node, worker, done = kj::mv(done)](Payload&& status) mutable {
          node.ToWorker(worker, [done = kj::mv(done), status = std::move(status)](Worker&) mutable {
            done(std::move(status));
          });
        }));
  });
}

// Says while it lasts that a worker's loop stands still: at first, and each time it is twice as
// long. Not when this loop was late itself: then it is the computer.
kj::Promise<void> Node::WatchWorkers(absl::Time last) {
  auto& host = machine_.control();
  return host.timer().afterDelay(ToKj(kWatchInterval)).then([this, &host, last] {
    const absl::Time now = host.clock().Now();
    const bool late = now - last > 2 * kWatchInterval;
    for (size_t i = 0; i < workers_.size() && workers_running_ && !late; ++i) {
      const auto hold = workers_[i]->Holding(now);
      if (hold.held < kStandsStill) told_held_[i] = absl::ZeroDuration();
      if (hold.held < std::max(kStandsStill, 2 * told_held_[i])) continue;
      told_held_[i] = hold.held;
      host.log().Warning("a worker stands still: its actors, and the leases of its shards, wait",
                         {{"worker", i},
                          {"ms", absl::ToInt64Milliseconds(hold.held)},
                          {"in", hold.method.empty() ? "what went on after a wait" : hold.method},
                          {"advice", "blocking and long work belongs into Offload()"}});
    }
    return WatchWorkers(now);
  });
}

kj::Promise<WorkerStatus> Node::SumOfWorkers(std::optional<Worker::Admission> admission) {
  struct Counted {
    WorkerStatus sum;
    size_t missing;
    kj::Own<kj::PromiseFulfiller<void>> all;
  };
  auto paf = kj::newPromiseAndFulfiller<void>();
  auto counted = std::make_shared<Counted>(Counted{{}, workers_.size(), kj::mv(paf.fulfiller)});
  for (size_t i = 0; i < workers_.size(); ++i) {
    ToWorker(i, [this, counted, admission](Worker& worker) mutable {
      if (admission) worker.SetAdmission(*admission);
      ToControl([counted = std::move(counted), status = worker.status()](Node&) {
        counted->sum.activations += status.activations;
        counted->sum.stored_actors += status.stored_actors;
        counted->sum.restoring += status.restoring;
        counted->sum.answered += status.answered;
        counted->sum.suspended += status.suspended;
        auto& shown = counted->sum.suspended_actors;
        for (const auto& actor : status.suspended_actors) {
          if (shown.size() < kSuspendedShown) shown.push_back(actor);
        }
        if (--counted->missing == 0) counted->all->fulfill();
      });
    });
  }
  return paf.promise.then([counted] { return counted->sum; });
}

kj::Promise<Payload> Node::CollectStatus(uint64_t number) {
  return SumOfWorkers(std::nullopt).then([this, number](WorkerStatus&& sum) {
    capnp::MallocMessageBuilder message;
    auto out = message.initRoot<wire::StatusFrame>();
    out.setNumber(number);
    out.setNode(options_.membership.node.c_str());
    out.setBoot(boot_);
    out.setCoordinator(membership_->coordinator().c_str());
    out.setMapVersion(membership_->map()->version);
    out.setNotice(membership_->notice().c_str());
    out.setActors(sum.activations);
    out.setStoredActors(sum.stored_actors);
    out.setCalls(sum.answered);
    out.setSuspended(sum.suspended);
    auto suspended = out.initSuspendedActors(static_cast<unsigned>(sum.suspended_actors.size()));
    for (unsigned i = 0; i < suspended.size(); ++i) {
      suspended.set(i, sum.suspended_actors[i].c_str());
    }
    auto types = out.initTypes(static_cast<unsigned>(registry_.types().size()));
    unsigned next_type = 0;
    for (const auto& [id, type] : registry_.types()) {
      types[next_type].setId(id);
      types[next_type++].setName(type.name.c_str());
    }
    const auto members = membership_->members();
    auto list = out.initMembers(static_cast<unsigned>(members.size()));
    for (unsigned i = 0; i < list.size(); ++i) {
      list[i].setName(members[i].name.c_str());
      list[i].setState(members[i].state.c_str());
      list[i].setAddress(members[i].address.c_str());
    }
    return Payload::Of(message);
  });
}

}  // namespace troupe
