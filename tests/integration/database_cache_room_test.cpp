#include <chrono>
#include <filesystem>
#include <memory>
#include <vector>

#include "support/cache_of_databases.hpp"
#include "support/expect_error.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::CacheOfDatabases;
using testing::error_of;
using testing::mentions;

// What is kept open, and what makes room.

TEST_F(CacheOfDatabases, RefusesOptionsThatMakeNoSense) {
  EXPECT_TRUE(mentions(error_of<UsageError>([] { const DatabaseCache cache({}); }), "options_for"));
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { const DatabaseCache cache(with_room_for(0)); }), "max_open"));
  DatabaseCacheOptions options = with_room_for(1);
  options.acquire_timeout = -1ms;
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { const DatabaseCache cache(options); }), "acquire_timeout"));
}

TEST_F(CacheOfDatabases, OpensNothingBeforeSomebodyAsks) {
  const DatabaseCache cache(with_room_for(2));
  EXPECT_EQ(asked, 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_EQ(cache.stats().open, 0U);
}

TEST_F(CacheOfDatabases, FindsWhatIsOpen) {
  DatabaseCache cache(with_room_for(2));
  const auto first = cache.get("a");
  EXPECT_EQ(cache.get("a"), first);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(first->options().path, path_of("a"));
  const DatabaseCacheStatistics stats = cache.stats();
  EXPECT_EQ(stats.open, 1U);
  EXPECT_EQ(stats.in_use, 1U);
  EXPECT_EQ(stats.opened, 1U);
  EXPECT_EQ(stats.hits, 1U);
  EXPECT_EQ(stats.evicted, 0U);
}

TEST_F(CacheOfDatabases, KeepsOpenWhatNobodyHas) {
  DatabaseCache cache(with_room_for(2));
  use(cache, "a");
  EXPECT_EQ(cache.stats().in_use, 0U);
  EXPECT_EQ(open_keys(), Keys{"a"});
  use(cache, "a");
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(cache.stats().hits, 1U);
}

TEST_F(CacheOfDatabases, ClosesWhatWasUnusedForLongestToMakeRoom) {
  DatabaseCache cache(with_room_for(3));
  use(cache, "a");
  use(cache, "b");
  use(cache, "c");
  use(cache, "a");
  use(cache, "d");
  EXPECT_EQ(open_keys(), (Keys{"a", "c", "d"}));
  use(cache, "e");
  EXPECT_EQ(open_keys(), (Keys{"a", "d", "e"}));
  const DatabaseCacheStatistics stats = cache.stats();
  EXPECT_EQ(stats.open, 3U);
  EXPECT_EQ(stats.opened, 5U);
  EXPECT_EQ(stats.evicted, 2U);
}

TEST_F(CacheOfDatabases, CountsAUseFromItsEnd) {
  DatabaseCache cache(with_room_for(2));
  auto first = cache.get("a");
  use(cache, "b");
  first.reset();
  use(cache, "c");
  EXPECT_EQ(open_keys(), (Keys{"a", "c"}));
}

TEST_F(CacheOfDatabases, DoesNotCloseWhatSomebodyHas) {
  DatabaseCache cache(with_room_for(2));
  const auto held = cache.get("a");
  for (const char* key : {"b", "c", "d"}) use(cache, key);
  EXPECT_EQ(open_keys(), (Keys{"a", "d"}));
  EXPECT_EQ(held->query_one<int>("SELECT 1"), 1);
  EXPECT_EQ(cache.get("a"), held);
}

TEST_F(CacheOfDatabases, HasADatabaseInUseUntilTheLastPointerIsDropped) {
  DatabaseCache cache(with_room_for(1));
  auto first = cache.get("a");
  auto second = cache.get("a");
  auto copy = second;
  first.reset();
  EXPECT_EQ(cache.stats().in_use, 1U);
  second.reset();
  EXPECT_EQ(cache.stats().in_use, 1U);
  EXPECT_THROW(use(cache, "b"), TimeoutError);
  copy.reset();
  EXPECT_EQ(cache.stats().in_use, 0U);
  EXPECT_NO_THROW(use(cache, "b"));
}

TEST_F(CacheOfDatabases, NamesWhatIsInUseWhenThereIsNoRoomInTime) {
  DatabaseCache cache(with_room_for(2));
  const auto a = cache.get("a", {.file = "a.cpp", .line = 7, .function = "f"});
  const auto b = cache.get("b");
  const auto error = error_of<TimeoutError>([&] { use(cache, "c"); });
  EXPECT_TRUE(error.is_retryable());
  EXPECT_TRUE(mentions(error, "\"c\"")) << error.what();
  EXPECT_TRUE(mentions(error, "2 of 2 are in use")) << error.what();
  EXPECT_TRUE(mentions(error, "\"a\" at a.cpp:7 (f)")) << error.what();
  EXPECT_TRUE(mentions(error, "\"b\" at ")) << error.what();
  EXPECT_FALSE(mentions(error, "more")) << error.what();
  const DatabaseCacheStatistics stats = cache.stats();
  EXPECT_EQ(stats.open, 2U);
  EXPECT_EQ(stats.waiting, 0U);
  EXPECT_EQ(stats.timeouts, 1U);
}

TEST_F(CacheOfDatabases, NamesTheOldestUsesWhereThereAreMany) {
  DatabaseCache cache(with_room_for(7));
  std::vector<std::shared_ptr<Database>> held;
  for (const char* key : {"a", "b", "c", "d", "e", "f", "g"}) held.push_back(cache.get(key));
  const auto error = error_of<TimeoutError>([&] { use(cache, "x"); });
  EXPECT_TRUE(mentions(error, "\"a\"")) << error.what();
  EXPECT_TRUE(mentions(error, "\"e\"")) << error.what();
  EXPECT_FALSE(mentions(error, "\"f\"")) << error.what();
  EXPECT_TRUE(mentions(error, ", and 2 more")) << error.what();
}

}  // namespace
}  // namespace sqlane
