#include "troupe/actors/replica_message.h"

#include "absl/strings/str_cat.h"

namespace troupe {
namespace {

std::string DescribeBody(const Heartbeat&) { return "heartbeat"; }
std::string DescribeBody(const Batch& batch) {
  return absl::StrCat("batch ", batch.seq, " chunk ", batch.chunk, "/", batch.chunks, " of ",
                      batch.updates.size(), " updates");
}
std::string DescribeBody(const ReportRequest& request) {
  bool all = request.scope == ReportRequest::Scope::kAll;
  return absl::StrCat("report request ", request.request, all ? " for all" : " above the mark");
}
std::string DescribeBody(const Snapshot& snapshot) {
  return absl::StrCat("snapshot ", snapshot.request, " at ", snapshot.seq, " chunk ",
                      snapshot.chunk, snapshot.last ? " (last)" : "");
}
std::string DescribeBody(const Ack& ack) {
  static constexpr const char* kSync[] = {"none", "synced", "lost"};
  return absl::StrCat("ack ", kSync[static_cast<int>(ack.sync)], " ", ack.seq, " request ",
                      ack.request, " next chunk ", ack.next_chunk);
}
std::string DescribeBody(const Reject& reject) {
  return absl::StrCat("reject, promised ", reject.promised);
}
std::string DescribeBody(const Report& report) {
  return absl::StrCat("report ", report.request, " chunk ", report.chunk,
                      report.last ? " (last)" : "", " of ", report.entries.size(),
                      " actors above (", report.mark.epoch, ",", report.mark.seq, ")");
}

}  // namespace

size_t ActorUpdate::bytes() const {
  size_t out = 128 + actor.key.size() + (state == nullptr ? 0 : state->size()) + records.bytes();
  if (outbox != nullptr) out += outbox->bytes();
  if (watches != nullptr) out += watches->bytes();
  if (hold != nullptr) out += hold->bytes();
  if (reminders == nullptr) return out;
  for (const auto& reminder : *reminders) out += 64 + reminder.name.size();
  return out;
}

std::string Describe(const ReplicaMessage& message) {
  return absl::StrCat(
      "shard ", message.shard, " epoch ", message.epoch, " of ", message.primary, " to ",
      message.target, ": ",
      std::visit([](const auto& body) { return DescribeBody(body); }, message.body));
}

}  // namespace troupe
