#include "troupe/actors/replica_codec.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace troupe {
namespace {

constexpr absl::Duration kAgeMax = absl::Hours(24);  // More says no more.

uint64_t AgeMs(absl::Time then, absl::Time now) {
  absl::Duration age = std::clamp(now - then, absl::ZeroDuration(), kAgeMax);
  return static_cast<uint64_t>(absl::ToInt64Milliseconds(age));
}

absl::Time AgeAgo(uint64_t age_ms, absl::Time now) {
  uint64_t most = static_cast<uint64_t>(absl::ToInt64Milliseconds(kAgeMax));
  return now - absl::Milliseconds(static_cast<int64_t>(std::min(age_ms, most)));
}

kj::ArrayPtr<const kj::byte> Bytes(const std::string& text) {
  return {reinterpret_cast<const kj::byte*>(text.data()), text.size()};
}
std::string Text(capnp::Data::Reader data) {
  return std::string(reinterpret_cast<const char*>(data.begin()), data.size());
}

void SetId(const Id128& from, wire::Id128::Builder out) {
  out.setHi(from.hi);
  out.setLo(from.lo);
}
Id128 GetId(wire::Id128::Reader in) { return {in.getHi(), in.getLo()}; }

// What arrived and is over a bound throws this; it never leaves the file.
struct Malformed {
  std::string what;
};

template <typename Reader>
ActorId GetActor(Reader in) {
  if (in.getKey().size() > kKeyBytesMax) {
    throw Malformed{absl::StrCat("a key of ", in.getKey().size(), " bytes")};
  }
  return {in.getType(), Text(in.getKey())};
}
template <typename Builder>
void SetActor(const ActorId& from, Builder out) {
  out.setType(from.type);
  out.setKey(Bytes(from.key));
}

unsigned Size(size_t n) { return static_cast<unsigned>(n); }

// A list of elements without content takes no bytes: its length is no proof that it was sent.
template <typename List>
void CheckLength(const List& list, size_t most, const char* what) {
  if (list.size() > most) throw Malformed{absl::StrCat("a list of ", list.size(), " ", what)};
}

constexpr size_t kEntriesMax =
    65536;  // Updates or report entries of one message: chunks end sooner.
constexpr size_t kChangedOriginsMax = 4 * kRecordOriginsMax;  // Those that went are listed too.
constexpr size_t kChangedRecordsMax = 4 * kRecordsMax;

// ---- Records

void EncodeRecord(const CallRecord& from, absl::Time now, wire::Records::Record::Builder out) {
  out.setArgumentHash(from.argument_hash);
  out.setStatus(static_cast<wire::Records::Status>(from.status));
  out.setResult(Bytes(*from.result));
  out.setAgeMs(AgeMs(from.answered, now));
}

CallRecord DecodeRecord(wire::Records::Record::Reader in, absl::Time now) {
  CallRecord out;
  if (in.getResult().size() > kRecordResultBytesMax) {
    throw Malformed{absl::StrCat("a recorded result of ", in.getResult().size(), " bytes")};
  }
  if (in.getStatus() > wire::Records::Status::BEGUN) throw Malformed{"an unknown record status"};
  out.argument_hash = in.getArgumentHash();
  out.status = static_cast<RecordStatus>(in.getStatus());
  out.result = std::make_shared<const std::string>(Text(in.getResult()));
  if (out.status != RecordStatus::kBegun) out.answered = AgeAgo(in.getAgeMs(), now);
  return out;
}

void EncodeRecords(const RecordChanges& from, absl::Time now, wire::Records::Builder out) {
  auto clients = out.initClients(Size(from.clients.size()));
  for (unsigned i = 0; i < clients.size(); ++i) {
    const RecordChanges::Client& client = from.clients[i];
    SetId(client.client, clients[i].initId());
    clients[i].setFloor(client.floor);
    clients[i].setAgeMs(AgeMs(client.moved, now));
    clients[i].setDropped(client.dropped);
    auto records = clients[i].initRecords(Size(client.records.size()));
    for (unsigned k = 0; k < records.size(); ++k) {
      records[k].setSequence(client.records[k].first);
      EncodeRecord(client.records[k].second, now, records[k].initRecord());
    }
  }
  auto callers = out.initCallers(Size(from.callers.size()));
  for (unsigned i = 0; i < callers.size(); ++i) {
    const RecordChanges::Caller& caller = from.callers[i];
    SetActor(caller.caller, callers[i]);
    callers[i].setLineage(caller.lineage);
    callers[i].setEpoch(caller.epoch);
    callers[i].setMark(caller.mark);
    callers[i].setAgeMs(AgeMs(caller.moved, now));
    callers[i].setDropped(caller.dropped);
    auto records = callers[i].initRecords(Size(caller.records.size()));
    for (unsigned k = 0; k < records.size(); ++k) {
      SetId(caller.records[k].first, records[k].initId());
      records[k].setTurn(caller.records[k].second.turn);
      EncodeRecord(caller.records[k].second, now, records[k].initRecord());
    }
  }
}

RecordChanges DecodeRecords(wire::Records::Reader in, absl::Time now) {
  RecordChanges out;
  CheckLength(in.getClients(), kChangedOriginsMax, "clients");
  CheckLength(in.getCallers(), kChangedOriginsMax, "calling actors");
  for (auto client : in.getClients()) {
    CheckLength(client.getRecords(), kChangedRecordsMax, "records");
    RecordChanges::Client& change = out.clients.emplace_back();
    change.client = GetId(client.getId());
    change.floor = client.getFloor();
    change.moved = AgeAgo(client.getAgeMs(), now);
    change.dropped = client.getDropped();
    for (auto record : client.getRecords()) {
      change.records.emplace_back(record.getSequence(), DecodeRecord(record.getRecord(), now));
    }
  }
  for (auto caller : in.getCallers()) {
    CheckLength(caller.getRecords(), kChangedRecordsMax, "records");
    RecordChanges::Caller& change = out.callers.emplace_back();
    change.caller = GetActor(caller);
    change.lineage = caller.getLineage();
    change.epoch = caller.getEpoch();
    change.mark = caller.getMark();
    change.moved = AgeAgo(caller.getAgeMs(), now);
    change.dropped = caller.getDropped();
    for (auto record : caller.getRecords()) {
      CallRecord decoded = DecodeRecord(record.getRecord(), now);
      decoded.turn = record.getTurn();
      change.records.emplace_back(GetId(record.getId()), std::move(decoded));
    }
  }
  return out;
}

// ---- Reminders

void EncodeReminders(const ReminderTable::List& from, wire::Reminders::Builder out) {
  auto list = out.initList(Size(from.size()));
  for (unsigned i = 0; i < list.size(); ++i) {
    list[i].setName(Bytes(from[i].name));
    list[i].setDue(absl::ToUnixNanos(from[i].due));
    list[i].setEvery(absl::ToInt64Nanoseconds(from[i].every));
    list[i].setCatchUp(static_cast<wire::Reminders::CatchUp>(from[i].catch_up));
    list[i].setSkipped(from[i].skipped);
    list[i].setSetBy(from[i].set_by);
  }
}

ReminderTable::Snapshot DecodeReminders(wire::Reminders::Reader in) {
  CheckLength(in.getList(), kRemindersMax, "reminders");
  ReminderTable::List out;
  for (auto reminder : in.getList()) {
    if (reminder.getName().size() > kReminderNameBytesMax) {
      throw Malformed{absl::StrCat("a reminder's name of ", reminder.getName().size(), " bytes")};
    }
    if (reminder.getCatchUp() > wire::Reminders::CatchUp::ALL || reminder.getEvery() < 0) {
      throw Malformed{"a reminder of an unknown kind"};
    }
    out.push_back({Text(reminder.getName()), absl::FromUnixNanos(reminder.getDue()),
                   absl::Nanoseconds(reminder.getEvery()),
                   static_cast<CatchUp>(reminder.getCatchUp()), reminder.getSkipped(),
                   reminder.getSetBy()});
  }
  return std::make_shared<const ReminderTable::List>(std::move(out));
}

// ---- Updates

void EncodeUpdate(const ActorUpdate& from, absl::Time now, wire::Update::Builder out) {
  SetActor(from.actor, out);
  out.setEpoch(from.version.epoch);
  out.setSeq(from.version.seq);
  out.setTurn(from.turn);
  out.setOldestUnsettled(from.oldest_unsettled);
  out.setResume(from.resume);
  out.setCalled(from.called);
  if (from.reminders != nullptr) EncodeReminders(*from.reminders, out.initReminders());
  switch (from.kind) {
    case ActorUpdate::Kind::kTombstone:
      out.setTombstone();
      return;
    case ActorUpdate::Kind::kImage: {
      auto image = out.initImage();
      if (from.state != nullptr) image.setState(Bytes(*from.state));
      EncodeRecords(from.records, now, image.initRecords());
      return;
    }
    case ActorUpdate::Kind::kDelta: {
      auto delta = out.initDelta();
      delta.setBaseEpoch(from.base.epoch);
      delta.setBaseSeq(from.base.seq);
      if (from.state != nullptr) delta.initNewState().setBytes(Bytes(*from.state));
      if (!from.records.empty()) EncodeRecords(from.records, now, delta.initChanges());
    }
  }
}

std::shared_ptr<const std::string> DecodeState(capnp::Data::Reader in) {
  if (in.size() > kStateBytesMax) throw Malformed{absl::StrCat("a state of ", in.size(), " bytes")};
  return std::make_shared<const std::string>(Text(in));
}

SharedUpdate DecodeUpdate(wire::Update::Reader in, absl::Time now) {
  auto out = std::make_shared<ActorUpdate>();
  out->actor = GetActor(in);
  out->version = {in.getEpoch(), in.getSeq()};
  out->turn = in.getTurn();
  out->oldest_unsettled = in.getOldestUnsettled();
  out->resume = in.getResume();
  out->called = in.getCalled();
  if (in.hasReminders()) out->reminders = DecodeReminders(in.getReminders());
  switch (in.which()) {
    case wire::Update::TOMBSTONE:
      out->kind = ActorUpdate::Kind::kTombstone;
      return out;
    case wire::Update::IMAGE:
      out->kind = ActorUpdate::Kind::kImage;
      out->state = DecodeState(in.getImage().getState());
      out->records = DecodeRecords(in.getImage().getRecords(), now);
      out->records.whole = true;
      return out;
    case wire::Update::DELTA: {
      auto delta = in.getDelta();
      out->kind = ActorUpdate::Kind::kDelta;
      out->base = {delta.getBaseEpoch(), delta.getBaseSeq()};
      if (delta.getNewState().isBytes()) out->state = DecodeState(delta.getNewState().getBytes());
      out->records = DecodeRecords(delta.getChanges(), now);
      return out;
    }
  }
  throw Malformed{"an unknown kind of update"};
}

template <typename List>
void EncodeUpdates(const std::vector<SharedUpdate>& from, absl::Time now, List out) {
  for (unsigned i = 0; i < out.size(); ++i) EncodeUpdate(*from[i], now, out[i]);
}

std::vector<SharedUpdate> DecodeUpdates(capnp::List<wire::Update>::Reader in, absl::Time now) {
  CheckLength(in, kEntriesMax, "updates");
  std::vector<SharedUpdate> out;
  out.reserve(in.size());
  for (auto update : in) out.push_back(DecodeUpdate(update, now));
  return out;
}

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
