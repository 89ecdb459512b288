#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <iterator>
#include <latch>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "support/effort.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using testing::TemporaryFolder;

constexpr int kWriters = 8;
const int kJobsOfAWriter = testing::with_effort(2000);  // of each thread
constexpr int kMostDepth = 3;

// The rows that a job leaves in a table are numbered.
enum Table : int { kRow, kChild, kCounted };
using RowOfJob = std::tuple<int, std::int64_t, int>;  // the table, the job, the number

// What a job is made to throw, to tell it from what goes wrong by itself.
class Deliberate : public std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct DeliberateStruct {};

// One thread's jobs, and what has to be there when all have ended.
class RandomWriter {
 public:
  RandomWriter(Database& db, int number, unsigned seed)
      : db_(db), number_(number), random_(seed + static_cast<unsigned>(number)) {}

  void run() {
    for (int i = 0; i < kJobsOfAWriter; ++i) {
      job_ = static_cast<std::int64_t>(number_) * kJobsOfAWriter + i;
      next_row_ = 0;
      pending_.clear();
      pending_sum_ = 0;
      if (run_one()) {
        if (expects_failure_) throw std::logic_error("job " + std::to_string(job_) + " did not fail");
        journal_.insert(journal_.end(), pending_.begin(), pending_.end());
        sum_ += pending_sum_;
      } else {
        ++failed_;
      }
    }
  }

  [[nodiscard]] const std::vector<RowOfJob>& journal() const { return journal_; }
  [[nodiscard]] std::int64_t sum() const { return sum_; }
  [[nodiscard]] int failed() const { return failed_; }
  [[nodiscard]] int aborted() const { return aborted_; }
  [[nodiscard]] int run_by_others() const { return run_by_others_; }

 private:
  // Whether it was committed.
  bool run_one() {
    try {
      if (pick(4) == 0) {
        run_statement();
      } else {
        run_closure();
      }
      return true;
    } catch (const Deliberate&) {
    } catch (const DeliberateStruct&) {
    } catch (const ConstraintError&) {
      if (!expects_constraint_) throw;
    } catch (const TransactionAborted& aborted) {  // by a poisoned neighbour
      if (!aborted.is_retryable()) throw;
      ++aborted_;
      return false;
    }
    if (!expects_failure_) throw std::logic_error("job " + std::to_string(job_) + " was not to fail");
    return false;
  }

  int pick(int end) { return std::uniform_int_distribution<int>(0, end - 1)(random_); }

  // A statement that is the whole job; each fails or succeeds for itself.
  void run_statement() {
    const bool is_poison = pick(50) == 0;
    expects_failure_ = expects_constraint_ = is_poison || pick(3) == 0;
    if (is_poison) {
      db_.execute("INSERT INTO poison VALUES (?)", job_);
      return;
    }
    const std::int64_t clash = expects_failure_ ? 0 : 1;  // (job, 0) again, or (job, 1)
    switch (pick(5)) {
      case 0: db_.execute("INSERT INTO row VALUES (?1, 0, 1), (?1, ?2, 2)", job_, clash); break;
      case 1: db_.execute("INSERT OR FAIL INTO row VALUES (?1, 0, 1), (?1, ?2, 2)", job_, clash); break;
      case 2: db_.execute("INSERT INTO row SELECT ?1, 0, 1 UNION ALL SELECT ?1, ?2, 2", job_, clash); break;
      case 3:  // a deferred foreign key
        db_.execute("INSERT INTO child VALUES (?1, 0, 1), (?1, 1, ?2)", job_, clash);
        pending_ = {{kChild, job_, 0}, {kChild, job_, 1}};
        return;
      case 4:  // an AFTER trigger counts before the second row fails
        db_.execute("INSERT INTO counted VALUES (?1, 0), (?1, ?2)", job_, clash);
        pending_ = {{kCounted, job_, 0}, {kCounted, job_, 1}};
        pending_sum_ = 2;
        return;
      default: break;
    }
    pending_ = {{kRow, job_, 0}, {kRow, job_, 1}};
  }

  void run_closure() {
    expects_constraint_ = false;
    expects_failure_ = pick(3) == 0;
    steps_ = 1 + pick(8);
    throws_at_ = expects_failure_ ? pick(steps_) : -1;
    throws_struct_ = pick(4) == 0;
    step_ = 0;
    const std::thread::id caller = std::this_thread::get_id();
    db_.write([&](Transaction& tx) {
      if (std::this_thread::get_id() != caller) ++run_by_others_;
      change(tx, 0);
    });
  }

  // The next steps, up to the end of a savepoint.
  void change(Transaction& tx, int depth) {
    while (step_ < steps_) {
      if (step_++ == throws_at_) {
        if (throws_struct_) throw DeliberateStruct();
        throw Deliberate("at depth " + std::to_string(depth));
      }
      switch (pick(8)) {
        case 0:
        case 1: insert(tx); break;
        case 2: {
          const int amount = 1 + pick(100);
          tx.execute("UPDATE total SET sum = sum + ?", amount);
          pending_sum_ += amount;
          break;
        }
        case 3:
          if (!pending_.empty()) {
            tx.execute("DELETE FROM row WHERE job = ? AND number = ?", job_, std::get<2>(pending_.back()));
            pending_.pop_back();
          }
          break;
        case 4:  // fails, changes nothing, and the job goes on
          if (!pending_.empty()) expect_clash(tx);
          break;
        case 5:
        case 6:
          if (depth < kMostDepth) enter_savepoint(tx, depth + 1);
          break;
        case 7:
          if (depth > 0) return;
          break;
        default: break;
      }
    }
  }

