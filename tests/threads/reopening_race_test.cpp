#include <atomic>
#include <cstdint>
#include <filesystem>
#include <gtest/gtest.h>
#include <random>
#include <sqlane/sqlane.hpp>
#include <string>
#include <thread>
#include <vector>

#include "support/accidents.hpp"
#include "support/crew.hpp"
#include "support/effort.hpp"
#include "support/files.hpp"
#include "support/sanitizers.hpp"
#include "support/temporary_folder.hpp"

// Four threads write, two read, and one takes the files away and calls reopen(), all at random moments.
//
// A write that began after an accident and before reopen() is never acknowledged. What was acknowledged since a file is
// the database is in it, whatever happened to its log.

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using testing::Dice;

constexpr int kWriters = 4;
constexpr int kReaders = 2;
const int kAccidents = testing::with_effort(testing::kHasThreadSanitizer ? 12 : 40);

// Even while a file is the database; odd from before it is taken away until after reopen().
using Life = std::uint64_t;

class ReopeningRace : public ::testing::TestWithParam<Locking> {
 protected:
  ReopeningRace() { db_.execute("CREATE TABLE note (title TEXT)"); }

  static Options options() {
    Options options{.readers = kReaders, .durability = Durability::normal};
    options.locking = GetParam();
    options.checkpoint_pages = 20;
    return options;
  }

  struct Written {
    Life life;
    std::string title;
  };

  void write(int who, std::vector<Written>& acknowledged) {
    for (int i = 0; !is_over_; ++i) {
      const Life life = life_;
      const std::uint64_t accident = accident_;
      const std::string title = std::to_string(who) + "/" + std::to_string(i);
      try {
        db_.execute("INSERT INTO note VALUES (?)", title);
      } catch (const UsageError& error) {
        ADD_FAILURE() << error.what();
        return;
      } catch (const Error&) {
        std::this_thread::yield();
        continue;
      }
      if (accident % 2 == 1 && accident_ == accident) ADD_FAILURE() << title << " was written to what was lost";
      if (life % 2 == 0 && life_ == life) acknowledged.push_back({life, title});
      ++acknowledgements_;
    }
  }

  void read() {
    Life before = 1;
    std::int64_t at_least = 0;
    while (!is_over_) {
      const Life life = life_;
      try {
        const auto rows = db_.query_one<std::int64_t>("SELECT count(*) FROM note");
        if (life % 2 == 1 || life_ != life) continue;
        if (before == life) {
          EXPECT_GE(rows, at_least);
        }
        before = life;
        at_least = rows;
      } catch (const UsageError& error) {
        ADD_FAILURE() << error.what();
        return;
      } catch (const Error&) {
        std::this_thread::yield();
      }
    }
  }

  void lose_and_reopen(Dice& dice) {
    const int which = dice.below(4);
    if (which == 0) ++life_;
    dice.dawdle();
    if (which == 0) fs::rename(testing::another_database(path_), path_);
    if (which == 1) fs::remove(testing::beside(path_, "-wal"));
    if (which == 2) fs::rename(testing::beside(path_, "-wal"), testing::beside(path_, "-wal.moved"));
    if (which != 3) ++accident_;
    dice.dawdle();
    if (which != 3) ++accident_;
    while (true) {
      try {
        db_.reopen();
        break;
      } catch (const BusyError&) {
      } catch (const TimeoutError&) {
      }
    }
    if (which == 0) ++life_;
  }

  void wait_for_writes(std::uint64_t many) const {
    const std::uint64_t enough = acknowledgements_ + many;
    while (acknowledgements_ < enough) std::this_thread::yield();
  }

  testing::TemporaryFolder folder_;
  fs::path path_ = folder_ / "app.db";
  Database db_ = Database::open(path_, options());
  std::atomic<Life> life_ = 0;
  std::atomic<std::uint64_t> accident_ = 0;  // odd from after an accident until before reopen()
  std::atomic<std::uint64_t> acknowledgements_ = 0;
  std::atomic<bool> is_over_ = false;
};

TEST_P(ReopeningRace, LosesNothingThatWasAcknowledged) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Dice dice(seed);
  std::vector<std::vector<Written>> acknowledged(kWriters);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kWriters; ++i) {
      threads.emplace_back([&, i] { write(i, acknowledged[static_cast<std::size_t>(i)]); });
    }
    for (int i = 0; i < kReaders; ++i) threads.emplace_back([&] { read(); });
    for (int i = 0; i < kAccidents && !HasFailure(); ++i) {
      wait_for_writes(static_cast<std::uint64_t>(dice.below(30)));
      lose_and_reopen(dice);
      EXPECT_NO_THROW(db_.execute("INSERT INTO note VALUES ('after reopen()')"));
    }
    is_over_ = true;
  }
  EXPECT_EQ(db_.query_one<std::string>("PRAGMA integrity_check"), "ok");
  for (const auto& writer : acknowledged) {
    for (const Written& written : writer) {
      if (written.life != life_) continue;
      EXPECT_EQ(db_.query_one<int>("SELECT count(*) FROM note WHERE title = ?", written.title), 1) << written.title;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Of, ReopeningRace, ::testing::Values(Locking::shared, Locking::exclusive),
                         [](const auto& locking) { return locking.param == Locking::shared ? "Shared" : "Exclusive"; });

}  // namespace
}  // namespace sqlane
