#include "counter_actor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "troupe/testing/harness.h"

using ::testing::HasSubstr;
using troupe::testing::Harness;

TEST(CounterTest, Adds) {
  Harness harness;
  harness.Host<CounterActor>();
  auto counter = harness.Get<Counter>("visits");
  EXPECT_EQ(harness.Await(counter.Add(2)), 2u);
  EXPECT_THAT(harness.Fails(counter.Add(0)), HasSubstr("nothing to add"));
  EXPECT_EQ(harness.Await(counter.Value()), 2u);
}

TEST(CounterTest, SurvivesItsNode) {
  Harness harness({.nodes = 3});
  harness.Host<CounterActor>();
  auto counter = harness.Get<Counter>("visits");
  EXPECT_EQ(harness.Await(counter.Add(2)), 2u);
  harness.Failover(counter);
  EXPECT_EQ(harness.Await(counter.Add(1)), 3u);
}
