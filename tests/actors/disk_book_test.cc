// DiskBook and CopyDisk: what a copy has its disk write, and what of it counts.
#include "troupe/actors/disk_book.h"

#include "gtest/gtest.h"
#include "troupe/actors/copy_disk.h"

namespace troupe {
namespace {

const ActorId kActor{7, "x"};

SharedUpdate Make(ActorUpdate::Kind kind, uint64_t seq, size_t bytes = 0) {
  auto update = std::make_shared<ActorUpdate>();
  update->actor = kActor;
  update->kind = kind;
  update->version = {1, seq};
  update->base = {1, seq - 1};
  update->state = std::make_shared<const std::string>(bytes, 's');
  return update;
}

class DiskBookTest : public ::testing::Test {
 protected:
  DiskWrite::Put Add(ActorUpdate::Kind kind, uint64_t seq, size_t bytes = 0) {
    const auto update = Make(kind, seq, bytes);
    EXPECT_EQ(store_.Apply(*update), ActorStore::Outcome::kApplied);
    return book_.Add(update, store_);
  }
  ActorStore store_;
  DiskBook book_;
};

constexpr auto kImage = ActorUpdate::Kind::kImage;
constexpr auto kDelta = ActorUpdate::Kind::kDelta;
constexpr auto kTombstone = ActorUpdate::Kind::kTombstone;

TEST_F(DiskBookTest, NumbersDeltasBehindTheirImage) {
  EXPECT_EQ(Add(kImage, 1).index, 0u);
  EXPECT_EQ(Add(kDelta, 2).index, 1u);
  EXPECT_EQ(Add(kDelta, 3).index, 2u);
  const auto image = Add(kImage, 4);
  EXPECT_EQ(image.index, 0u);
  EXPECT_EQ(image.erased, 2u);
  EXPECT_EQ(Add(kDelta, 5).index, 1u);
}

TEST_F(DiskBookTest, WritesAnImageOnceDeltasAreLongerThanIt) {
  Add(kImage, 1, 10'000);
  EXPECT_EQ(Add(kDelta, 2, 6'000).index, 1u);
  const auto put = Add(kDelta, 3, 6'000);
  EXPECT_EQ(put.index, 0u);
  EXPECT_EQ(put.erased, 1u);
  EXPECT_EQ(put.update->kind, kImage);
  EXPECT_EQ(put.update->version, (Version{1, 3}));
}

TEST_F(DiskBookTest, ErasesTombstonesThatTheStoreForgot) {
  Add(kImage, 1);
  Add(kDelta, 2);
  EXPECT_EQ(Add(kTombstone, 3).erased, 1u);
  EXPECT_TRUE(book_.Forget(store_).empty());
  store_.RaiseMark({1, 3});
  const auto erased = book_.Forget(store_);
  ASSERT_EQ(erased.size(), 1u);
  EXPECT_EQ(erased[0].actor, kActor);
  EXPECT_EQ(erased[0].deltas, 0u);
  EXPECT_TRUE(book_.Forget(store_).empty());
}

TEST_F(DiskBookTest, KeepsAnActorThatBeganAgainAfterItsTombstone) {
  Add(kTombstone, 1);
  Add(kImage, 2);
  store_.RaiseMark({1, 2});
  EXPECT_TRUE(book_.Forget(store_).empty());
  EXPECT_EQ(Add(kDelta, 3).index, 1u);
}

TEST(CopyDisk, CountsWhatIsWrittenUpToTheNumberThatIsDone) {
  ActorStore store;
  CopyDisk disk;
  for (uint64_t seq = 1; seq <= 3; ++seq) disk.Record({}, store, 1, {1, seq});
  std::vector<DiskWrite> writes;
  disk.Take(absl::Seconds(5), writes);
  ASSERT_EQ(writes.size(), 3u);
  EXPECT_EQ(disk.written(), Version());
  disk.OnWritten(2);
  EXPECT_EQ(disk.written(), (Version{1, 2}));
  EXPECT_EQ(disk.waiting_since(), absl::Seconds(5));
  disk.OnWritten(3);
  EXPECT_EQ(disk.waiting_since(), std::nullopt);
}

TEST(CopyDisk, OfANewLineageErasesWhatThereIsWithItsFirstWrite) {
  ActorStore store;
  CopyDisk disk;
  disk.Record({}, store, 1, {1, 1});
  disk.BeginAnew();
  disk.Record({}, store, 2, {2, 1});
  disk.Record({}, store, 2, {2, 2});
  std::vector<DiskWrite> writes;
  disk.Take(absl::ZeroDuration(), writes);
  ASSERT_EQ(writes.size(), 3u);
  EXPECT_FALSE(writes[0].anew);
  EXPECT_TRUE(writes[1].anew);
  EXPECT_FALSE(writes[2].anew);
}

}  // namespace
}  // namespace troupe
