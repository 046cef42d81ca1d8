// Snapshots, batches and reports that copies send each other: a backup and a primary survive them,
// and what a store took can be encoded again.
#include "capnp/serialize.h"
#include "fuzz.h"
#include "troupe/actors/actor_store.h"
#include "troupe/actors/replica_codec.h"
#include "troupe/actors/shard_replica.h"
#include "troupe/membership/cluster_state.h"
#include "troupe/rpc/words.h"

namespace troupe {
namespace {

class NoActors final : public ActorSource {
 public:
  std::optional<ActorChange> Encode(const ActorId&) override { return std::nullopt; }
  bool Busy() const override { return false; }
};

ClusterState ThreeNodes() {
  std::vector<Founder> founders(3);
  founders[0].name = "a";
  founders[1].name = "b";
  founders[2].name = "c";
  for (size_t i = 0; i < 3; ++i) {
    founders[i].nonce = {7, i + 1};
    founders[i].types = {{77, "Word"}};
  }
  ClusterConfig config;
  config.shards = 1;
  return Found({1, 1}, config, std::move(founders));
}

// Nothing when it does not decode.
std::optional<ReplicaMessage> Read(std::span<const std::byte> bytes, absl::Time now) {
  if (bytes.empty()) return std::nullopt;
  const auto words = CopyWords(bytes);
  std::optional<ReplicaMessage> out;
  kj::runCatchingExceptions([&] {
    capnp::FlatArrayMessageReader reader(words, {.traversalLimitInWords = 8 * words.size() + 1024});
    auto message = DecodeReplicaMessage(reader.getRoot<wire::ReplicaMessage>(), now);
    if (message.ok()) out = *std::move(message);
  });
  return out;
}

void EncodeAgain(const ReplicaMessage& message, absl::Time now) {
  capnp::MallocMessageBuilder out;
  Encode(message, now, out.initRoot<wire::ReplicaMessage>());
  const auto words = capnp::messageToFlatArray(out);
  fuzz::Require(
      Read({reinterpret_cast<const std::byte*>(words.begin()), words.asBytes().size()}, now)
          .has_value(),
      "a message survives encoding");
}

void Store(ActorStore& store, const std::vector<SharedUpdate>& updates) {
  for (const auto& update : updates) {
    store.Apply(*update);
    store.Image(update->actor);
  }
}

// The copies of one shard on boots 1 to 3; the map's primary and one backup.
struct ThreeCopies {
  explicit ThreeCopies(absl::Time now) : map(ThreeNodes()), primary(map.shards[0].primary) {
    for (CopyId copy = 1; copy <= 3; ++copy) {
      replicas.push_back(std::make_unique<ShardReplica>(0, copy, ReplicaOptions(), source));
      replicas.back()->OnMap(now, ViewOf(map, 0, copy), effects);
    }
  }
  NoActors source;
  ClusterState map;
  CopyId primary;
  ReplicaEffects effects;
  std::vector<std::unique_ptr<ShardReplica>> replicas;
};

}  // namespace
}  // namespace troupe

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace troupe;
  auto input = fuzz::AsBytes(data, size);
  absl::Time now = absl::FromUnixSeconds(1000);
  ThreeCopies copies(now);
  ActorStore store;
  while (!input.empty()) {
    const auto message = Read(fuzz::TakePiece(input), now);
    now += absl::Milliseconds(60);
    if (message) {
      EncodeAgain(*message, now);
      if (auto* batch = std::get_if<Batch>(&message->body)) Store(store, batch->updates);
      if (auto* part = std::get_if<Snapshot>(&message->body)) Store(store, part->updates);
      for (CopyId to = 1; to <= 3; ++to) {
        const CopyId from = to == copies.primary ? to % 3 + 1 : copies.primary;
        copies.replicas[to - 1]->OnMessage(now, from, *message, copies.effects);
      }
    }
    for (auto& replica : copies.replicas) {
      replica->Tick(now, absl::ZeroDuration(), copies.effects);
      replica->Settle(now, copies.effects);
    }
    copies.effects.Clear();
  }
  return 0;
}
