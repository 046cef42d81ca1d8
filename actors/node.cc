#include "troupe/actors/node.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "troupe/actors/store_seal.h"
#include "troupe/membership/placement.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr size_t kGreetingMax = 1024;  // Connections that have said nothing yet; more are closed.
constexpr size_t kMovesAtOnce = 8;     // Shards handed over at a time; each stops for a round trip.
constexpr size_t kProposalsMax = 4096;  // Of our shards, under way; more are repeated later.
constexpr absl::Duration kProposalLimit = absl::Seconds(2);

Membership::Evidence EvidenceOf(const LinkLoss& loss) {
  if (loss.was_up) {
    return loss.end == LinkEnd::kReset ? Membership::Evidence::kReset
                                       : Membership::Evidence::kClosed;
  }
  return loss.dial == DialOutcome::kRefused ? Membership::Evidence::kRefused
                                            : Membership::Evidence::kUnreachable;
}

NodeOptions Announcing(NodeOptions options, const Registry& registry) {
  options.membership.types.clear();
  for (const auto& [id, type] : registry.types()) {
    options.membership.types.push_back({id, type.name, type.options.role, type.durable});
  }
  if (options.membership.roles.empty()) {
    const auto roles = registry.roles();
    options.membership.roles.assign(roles.begin(), roles.end());
  }
  return options;
}

}  // namespace

Node::Node(Machine& machine, const Registry& registry, NodeOptions options)
    : machine_(machine),
      roles_known_(registry.roles()),
      registry_(registry.OfRoles(options.membership.roles)),
      options_(Announcing(std::move(options), registry_)),
      membership_(std::make_unique<Membership>(machine, options_.membership,
                                               static_cast<Membership::Watcher&>(*this))),
      anchor_(std::make_shared<Anchor>(Anchor{this})),
      ready_(nullptr),
      failed_(nullptr),
      errors_(machine.control().log()),
      tasks_(kj::heap<kj::TaskSet>(errors_)) {
  auto ready = kj::newPromiseAndFulfiller<void>();
  ready_fulfiller_ = kj::mv(ready.fulfiller);
  ready_ = ready.promise.fork();
  auto failed = kj::newPromiseAndFulfiller<void>();
  failed_fulfiller_ = kj::mv(failed.fulfiller);
  failed_ = failed.promise.fork();
}

Node::~Node() noexcept(false) {
  anchor_->node = nullptr;
  machine_.StopWorkers();
}

void Node::Errors::taskFailed(kj::Exception&& exception) {
  log.Error("node task failed", {{"error", Words(exception)}});
}

absl::Status Node::Start() {
  for (const auto& role : options_.membership.roles) {
    if (roles_known_.contains(role)) continue;
    return absl::NotFoundError(absl::StrCat("this program hosts no types of role ", role,
                                            "; its roles are ", absl::StrJoin(roles_known_, ", ")));
  }
  if (auto ready = CheckDisk(); !ready.ok()) return ready;
  auto& network = machine_.control().network();
  auto listener = network.Listen(options_.membership.listen);
  if (!listener.ok()) return listener.status();
  listener_ = kj::mv(*listener);
  address_ = listener_->address();
  if (auto started = membership_->Start(address_); !started.ok()) return started;
  tasks_->add(AcceptLoop());
  return absl::OkStatus();
}

absl::Status Node::CheckDisk() {
  if (machine_.record_store() != nullptr) return CheckSeal(machine_);
  const ActorType* durable = registry_.FindDurable();
  if (durable == nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("actor type ", durable->name,
                   " is $Troupe.durable: its state is kept on disk, and this node has nowhere to "
                   "keep it: give it a data directory, --data-dir PATH"));
}

kj::Promise<void> Node::Ready() { return ready_.addBranch(); }
kj::Promise<void> Node::Failed() { return failed_.addBranch(); }

bool Node::ready() const {
  auto map = membership_->map();
  return saw_whole_voters_ && workers_running_ && map && map->IsUp(boot_);
}

void Node::ForEachReplica(const std::function<void(const ShardReplica&)>& look) const {
  if (!workers_running_) return;
  for (const Worker* worker : workers_) worker->ForEachReplica(look);
}

size_t Node::primaries() const {
  auto map = membership_->map();
  if (!map || boot_ == 0) return 0;
  return static_cast<size_t>(std::count_if(map->shards.begin(), map->shards.end(),
                                           [&](auto& shard) { return shard.primary == boot_; }));
}

// ---- Connections

kj::Promise<void> Node::AcceptLoop() {
  return listener_->Accept().then([this](Accepted&& accepted) {
    if (greeting_ < kGreetingMax) {
      ++greeting_;
      tasks_->add(Greet(kj::mv(accepted)).attach(kj::defer([this] { --greeting_; })));
    } else {
      machine_.control().log().Info("connection closed: too many have not said what they are",
                                    {{"peer", accepted.peer_address}, {"limit", kGreetingMax}});
    }
    return AcceptLoop();
  });
}

