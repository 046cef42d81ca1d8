#include "troupe/testing/harness.h"

#include <algorithm>
#include <exception>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "troupe/actors/pool_key.h"
#include "troupe/rpc/status.h"
#include "troupe/testing/watched_actor.h"

namespace troupe::testing {
namespace {

constexpr const char kClient[] = "test";
constexpr size_t kNodesMax = 26;
constexpr size_t kTurnsPrinted = 20;
constexpr absl::Duration kLook = absl::Milliseconds(20);
constexpr absl::Duration kDown = absl::Seconds(1);      // Of a node that a fault kills.
constexpr absl::Duration kPatience = absl::Minutes(1);  // With what always ends soon.

[[noreturn]] void Refuse(const std::string& why) {
  kj::throwFatalException(Failed(why));
  KJ_UNREACHABLE;
}

}  // namespace

Harness::Harness(HarnessOptions options, GoogleTest google_test)
    : options_(std::move(options)),
      google_test_(google_test),
      exceptions_before_(std::uncaught_exceptions()),
      watch_(registry_, options_.renewal) {
  if (options_.nodes < 1 || options_.nodes > kNodesMax) {
    Refuse(absl::StrCat("a harness has 1 to ", kNodesMax, " nodes, got ", options_.nodes));
  }
  watch_.now = [this] { return world_->Now(); };
  watch_.after = [this](absl::Duration delay, kj::Function<void()> step) {
    world_->After(delay, kj::mv(step));
  };
  watch_.cut_callers = [this](const ActorId& actor) { CutCallers(actor); };
  watch_.kill_node = [this](const ActorId& actor) { KillNodeWhenWhole(actor); };
  watch_.report = [this](const std::string& why) { google_test_.fail(why); };
}

Harness::~Harness() noexcept {
  const bool thrown = std::uncaught_exceptions() > exceptions_before_;
  if (!thrown) CheckFaults();
  if (thrown || google_test_.has_failed()) PrintTurns();
  cluster_ = nullptr;
}

sim::Cluster& Harness::cluster() {
  if (cluster_) return *cluster_;
  if (registry_.types().empty()) {
    Refuse("nothing is hosted here yet; say harness.Host<YourActor>() first");
  }
  auto options = options_.cluster;
  options.seed = options_.seed;
  options.nodes.clear();
  for (size_t i = 0; i < options_.nodes; ++i) {
    options.nodes.emplace_back(1, static_cast<char>('a' + i));
  }
  auto failure = kj::runCatchingExceptions(
      [&] { cluster_ = std::make_unique<sim::Cluster>(options, registry_); });
  KJ_IF_MAYBE (e, failure) {
    Refuse(
        absl::StrCat("the nodes do not start; one Harness, LocalNode or other KJ event loop can "
                     "be there on a thread at a time: ",
                     Words(*e)));
  }
  world_ = &cluster_->world();
  start_ = world_->Now();
  client_ = &cluster_->AddClient(kClient);
  if (!cluster_->Settle()) {
    Refuse(absl::StrCat("the nodes did not found a cluster: ", cluster_->Describe()));
  }
  return *cluster_;
}

Client& Harness::client() {
  cluster();
  return *client_;
}

// ---- What is hosted

Harness::Make Harness::AddType(capnp::InterfaceSchema schema,
                               std::optional<capnp::StructSchema> state, Make make) {
  const uint64_t id = schema.getProto().getId();
  if (cluster_) {
    Refuse(absl::StrCat("the nodes run already and have said what they host; say that ",
                        schema.getShortDisplayName().cStr(),
                        " is hosted, or faked, before the first Get()"));
  }
  Watch::Type type{schema.getShortDisplayName().cStr(), schema, state, std::move(make)};
  if (watch_.types.contains(id)) {
    Refuse(absl::StrCat(type.name, " is hosted already; a class goes before the first Fake or ",
                        "StandIn of its interface"));
  }
  const auto& kept = watch_.types[id] = std::move(type);
  return [this, &kept] { return kj::heap<WatchedActor>(watch_, kept); };
}

FakeActor& Harness::AddFake(ActorId actor) {
  auto& stand_in = watch_.stand_ins[actor];
  if (stand_in.object != nullptr) {
    Refuse(absl::StrCat(watch_.NameOf(actor), " has an object of the test's as its stand-in"));
  }
  if (!stand_in.fake) {
    const auto& type = watch_.types.at(actor.type);
    stand_in.fake =
        std::make_unique<FakeActor>(actor, watch_.NameOf(actor), type.schema, watch_.log);
  }
  return *stand_in.fake;
}

void Harness::AddStandIn(ActorId actor, ActorBase& object) {
  auto& stand_in = watch_.stand_ins[actor];
  if (stand_in.object != nullptr || stand_in.fake) {
    Refuse(absl::StrCat(watch_.NameOf(actor), " has a stand-in already"));
  }
  stand_in.object = &object;
}

void Harness::RequireHosted(capnp::InterfaceSchema schema) const {
  if (watch_.types.contains(schema.getProto().getId())) return;
  const std::string name = schema.getShortDisplayName().cStr();
  std::vector<std::string> hosted;
  for (const auto& [id, type] : registry_.types()) hosted.push_back(type.name);
  Refuse(absl::StrCat(
      "no ", name, " is hosted here; say harness.Host<", name, "Actor>(), or harness.Fake<", name,
      ">(key), first. Hosted are: ", hosted.empty() ? "none" : absl::StrJoin(hosted, ", ")));
}

absl::Time Harness::WallNow() {
  return cluster().world().machine(cluster().names().front()).control().clock().WallNow();
}

// ---- Calls

void Harness::ThrowStillWaiting(absl::Duration limit) {
  auto& world = cluster_->world();
  const std::string open = watch_.log.DescribeOpen(world.Now());
  std::string why = absl::StrCat(
      "Await: no answer after ", absl::FormatDuration(limit), " of virtual time, ",
      absl::FormatDuration(world.Now() - start_), " after the start. ",
      open.empty() ? "No turn is running: what is awaited is no call, or its call does not reach "
                     "its actor."
                   : absl::StrCat("Turns that have not ended:", open));
  if (!cluster_->settled()) absl::StrAppend(&why, "\nThe cluster: ", cluster_->Describe());
  Refuse(why);
}

// ---- Time

void Harness::Advance(absl::Duration duration) {
  if (duration < absl::ZeroDuration()) {
    Refuse(absl::StrCat("time does not go back, got ", absl::FormatDuration(duration)));
  }
  cluster().Run(duration + kLook);
}

void Harness::AdvanceWallClocks(absl::Duration duration) {
  wall_ahead_ += duration;
  for (const auto& name : cluster().names()) cluster().world().SetWallClock(name, wall_ahead_);
  Advance(absl::ZeroDuration());
}

// ---- Objects and nodes

void Harness::Restart(const Whom& whom) {
  const ActorId& actor = whom.id;
  std::vector<WatchedActor*> leaving;
  for (auto* object : watch_.objects) {
    if (object->id() == actor) leaving.push_back(object);
  }
  for (auto* object : leaving) object->Leave();
  const bool gone = cluster().RunUntil(
      [&] {
        return std::none_of(leaving.begin(), leaving.end(),
                            [&](auto* object) { return watch_.objects.contains(object); });
      },
      kPatience);
  if (gone) return;
  Refuse(absl::StrCat("Restart: ", watch_.NameOf(actor), " has not gone after ",
                      absl::FormatDuration(kPatience), " of virtual time; turns that have not ",
                      "ended:", watch_.log.DescribeOpen(cluster().world().Now())));
}

void Harness::RequireSpareNodes(const char* what) const {
  if (options_.nodes >= 3) return;
  Refuse(absl::StrCat(what,
                      " needs nodes that go on with the actor: Harness harness({.nodes = 3}),",
                      " got ", options_.nodes));
}

void Harness::Failover(const Whom& whom) {
  const ActorId& actor = whom.id;
  RequireSpareNodes("Failover");
  std::string killed;
  const bool over = cluster().RunUntil(
      [&] {
        if (!cluster().settled()) return false;
        if (!killed.empty()) return cluster().has(killed);
        killed = KillNodeOf(actor);
        return false;
      },
      kPatience);
  if (!over) Refuse(absl::StrCat("Failover: no node took over; ", cluster().Describe()));
}

std::string Harness::KillNodeOf(const ActorId& actor) {
  const std::string name = cluster_->PrimaryOf(actor);
  // As a supervisor would have it: the disk stays.
  cluster_->Kill(name, SimDiskAfter::kKeep);
  world_->After(kDown, [this, name] {
    if (!cluster_->has(name)) cluster_->Restart(name);
  });
  return name;
}

// Two at once would take what they alone have: so not while another one is still away.
void Harness::KillNodeWhenWhole(const ActorId& actor) {
  if (cluster_->settled()) {
    KillNodeOf(actor);
  } else {
    world_->After(absl::Milliseconds(10), [this, actor] { KillNodeWhenWhole(actor); });
  }
}

// What is under way to them is held back until the connections that it is on have been reset.
void Harness::CutCallers(const ActorId& actor) {
  const std::string name = cluster_->PrimaryOf(actor);
  std::vector<std::string> callers = cluster_->names();
  std::erase(callers, name);
  callers.push_back(kClient);
  for (const auto& caller : callers) {
    world_->Cut(caller, name);
    world_->ResetConnections(caller, name);
  }
  world_->After(2 * options_.cluster.world.link.latency_max, [this, name, callers] {
    for (const auto& caller : callers) world_->Heal(caller, name);
  });
}

// ---- Faults

Harness::Next Harness::NextCall(const Whom& whom, std::string_view method) {
  const ActorId& actor = whom.id;
  auto type = watch_.types.find(actor.type);
  if (type == watch_.types.end()) {
    Refuse(absl::StrCat("NextCall: no actors of the type of ", actor.ToString(), " are hosted"));
  }
  if (IsPoolKey(actor.key)) {
    Refuse(absl::StrCat("NextCall: of the pool of ", type->second.name,
                        ", whose calls have no actor of their own; say it of the actor that calls "
                        "the pool"));
  }
  if (!method.empty()) RequireMethod(type->second.schema, type->second.name, method);
  return Next(*this, actor, method);
}

void Harness::Next::Fails(std::string error) {
  harness_.watch_.faults.Add(actor_, method_,
                             {.kind = CallFault::Kind::kFails, .error = std::move(error)});
}

void Harness::Next::Waits(absl::Duration duration) {
  harness_.watch_.faults.Add(actor_, method_, {.kind = CallFault::Kind::kWaits, .after = duration});
}

void Harness::Next::LosesItsAnswer() {
  harness_.watch_.faults.Add(actor_, method_, {.kind = CallFault::Kind::kLosesAnswer});
}

void Harness::Next::KillsItsNode(absl::Duration after) {
  harness_.RequireSpareNodes("KillsItsNode");
  harness_.watch_.faults.Add(actor_, method_,
                             {.kind = CallFault::Kind::kKillsNode, .after = after});
}

void Harness::CheckFaults() {
  for (const auto& waiting : watch_.faults.waiting()) {
    google_test_.fail(absl::StrCat("what was to happen to the next call of ",
                                   watch_.NameOf(waiting.actor),
                                   waiting.method.empty() ? "" : absl::StrCat(".", waiting.method),
                                   " has happened to none: it was not called any more"));
  }
}

void Harness::PrintTurns() {
  if (!cluster_) return;
  const std::string turns = watch_.log.DescribeLast(start_, kTurnsPrinted);
  std::cerr << "troupe: the last turns, seed " << options_.seed << ":"
            << (turns.empty() ? " there were none" : turns) << std::endl;
  if (options_.renewal != Renewal::kAfterEachTurn || turns.empty()) return;
  std::cerr << "troupe: after such a turn the object was made anew from what Save wrote. A value "
               "that is missing above is one that Save leaves out."
            << std::endl;
}

}  // namespace troupe::testing
