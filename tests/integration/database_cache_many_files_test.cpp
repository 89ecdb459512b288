#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <string>

#include "support/cache_of_databases.hpp"
#include "support/effort.hpp"
#include "support/open_files.hpp"

namespace sqlane {
namespace {

using testing::CacheOfDatabases;

std::size_t count_threads() {
  const std::filesystem::directory_iterator threads("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(threads), end(threads)));
}

// One in ten is written to, since each of those is synced several times.
TEST_F(CacheOfDatabases, ServesManyFilesWithAFewOpen) {
  constexpr std::size_t kOpen = 64;
  constexpr std::size_t kWritten = 10;
  const auto files = static_cast<std::size_t>(testing::with_effort(500));
  const std::size_t threads_before = count_threads();
  const auto key_of = [](std::size_t number) { return "tenant" + std::to_string(number); };

  {
    Database db = Database::open(path_of("new"));
    db.execute("CREATE TABLE t (a INTEGER)");
  }
  for (std::size_t i = 0; i < files; ++i) std::filesystem::copy_file(path_of("new"), path_of(key_of(i)));

  DatabaseCache cache(with_room_for(kOpen));
  std::size_t most_files = 0;
  std::size_t most_threads = 0;
  for (std::size_t i = 0; i < files; ++i) {
    const auto db = cache.get(key_of(i));
    if (i % kWritten == 0) db->execute("INSERT INTO t VALUES (?)", i);
    ASSERT_EQ(db->query_one<int>("SELECT count(*) FROM t"), i % kWritten == 0 ? 1 : 0);
    if (i % kOpen != 0 && i + 1 != files) continue;
    most_files = std::max(most_files, testing::count_open_files());
    most_threads = std::max(most_threads, count_threads());
    ASSERT_EQ(open_keys().size(), std::min(i + 1, kOpen));
  }
  for (std::size_t i = 0; i < files; i += kWritten) {
    ASSERT_EQ(cache.get(key_of(i))->query_one<std::size_t>("SELECT a FROM t"), i);
  }
  EXPECT_EQ(cache.stats().open, std::min(files, kOpen));
  EXPECT_LE(most_threads, threads_before + 1);  // that of maintenance
  cache.close();
  EXPECT_EQ(testing::count_open_files(), files_before);
  std::printf("%zu files: descriptors %zu, at most %zu, then %zu; threads %zu, at most %zu, then %zu\n", files,
              files_before, most_files, testing::count_open_files(), threads_before, most_threads, count_threads());
}

}  // namespace
}  // namespace sqlane
