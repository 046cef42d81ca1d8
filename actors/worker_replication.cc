// Worker, part three: frames of replica messages.
#include <algorithm>
#include <utility>

#include "troupe/actors/actor_store.h"
#include "troupe/actors/replica_codec.h"
#include "troupe/actors/worker.h"

namespace troupe {
namespace {

constexpr size_t kReplicaFrameBytes = 4 << 20;

size_t BytesOf(const ReplicaMessage& message) {
  size_t bytes = 128;
  auto add = [&bytes](const std::vector<SharedUpdate>& updates) {
    for (const auto& update : updates) bytes += update->bytes();
  };
  if (const auto* batch = std::get_if<Batch>(&message.body)) add(batch->updates);
  if (const auto* snapshot = std::get_if<Snapshot>(&message.body)) add(snapshot->updates);
  if (const auto* report = std::get_if<Report>(&message.body)) {
    for (const auto& entry : report->entries) bytes += 64 + entry.actor.key.size();
  }
  return bytes;
}

bool IsLoad(const ReplicaMessage& message) {
  return std::holds_alternative<Batch>(message.body) ||
         std::holds_alternative<Snapshot>(message.body);
}

}  // namespace

// ---- Replication

void Worker::Propose(Command command) { control_.Propose(std::move(command)); }

void Worker::Touch(ShardId shard) {
  touched_.insert(shard);
  if (turn_end_scheduled_) return;
  turn_end_scheduled_ = true;
  tasks_.add(kj::evalLast([this] { EndTurn(); }));
}

void Worker::SendTo(CopyId copy, ReplicaMessage message) {
  if (replies_ != nullptr && copy == replying_to_ && message.primary == copy) {
    replies_->push_back(std::move(message));
    return;
  }
  for (auto& [node, peer] : peers_) {
    if (peer.copy != copy) continue;
    peer.queue_has_batch |= IsLoad(message);
    peer.queue.push_back(std::move(message));
    if (!collecting_) Touch(peer.queue.back().shard);
    return;
  }
}

// At the end of a turn of the loop: batches are cut where nobody has to be waited for, and what
// gathered for each peer goes out in one frame.
void Worker::EndTurn() {
  turn_end_scheduled_ = false;
  const absl::Time now = host_.clock().Now();
  collecting_ = true;
  KJ_DEFER(collecting_ = false);
  for (ShardId shard : std::exchange(touched_, {})) {
    if (auto* host = HostOf(shard)) host->Settle(now);
    unsent_.insert(shard);
  }
  for (auto& [node, peer] : peers_) {
    if (peer.in_flight == 0 && links_.Find(node) != nullptr) {
      for (ShardId shard : unsent_) {
        auto* host = HostOf(shard);
        if (host != nullptr && host->replica().HasUnsent(peer.copy)) {
          host->CollectFor(now, peer.copy);
        }
      }
    }
    Flush(node, peer);
  }
  std::erase_if(unsent_, [this](ShardId shard) {
    auto* host = HostOf(shard);
    if (host == nullptr) return true;
    const auto peers = host->replica().Peers();
    return std::none_of(peers.begin(), peers.end(),
                        [&](CopyId copy) { return host->replica().HasUnsent(copy); });
  });
}

void Worker::Flush(const std::string& node, Peer& peer) {
  if (peer.queue.empty()) return;
  auto queue = std::exchange(peer.queue, {});
  const bool has_batch = std::exchange(peer.queue_has_batch, false);
  auto* link = links_.Find(node);
  if (link == nullptr) return;  // The replica sends again when the link is back.
  if (has_batch) peer.in_flight = peer.next_number++;
  SendFrame(*link, queue, has_batch ? peer.in_flight : 0, 0);
}

void Worker::SendFrame(Link& link, std::vector<ReplicaMessage>& messages, uint64_t number,
                       uint64_t acknowledges) {
  // The last of several frames carries the number, so its answer covers all.
  for (size_t begin = 0; begin < messages.size() || begin == 0;) {
    size_t end = begin, bytes = 0;
    while (end < messages.size()) {
      bytes += BytesOf(messages[end]);
      if (end > begin && bytes > kReplicaFrameBytes) break;
      ++end;
    }
    const bool last = end == messages.size();
    capnp::MallocMessageBuilder message;
    auto frame = message.initRoot<wire::ReplicaFrame>();
    frame.setNumber(last ? number : 0);
    frame.setAcknowledges(last ? acknowledges : 0);
    auto list = frame.initMessages(static_cast<unsigned>(end - begin));
    for (size_t i = begin; i < end; ++i) {
      Encode(messages[i], host_.clock().Now(), list[static_cast<unsigned>(i - begin)]);
    }
    link.stream().Send(wire::KIND_REPLICA, message);
    if (last) return;
    begin = end;
  }
}

// Replies, if wanted, gather in `replies`; the rest goes to whom it is for.
void Worker::HandleMessages(Frame& frame, CopyId from, std::vector<ReplicaMessage>* replies) {
  replies_ = replies;
  replying_to_ = replies == nullptr ? 0 : from;
  KJ_DEFER(replies_ = nullptr; replying_to_ = 0);  // Also when what came is malformed.
  for (auto encoded : frame.header<wire::ReplicaFrame>().getMessages()) {
    auto message = DecodeReplicaMessage(encoded, host_.clock().Now());
    if (!message.ok()) {
      host_.log().Warning("replica message dropped",
                          {{"from", from}, {"error", message.status().ToString()}});
      continue;
    }
    auto* host = HostOf(message->shard);
    if (host == nullptr) continue;
    const auto unneeded = unneeded_.find(message->shard);
    if (unneeded != unneeded_.end() && message->primary == from) {
      unneeded->second = host_.clock().Now();  // To its map there is a copy here.
    }
    host->OnMessage(from, *message);
  }
}

void Worker::OnReplicaFrame(Link& link, CopyId from, Frame& frame, bool answer) {
  auto in = frame.header<wire::ReplicaFrame>();
  std::vector<ReplicaMessage> replies;
  HandleMessages(frame, from, answer ? &replies : nullptr);
  if (answer) {
    if (!replies.empty() || in.getNumber() != 0) SendFrame(link, replies, 0, in.getNumber());
    return;
  }
  for (auto& [node, peer] : peers_) {
    if (peer.copy != from || in.getAcknowledges() == 0) continue;
    if (peer.in_flight == in.getAcknowledges()) {
      peer.in_flight = 0;
      if (!unsent_.empty()) Touch(*unsent_.begin());
    }
  }
}

}  // namespace troupe
