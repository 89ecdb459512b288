#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/cache_of_databases.hpp"
#include "support/expect_error.hpp"
#include "support/open_files.hpp"

namespace sqlane {
namespace {

using testing::CacheOfDatabases;
using testing::error_of;
using testing::mentions;

// The options, the opening and the preparation of a database, and their errors.

TEST_F(CacheOfDatabases, ClosesNothingForAKeyThatIsRefused) {
  DatabaseCacheOptions options = with_room_for(1);
  options.options_for = [known = options.options_for](std::string_view key) {
    if (key == "unknown") throw std::invalid_argument("no such tenant");
    return known(key);
  };
  DatabaseCache cache(options);
  use(cache, "a");
  EXPECT_THROW(use(cache, "unknown"), std::invalid_argument);
  EXPECT_EQ(open_keys(), Keys{"a"});
  const auto held = cache.get("a");
  EXPECT_THROW(use(cache, "unknown"), std::invalid_argument);  // not a TimeoutError
  EXPECT_EQ(cache.stats().open, 1U);
}

TEST_F(CacheOfDatabases, HasRoomAgainAfterAnOpeningFailed) {
  DatabaseCache cache(with_room_for(1));
  EXPECT_THROW(use(cache, "missing/a"), OpenError);
  EXPECT_EQ(cache.stats().open, 0U);
  use(cache, "b");
  EXPECT_THROW(use(cache, "missing/a"), OpenError);
  EXPECT_EQ(cache.stats().open, 0U);
  EXPECT_NO_THROW(use(cache, "b"));
  EXPECT_EQ(cache.stats().opened, 2U);
}

TEST_F(CacheOfDatabases, PreparesADatabaseBeforeAnybodyGetsIt) {
  DatabaseCacheOptions options = with_room_for(1);
  std::vector<std::string> prepared;
  options.prepare = [&](std::string_view key, Database& db) {
    prepared.emplace_back(key);
    db.execute("CREATE TABLE IF NOT EXISTS note (title TEXT)");
  };
  DatabaseCache cache(options);
  for (const char* const key : {"a", "a", "b"}) {
    const std::shared_ptr<Database> db = cache.get(key);
    db->execute("INSERT INTO note VALUES ('x')");
  }
  EXPECT_EQ(cache.get("a")->query_one<int>("SELECT count(*) FROM note"), 2);
  EXPECT_EQ(prepared, (std::vector<std::string>{"a", "b", "a"}));
}

TEST_F(CacheOfDatabases, ClosesADatabaseThatCouldNotBePrepared) {
  DatabaseCacheOptions options = with_room_for(1);
  int tries = 0;
  options.prepare = [&](std::string_view, Database&) {
    if (++tries == 1) throw std::runtime_error("not now");
  };
  DatabaseCache cache(options);
  EXPECT_THROW(use(cache, "a"), std::runtime_error);
  EXPECT_EQ(testing::count_open_files(), files_before);
  EXPECT_EQ(cache.stats().open, 0U);
  EXPECT_EQ(cache.stats().opened, 0U);
  EXPECT_NO_THROW(use(cache, "a"));
}

TEST_F(CacheOfDatabases, RefusesToWaitForTheThreadThatOpens) {
  std::unique_ptr<DatabaseCache> cache;
  DatabaseCacheOptions options = with_room_for(3);
  options.options_for = [&, plain = options.options_for](std::string_view key) {
    if (key == "first") use(*cache, "first");
    return plain(key);
  };
  options.prepare = [&](std::string_view key, Database&) {
    if (key == "second") use(*cache, "second");
    if (key == "third") use(*cache, "other");
    if (key == "fourth") cache->close();
  };
  cache = std::make_unique<DatabaseCache>(options);
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { use(*cache, "first"); }), "this thread itself"));
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { use(*cache, "second"); }), "this thread itself"));
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { use(*cache, "fourth"); }), "this thread itself"));
  EXPECT_EQ(cache->stats().open, 0U);
  EXPECT_NO_THROW(use(*cache, "third"));
  EXPECT_EQ(open_keys(), (Keys{"third", "other"}));
}

TEST_F(CacheOfDatabases, OpensNothingWhenItIsClosedWhileTheOptionsAreAsked) {
  std::unique_ptr<DatabaseCache> cache;
  DatabaseCacheOptions options = with_room_for(1);
  options.options_for = [&, plain = options.options_for](std::string_view key) {
    cache->close();
    return plain(key);
  };
  cache = std::make_unique<DatabaseCache>(options);
  EXPECT_THROW(use(*cache, "a"), ClosedError);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_EQ(cache->stats().open, 0U);
}

}  // namespace
}  // namespace sqlane
