// TopicBook: numbers, who has had what, and what goes.
#include "troupe/actors/topic_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "capnp/schema.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;

TopicMessage Message(size_t bytes = 8) {
  capnp::MallocMessageBuilder message;
  message.getRoot<capnp::AnyPointer>().initAs<capnp::Data>(static_cast<unsigned>(bytes));
  return {7, 3, Payload::Of(message)};
}
std::vector<TopicMessage> Messages(size_t count) {
  std::vector<TopicMessage> out;
  for (size_t i = 0; i < count; ++i) out.push_back(Message());
  return out;
}
const ActorId kAnn{1, "ann"}, kBob{1, "bob"};
const ActorId kReader{capnp::typeId<schema::TopicReader>(), "reader"};

TEST(TopicBook, NumbersRiseAndTheOldestGo) {
  TopicBook book({.messages_max = 10});
  EXPECT_EQ(*book.Publish(Messages(1)), 1u);
  EXPECT_EQ(*book.Publish(Messages(9)), 2u);
  EXPECT_EQ(book.first(), 1u);
  EXPECT_EQ(*book.Publish(Messages(3)), 11u);
  EXPECT_EQ(book.first(), 4u);
  EXPECT_EQ(book.next(), 14u);
  EXPECT_EQ(book.bytes(), 10 * Message().bytes());
}

TEST(TopicBook, TheOldestGoForBytesToo) {
  TopicBook book({.bytes_max = 10000});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(book.Publish({Message(2000)}).ok());
  EXPECT_EQ(book.first(), 7u);
  EXPECT_LE(book.bytes(), 10000u);
  EXPECT_THAT(book.Publish({Message(20000)}).status().ToString(), HasSubstr("published at once"));
  EXPECT_EQ(book.next(), 11u);
}

TEST(TopicBook, CountsWhatASubscriberHasMissed) {
  TopicBook book({.messages_max = 10});
  EXPECT_EQ(*book.Subscribe(kAnn, std::nullopt), 1u);
  EXPECT_EQ(*book.Subscribe(kReader, std::nullopt), 1u);
  const uint64_t ann = book.Find(kAnn)->serial;
  ASSERT_TRUE(book.Publish(Messages(5)).ok());
  book.Delivered(ann, 3);
  book.Delivered(ann, 2);  // Late.
  EXPECT_EQ(book.Find(ann)->delivered, 3u);
  ASSERT_TRUE(book.Publish(Messages(10)).ok());
  EXPECT_EQ(book.Find(ann)->missed, 2u);
  EXPECT_EQ(book.Find(ann)->delivered, 5u);
  EXPECT_EQ(book.Find(kReader)->missed, 0u);  // It sees that by itself.
  EXPECT_EQ(book.Find(kReader)->delivered, 5u);
}

TEST(TopicBook, WhatIsBeingToldIsFixed) {
  TopicBook book({.messages_max = 10});
  ASSERT_TRUE(book.Subscribe(kAnn, std::nullopt).ok());
  const uint64_t ann = book.Find(kAnn)->serial;
  for (int i = 0; i < 15; ++i) ASSERT_TRUE(book.Publish(Messages(1)).ok());
  book.BeginNotice(ann);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(book.Publish(Messages(1)).ok());
  book.BeginNotice(ann);  // One at a time.
  EXPECT_EQ(book.Find(ann)->notice, 5u);
  EXPECT_EQ(book.Find(ann)->notice_next, 6u);
  EXPECT_EQ(book.Find(ann)->missed, 4u);
  EXPECT_EQ(book.Find(ann)->oldest(), 6u);
  book.EndNotice(ann);
  EXPECT_EQ(book.Find(ann)->oldest(), 10u);
  book.Delivered(ann, 19);
  EXPECT_FALSE(book.all_delivered());
  book.BeginNotice(ann);
  book.EndNotice(ann);
  EXPECT_TRUE(book.all_delivered());
}

TEST(TopicBook, SubscribesFromANumber) {
  TopicBook book({.messages_max = 10, .subscribers_max = 2});
  ASSERT_TRUE(book.Publish(Messages(10)).ok());
  ASSERT_TRUE(book.Publish(Messages(10)).ok());
  EXPECT_EQ(*book.Subscribe(kAnn, 15), 15u);
  const uint64_t before = book.Find(kAnn)->serial;
  EXPECT_EQ(*book.Subscribe(kAnn, std::nullopt), 15u);
  EXPECT_EQ(book.Find(kAnn)->serial, before);
  EXPECT_EQ(*book.Subscribe(kAnn, 4), 11u);
  EXPECT_GT(book.Find(kAnn)->serial, before);  // The numbers come again, as other calls.
  EXPECT_EQ(book.Find(kAnn)->missed, 7u);
  EXPECT_EQ(*book.Subscribe(kReader, 1000), 21u);
  const uint64_t reader = book.Find(kReader)->serial;
  EXPECT_EQ(*book.Subscribe(kReader, 12), 12u);
  EXPECT_EQ(book.Find(kReader)->serial, reader);
  EXPECT_THAT(book.Subscribe(kBob, std::nullopt).status().ToString(), HasSubstr("no more can"));
  EXPECT_EQ(book.Unsubscribe(kAnn)->id, kAnn);
  EXPECT_FALSE(book.Unsubscribe(kAnn));
  EXPECT_TRUE(book.Subscribe(kBob, std::nullopt).ok());
}

TEST(TopicBook, IsTheSameWhenItIsLoaded) {
  TopicBook book({.messages_max = 10});
  book.BeginLog(77);
  ASSERT_TRUE(book.Subscribe(kAnn, std::nullopt).ok());
  ASSERT_TRUE(book.Subscribe(kReader, std::nullopt).ok());
  for (int i = 0; i < 15; ++i) ASSERT_TRUE(book.Publish(Messages(1)).ok());
  book.BeginNotice(book.Find(kAnn)->serial);
  ASSERT_TRUE(book.Publish(Messages(1)).ok());
  capnp::MallocMessageBuilder state, again;
  book.Save(state.initRoot<schema::TopicState>());
  TopicBook loaded({.messages_max = 10});
  loaded.Load(state.getRoot<schema::TopicState>());
  loaded.Save(again.initRoot<schema::TopicState>());
  const auto one = capnp::messageToFlatArray(state), other = capnp::messageToFlatArray(again);
  EXPECT_TRUE(one.asBytes() == other.asBytes());
  EXPECT_EQ(loaded.log(), 77u);
  EXPECT_EQ(loaded.At(16).method_id, 3u);
  ASSERT_TRUE(loaded.Subscribe(kBob, std::nullopt).ok());
  EXPECT_GT(loaded.Find(kBob)->serial, book.Find(kReader)->serial);
  // With a smaller log than it was written with.
  TopicBook smaller({.messages_max = 2});
  smaller.Load(state.getRoot<schema::TopicState>());
  EXPECT_EQ(smaller.first(), 15u);
  EXPECT_EQ(smaller.Find(kAnn)->delivered, 14u);
}

TEST(TopicBook, RefusesOptionsOutOfBounds) {
  for (const TopicOptions& options :
       {TopicOptions{.messages_max = 0}, TopicOptions{.bytes_max = 5 << 20},
        TopicOptions{.subscribers_max = 2049}}) {
    auto refused = kj::runCatchingExceptions([&] { TopicBook book(options); });
    EXPECT_THAT(Words(KJ_ASSERT_NONNULL(refused)), HasSubstr("the log of a topic is"));
  }
}

}  // namespace
}  // namespace troupe
