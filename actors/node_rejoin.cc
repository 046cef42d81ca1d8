// Node, part three: joining anew, after its cluster went on or ended without it (docs/protocol.md
// P2.11, P2.12).
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "troupe/actors/node.h"
#include "troupe/actors/shard_journal.h"
#include "troupe/rpc/status.h"

namespace troupe {

// Whoever tells it is the membership that this ends.
void Node::OnOutcast(const Outcast& outcast) {
  if (draining_ || joining_anew_) return;
  if (outcast.kind == Outcast::Kind::kAlone && !workers_running_) return;  // Said again.
  joining_anew_ = true;
  auto& host = machine_.control();
  auto idle = outcast.kind == Outcast::Kind::kPutOut
                  ? kj::evalLater([] { return true; })
                  : SumOfWorkers(Worker::Admission::kTakesNone).then([](WorkerStatus&& sum) {
                      return sum.answered == 0 && sum.activations == 0 && sum.stored_actors == 0 &&
                             sum.restoring == 0;
                    });
  rejoin_ = idle.then([this, outcast, &host](bool idle) -> kj::Promise<void> {
                  if (idle && !draining_) return JoinAnew(outcast);
                  const std::string notice = absl::StrCat(
                      outcast.why, "; it has state or has answered calls, so it goes on alone. To ",
                      "have it join, end it and start it with --join ", outcast.addresses.front(),
                      registry_.FindDurable() == nullptr ? "" : " on an empty data directory");
                  if (membership_->notice() != notice) host.log().Error(notice);
                  membership_->SetNotice(notice);
                  return SumOfWorkers(Worker::Admission::kTakesCalls).ignoreResult();
                })
                .then([this] { joining_anew_ = false; })
                .eagerlyEvaluate([this](kj::Exception&& e) {
                  failed_fulfiller_->reject(
                      troupe::Failed(absl::StrCat("joining anew failed: ", Words(e))));
                });
}

// As a new process would, but with the port and the data lock held on to.
kj::Promise<void> Node::JoinAnew(const Outcast& outcast) {
  machine_.control().log().Warning("stops serving and joins anew",
                                   {{"by", absl::StrJoin(outcast.addresses, ",")}});
  machine_.StopWorkers();
  workers_running_ = saw_whole_voters_ = false;
  workers_.clear();
  boot_ = 0;
  proposing_.clear();
  anchor_->node = nullptr;  // What the old workers still say is about another process.
  anchor_ = std::make_shared<Anchor>(Anchor{this});
  tasks_ = kj::heap<kj::TaskSet>(errors_);
  auto options = options_.membership;
  options.joins_only = true;
  options.seeds.insert(options.seeds.end(), outcast.addresses.begin(), outcast.addresses.end());
  membership_ = nullptr;  // Closes its socket.
  membership_ = std::make_unique<Membership>(machine_, std::move(options),
                                             static_cast<Membership::Watcher&>(*this));
  return LeaveRecords(outcast.kind)
      .then([this] { return Membership::ForgetCluster(machine_); })
      .then([this]() -> kj::Promise<void> {
        auto started = membership_->Start(address_);
        if (!started.ok()) return troupe::Failed(std::string(started.message()));
        tasks_->add(AcceptLoop());
        return kj::READY_NOW;
      });
}

// What the workers asked of the disk is done before anything of it is read again. Of a cluster that
// is given up nothing is kept: no copy of another one may be made of it (P3.19).
kj::Promise<void> Node::LeaveRecords(Outcast::Kind kind) {
  RecordStore* records = machine_.record_store();
  if (records == nullptr || registry_.FindDurable() == nullptr) return kj::READY_NOW;
  std::vector<RecordChange> changes;
  if (kind == Outcast::Kind::kAlone) changes.push_back(ShardJournal::AllShards());
  return records->Write(machine_.control(), std::move(changes));
}

}  // namespace troupe
