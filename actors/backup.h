// Backup: a copy that follows a primary, in sync or as a learner. A part of ShardReplica.
//
// Pure. Within one epoch a copy goes from kIdle by kReported to kSynced (an ISR member, P3.9), or
// by kLearning to kSynced (P3.8); kLost is the end of the epoch unless it becomes a learner. What
// it holds changes only by rule P3.3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "troupe/actors/copy_state.h"

namespace troupe {

class Backup {
 public:
  explicit Backup(CopyState& copy) : copy_(copy) {}

  // `message` is from the primary of an epoch that is promised and not below any promise.
  void OnMessage(absl::Time now, const ReplicaMessage& message, ReplicaEffects& out);
  // The disk has more of what this copy holds.
  void OnWritten(absl::Time now, ReplicaEffects& out);

 private:
  enum class Mode : uint8_t { kIdle, kReported, kLearning, kSynced, kLost };

  void EnterEpoch(Epoch epoch);
  void OnBatch(const ReplicaMessage& message, const Batch& batch);
  void OnReportRequest(const ReplicaMessage& message, const ReportRequest& request,
                       ReplicaEffects& out);
  void OnSnapshot(const Snapshot& snapshot);
  bool Assemble(const Batch& batch);
  void Take(const Batch& batch);
  void Acknowledge(absl::Time now, const ReplicaMessage& message, ReplicaEffects& out);
  Ack WhatItHas() const;
  void ApplyOldBatch(const ReplicaMessage& message, const Batch& batch);  // A mutation.

  CopyState& copy_;
  Epoch epoch_ = 0;
  Mode mode_ = Mode::kIdle;
  uint64_t seq_ = 0;                     // Held up to here, when synced.
  uint64_t synced_at_ = 0;               // The seq with which it became so.
  std::optional<ReplicaMessage> asked_;  // The newest of the epoch, without its body; of a durable
                                         // shard, whose disk may be slow.
  uint64_t said_ = 0;                    // The last seq acknowledged as kSynced.
  uint64_t request_ = 0;                 // The newest ReportRequest of the epoch.
  uint32_t next_chunk_ = 0;              // Of the snapshot, when learning.
  uint64_t assembling_ = 0;              // Seq of the batch whose chunks are in parts_; 0: none.
  std::vector<std::vector<SharedUpdate>> parts_;
  std::vector<bool> have_;
};

}  // namespace troupe