kj::Promise<void> Node::Greet(Accepted accepted) {
  auto& host = machine_.control();
  auto peer = accepted.peer_address;
  auto& stream = *accepted.stream;
  return ReadGreeting(host, stream)
      .then([this, &host, peer,
             stream = kj::mv(accepted.stream)](Greeting&& greeting) mutable -> kj::Promise<void> {
        if (greeting.kind == Greeting::Kind::kTroupe && greeting.lane == Lane::kControl) {
          return AcceptLink(
                     host, kj::mv(stream), membership_->Introduce(),
                     [this](const Introduction& theirs) { return membership_->JudgePeer(theirs); })
              .then([this](kj::Own<Link> link) { membership_->OnControlLink(kj::mv(link)); });
        }
        if (!workers_running_) {
          host.log().Debug("connection closed: not a member of the cluster yet", {{"peer", peer}});
          return kj::READY_NOW;
        }
        const size_t index = greeting.worker % workers_.size();
        auto detached = host.network().Detach(kj::mv(stream));
        ToWorker(index, [detached = kj::mv(detached), greeting = std::move(greeting),
                         peer](Worker& worker) mutable {
          if (greeting.kind == Greeting::Kind::kTroupe) {
            worker.OnDataStream(kj::mv(detached), peer);
          } else {
            worker.OnOtherStream(kj::mv(detached), std::move(greeting.first_bytes));
          }
        });
        return kj::READY_NOW;
      })
      .catch_([&host, peer](kj::Exception&& e) {
        host.log().Debug("connection not taken", {{"peer", peer}, {"reason", Words(e)}});
      });
}

// ---- Membership

void Node::OnRegistered(Boot boot) {
  if (boot_ != 0) {
    failed_fulfiller_->reject(troupe::Failed(
        absl::StrCat("this process was boot ", boot_, " of node ", options_.membership.node,
                     " and has been replaced; another process uses its name")));
    return;
  }
  boot_ = boot;
  workers_.resize(options_.workers);
  auto introduction = membership_->Introduce();
  auto make = [this, introduction](size_t index, Host& host) -> kj::Own<WorkerBody> {
    WorkerOptions options;
    options.records = machine_.record_store();
    options.index = index;
    options.count = options_.workers;
    options.replica = options_.replica;
    auto worker = kj::heap<Worker>(host, registry_, static_cast<WorkerControl&>(*this), options,
                                   introduction);
    workers_[index] = worker.get();
    return worker;
  };
  kj::Promise<void> sealed = kj::READY_NOW;
  if (registry_.FindDurable() != nullptr) {
    sealed = Seal(machine_).catch_([this](kj::Exception&& e) -> kj::Promise<void> {
      OnDiskFailure(Words(e));
      return kj::NEVER_DONE;
    });
  }
  auto started = sealed.then([this, make = kj::mv(make)]() mutable {
    return machine_.StartWorkers(options_.workers, kj::mv(make));
  });
  tasks_->add(started.then([this] {
    workers_running_ = true;
    PublishMap();
    told_held_.assign(workers_.size(), absl::ZeroDuration());
    tasks_->add(WatchWorkers(machine_.control().clock().Now()));
  }));
}

void Node::OnMap(const SharedMap& map) {
  if (boot_ != 0) {
    const auto* self = map->FindNode(options_.membership.node);
    if (self != nullptr && self->boot > boot_) {
      failed_fulfiller_->reject(troupe::Failed(
          absl::StrCat("node ", options_.membership.node, " is registered as boot ", self->boot,
                       " by another process; this one was boot ", boot_)));
    }
  }
  PublishMap();
}

void Node::PublishMap() {
  auto map = membership_->map();
  if (!workers_running_ || !map) return;
  for (size_t i = 0; i < workers_.size(); ++i) {
    ToWorker(i, [map, introduction = membership_->Introduce()](Worker& worker) mutable {
      worker.OnMap(map, std::move(introduction));
    });
  }
  MoveWhatShouldMove();
  // Whoever replaces nodes one by one waits for this before the next: its vote may be in memory.
  if (map->IsUp(boot_) && VotersAreWhole(*map)) saw_whole_voters_ = true;
  if (ready()) ready_fulfiller_->fulfill();
}

