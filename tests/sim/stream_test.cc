// Streams: several calls at once to one actor or observer, in order, and no more than their window.
#include "cluster_fixture.h"
#include "upload.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;

// Takes lines when it is told to.
class Reader final : public Sink::Actor {
 public:
  std::vector<uint64_t> numbers;
  bool holds = false;
  kj::Own<kj::PromiseFulfiller<void>> held;

 private:
  Task<void> Line(uint64_t number, std::string) override {
    if (holds) {
      auto paf = kj::newPromiseAndFulfiller<void>();
      held = kj::mv(paf.fulfiller);
      co_await paf.promise;
    }
    numbers.push_back(number);
  }
};

class StreamTest : public ClusterFixture {
 protected:
  StreamTest() {
    registry_.Host<UploadActor>([this] { return kj::heap<UploadActor>(office_); });
  }
  void Begin() {
    Start({"a", "b", "c"});
    cluster_->Await(client_->Connected(absl::Seconds(5)));
    cluster_->Run(absl::Milliseconds(200));
  }

  Upload::Ref File(const std::string& key = "file") { return client_->Get<Upload>(key); }
  Upload::LookReply Look(const std::string& key = "file") {
    return cluster_->Await(File(key).Look());
  }
  // Counts what the writer was let go on with.
  Task<void> Fill(Upload::Writer& out, uint64_t chunks, size_t bytes) {
    for (; written_ < chunks; ++written_) co_await out.Write(written_, std::string(bytes, 'x'));
    co_await out.Done();
  }
  void KillPrimaryOf(const std::string& key) {
    const auto node = cluster_->PrimaryOf({capnp::typeId<Upload>(), key});
    cluster_->Kill(node);
    cluster_->Run(absl::Milliseconds(300));
    cluster_->Restart(node);
  }
  // Until the actor that holds what it is sent has nothing more to hold.
  void ReleaseUntil(const std::function<bool()>& done) {
    ASSERT_TRUE(cluster_->RunUntil([&] {
      office_.Release();
      return done();
    }));
  }

  UploadOffice office_;
  uint64_t written_ = 0;
};

TEST_P(StreamTest, AllArrivesInOrder) {
  Begin();
  Upload::Writer out(File());
  cluster_->Await(Fill(out, 1000, 1024));
  const auto seen = Look();
  EXPECT_EQ(seen.chunks, 1000u);
  EXPECT_EQ(seen.bytes, 1024u * 1000);
  EXPECT_EQ(seen.refused, 0u);
  EXPECT_EQ(out.open_calls(), 0u);
  EXPECT_EQ(out.open_bytes(), 0u);
}

TEST_P(StreamTest, ASlowActorHoldsTheWriterBackAtTheBytesOfTheWindow) {
  Begin();
  office_.holds = true;
  Upload::Writer out(File(), {.bytes = 64 << 10});
  auto filling = Fill(out, 100, 4000).AsPromise().eagerlyEvaluate(nullptr);
  uint64_t most_calls = 0;
  size_t most_bytes = 0;
  cluster_->OnStep([&] {
    most_calls = std::max(most_calls, written_ - office_.taken);
    most_bytes = std::max(most_bytes, out.open_bytes());
  });
  cluster_->Run(absl::Seconds(5));
  EXPECT_EQ(written_, 16u);  // 16 of a little more than 4000 bytes are less than 64 KiB.
  EXPECT_EQ(office_.taken, 0u);
  ReleaseUntil([&] { return written_ == 100 && out.open_calls() == 0; });
  cluster_->Await(kj::mv(filling));
  cluster_->OnStep([] {});
  EXPECT_EQ(most_calls, 16u);
  EXPECT_LE(most_bytes, size_t{64} << 10);
  EXPECT_GT(most_bytes, size_t{60} << 10);
  EXPECT_EQ(Look().chunks, 100u);
}

TEST_P(StreamTest, ASlowActorHoldsTheWriterBackAtTheCallsOfTheWindow) {
  Begin();
  office_.holds = true;
  Upload::Writer out(File(), {.calls = 5});
  auto filling = Fill(out, 40, 1).AsPromise().eagerlyEvaluate(nullptr);
  cluster_->Run(absl::Seconds(5));
  EXPECT_EQ(written_, 5u);
  ASSERT_EQ(office_.held.size(), 1u);
  office_.Release();
  cluster_->Run(absl::Seconds(1));
  EXPECT_EQ(written_, 6u);  // One was answered: one goes on.
  ReleaseUntil([&] { return written_ == 40 && out.open_calls() == 0; });
  cluster_->Await(kj::mv(filling));
}