  void insert(Transaction& tx) {
    const int number = next_row_++;
    tx.execute("INSERT INTO row VALUES (?, ?, 0)", job_, number);
    pending_.emplace_back(kRow, job_, number);
  }

  void expect_clash(Transaction& tx) {
    try {
      tx.execute("INSERT INTO row VALUES (?1, ?2, 0), (?1, ?3, 0)", job_, next_row_, std::get<2>(pending_.back()));
    } catch (const ConstraintError&) {
      return;
    }
    throw std::logic_error("two rows of one key");
  }

  void enter_savepoint(Transaction& tx, int depth) {
    const auto rows_before = pending_;
    const std::int64_t sum_before = pending_sum_;
    bool is_undone = false;
    const int end = pick(4);
    try {
      Savepoint savepoint = tx.savepoint();
      change(tx, depth);
      if (end == 0) {
        is_undone = true;  // by its scope
      } else if (end == 1) {
        savepoint.rollback();
        is_undone = true;
      } else if (end == 2) {
        throw std::invalid_argument("caught around the savepoint");
      } else {
        savepoint.release();
      }
    } catch (const std::invalid_argument&) {
      is_undone = true;
    }
    if (is_undone) {
      pending_ = rows_before;
      pending_sum_ = sum_before;
    }
  }

  Database& db_;
  const int number_;
  std::mt19937 random_;

  std::vector<RowOfJob> journal_;
  std::int64_t sum_ = 0;
  int failed_ = 0;
  int aborted_ = 0;
  int run_by_others_ = 0;

  // Of the job at hand.
  std::int64_t job_ = 0;
  int next_row_ = 0;
  int step_ = 0;
  int steps_ = 0;
  int throws_at_ = -1;
  bool throws_struct_ = false;
  bool expects_failure_ = false;
  bool expects_constraint_ = false;
  std::vector<RowOfJob> pending_;
  std::int64_t pending_sum_ = 0;
};

TEST(RandomGroups, LeaveWhatTheJobsThatSucceededWouldLeaveOneByOne) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  const TemporaryFolder folder;
  Database db =
      Database::open(folder / "app.db", {.durability = Durability::normal, .acquire_timeout = std::chrono::minutes(1)});
  db.execute(
      "CREATE TABLE row (job INTEGER NOT NULL, number INTEGER NOT NULL, value INTEGER, PRIMARY KEY (job, number)) "
      "WITHOUT ROWID");
  db.execute("CREATE TABLE total (sum INTEGER NOT NULL)");
  db.execute("INSERT INTO total VALUES (0)");
  db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)");
  db.execute("INSERT INTO parent VALUES (1)");
  db.execute(
      "CREATE TABLE child (job INTEGER, number INTEGER, parent INTEGER REFERENCES parent DEFERRABLE INITIALLY "
      "DEFERRED)");
  db.execute("CREATE TABLE counted (job INTEGER, number INTEGER, UNIQUE (job, number) ON CONFLICT FAIL)");
  db.execute("CREATE TABLE poison (job INTEGER)");
  db.execute("CREATE TRIGGER no_poison AFTER INSERT ON poison BEGIN SELECT RAISE(ROLLBACK, 'poisoned'); END");
  db.execute("CREATE TRIGGER count_it AFTER INSERT ON counted BEGIN UPDATE total SET sum = sum + 1; END");

  std::vector<RandomWriter> writers;
  for (int i = 0; i < kWriters; ++i) writers.emplace_back(db, i, seed);
  {
    std::latch start(kWriters);
    std::vector<std::jthread> threads;
    for (RandomWriter& writer : writers) {
      threads.emplace_back([&] {
        start.arrive_and_wait();
        try {
          writer.run();
        } catch (const std::exception& error) {
          ADD_FAILURE() << error.what();
        }
      });
    }
  }

  std::vector<RowOfJob> expected;
  std::int64_t sum = 0;
  int failed = 0;
  int aborted = 0;
  int run_by_others = 0;
  for (const RandomWriter& writer : writers) {
    expected.insert(expected.end(), writer.journal().begin(), writer.journal().end());
    sum += writer.sum();
    failed += writer.failed();
    aborted += writer.aborted();
    run_by_others += writer.run_by_others();
  }
  std::sort(expected.begin(), expected.end());
  const auto found = db.query<RowOfJob>(
      "SELECT 0, job, number FROM row UNION ALL SELECT 1, job, number FROM child "
      "UNION ALL SELECT 2, job, number FROM counted ORDER BY 1, 2, 3");
  std::vector<RowOfJob> missing;
  std::vector<RowOfJob> surplus;
  std::set_difference(expected.begin(), expected.end(), found.begin(), found.end(), std::back_inserter(missing));
  std::set_difference(found.begin(), found.end(), expected.begin(), expected.end(), std::back_inserter(surplus));
  EXPECT_EQ(missing, std::vector<RowOfJob>()) << "committed, but not there";
  EXPECT_EQ(surplus, std::vector<RowOfJob>()) << "undone, but still there";
  EXPECT_EQ(db.query_one<std::int64_t>("SELECT sum FROM total"), sum);
  EXPECT_EQ(db.query_one<std::string>("PRAGMA integrity_check"), "ok");
  EXPECT_GT(failed, kWriters * kJobsOfAWriter / 4);
  EXPECT_GT(run_by_others, 0) << "no write shared a transaction";
  EXPECT_GT(aborted, 0) << "no write lost a transaction that it shared";
}

}  // namespace
}  // namespace sqlane
