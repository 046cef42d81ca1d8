// Activation, part four: calls that are known are answered from their records.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/activation_turn.h"
#include "troupe/rpc/words.h"

namespace troupe {
namespace {

std::string ToBytes(kj::ArrayPtr<const capnp::word> words) {
  const auto bytes = words.asBytes();
  return std::string(reinterpret_cast<const char*>(bytes.begin()), bytes.size());
}

std::string EncodeError(const kj::Exception& exception) {
  capnp::MallocMessageBuilder message;
  EncodeFailure(exception, message.initRoot<wire::Failure>());
  return ToBytes(capnp::messageToFlatArray(message));
}

kj::Exception DecodeError(const std::string& bytes) {
  auto words = CopyWords(bytes);
  capnp::FlatArrayMessageReader reader(words);
  return DecodeFailure(reader.getRoot<wire::Failure>());
}

}  // namespace

// P6.8: it had begun, kept something, and was cut short; it asks to be told so.
bool Activation::ResumesFrom(const InboundCall& call, const RecordLookup& found) const {
  return found.record != nullptr && found.record->status == RecordStatus::kBegun &&
         InfoOf(call).resumable;
}

// P6.3: a known call is never run again.
bool Activation::AnswerFromRecords(kj::Own<InboundCall>& call, uint64_t argument_hash) {
  const auto& id = call->header().id;
  auto mismatch = [&] {
    call->Finish(
        Failed(absl::StrCat("RetryMismatch: ", Describe(*call),
                            " came again under the same id with other arguments: a turn that ran "
                            "again made other calls than before, or two calls were given "
                            "one id")));
    return true;
  };
  if (shard_.mutations().repeat_runs_again) return false;
  if (auto open = open_.find(KeyOf(id)); open != open_.end()) {
    if (open->second.argument_hash != argument_hash) return mismatch();
    open->second.repeats.push_back(kj::mv(call));
    return true;
  }
  const auto found = records_.Lookup(id, argument_hash, shard_.mutations());
  switch (found.kind) {
    case RecordLookup::Kind::kUnknown:
      if (!Overtaken(id)) return false;
      [[fallthrough]];
    case RecordLookup::Kind::kOvertaken:
      call->Finish(Overloaded(
          absl::StrCat(Describe(*call),
                       " was refused before, or out of time, and a later call of its caller has "
                       "begun; this one did not run, call again")));
      return true;
    case RecordLookup::Kind::kKnown:
      if (ResumesFrom(*call, found)) return false;
      AnswerRecorded(kj::mv(call), *found.record);
      return true;
    case RecordLookup::Kind::kMismatch:
      return mismatch();
    case RecordLookup::Kind::kStale:
    case RecordLookup::Kind::kRefused:
      call->Finish(Failed(absl::StrCat("Stale: ", Describe(*call),
                                       " was answered before, or its caller has moved on")));
      return true;
  }
  return false;
}

// P6.9: a later call of the same client waits or runs here.
bool Activation::Overtaken(const CallId& id) const {
  const auto* client = std::get_if<ClientCall>(&id);
  if (client == nullptr || shard_.mutations().overtaken_runs) return false;
  const auto later = open_.upper_bound(KeyOf(id));
  if (later == open_.end()) return false;
  const auto& [actor, caller, sequence] = later->first;
  return actor == ActorId{} && caller == client->client;
}

void Activation::AnswerRecorded(kj::Own<InboundCall> call, const CallRecord& record) {
  CallOutcome outcome;
  switch (record.status) {
    case RecordStatus::kOk:
      outcome.emplace<Payload>(Payload::Own(CopyWords(*record.result)));
      break;
    case RecordStatus::kError:
      outcome.emplace<kj::Exception>(DecodeError(*record.result));
      break;
    case RecordStatus::kTooLarge:
      outcome.emplace<kj::Exception>(Failed(absl::StrCat(
          "ResultGone: ", Describe(*call),
          " was answered, but the answer is not kept: it was over ", kRecordResultBytesMax,
          " bytes, or the actor has over ", kRecordResultsBytesMax, " bytes of younger ones")));
      break;
    case RecordStatus::kBegun:
      outcome.emplace<kj::Exception>(
          Failed(absl::StrCat("Interrupted: ", Describe(*call),
                              " had begun when its node was lost, and stays as far as it called "
                              "Persisted(): see what it has done, or make it $Troupe.resumable")));
      break;
  }
  if (shard_.mutations().repeat_answered_early) return call->Finish(std::move(outcome));
  // An open turn may wait for the answer (P6.17); what earlier ones changed was staged before it.
  const auto kind = turn_ != nullptr ? HoldKind::kOutgoing : HoldKind::kAnswer;
  FinishWhenSafe(kind, kj::mv(call), std::move(outcome));
}

// Its call has ended. Without a record when the caller settled it meanwhile; a caller that has gone
// on to a newer epoch has it by that alone.
void Activation::AnswerRepeat(kj::Own<InboundCall> repeat, uint64_t argument_hash) {
  const auto found = records_.Lookup(repeat->header().id, argument_hash, shard_.mutations());
  if (found.record != nullptr) return AnswerRecorded(kj::mv(repeat), *found.record);
  repeat->Finish(Failed(absl::StrCat("Stale: the caller of ", Describe(*repeat), " has moved on")));
}

void Activation::AnswerRepeats(const CallId& id, uint64_t argument_hash) {
  auto open = open_.find(KeyOf(id));
  if (open == open_.end()) return;
  auto repeats = std::move(open->second.repeats);
  open_.erase(open);
  for (auto& repeat : repeats) AnswerRepeat(kj::mv(repeat), argument_hash);
}

// `kind` says what is waited for.
void Activation::FinishWhenSafe(HoldKind kind, kj::Own<InboundCall> call, CallOutcome outcome,
                                ReadTicket ticket) {
  shard_.Hold(id_, kind, ticket,
              [call = kj::mv(call), outcome = std::move(outcome)](bool ok) mutable {
                if (ok) call->Finish(std::move(outcome));
              });
}

void Activation::FinishWaiters(const CallKey& key, const CallOutcome& outcome) {
  auto open = open_.find(key);
  if (open == open_.end()) return;
  auto repeats = std::move(open->second.repeats);
  open_.erase(open);
  for (auto& repeat : repeats) {
    if (const auto* results = std::get_if<Payload>(&outcome)) {
      repeat->Finish(*results);
    } else if (const auto* error = std::get_if<kj::Exception>(&outcome)) {
      repeat->Finish(kj::cp(*error));
    }
  }
}

void Activation::Record(const CallId& id, uint64_t argument_hash, const CallOutcome& outcome) {
  const absl::Time now = host_.clock().Now();
  if (const auto* results = std::get_if<Payload>(&outcome)) {
    records_.Add(now, id, argument_hash, RecordStatus::kOk, ToBytes(results->words()));
  } else {
    records_.Add(now, id, argument_hash, RecordStatus::kError,
                 EncodeError(std::get<kj::Exception>(outcome)));
  }
}

// Once what has been changed is safe, with a record of it.
void Activation::Answer(kj::Own<InboundCall> call, uint64_t hash, CallOutcome outcome,
                        Recorded recorded) {
  const auto& id = call->header().id;
  MarkDirty();
  if (recorded == Recorded::kNo) {
    FinishWaiters(KeyOf(id), outcome);
  } else {
    Record(id, hash, outcome);
    AnswerRepeats(id, hash);
  }
  FinishWhenSafe(HoldKind::kAnswer, kj::mv(call), std::move(outcome));
}

void Activation::DeliverSettle(kj::Own<InboundCall> call) {
  const auto* last = std::get_if<ActorCall>(&call->header().id);
  if (last == nullptr) return call->Finish(Failed("only an actor has calls to settle"));
  capnp::MallocMessageBuilder nothing;
  nothing.getRoot<capnp::AnyPointer>();
  auto results = Payload::Of(nothing);
  if (!records_.Settle(host_.clock().Now(), *last)) return call->Finish(std::move(results));
  MarkDirty();
  // The answer says that no copy will come back with the records.
  FinishWhenSafe(HoldKind::kAnswer, kj::mv(call), std::move(results));
}

}  // namespace troupe
