// Keys of pools: found again, and no user's.
#include "troupe/actors/pool_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "troupe/actors/actor_id.h"
#include "troupe/actors/observer_key.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;

TEST(PoolKey, CarriesItsNumber) {
  for (uint64_t number : {uint64_t{0}, uint64_t{1}, uint64_t{0x0102030405060708}, ~uint64_t{0}}) {
    const std::string key = PoolKey(number);
    EXPECT_TRUE(IsPoolKey(key));
    EXPECT_FALSE(IsObserverKey(key));
    EXPECT_EQ(NumberOfPoolKey(key), number);
    EXPECT_FALSE(NumberOfPoolKey(key + "x"));
    EXPECT_FALSE(NumberOfPoolKey(key.substr(0, key.size() - 1)));
  }
  EXPECT_FALSE(IsPoolKey("pool"));
  EXPECT_FALSE(IsPoolKey(""));
}

TEST(PoolKey, IsNoKeyOfAUser) {
  std::string error = "none";
  KJ_IF_MAYBE (e, kj::runCatchingExceptions([] { UserKey(PoolKey()); })) error = Words(*e);
  EXPECT_THAT(error, HasSubstr("by which refs of pools are told; use Pool<...>(), or another key"));
}

TEST(PoolKey, IsPrintedAsWhatItIs) {
  EXPECT_EQ((ActorId{1, PoolKey(7)}).ToString("Resizer"), "Resizer/pool");
}

}  // namespace
}  // namespace troupe
