// RecordTable: a call that was answered is never run again, and what may be forgotten is.
#include "troupe/actors/call_record.h"

#include "gtest/gtest.h"

namespace troupe {
namespace {

using Kind = RecordLookup::Kind;

constexpr uint64_t kHash = 77;
const absl::Time kStart = absl::UnixEpoch() + absl::Hours(1);
const ActorId kCaller{5, "caller"};

ClientCall Client(uint64_t sequence, uint64_t first_incomplete = 0) {
  return {{1, 2}, sequence, first_incomplete};
}
ActorCall Caller(uint64_t turn, uint64_t id, uint64_t oldest_unsettled = 0, Epoch epoch = 3,
                 uint64_t lineage = 1) {
  return {kCaller, lineage, epoch, turn, oldest_unsettled, {9, id}};
}
Kind Meets(const RecordTable& table, const CallId& call, uint64_t hash = kHash) {
  return table.Lookup(call, hash).kind;
}
void Answer(RecordTable& table, const CallId& call, absl::Time now = kStart,
            std::string result = "r") {
  table.AdvanceFloor(now, call);
  table.Add(now, call, kHash, RecordStatus::kOk, std::move(result));
}
// Everything a table says, as a change that can be compared.
std::string Print(const RecordTable& table) {
  std::string out;
  RecordChanges whole = table.Whole();
  for (const auto& client : whole.clients) {
    out += "client floor " + std::to_string(client.floor) + ":";
    for (const auto& [sequence, record] : client.records) {
      out += " " + std::to_string(sequence) + "=" + *record.result;
    }
  }
  for (const auto& caller : whole.callers) {
    out += " caller " + caller.caller.key + " epoch " + std::to_string(caller.epoch) + " mark " +
           std::to_string(caller.mark) + ":";
    for (const auto& [id, record] : caller.records) {
      out += " " + std::to_string(id.lo) + "@" + std::to_string(record.turn);
    }
  }
  return out;
}

TEST(RecordTable, GivesTheStoredAnswerToTheSameCall) {
  RecordTable table;
  EXPECT_EQ(Meets(table, Client(4)), Kind::kUnknown);
  Answer(table, Client(4));
  ASSERT_EQ(Meets(table, Client(4)), Kind::kKnown);
  EXPECT_EQ(*table.Lookup(Client(4), kHash).record->result, "r");
  EXPECT_EQ(Meets(table, Client(5)), Kind::kUnknown);
}

TEST(RecordTable, RefusesOtherArgumentsUnderAKnownId) {
  RecordTable table;
  Answer(table, Client(4));
  EXPECT_EQ(Meets(table, Client(4), kHash + 1), Kind::kMismatch);
}

TEST(RecordTable, KeepsTheFloorWhenRecordsGo) {
  RecordTable table;
  Answer(table, Client(4));
  Answer(table, Client(5, 5));  // Says that call 4 was answered.
  EXPECT_EQ(table.record_count(), 1u);
  EXPECT_EQ(Meets(table, Client(4)), Kind::kStale);
  EXPECT_EQ(Meets(table, Client(3)), Kind::kStale);
}

TEST(RecordTable, RemembersThatATooLargeResultWasDone) {
  RecordTable table;
  Answer(table, Client(4), kStart, std::string(kRecordResultBytesMax + 1, 'x'));
  const CallRecord* record = table.Lookup(Client(4), kHash).record;
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->status, RecordStatus::kTooLarge);
  EXPECT_TRUE(record->result->empty());
}

TEST(RecordTable, ForgetsTheOldestResultsBeyondItsBytesButNotThatTheyWereDone) {
  RecordTable table;
  const uint64_t many = 3 * kRecordResultsBytesMax / kRecordResultBytesMax;
  for (uint64_t i = 1; i <= many; ++i) {
    Answer(table, Client(i), kStart + absl::Seconds(i), std::string(kRecordResultBytesMax, 'x'));
    ASSERT_LE(table.result_bytes(), kRecordResultsBytesMax);
    ASSERT_EQ(table.Lookup(Client(i), kHash).record->status, RecordStatus::kOk) << "the newest";
  }
  EXPECT_EQ(table.record_count(), many);
  EXPECT_EQ(table.Lookup(Client(1), kHash).record->status, RecordStatus::kTooLarge);
  EXPECT_GE(table.result_bytes(), kRecordResultsBytesMax / 2);
}

TEST(RecordTable, CountsTheNamesOfItsCallersToo) {
  RecordTable table;
  for (uint64_t i = 0; i < kRecordOriginsMax; ++i) {
    ActorCall call = Caller(1, i);
    call.caller.key = std::to_string(i) + std::string(1000, 'k');
    Answer(table, call, kStart, std::string(8000, 'x'));
    ASSERT_LE(table.encoded_bytes(), kRecordTableBytesMax);
  }
  RecordTable copy;
  copy.Replay(table.Whole());
  EXPECT_EQ(copy.encoded_bytes(), table.encoded_bytes());
  EXPECT_EQ(table.Whole().bytes(), table.encoded_bytes());
}

TEST(RecordTable, TellsWhichResultsItForgot) {
  RecordTable table, copy;
  for (uint64_t i = 1; i <= 100; ++i) {
    Answer(table, Client(i), kStart + absl::Seconds(i), std::string(kRecordResultBytesMax, 'x'));
    copy.Replay(table.TakeChanges());
    ASSERT_EQ(copy.result_bytes(), table.result_bytes());
  }
  EXPECT_EQ(copy.Lookup(Client(1), kHash).record->status, RecordStatus::kTooLarge);
}

TEST(RecordChanges, AreTheSameWhenCompacted) {
  RecordTable table, copy, compacted;
  RecordChanges all;
  auto take = [&] {
    RecordChanges changes = table.TakeChanges();
    copy.Replay(changes);
    all.Append(std::move(changes));
  };
  for (uint64_t i = 1; i <= 40; ++i) {
    Answer(table, Client(i, i > 10 ? i - 10 : 0), kStart + absl::Seconds(i), "client");
    take();
    Answer(table, Caller(i, i, i / 2, i < 30 ? 3 : 4, i < 35 ? 1 : 2), kStart, "caller");
    take();
  }
  table.Age(kStart + absl::Hours(1));
  take();
  Answer(table, Client(60), kStart + absl::Hours(1), "back");
  take();
  const size_t before = all.bytes();
  all.Compact();
  EXPECT_LT(all.bytes(), before / 2);
  compacted.Replay(all);
  EXPECT_EQ(Print(compacted), Print(copy));
  EXPECT_EQ(compacted.encoded_bytes(), copy.encoded_bytes());
}

TEST(RecordTable, ReplacesBegunByTheAnswer) {
  RecordTable table;
  table.Add(kStart, Client(4), kHash, RecordStatus::kBegun, "");
  EXPECT_EQ(table.Lookup(Client(4), kHash).record->status, RecordStatus::kBegun);
  table.Age(kStart + absl::Hours(1));
  EXPECT_EQ(Meets(table, Client(4)), Kind::kKnown) << "what has begun does not age";
  Answer(table, Client(4), kStart + absl::Hours(1));
  EXPECT_EQ(table.Lookup(Client(4), kHash).record->status, RecordStatus::kOk);
  EXPECT_EQ(table.record_count(), 1u);
}

TEST(RecordTable, ForgetsAClientsRecordAfterTenMinutesButNotItsFloor) {
  RecordTable table;
  Answer(table, Client(4));
  EXPECT_EQ(table.NextAging(), kStart + absl::Minutes(10));
  table.Age(kStart + absl::Minutes(10) - absl::Nanoseconds(1));
  EXPECT_EQ(Meets(table, Client(4)), Kind::kKnown);
  table.AdvanceFloor(kStart + absl::Minutes(9), Client(9));
  table.Age(kStart + absl::Minutes(10));
  EXPECT_EQ(table.record_count(), 0u);
  EXPECT_EQ(Meets(table, Client(4)), Kind::kStale) << "a late copy must not run again";
  table.Age(kStart + absl::Minutes(19));
  EXPECT_TRUE(table.empty()) << "by then every deadline of this client has passed";
}

TEST(RecordTable, DropsACallersRecordsBelowItsMark) {
  RecordTable table;
  Answer(table, Caller(10, 1));
  Answer(table, Caller(11, 2));
  Answer(table, Caller(12, 3, 11));
  EXPECT_EQ(Print(table), " caller caller epoch 3 mark 11: 2@11 3@12");
  EXPECT_EQ(Meets(table, Caller(10, 1)), Kind::kStale);
  table.Age(kStart + absl::Hours(9));
  EXPECT_EQ(Meets(table, Caller(11, 2)), Kind::kKnown) << "records of actors do not age";
}

TEST(RecordTable, ForgetsACallerThatHasSettledAndIsSilent) {
  RecordTable table, copy;
  for (uint64_t i = 0; i < kRecordOriginsMax; ++i) {
    ActorCall call = Caller(7, i);
    call.caller.key = std::to_string(i);
    Answer(table, call);
    call.turn = call.oldest_unsettled = 8;
    if (i > 0) {
      EXPECT_TRUE(table.Settle(kStart, call));
    }
    EXPECT_FALSE(table.Settle(kStart, Caller(9, 9, 9, 2))) << "not known";
  }
  copy.Replay(table.TakeWhole());
  EXPECT_FALSE(table.CheckRoom(0).ok());
  EXPECT_EQ(table.record_count(), 1u);
  table.Age(kStart + kRecordAge - absl::Seconds(1));
  EXPECT_FALSE(table.CheckRoom(0).ok()) << "what it sent may still be under way";
  table.Age(kStart + kRecordAge);
  EXPECT_TRUE(table.CheckRoom(0).ok());
  EXPECT_EQ(table.Whole().callers.size(), 1u) << "the one that did not settle";
  copy.Replay(table.TakeChanges());
  EXPECT_EQ(Print(copy), Print(table));
  EXPECT_EQ(copy.encoded_bytes(), table.encoded_bytes());
}

TEST(RecordTable, RefusesALowerEpochOfTheCaller) {
  RecordTable table;
  Answer(table, Caller(10, 1, 0, 3));
  Answer(table, Caller(10, 2, 0, 4));
  EXPECT_EQ(Meets(table, Caller(11, 3, 0, 3)), Kind::kRefused);
  EXPECT_EQ(Meets(table, Caller(10, 1, 0, 4)), Kind::kKnown) << "a repeated turn repeats its ids";
}

TEST(RecordTable, SurvivesThatACallerCountsItsTurnsAnew) {
  RecordTable table;
  Answer(table, Caller(100, 1, 90, 3, 1));
  EXPECT_EQ(Meets(table, Caller(2, 1, 1, 5, 2)), Kind::kKnown);
  table.AdvanceFloor(kStart, Caller(2, 1, 1, 5, 2));
  EXPECT_EQ(Meets(table, Caller(2, 1, 1, 5, 2)), Kind::kKnown) << "what it did here stays done";
  EXPECT_EQ(Meets(table, Caller(3, 7, 1, 5, 2)), Kind::kUnknown);
}

TEST(RecordTable, KeepsWhatATurnDidThatAFailoverUndid) {
  RecordTable table;
  Answer(table, Caller(5, 1, 5, 3));  // Turn 5 of epoch 3; its node dies before it is acknowledged.
  Answer(table, Caller(5, 2, 5, 4));  // Another call is turn 5 of epoch 4, and settled:
  Answer(table, Caller(6, 3, 6, 4));
  table.AdvanceFloor(kStart, Caller(7, 1, 7, 4));  // the first one's retry runs as turn 7.
  EXPECT_EQ(Meets(table, Caller(7, 1, 7, 4)), Kind::kKnown);
  RecordTable copy;
  copy.Replay(table.TakeWhole());
  EXPECT_EQ(Meets(copy, Caller(7, 1, 7, 4)), Kind::kKnown) << "also after another failover";
  table.Age(kStart + kRecordAge);
  EXPECT_EQ(Meets(table, Caller(7, 1, 7, 4)), Kind::kUnknown);
}

TEST(RecordTable, KeepsWhatStillRanWhenAFailoverUndidItsTurn) {
  RecordTable table;
  const ActorCall running = Caller(7, 1, 7);
  table.AdvanceFloor(kStart, running);
  // Turn 7 of the next epoch is another one, and is settled before the call has ended.
  ASSERT_TRUE(table.Settle(kStart, Caller(8, 0, 8, 4)));
  table.Add(kStart, running, kHash, RecordStatus::kOk, "r");
  EXPECT_EQ(Meets(table, Caller(9, 1, 9, 4)), Kind::kKnown) << "the undone turn comes again";
  table.AdvanceFloor(kStart, Caller(9, 2, 9, 4));
  EXPECT_EQ(Meets(table, Caller(9, 1, 9, 4)), Kind::kKnown);
  table.Age(kStart + kRecordAge);
  EXPECT_EQ(table.record_count(), 0u);
}

TEST(RecordTable, SaysWhenOnlyTheWholeOfItTellsWhatAgeingDropped) {
  RecordTable table, replica;
  Answer(table, Caller(7, 1, 7));
  Answer(table, Caller(7, 2, 7, 4));
  replica.Replay(table.TakeWhole());
  const absl::Time later = kStart + kRecordAge;
  Answer(table, Caller(8, 3, 8, 4), later);
  EXPECT_TRUE(table.Age(later));
  EXPECT_FALSE(table.Age(later));
  replica.Replay(table.TakeWhole());
  EXPECT_EQ(Print(replica), Print(table));
  EXPECT_EQ(replica.record_count(), 1u);
}

TEST(RecordTable, KeepsWhatStillRanWhenItsCallersShardWasLost) {
  RecordTable table;
  const ActorCall running = Caller(7, 1, 7);
  table.AdvanceFloor(kStart, running);
  table.AdvanceFloor(kStart, Caller(1, 2, 1, 4, 2));
  table.Add(kStart, running, kHash, RecordStatus::kOk, "r");
  EXPECT_EQ(Meets(table, Caller(2, 1, 2, 4, 2)), Kind::kKnown);
}

TEST(RecordTable, KeepsWhatIsUnsettledThroughAFailoverHoweverOld) {
  RecordTable table;
  Answer(table, Caller(5, 1, 5, 3));
  table.AdvanceFloor(kStart, Caller(6, 2, 5, 4));  // Turn 5 waits to be resumed.
  table.Age(kStart + 10 * kRecordAge);
  EXPECT_EQ(Meets(table, Caller(6, 1, 5, 4)), Kind::kKnown);
}

TEST(RecordTable, IsBounded) {
  RecordTable table;
  for (uint64_t i = 0; i < kRecordsMax - 10; ++i) Answer(table, Client(i));
  EXPECT_TRUE(table.CheckRoom(9).ok());
  EXPECT_EQ(table.CheckRoom(10).code(), absl::StatusCode::kResourceExhausted);
}

TEST(RecordTable, IsBoundedInCallersToo) {
  RecordTable table;
  for (uint64_t i = 0; i < kRecordOriginsMax; ++i) {
    table.AdvanceFloor(kStart, ClientCall{{1, i}, 1, 1});
  }
  EXPECT_EQ(table.CheckRoom(0).code(), absl::StatusCode::kResourceExhausted);
}

TEST(RecordTable, SendsOnlyWhatMoved) {
  RecordTable table;
  Answer(table, Client(4));
  Answer(table, Caller(10, 1));
  (void)table.TakeChanges();
  EXPECT_TRUE(table.TakeChanges().empty());
  Answer(table, Client(5));
  RecordChanges changes = table.TakeChanges();
  ASSERT_EQ(changes.clients.size(), 1u);
  EXPECT_EQ(changes.clients[0].records.size(), 1u);
  EXPECT_TRUE(changes.callers.empty());
}

TEST(RecordTable, IsTheSameWhereItsChangesAreReplayed) {
  RecordTable here, there;
  auto compare = [&] {
    there.Replay(here.TakeChanges());
    EXPECT_EQ(Print(there), Print(here));
    EXPECT_EQ(there.record_count(), here.record_count());
  };
  Answer(here, Client(4));
  compare();
  Answer(here, Client(5));
  Answer(here, Caller(10, 1));
  compare();
  Answer(here, Client(6, 6));
  Answer(here, Caller(12, 2, 11));
  compare();
  Answer(here, Caller(2, 3, 1, 5, 2));
  compare();
  here.Age(kStart + absl::Hours(1));
  compare();
  EXPECT_EQ(there.record_count(), here.record_count());
  Answer(here, Client(9, 8), kStart + absl::Hours(1));
  compare();
  RecordTable fresh;
  fresh.Replay(here.TakeWhole());
  EXPECT_EQ(Print(fresh), Print(here));
}

}  // namespace
}  // namespace troupe