TEST_P(StreamTest, OneThatIsLargerThanTheWindowIsSentAlone) {
  Begin();
  office_.holds = true;
  Upload::Writer out(File(), {.bytes = 1000});
  auto filling = Fill(out, 3, 5000).AsPromise().eagerlyEvaluate(nullptr);
  cluster_->Run(absl::Seconds(1));
  EXPECT_EQ(written_, 1u);
  ReleaseUntil([&] { return written_ == 3 && out.open_calls() == 0; });
  cluster_->Await(kj::mv(filling));
  EXPECT_EQ(Look().bytes, 15000u);
}

TEST_P(StreamTest, TheFirstErrorEndsIt) {
  Begin();
  office_.refuses = 7;
  Upload::Writer out(File(), {.calls = 4});
  EXPECT_THAT(ErrorOf(Fill(out, 100, 10)), HasSubstr("the disk is full"));
  EXPECT_LE(written_, 7u + 4);
  EXPECT_THAT(ErrorOf(out.Done()), HasSubstr("the disk is full"));
  const auto seen = Look();
  EXPECT_EQ(seen.chunks, 7u);
  EXPECT_EQ(seen.refused, written_ - 7);  // What was under way came, and did not follow.
  EXPECT_THAT(ErrorOf(out.Write(7, "more")), HasSubstr("the disk is full"));
  cluster_->Run(absl::Seconds(1));
  EXPECT_EQ(Look().refused, seen.refused);  // Nothing is sent any more.
}

TEST_P(StreamTest, DoneThrowsTheErrorOnceAllAreAnswered) {
  Begin();
  office_.refuses = 0;
  office_.holds = true;
  Upload::Writer out(File());
  for (uint64_t i = 0; i < 3; ++i) cluster_->Await(out.Write(i, "x"));
  auto done = out.Done().AsPromise().eagerlyEvaluate(nullptr);
  ASSERT_TRUE(cluster_->RunUntil([&] { return office_.held.size() == 1; }));
  office_.Release();
  cluster_->Run(absl::Seconds(1));
  EXPECT_EQ(out.open_calls(), 2u);
  EXPECT_FALSE(done.poll(cluster_->world().scope()));
  ReleaseUntil([&] { return out.open_calls() == 0; });
  EXPECT_THAT(ErrorOf(kj::mv(done)), HasSubstr("the disk is full"));
}

TEST_P(StreamTest, GoesOnAfterDone) {
  Begin();
  Upload::Writer out(File());
  cluster_->Await(out.Done());
  for (uint64_t i = 0; i < 3; ++i) {
    cluster_->Await(out.Write(i, "x"));
    cluster_->Await(out.Done());
    EXPECT_EQ(Look().chunks, i + 1);
  }
}

TEST_P(StreamTest, IsAwaitedBeforeTheNext) {
  Begin();
  office_.holds = true;
  Upload::Writer out(File(), {.calls = 1});
  cluster_->Await(out.Write(0, "x"));
  auto waits = out.Write(1, "x").AsPromise().eagerlyEvaluate(nullptr);
  EXPECT_THAT(ErrorOf(out.Write(2, "x")), HasSubstr("is waited for already: await each Write()"));
  EXPECT_THAT(ErrorOf(out.Done()), HasSubstr("is waited for already"));
  waits = nullptr;  // Not sent, as it is dropped.
  auto next = out.Write(1, "y").AsPromise().eagerlyEvaluate(nullptr);
  ReleaseUntil([&] { return out.open_calls() == 0; });
  cluster_->Await(kj::mv(next));
  EXPECT_EQ(Look().chunks, 2u);
  EXPECT_EQ(office_.refused, 0u);
}

TEST_P(StreamTest, OneThatIsDroppedSendsNothingMore) {
  Begin();
  office_.holds = true;
  {
    Upload::Writer out(File(), {.calls = 3});
    auto filling = Fill(out, 100, 10).AsPromise().eagerlyEvaluate(nullptr);
    cluster_->Run(absl::Seconds(1));
    filling = nullptr;
  }
  office_.holds = false;
  office_.Release();
  cluster_->Run(absl::Seconds(1));
  EXPECT_EQ(Look().chunks, 3u);
}

