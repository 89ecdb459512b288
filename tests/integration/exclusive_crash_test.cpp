#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "support/effort.hpp"
#include "support/files.hpp"
#include "support/foreign_process.hpp"
#include "support/sqlite_shell.hpp"
#include "support/temporary_folder.hpp"

// A process that has the file for itself is killed again and again in the middle
// of its work.

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using testing::beside;
using testing::ChildProcess;
using testing::LinePipe;
using testing::ShellResult;
using testing::TemporaryFolder;

constexpr int kNoteTakers = 4;

const int kKills = testing::with_effort(10);

// How far each thread has come. It numbers its notes 1, 2, …, and writes one only
// after the one before was acknowledged.
using Progress = std::array<int, kNoteTakers>;

Options options() {
  return {
      .readers = kNoteTakers, .durability = Durability::full, .locking = Locking::exclusive, .checkpoint_pages = 20};
}

// Each note is counted by a trigger: a write that took effect in part would show.
void create(Database& db) {
  db.write([](Transaction& tx) {
    tx.execute(
        "CREATE TABLE IF NOT EXISTS note (thread INTEGER NOT NULL, number INTEGER NOT NULL, filler BLOB NOT NULL, "
        "PRIMARY KEY (thread, number)) WITHOUT ROWID");
    tx.execute("CREATE TABLE IF NOT EXISTS tally (thread INTEGER PRIMARY KEY, notes INTEGER NOT NULL)");
    tx.execute(
        "CREATE TRIGGER IF NOT EXISTS count_up AFTER INSERT ON note "
        "BEGIN UPDATE tally SET notes = notes + 1 WHERE thread = new.thread; END");
    for (int thread = 0; thread < kNoteTakers; ++thread) {
      tx.execute("INSERT OR IGNORE INTO tally VALUES (?, 0)", thread);
    }
  });
}

void write_note(Database& db, int thread, int number) {
  const auto insert = [=](Transaction& tx) {
    // Small ones, and one in ten that takes pages of its own.
    tx.execute("INSERT INTO note VALUES (?, ?, zeroblob(?))", thread, number, number % 10 == 0 ? 10'000 : 50);
  };
  switch (number % 3) {
    case 0: db.execute("INSERT INTO note VALUES (?, ?, zeroblob(50))", thread, number); break;
    case 1: db.write(insert); break;
    default: db.write_async(insert).get(); break;
  }
}

// Writes without end. Each acknowledged note is a line "thread number" in the ledger.
void work(const fs::path& path, const LinePipe& ledger) {
  Database db = Database::open(path, options());
  create(db);
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < kNoteTakers; ++thread) {
    threads.emplace_back([&, thread] {
      const auto newest = [&] { return db.query_one<int>("SELECT notes FROM tally WHERE thread = ?", thread); };
      for (int number = newest() + 1;; ++number) {
        write_note(db, thread, number);
        ledger.write(std::to_string(thread) + " " + std::to_string(number));
        if (newest() != number) std::abort();
      }
    });
  }
}

// What a file holds after a crash.
struct Found {
  std::string integrity;
  int torn = -1;  // threads whose notes have a gap, or were not all counted
  Progress newest{};
};

constexpr const char* kTorn =
    "SELECT count(*) FROM tally WHERE notes <> (SELECT count(*) FROM note WHERE note.thread = tally.thread) OR notes "
    "<> "
    "(SELECT coalesce(max(number), 0) FROM note WHERE note.thread = tally.thread)";
constexpr const char* kNewest = "SELECT notes FROM tally ORDER BY thread";

Found look_with_sqlane(const fs::path& path) {
  const Database db = Database::open(path, options());
  return db.read([](const Snapshot& snapshot) {
    Found found{.integrity = snapshot.query_one<std::string>("PRAGMA integrity_check"),
                .torn = snapshot.query_one<int>(runtime_sql(kTorn))};
    std::size_t thread = 0;
    for (const int newest : snapshot.query<int>(runtime_sql(kNewest))) found.newest.at(thread++) = newest;
    return found;
  });
}

Found look_with_shell(const fs::path& path) {
  std::istringstream answers;
  for (const char* const sql : {"PRAGMA integrity_check", kTorn, kNewest}) {
    const ShellResult result = testing::run_in_shell(path, sql);
    EXPECT_EQ(result.status, 0) << result.output;
    answers.str(answers.str() + result.output);
  }
  Found found;
  std::getline(answers, found.integrity);
  answers >> found.torn;
  for (int& newest : found.newest) answers >> newest;
  return found;
}

// child                          here
// opens, writes, acknowledges
//                                has heard as many acknowledgements as chance would have it: kills it
//                                all that it heard of is there
TEST(KilledAgainAndAgain, LosesNothingThatWasAcknowledged) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const TemporaryFolder folder;
  const fs::path path = folder / "app.db";
  Progress acknowledged{};
  long acknowledgements = 0;
  long lost = 0;
  int logs = 0;
  int kill = 0;
  for (; kill < kKills && !HasFailure(); ++kill) {
    SCOPED_TRACE("kill " + std::to_string(kill));
    {
      ChildProcess child([&](const LinePipe&, const LinePipe& ledger) { work(path, ledger); });
      const int enough = std::uniform_int_distribution(1, 150)(random);
      std::string line;
      const auto note_down = [&] {
        std::istringstream words(line);
        std::size_t thread = 0;
        words >> thread >> acknowledged.at(thread);
        ++acknowledgements;
      };
      for (int heard = 0; heard < enough; ++heard) {
        line = child.hear();
        note_down();
      }
      child.kill();
      while (child.hear(line)) note_down();  // acknowledged before it died
    }
    logs += fs::exists(beside(path, "-wal")) ? 1 : 0;
    EXPECT_FALSE(fs::exists(beside(path, "-shm")));
    if (kill % 3 == 2) continue;  // the next child finds it as it is
    const Found found = kill % 3 == 0 ? look_with_sqlane(path) : look_with_shell(path);
    EXPECT_EQ(found.integrity, "ok");
    EXPECT_EQ(found.torn, 0);
    for (std::size_t thread = 0; thread < kNoteTakers; ++thread) {
      lost += std::max(0, acknowledged[thread] - found.newest[thread]);
    }
    EXPECT_EQ(lost, 0);
  }
  EXPECT_EQ(logs, kill) << "each left a log";
  std::printf("kills %d, acknowledged %ld, lost %ld (seed %u)\n", kill, acknowledgements, lost, seed);
}

}  // namespace
}  // namespace sqlane
