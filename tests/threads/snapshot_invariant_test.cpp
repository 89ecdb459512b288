#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/effort.hpp"
#include "support/sanitizers.hpp"
#include "support/temporary_folder.hpp"

// One thread moves amounts between 1,000 rows, so that their sum stays and each
// row has as many changes as its history; eight read, and see one committed
// state in all of a snapshot. How much they do is fixed; SQLANE_TESTS_SECONDS
// makes it as much as they can in that time:
//
//   SQLANE_TESTS_SECONDS=60 sqlane_threads_tests --gtest_filter='*SnapshotInvariant*'

namespace sqlane {
namespace {

constexpr int kAccounts = 1000;
constexpr std::int64_t kEach = 100;
constexpr int kWatchers = 8;
const int kTransfersAtLeast = testing::with_effort(testing::kHasThreadSanitizer ? 200 : 1000);

class Amount {
 public:
  [[nodiscard]] bool is_done(int done) const {
    return seconds_ > 0 ? std::chrono::steady_clock::now() >= end_ : done >= kTransfersAtLeast;
  }

 private:
  static int seconds() {
    const char* const text = std::getenv("SQLANE_TESTS_SECONDS");
    return text == nullptr ? 0 : std::atoi(text);
  }

  const int seconds_ = seconds();
  const std::chrono::steady_clock::time_point end_ = std::chrono::steady_clock::now() + std::chrono::seconds(seconds_);
};

struct State {
  std::int64_t rows;
  std::int64_t sum;
  std::int64_t changes;
  std::int64_t transfers;  // counted in a table of its own

  friend bool operator==(const State&, const State&) = default;
};

State state_of(const Snapshot& snapshot) {
  return snapshot.query_one<State>(
      "SELECT count(*), sum(amount), sum(changes), (SELECT n FROM transfers) FROM account");
}

enum class Place { file, exclusive_file, memory };

class SnapshotInvariant : public ::testing::TestWithParam<Place> {
 protected:
  [[nodiscard]] Database open() const {
    // Small, so that checkpoints and pages that are read again come often.
    Options options{.readers = kWatchers, .durability = Durability::normal, .page_cache = 64U << 10U};
    options.checkpoint_pages = 50;
    if (GetParam() == Place::memory) return Database::in_memory(options);
    options.locking = GetParam() == Place::exclusive_file ? Locking::exclusive : Locking::shared;
    return Database::open(folder_ / "app.db", options);
  }

  testing::TemporaryFolder folder_;
};

TEST_P(SnapshotInvariant, HoldsInEachOfThemWhileAnotherThreadWrites) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Database db = open();
  db.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, amount, changes, filler)");
  db.execute("CREATE TABLE transfers (n)");
  db.execute("INSERT INTO transfers VALUES (0)");
  db.execute(
      "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?) "
      "INSERT INTO account SELECT x, ?, 0, zeroblob(300) FROM n",
      kAccounts, kEach);
  std::atomic<bool> is_over = false;
  std::atomic<std::int64_t> snapshots = 0;
  int transfers = 0;
  {
    std::vector<std::jthread> readers;
    for (int r = 0; r < kWatchers; ++r) {
      readers.emplace_back([&, own = seed + static_cast<unsigned>(r)] {
        std::mt19937 random(own);
        std::int64_t seen = 0;
        while (!is_over && !HasFailure()) {
          db.read([&](const Snapshot& snapshot) {
            const State first = state_of(snapshot);
            EXPECT_EQ(first.rows, kAccounts);
            EXPECT_EQ(first.sum, kAccounts * kEach);
            EXPECT_EQ(first.changes, 2 * first.transfers);
            EXPECT_GE(first.transfers, seen);
            seen = first.transfers;
            for (auto i = random() % 3; i > 0; --i) EXPECT_EQ(state_of(snapshot), first);
          });
          ++snapshots;
        }
      });
    }
    std::mt19937 random(seed);
    const auto row = [&] { return 1 + static_cast<int>(random() % kAccounts); };
    for (const Amount amount; !amount.is_done(transfers) && !HasFailure(); ++transfers) {
      const int from = row();
      const int to = row();
      db.write([&](Transaction& tx) {
        tx.execute("UPDATE account SET amount = amount - 7, changes = changes + 1 WHERE id = ?", from);
        tx.execute("UPDATE account SET amount = amount + 7, changes = changes + 1 WHERE id = ?", to);
        tx.execute("UPDATE transfers SET n = n + 1");
      });
    }
    while (snapshots < 10 * kWatchers && !HasFailure()) std::this_thread::yield();
    is_over = true;
  }
  EXPECT_EQ(db.query_one<int>("SELECT n FROM transfers"), transfers);
  EXPECT_EQ(db.query_one<std::string>("SELECT integrity_check FROM pragma_integrity_check"), "ok");
  EXPECT_GT(db.stats().checkpoints, 0U);
  std::printf("%d transfers, %lld snapshots, %llu checkpoints\n", transfers, static_cast<long long>(snapshots),
              static_cast<unsigned long long>(db.stats().checkpoints));
}

INSTANTIATE_TEST_SUITE_P(Places, SnapshotInvariant,
                         ::testing::Values(Place::file, Place::exclusive_file, Place::memory));

}  // namespace
}  // namespace sqlane