void Node::MoveWhatShouldMove() {
  auto map = membership_->map();
  std::vector<WantedMove> moves;
  if (draining_) {
    const Copies copies(*map);
    auto rank = [&](ShardId shard, CopyId copy) {  // Who hosts most first (P3.16).
      return std::pair(copies.TypesAt(copy, shard), PlacementScore(shard, copies.Node(copy)->name));
    };
    for (ShardId shard = 0; shard < map->shards.size(); ++shard) {
      const auto& entry = map->shards[shard];
      if (entry.primary != boot_) continue;
      CopyId best = 0;
      for (CopyId copy : entry.isr) {
        if (copy == boot_ || !map->IsUp(copy)) continue;
        if (best == 0 || rank(shard, copy) > rank(shard, best)) best = copy;
      }
      if (best != 0) moves.push_back({shard, boot_, best});
    }
  } else {
    moves = PlanMoves(*map, kMovesAtOnce);
    std::erase_if(moves, [this](const WantedMove& move) { return move.from != boot_; });
  }
  if (moves.empty()) return;
  for (size_t i = 0; i < workers_.size(); ++i) {
    ToWorker(i, [moves](Worker& worker) { worker.MovePrimaries(moves); });
  }
}

void Node::OnUnfit(const std::string& why) { failed_fulfiller_->reject(troupe::Failed(why)); }

// ---- Between the loops

void Node::ToControl(kj::Function<void(Node&)> work) {
  machine_.control().PostControl([anchor = anchor_, work = kj::mv(work)]() mutable {
    if (anchor->node != nullptr) work(*anchor->node);
  });
}

void Node::ToWorker(size_t index, kj::Function<void(Worker&)> work) {
  machine_.worker(index).PostControl(
      [worker = workers_[index], work = kj::mv(work)]() mutable { work(*worker); });
}

// A replica repeats what it wants until the map shows it; one of a kind under way is enough.
void Node::Propose(Command command) {
  ToControl([command = std::move(command)](Node& node) mutable {
    auto description = Describe(command);
    if (node.proposing_.size() >= kProposalsMax) return;
    if (!node.proposing_.insert(description).second) return;
    node.tasks_->add(node.membership_->Submit(std::move(command), kProposalLimit)
                         .catch_([&node, description](kj::Exception&& e) {
                           node.machine_.control().log().Debug(
                               "command not done",
                               {{"command", description}, {"reason", Words(e)}});
                         })
                         .then([&node, description] { node.proposing_.erase(description); }));
  });
}

void Node::Confirm(size_t worker, kj::Function<void(SharedMap)> done) {
  ToControl([worker, done = kj::mv(done)](Node& node) mutable {
    auto answer = [&node, worker, done = kj::mv(done)](SharedMap map) mutable {
      if (!node.workers_running_) return;
      node.ToWorker(worker, [done = kj::mv(done), map = std::move(map)](Worker&) mutable {
        done(std::move(map));
      });
    };
    node.tasks_->add(node.membership_->Confirm()
                         .catch_([](kj::Exception&&) { return SharedMap(); })
                         .then(kj::mv(answer)));
  });
}

void Node::NeedNewerMap(uint64_t) {}  // Membership pushes every map as soon as it is chosen.

void Node::OnLinkLoss(std::string name, Boot boot, LinkLoss loss) {
  ToControl([name = std::move(name), boot, evidence = EvidenceOf(loss)](Node& node) {
    node.membership_->OnEvidence(name, boot, evidence);
  });
}

// The other copies go on without this one; the next run reads what the disk has.
void Node::OnDiskFailure(std::string why) {
  ToControl([why = std::move(why)](Node& node) {
    node.failed_fulfiller_->reject(
        troupe::Failed(absl::StrCat("state of durable types cannot be kept: ", why)));
  });
}

void Node::OnTraffic(std::string name, Boot boot) {
  ToControl(
      [name = std::move(name), boot](Node& node) { node.membership_->OnTraffic(name, boot); });
}

namespace {

// A call on its way back to the loop it came to. If that loop has ended, so has the caller's need.
struct ReturningCall {
  explicit ReturningCall(kj::Own<InboundCall> c) : call(kj::mv(c)) {}
  ReturningCall(ReturningCall&&) = default;
  ~ReturningCall() noexcept(false) {
    if (call.get() != nullptr) call->Abandon();
  }
  kj::Own<InboundCall> call;
};

}  // namespace

bool Node::Forward(size_t from, size_t to, kj::Own<InboundCall> call) {
  auto header = call->header();
  auto params = call->params();
  const auto deadline = call->deadline();
  auto answer = [&origin = machine_.worker(from),
                 returning = ReturningCall(kj::mv(call))](CallOutcome&& outcome) mutable {
    origin.PostControl([returning = kj::mv(returning), outcome = std::move(outcome)]() mutable {
      returning.call->Finish(std::move(outcome));
    });
  };
  auto forwarded =
      kj::heap<InboundCall>(std::move(header), std::move(params), deadline, kj::mv(answer));
  // Dropped, as when the other's inbox is full, it says Moved: its caller tries again a little
  // later.
  return machine_.worker(to).Post([target = workers_[to], forwarded = kj::mv(forwarded)]() mutable {
    target->Deliver(kj::mv(forwarded));
  });
}

}  // namespace troupe
