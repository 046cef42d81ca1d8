// The wire form of replica messages: ages travel, times do not, and nothing over a bound comes in.
#include "troupe/actors/replica_codec.h"

#include <cstring>

#include "capnp/message.h"
#include "capnp/serialize.h"
#include "gtest/gtest.h"
#include "troupe/rpc/frame_stream.h"

namespace troupe {
namespace {

const absl::Time kHere = absl::UnixEpoch() + absl::Hours(5);
const absl::Time kThere = absl::UnixEpoch() + absl::Minutes(3);  // The receiver booted later.

ReplicaMessage BatchOf(ActorUpdate update) {
  ReplicaMessage message{.shard = 3,
                         .lineage = 2,
                         .epoch = 7,
                         .primary = 11,
                         .target = 12,
                         .stamp = -5,
                         .mark = 8,
                         .body = {}};
  message.body = Batch{9, 1, 2, {std::make_shared<const ActorUpdate>(std::move(update))}};
  return message;
}
absl::StatusOr<ReplicaMessage> Carry(const ReplicaMessage& message) {
  capnp::MallocMessageBuilder builder;
  auto root = builder.initRoot<wire::ReplicaMessage>();
  Encode(message, kHere, root);
  return DecodeReplicaMessage(root.asReader(), kThere);
}
ActorUpdate SomeDelta() {
  ActorUpdate update;
  update.actor = {5, "key"};
  update.kind = ActorUpdate::Kind::kDelta;
  update.version = {7, 9};
  update.base = {7, 4};
  update.turn = 21;
  update.oldest_unsettled = 20;
  update.resume = true;
  RecordTable table;
  table.Add(kHere - absl::Seconds(30), ClientCall{{1, 2}, 6, 5}, 77, RecordStatus::kError, "no");
  table.Add(kHere - absl::Seconds(9), ActorCall{{6, "c"}, 1, 2, 3, 0, {8, 8}}, 78,
            RecordStatus::kOk, "yes");
  update.records = table.TakeChanges();
  return update;
}

TEST(ReplicaCodec, CarriesADeltaWithItsRecords) {
  auto carried = Carry(BatchOf(SomeDelta()));
  ASSERT_TRUE(carried.ok()) << carried.status();
  EXPECT_EQ(Describe(*carried), Describe(BatchOf(SomeDelta())));
  EXPECT_EQ(carried->stamp, -5);
  EXPECT_EQ(carried->mark, 8u);
  const ActorUpdate& update = *std::get<Batch>(carried->body).updates.at(0);
  EXPECT_EQ(update.base, (Version{7, 4}));
  EXPECT_EQ(update.state, nullptr) << "unchanged is not empty";
  EXPECT_EQ(update.turn, 21u);
  EXPECT_TRUE(update.resume);
  RecordTable table;
  table.Replay(update.records);
  auto client = table.Lookup(ClientCall{{1, 2}, 6, 5}, 77);
  ASSERT_EQ(client.kind, RecordLookup::Kind::kKnown);
  EXPECT_EQ(client.record->answered, kThere - absl::Seconds(30));
  EXPECT_EQ(table.Lookup(ActorCall{{6, "c"}, 1, 2, 3, 0, {8, 8}}, 78).kind,
            RecordLookup::Kind::kKnown);
}

TEST(ReplicaCodec, CarriesWhatWasToldAndWhatOfItIsAnswered) {
  ActorUpdate update = SomeDelta();
  auto changes = std::make_shared<OutboxChanges>();
  for (uint32_t i = 0; i < 3; ++i) {
    auto words = kj::heapArray<capnp::word>(1);
    std::memset(words.asBytes().begin(), static_cast<int>(i + 1), sizeof(capnp::word));
    changes->added.push_back(std::make_shared<const Told>(
        Told{{9, i}, {6, "callee"}, 12, 3, {4, i}, Payload::Own(kj::mv(words))}));
  }
  changes->done = {{7, 0}, {8, 2}};
  update.outbox = changes;
  auto carried = Carry(BatchOf(update));
  ASSERT_TRUE(carried.ok()) << carried.status();
  const auto& outbox = std::get<Batch>(carried->body).updates.at(0)->outbox;
  ASSERT_NE(outbox, nullptr);
  EXPECT_EQ(outbox->done, changes->done);
  ASSERT_EQ(outbox->added.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(*outbox->added[i], *changes->added[i]);
}

TEST(ReplicaCodec, CarriesAToldCallWithoutParameters) {
  ActorUpdate update = SomeDelta();
  auto changes = std::make_shared<OutboxChanges>();
  changes->added.push_back(
      std::make_shared<const Told>(Told{{9, 0}, {6, "callee"}, 12, 3, {4, 1}, Payload()}));
  update.outbox = changes;
  const auto carried = Carry(BatchOf(update));
  ASSERT_TRUE(carried.ok()) << carried.status();
  const auto& outbox = std::get<Batch>(carried->body).updates.at(0)->outbox;
  ASSERT_NE(outbox, nullptr);
  EXPECT_TRUE(outbox->added.at(0)->params.empty());
}

TEST(ReplicaCodec, CarriesAHoldAndItsEnd) {
  ActorUpdate update = SomeDelta();
  auto hold = std::make_shared<Hold>();
  hold->id = {3, 4};
  hold->age = 17;
  hold->limit = absl::Seconds(9);
  hold->first = {6, "first"};
  hold->grant = {2, 21};
  hold->state = std::make_shared<const std::string>("as it was");
  hold->reminders = std::make_shared<const ReminderTable::List>(1, Reminder{"bell", kHere});
  hold->resume = true;
  hold->resume_since = 5;
  update.hold = hold;
  auto carried = Carry(BatchOf(update));
  ASSERT_TRUE(carried.ok()) << carried.status();
  EXPECT_EQ(*std::get<Batch>(carried->body).updates.at(0)->hold, *hold);
  update.hold = NoHold();
  carried = Carry(BatchOf(update));
  ASSERT_TRUE(carried.ok());
  EXPECT_FALSE(std::get<Batch>(carried->body).updates.at(0)->hold->holds());
  update.hold = nullptr;
  carried = Carry(BatchOf(update));
  ASSERT_TRUE(carried.ok());
  EXPECT_EQ(std::get<Batch>(carried->body).updates.at(0)->hold, nullptr) << "unchanged is not none";
}

TEST(ReplicaCodec, RefusesToldCallsOutOfTheirOrder) {
  ActorUpdate update = SomeDelta();
  auto changes = std::make_shared<OutboxChanges>();
  for (uint64_t turn : {9, 8}) {
    changes->added.push_back(
        std::make_shared<const Told>(Told{{turn, 0}, {6, "callee"}, 0, 0, {}, {}}));
  }
  update.outbox = changes;
  EXPECT_NE(
      std::string(Carry(BatchOf(update)).status().message()).find("told calls out of their order"),
      std::string::npos);
}

TEST(ReplicaCodec, TellsAnEmptyStateFromAnUnchangedOne) {
  ActorUpdate update = SomeDelta();
  update.state = std::make_shared<const std::string>();
  auto carried = Carry(BatchOf(update));
  ASSERT_TRUE(carried.ok());
  EXPECT_NE(std::get<Batch>(carried->body).updates.at(0)->state, nullptr);
}

TEST(ReplicaCodec, CarriesRemindersToTheNanosecondOfTheWallClock) {
  ActorUpdate update = SomeDelta();
  const ReminderTable::List reminders = {
      {"daily", absl::FromUnixNanos(1'800'000'000'000'000'123), absl::Hours(24), CatchUp::kSkip, 3,
       9},
      {"once", absl::FromUnixSeconds(2'000'000'000), absl::ZeroDuration(), CatchUp::kAll, 0, 10}};
  update.reminders = std::make_shared<const ReminderTable::List>(reminders);
  auto carried = Carry(BatchOf(update));
  ASSERT_TRUE(carried.ok()) << carried.status();
  EXPECT_EQ(*std::get<Batch>(carried->body).updates.at(0)->reminders, reminders);
  update.reminders = std::make_shared<const ReminderTable::List>();
  EXPECT_NE(std::get<Batch>(Carry(BatchOf(update))->body).updates.at(0)->reminders, nullptr)
      << "none is not unchanged";
  EXPECT_EQ(std::get<Batch>(Carry(BatchOf(SomeDelta()))->body).updates.at(0)->reminders, nullptr);
}

TEST(ReplicaCodec, RefusesWhatIsOverItsBound) {
  ActorUpdate long_key = SomeDelta();
  long_key.actor.key.assign(kKeyBytesMax + 1, 'k');
  EXPECT_EQ(Carry(BatchOf(long_key)).status().code(), absl::StatusCode::kInvalidArgument);

  ActorUpdate large_state = SomeDelta();
  large_state.state = std::make_shared<const std::string>(kStateBytesMax + 1, 's');
  EXPECT_EQ(Carry(BatchOf(large_state)).status().code(), absl::StatusCode::kInvalidArgument);

  ActorUpdate many_reminders = SomeDelta();
  many_reminders.reminders = std::make_shared<const ReminderTable::List>(kRemindersMax + 1);
  EXPECT_EQ(Carry(BatchOf(many_reminders)).status().code(), absl::StatusCode::kInvalidArgument);

  ActorUpdate large_result = SomeDelta();
  large_result.records.clients[0].records[0].second.result =
      std::make_shared<const std::string>(kRecordResultBytesMax + 1, 'r');
  EXPECT_EQ(Carry(BatchOf(large_result)).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ReplicaCodec, CarriesWatches) {
  ActorUpdate update = SomeDelta();
  EXPECT_EQ(std::get<Batch>(Carry(BatchOf(update))->body).updates[0]->watches, nullptr);
  WatchTable table;
  Watched watch;
  watch.target = {0, "n3"};
  watch.id = {1, 2};
  watch.since = 7;
  ASSERT_TRUE(table.Watch(watch).ok());
  watch.target = {6, "x"};
  watch.id = {3, 4};
  watch.shard = 5;
  ASSERT_TRUE(table.Watch(watch).ok());
  ASSERT_TRUE(table.End({3, 4}, Notice::Why::kStateLost, "gone"));
  ASSERT_TRUE(table.AddWatcher({{6, "y"}, {8, 9}}).ok());
  update.watches = table.snapshot();
  const auto carried = Carry(BatchOf(update));
  ASSERT_TRUE(carried.ok()) << carried.status();
  EXPECT_EQ(*std::get<Batch>(carried->body).updates[0]->watches, *table.snapshot());
}

TEST(ReplicaCodec, RefusesWatchesOutOfBounds) {
  auto refused = [](WatchLists lists) {
    ActorUpdate update = SomeDelta();
    update.watches = std::make_shared<const WatchLists>(std::move(lists));
    return !Carry(BatchOf(update)).ok();
  };
  WatchLists lists;
  EXPECT_FALSE(refused(lists));
  lists.watchers = {{{6, "b"}, {}}, {{6, "a"}, {}}};
  EXPECT_TRUE(refused(lists)) << "out of order";
  lists.watchers.assign(kWatchersMax + 1, {{6, "b"}, {}});
  EXPECT_TRUE(refused(lists));
  lists.watchers.clear();
  lists.watched.resize(1);
  lists.watched[0].text = std::string(kNoticeTextMax + 1, 't');
  EXPECT_TRUE(refused(lists));
  lists.watched[0].text = "";
  lists.watched[0].ended = static_cast<Notice::Why>(77);
  EXPECT_TRUE(refused(lists));
}

TEST(ReplicaCodec, FitsTheLargestActorIntoAFrame) {
  RecordTable table;
  for (uint64_t i = 0; i + 1 < kRecordsMax; ++i) {
    const std::string result(i % 4 * 800 + 7, 'r');
    if (i % 2 == 0) {
      const ClientCall call{{1, i % 8190}, i, 0};
      table.Add(kHere, call, 77, RecordStatus::kOk, result);
    } else {
      ActorCall call{{6, std::to_string(i % 8190)}, 1, 2, 3, 0, {8, i}};
      call.caller.key.resize(kKeyBytesMax - 5, 'k');
      table.Add(kHere, call, 77, RecordStatus::kOk, result);
    }
  }
  ActorUpdate image;
  image.actor = {5, std::string(kKeyBytesMax, 'k')};
  image.version = {7, 9};
  image.state = std::make_shared<const std::string>(kStateBytesMax, 's');
  image.records = table.Whole();
  image.called = true;
  image.reminders = std::make_shared<const ReminderTable::List>(
      kRemindersMax, Reminder{std::string(kReminderNameBytesMax, 'n'), kHere});
  WatchTable watches;
  for (uint64_t i = 0; watches.AddWatcher({{6, std::to_string(i)}, {0, i}}).ok();) ++i;
  for (uint64_t i = 0;; ++i) {
    Watched watch;
    watch.target = {6, std::to_string(i)};
    watch.id = {0, i};
    if (!watches.Watch(std::move(watch)).ok()) break;
    watches.End({0, i}, Notice::Why::kErased, "text");
  }
  ASSERT_GT(watches.snapshot()->bytes(), kWatchesBytesMax * 3 / 4);
  image.watches = watches.snapshot();
  Outbox outbox;
  for (uint32_t i = 0;; ++i) {
    auto words = kj::heapArray<capnp::word>(2);
    Told told{{1, i}, {6, std::string(3, 't')}, 1, 2, {3, i}, Payload::Own(kj::mv(words))};
    if (!outbox.Add(std::move(told)).ok()) break;
  }
  image.outbox = std::make_shared<const OutboxChanges>(Difference(nullptr, outbox.snapshot()));
  ASSERT_GT(outbox.snapshot()->bytes, kOutboxBytesMax / 2);
  ASSERT_GT(table.encoded_bytes(), kRecordTableBytesMax / 2);
  capnp::MallocMessageBuilder builder;
  auto root = builder.initRoot<wire::ReplicaFrame>();
  Encode(BatchOf(image), kHere, root.initMessages(1)[0]);
  const size_t bytes = capnp::computeSerializedSizeInWords(builder) * sizeof(capnp::word);
  EXPECT_LE(bytes, kFrameBytesMax);
  EXPECT_LE(bytes, image.bytes() + (256 << 10)) << "what is counted is what is sent";
  EXPECT_TRUE(DecodeReplicaMessage(root.asReader().getMessages()[0], kThere).ok());
}

TEST(ReplicaCodec, RefusesKindsItDoesNotKnow) {
  capnp::MallocMessageBuilder builder;
  auto root = builder.initRoot<wire::ReplicaMessage>();
  root.initAck().setSync(static_cast<wire::Ack::Sync>(9));
  EXPECT_FALSE(DecodeReplicaMessage(root.asReader(), kThere).ok());
}

}  // namespace
}  // namespace troupe
