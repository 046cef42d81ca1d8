#include "troupe/actors/replica_codec.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/update_codec.h"

namespace troupe {
namespace {

using replica_codec::CheckLength;
using replica_codec::DecodeUpdates;
using replica_codec::EncodeUpdates;
using replica_codec::GetActor;
using replica_codec::kEntriesMax;
using replica_codec::Malformed;
using replica_codec::SetActor;
using replica_codec::Size;

// ---- Bodies

struct BodyEncoder {
  absl::Time now;
  wire::ReplicaMessage::Builder out;

  void operator()(const Heartbeat&) { out.setHeartbeat(); }
  void operator()(const Batch& from) {
    auto batch = out.initBatch();
    batch.setSeq(from.seq);
    batch.setChunk(from.chunk);
    batch.setChunks(from.chunks);
    EncodeUpdates(from.updates, now, batch.initUpdates(Size(from.updates.size())));
  }
  void operator()(const ReportRequest& from) {
    auto request = out.initReportRequest();
    request.setScope(static_cast<wire::ReportRequest::Scope>(from.scope));
    request.setRequest(from.request);
  }
  void operator()(const Snapshot& from) {
    auto snapshot = out.initSnapshot();
    snapshot.setRequest(from.request);
    snapshot.setSeq(from.seq);
    snapshot.setChunk(from.chunk);
    snapshot.setLast(from.last);
    EncodeUpdates(from.updates, now, snapshot.initUpdates(Size(from.updates.size())));
  }
  void operator()(const Ack& from) {
    auto ack = out.initAck();
    ack.setSync(static_cast<wire::Ack::Sync>(from.sync));
    ack.setSeq(from.seq);
    ack.setTaken(from.taken);
    ack.setRequest(from.request);
    ack.setNextChunk(from.next_chunk);
    ack.setEcho(from.echo);
    ack.setMapVersion(from.map_version);
  }
  void operator()(const Reject& from) { out.initReject().setPromised(from.promised); }
  void operator()(const Report& from) {
    auto report = out.initReport();
    report.setRequest(from.request);
    report.setChunk(from.chunk);
    report.setLast(from.last);
    report.setMarkEpoch(from.mark.epoch);
    report.setMarkSeq(from.mark.seq);
    auto entries = report.initEntries(Size(from.entries.size()));
    for (unsigned i = 0; i < entries.size(); ++i) {
      SetActor(from.entries[i].actor, entries[i]);
      entries[i].setEpoch(from.entries[i].version.epoch);
      entries[i].setSeq(from.entries[i].version.seq);
    }
  }
};

Ack DecodeAck(wire::Ack::Reader in) {
  if (in.getSync() > wire::Ack::Sync::LOST) throw Malformed{"an unknown state of sync"};
  return {static_cast<SyncState>(in.getSync()),
          in.getSeq(),
          in.getTaken(),
          in.getRequest(),
          in.getNextChunk(),
          in.getEcho(),
          in.getMapVersion()};
}

Report DecodeReport(wire::Report::Reader in) {
  Report out{
      in.getRequest(), in.getChunk(), in.getLast(), {in.getMarkEpoch(), in.getMarkSeq()}, {}};
  CheckLength(in.getEntries(), kEntriesMax, "entries");
  for (auto entry : in.getEntries()) {
    out.entries.push_back({GetActor(entry), {entry.getEpoch(), entry.getSeq()}});
  }
  return out;
}

ReplicaBody DecodeBody(wire::ReplicaMessage::Reader in, absl::Time now) {
  switch (in.which()) {
    case wire::ReplicaMessage::HEARTBEAT:
      return Heartbeat{};
    case wire::ReplicaMessage::BATCH: {
      auto batch = in.getBatch();
      return Batch{batch.getSeq(), batch.getChunk(), batch.getChunks(),
                   DecodeUpdates(batch.getUpdates(), now)};
    }
    case wire::ReplicaMessage::REPORT_REQUEST: {
      auto request = in.getReportRequest();
      if (request.getScope() > wire::ReportRequest::Scope::ALL) {
        throw Malformed{"an unknown scope of a report"};
      }
      return ReportRequest{static_cast<ReportRequest::Scope>(request.getScope()),
                           request.getRequest()};
    }
    case wire::ReplicaMessage::SNAPSHOT: {
      auto snapshot = in.getSnapshot();
      return Snapshot{snapshot.getRequest(), snapshot.getSeq(), snapshot.getChunk(),
                      snapshot.getLast(), DecodeUpdates(snapshot.getUpdates(), now)};
    }
    case wire::ReplicaMessage::ACK:
      return DecodeAck(in.getAck());
    case wire::ReplicaMessage::REJECT:
      return Reject{in.getReject().getPromised()};
    case wire::ReplicaMessage::REPORT:
      return DecodeReport(in.getReport());
  }
  throw Malformed{"an unknown kind of replica message"};
}

}  // namespace

void Encode(const ReplicaMessage& from, absl::Time now, wire::ReplicaMessage::Builder out) {
  out.setShard(from.shard);
  out.setLineage(from.lineage);
  out.setEpoch(from.epoch);
  out.setPrimary(from.primary);
  out.setTarget(from.target);
  out.setStamp(from.stamp);
  out.setMark(from.mark);
  std::visit(BodyEncoder{now, out}, from.body);
}

absl::StatusOr<ReplicaMessage> DecodeReplicaMessage(wire::ReplicaMessage::Reader in,
                                                    absl::Time now) {
  ReplicaMessage out{in.getShard(),  in.getLineage(), in.getEpoch(), in.getPrimary(),
                     in.getTarget(), in.getStamp(),   in.getMark(),  {}};
  try {
    out.body = DecodeBody(in, now);
  } catch (const Malformed& malformed) {
    return absl::InvalidArgumentError(
        absl::StrCat("replica message of shard ", out.shard, " has ", malformed.what));
  }
  return out;
}

}  // namespace troupe
