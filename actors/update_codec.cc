#include "troupe/actors/update_codec.h"

#include <algorithm>
#include <utility>

#include "troupe/rpc/words.h"

namespace troupe::replica_codec {
namespace {

constexpr size_t kChangedOriginsMax = 4 * kRecordOriginsMax;  // Those that went are listed too.
constexpr size_t kChangedRecordsMax = 4 * kRecordsMax;
constexpr absl::Duration kAgeMax = absl::Hours(24);  // More says no more.

uint64_t AgeMs(absl::Time then, absl::Time now) {
  absl::Duration age = std::clamp(now - then, absl::ZeroDuration(), kAgeMax);
  return static_cast<uint64_t>(absl::ToInt64Milliseconds(age));
}

absl::Time AgeAgo(uint64_t age_ms, absl::Time now) {
  uint64_t most = static_cast<uint64_t>(absl::ToInt64Milliseconds(kAgeMax));
  return now - absl::Milliseconds(static_cast<int64_t>(std::min(age_ms, most)));
}

void SetId(const Id128& from, wire::Id128::Builder out) {
  out.setHi(from.hi);
  out.setLo(from.lo);
}
Id128 GetId(wire::Id128::Reader in) { return {in.getHi(), in.getLo()}; }

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

// ---- Outboxes

void EncodeOutbox(const OutboxChanges& from, wire::Outbox::Builder out) {
  auto added = out.initAdded(Size(from.added.size()));
  for (unsigned i = 0; i < added.size(); ++i) {
    const Told& told = *from.added[i];
    SetActor(told.target, added[i]);
    auto number = added[i].initNumber();
    number.setTurn(told.number.turn);
    number.setIndex(told.number.index);
    added[i].setInterface(told.interface_id);
    added[i].setMethod(told.method_id);
    added[i].setIdHi(told.id.hi);
    added[i].setIdLo(told.id.lo);
    added[i].setParams(told.params.words().asBytes());
    if (!told.metadata.empty()) {
      EncodeMetadata(told.metadata, added[i].initMetadata(Size(told.metadata.entries().size())));
    }
  }
  auto done = out.initDone(Size(from.done.size()));
  for (unsigned i = 0; i < done.size(); ++i) {
    done[i].setTurn(from.done[i].turn);
    done[i].setIndex(from.done[i].index);
  }
}

CallMetadata MetadataOf(wire::Outbox::Told::Reader in) {
  if (!in.hasMetadata()) return {};
  CallMetadata out;
  auto failure = kj::runCatchingExceptions([&] { out = DecodeMetadata(in.getMetadata()); });
  if (failure != nullptr) throw Malformed{"metadata of a told call"};
  return out;
}

std::shared_ptr<const OutboxChanges> DecodeOutbox(wire::Outbox::Reader in) {
  CheckLength(in.getAdded(), kOutboxMax, "calls that were told");
  CheckLength(in.getDone(), kOutboxMax, "calls that were told and answered");
  auto out = std::make_shared<OutboxChanges>();
  for (auto told : in.getAdded()) {
    const auto params = told.getParams();
    if (params.size() > kOutboxBytesMax || params.size() % sizeof(capnp::word) != 0) {
      throw Malformed{absl::StrCat("parameters of a told call of ", params.size(), " bytes")};
    }
    const ToldNumber number{told.getNumber().getTurn(), told.getNumber().getIndex()};
    if (!out->added.empty() && number <= out->added.back()->number) {
      throw Malformed{"told calls out of their order"};
    }
    out->added.push_back(std::make_shared<const Told>(Told{
        number, GetActor(told), told.getInterface(), told.getMethod(),
        Id128{told.getIdHi(), told.getIdLo()}, Payload::Own(CopyWords(params)), MetadataOf(told)}));
  }
  for (auto done : in.getDone()) out->done.push_back({done.getTurn(), done.getIndex()});
  if (!std::ranges::is_sorted(out->done)) throw Malformed{"answered calls out of their order"};
  return out;
}

// ---- Watches

void EncodeWatches(const WatchLists& from, wire::Watches::Builder out) {
  auto watched = out.initWatched(Size(from.watched.size()));
  for (unsigned i = 0; i < watched.size(); ++i) {
    const Watched& watch = from.watched[i];
    SetActor(watch.target, watched[i]);
    watched[i].setIdHi(watch.id.hi);
    watched[i].setIdLo(watch.id.lo);
    watched[i].setShard(watch.shard);
    watched[i].setSince(watch.since);
    if (watch.ended) watched[i].setEnded(static_cast<uint8_t>(1 + static_cast<int>(*watch.ended)));
    if (!watch.text.empty()) watched[i].setText(Bytes(watch.text));
  }
  auto watchers = out.initWatchers(Size(from.watchers.size()));
  for (unsigned i = 0; i < watchers.size(); ++i) {
    SetActor(from.watchers[i].actor, watchers[i]);
    watchers[i].setIdHi(from.watchers[i].id.hi);
    watchers[i].setIdLo(from.watchers[i].id.lo);
  }
}

WatchSnapshot DecodeWatches(wire::Watches::Reader in) {
  CheckLength(in.getWatched(), kWatchedMax, "watched");
  CheckLength(in.getWatchers(), kWatchersMax, "watchers");
  WatchLists out;
  for (auto watch : in.getWatched()) {
    const unsigned ended = watch.getEnded();
    if (ended > 1 + static_cast<unsigned>(Notice::Why::kRefused) ||
        watch.getText().size() > kNoticeTextMax) {
      throw Malformed{"a notice of an unknown kind"};
    }
    auto& to = out.watched.emplace_back();
    to.target = GetActor(watch);
    to.id = {watch.getIdHi(), watch.getIdLo()};
    to.shard = watch.getShard();
    to.since = watch.getSince();
    if (ended > 0) to.ended = static_cast<Notice::Why>(ended - 1);
    to.text = Text(watch.getText());
  }
  for (auto watcher : in.getWatchers()) {
    out.watchers.push_back({GetActor(watcher), {watcher.getIdHi(), watcher.getIdLo()}});
  }
  const bool sorted = std::ranges::is_sorted(out.watched, {}, &Watched::target) &&
                      std::ranges::is_sorted(out.watchers, {}, &Watcher::actor);
  if (!sorted) throw Malformed{"watches out of their order"};
  return std::make_shared<const WatchLists>(std::move(out));
}

// ---- Holds

std::shared_ptr<const std::string> DecodeState(capnp::Data::Reader in) {
  if (in.size() > kStateBytesMax) throw Malformed{absl::StrCat("a state of ", in.size(), " bytes")};
  return std::make_shared<const std::string>(Text(in));
}

void EncodeHold(const Hold& from, wire::Hold::Builder out) {
  SetId(from.id, out.initId());
  if (!from.holds()) return;
  out.setAge(from.age);
  out.setLimitMs(static_cast<uint32_t>(absl::ToInt64Milliseconds(from.limit)));
  SetActor(from.first, out);
  out.setLineage(from.grant.lineage);
  out.setTurn(from.grant.turn);
  out.setState(Bytes(*from.state));
  if (from.reminders != nullptr) EncodeReminders(*from.reminders, out.initReminders());
  out.setResume(from.resume);
  out.setResumeSince(from.resume_since);
}

SharedHold DecodeHold(wire::Hold::Reader in) {
  if (GetId(in.getId()).IsZero()) return NoHold();
  auto out = std::make_shared<Hold>();
  out->id = GetId(in.getId());
  out->age = in.getAge();
  out->limit = std::min<absl::Duration>(absl::Milliseconds(in.getLimitMs()), kHoldLimitMax);
  out->first = GetActor(in);
  out->grant = {in.getLineage(), in.getTurn()};
  out->state = DecodeState(in.getState());
  if (in.hasReminders()) out->reminders = DecodeReminders(in.getReminders());
  out->resume = in.getResume();
  out->resume_since = in.getResumeSince();
  return out;
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
  if (from.outbox != nullptr) EncodeOutbox(*from.outbox, out.initOutbox());
  if (from.watches != nullptr) EncodeWatches(*from.watches, out.initWatches());
  if (from.hold != nullptr) EncodeHold(*from.hold, out.initHold());
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

SharedUpdate DecodeUpdate(wire::Update::Reader in, absl::Time now) {
  auto out = std::make_shared<ActorUpdate>();
  out->actor = GetActor(in);
  out->version = {in.getEpoch(), in.getSeq()};
  out->turn = in.getTurn();
  out->oldest_unsettled = in.getOldestUnsettled();
  out->resume = in.getResume();
  out->called = in.getCalled();
  if (in.hasReminders()) out->reminders = DecodeReminders(in.getReminders());
  if (in.hasOutbox()) out->outbox = DecodeOutbox(in.getOutbox());
  if (in.hasWatches()) out->watches = DecodeWatches(in.getWatches());
  if (in.hasHold()) out->hold = DecodeHold(in.getHold());
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

}  // namespace

void EncodeUpdates(const std::vector<SharedUpdate>& from, absl::Time now,
                   capnp::List<wire::Update>::Builder out) {
  for (unsigned i = 0; i < out.size(); ++i) EncodeUpdate(*from[i], now, out[i]);
}

std::vector<SharedUpdate> DecodeUpdates(capnp::List<wire::Update>::Reader in, absl::Time now) {
  CheckLength(in, kEntriesMax, "updates");
  std::vector<SharedUpdate> out;
  out.reserve(in.size());
  for (auto update : in) out.push_back(DecodeUpdate(update, now));
  return out;
}

}  // namespace troupe::replica_codec
