// ClerkFixture: a cluster of clerks under a seed.
#pragma once

#include "clerk.h"
#include "cluster_fixture.h"

namespace troupe {

class ClerkFixture : public ClusterFixture {
 protected:
  ClerkFixture() = default;
  void HostClerks(ActorTypeOptions options = {}) {
    registry_.Host<ClerkActor>([this] { return kj::heap<ClerkActor>(office_); }, options);
  }

  void Finish(kj::Promise<void> promise) {
    cluster_->Await(promise.then([] { return 0; }));
  }
  Clerk::Ref At(const std::string& key) { return client_->Get<Clerk>(key); }
  uint64_t Add(const std::string& key, uint64_t by = 1) { return cluster_->Await(At(key).Add(by)); }
  void Remind(const std::string& key, absl::Duration after, absl::Duration every,
              CatchUp catch_up = CatchUp::kOnce, const std::string& name = "bell") {
    cluster_->Await(At(key).Remind(name, Milliseconds(after), Milliseconds(every),
                                   static_cast<uint16_t>(catch_up)));
  }
  void Tick(const std::string& key, absl::Duration every, bool keeps_active = false,
            uint64_t hold = 0) {
    cluster_->Await(At(key).Tick(Milliseconds(every), keeps_active, hold));
  }
  std::string FailToAdd(const std::string& key) {
    return ErrorOf(At(key).Add(1).AsPromise().ignoreResult());
  }
  static uint64_t Milliseconds(absl::Duration duration) {
    return static_cast<uint64_t>(absl::ToInt64Milliseconds(duration));
  }

  struct Seen {
    uint64_t value = 0, ticked = 0, missed = 0, ticks = 0, object = 0;
    std::vector<absl::Time> served;  // Due times, in the order in which they were served.
  };
  Seen Look(const std::string& key) {
    return cluster_->Await(At(key).Look().AsPromise().then([](auto&& reply) {
      auto state = reply.getState();
      Seen seen{state.getValue(), state.getTicked(), state.getMissed(),
                reply.getTicks(), reply.getObject(), {}};
      for (auto served : state.getServed()) {
        seen.served.push_back(absl::FromUnixMillis(served.getDue()));
      }
      return seen;
    }));
  }
  // Objects of actors on all nodes.
  uint64_t Activations() {
    uint64_t sum = 0;
    for (const auto& name : cluster_->names()) {
      if (!cluster_->has(name)) continue;
      sum += StatusOf(name).activations;
    }
    return sum;
  }
  struct Status {
    uint64_t activations = 0, stored = 0, suspended = 0;
    std::vector<std::string> suspended_actors;
  };
  Status StatusOf(const std::string& name) {
    return cluster_->Await(client_->Status(name, absl::Seconds(2)).then([](Payload&& payload) {
      capnp::FlatArrayMessageReader reader(payload.words());
      auto frame = reader.getRoot<wire::StatusFrame>();
      Status out{frame.getActors(), frame.getStoredActors(), frame.getSuspended(), {}};
      for (auto actor : frame.getSuspendedActors()) out.suspended_actors.push_back(actor.cStr());
      return out;
    }));
  }

  ClerkOffice office_;
};

}  // namespace troupe