TEST_P(StreamTest, AWindowOutOfBoundsIsRefused) {
  Begin();
  for (const StreamOptions window :
       {StreamOptions{.calls = 0}, StreamOptions{.calls = 257}, StreamOptions{.bytes = 0}}) {
    auto refused = kj::runCatchingExceptions([&] { Upload::Writer out(File(), window); });
    EXPECT_THAT(Words(KJ_ASSERT_NONNULL(refused)), HasSubstr("the window of a stream is"));
  }
}

TEST_P(StreamTest, ThroughKillsNothingIsLostOrDoubledOrOutOfOrder) {
  Begin();
  Random random(GetParam());
  Upload::Writer out(File());
  auto& timer = cluster_->world().machine("client").control().timer();
  bool stop = false;
  auto fill = [&]() -> Task<void> {
    for (; !stop; ++written_) {
      co_await out.Write(written_, std::string(200, 'x'));
      if (written_ % 20 == 0) {
        auto pause = timer.afterDelay(20 * kj::MILLISECONDS);
        co_await pause;
      }
    }
    co_await out.Done();
  };
  auto filling = fill().AsPromise().eagerlyEvaluate(nullptr);
  for (int kill = 0; kill < 4; ++kill) {
    cluster_->Run(absl::Milliseconds(static_cast<int64_t>(random.Below(400))));
    KillPrimaryOf("file");
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
  stop = true;
  cluster_->Await(kj::mv(filling));
  EXPECT_GT(written_, 1000u);
  EXPECT_EQ(Look().chunks, written_);
  EXPECT_EQ(office_.refused, 0u);
}

TEST_P(StreamTest, AnActorStreamsToAnotherWithinATurn) {
  Begin();
  cluster_->Await(File("from").Copy(File("to"), 300, 1000));
  EXPECT_EQ(Look("to").chunks, 300u);
  EXPECT_EQ(office_.refused, 0u);
}

TEST_P(StreamTest, ATurnThatRunsAgainStreamsItOnce) {
  Begin();
  office_.holds = true;
  auto copied = File("from").Copy(File("to"), 60, 10).AsPromise().eagerlyEvaluate(nullptr);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(cluster_->RunUntil([&] { return !office_.held.empty(); }));
    office_.Release();
  }
  KillPrimaryOf("from");
  office_.holds = false;
  office_.Release();
  cluster_->Await(kj::mv(copied));
  EXPECT_EQ(Look("to").chunks, 60u);
  EXPECT_EQ(office_.refused, 0u);
}

TEST_P(StreamTest, IsToldAsOtherMethodsAre) {
  Begin();
  cluster_->Await(File("from").TellEach(File("to"), 20));
  EXPECT_TRUE(cluster_->RunUntil([&] { return Look("to").chunks == 20; }));
  EXPECT_EQ(office_.refused, 0u);
}

TEST_P(StreamTest, AnActorStreamsToAnObserverInOrder) {
  Begin();
  auto reader = client_->Observe<Reader>();
  EXPECT_EQ(cluster_->Await(File().Read(reader.ref(), 1000, 1000)), "");
  ASSERT_EQ(reader->numbers.size(), 1000u);
  EXPECT_TRUE(std::is_sorted(reader->numbers.begin(), reader->numbers.end()));
}

TEST_P(StreamTest, ASlowObserverHoldsTheActorBack) {
  Begin();
  auto reader = client_->Observe<Reader>();
  reader->holds = true;
  office_.window = {.calls = 8};
  auto read = File().Read(reader.ref(), 40, 10).AsPromise().eagerlyEvaluate(nullptr);
  cluster_->Run(absl::Seconds(2));
  EXPECT_EQ(reader->numbers.size(), 0u);
  ASSERT_NE(reader->held.get(), nullptr);
  // More than its 1024 waiting calls would be refused; more than 8 never come.
  ASSERT_TRUE(cluster_->RunUntil([&] {
    if (reader->held.get() != nullptr) reader->held->fulfill();
    return reader->numbers.size() == 40;
  }));
  EXPECT_EQ(cluster_->Await(kj::mv(read)), "");
}

TEST_P(StreamTest, AnObserverThatGoesEndsIt) {
  Begin();
  auto reader = client_->Observe<Reader>();
  reader->holds = true;
  auto read = File().Read(reader.ref(), 1000, 10).AsPromise().eagerlyEvaluate(nullptr);
  cluster_->Run(absl::Seconds(1));
  reader = {};
  EXPECT_THAT(cluster_->Await(kj::mv(read)), HasSubstr("has been dropped by its client"));
}

INSTANTIATE_TEST_SUITE_P(Seeds, StreamTest, ::testing::Range<uint64_t>(1, 6));

}  // namespace
}  // namespace troupe
