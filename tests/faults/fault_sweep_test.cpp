#include <chrono>
#include <cstdint>
#include <set>
#include <sqlite3.h>
#include <string>
#include <utility>
#include <vector>

#include "support/foreign_connection.hpp"
#include "support/open_files.hpp"
#include "support/sqlite_faults.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::Call;
using testing::count_open_files;
using testing::Effect;
using testing::Fault;
using testing::FaultInjection;
using testing::ForeignConnection;
using testing::handles;
using testing::TemporaryFolder;

// What the caller of a write was told about the row with this number.
enum class Told { done, failed, unknown };

// A little of everything, each write with a row of its own. Every call may
// fail, with one of the library's errors; nothing else may come out.
class Workload {
 public:
  explicit Workload(Database& db) : db_(db) {}

  void run() {
    attempt(1, [&] { db_.execute("INSERT INTO note (id, title) VALUES (?, ?)", 1, "by itself"); });
    attempt(2,
            [&] { db_.write([](Transaction& tx) { tx.execute("INSERT INTO note (id, title) VALUES (2, 'job')"); }); });
    attempt(3, [&] {
      Transaction tx = db_.begin();
      {
        const Savepoint undone = tx.savepoint();
        tx.execute("INSERT INTO note (id, title) VALUES (99, 'undone')");
      }
      Savepoint kept = tx.savepoint();
      tx.execute("INSERT INTO note (id, title) VALUES (:id, :title)", bind(":id", 3), bind(":title", "guard"));
      kept.release();
      tx.commit();
    });
    attempt(4, [&] {
      db_.write([](Transaction& tx) {
        tx.execute_many("INSERT INTO note (id, title) VALUES (?, ?)",
                        std::vector<std::pair<int, std::string>>{{4, "many"}, {5, "more"}});
      });
    });
    attempt(0, [&] {
      db_.read([](const Snapshot& s) {
        const auto first = s.query_one<std::int64_t>("SELECT count(*) FROM note");
        std::int64_t seen = 0;
        for ([[maybe_unused]] const std::string& title : s.query<std::string>("SELECT title FROM note")) ++seen;
        EXPECT_EQ(seen, first);
        // The same statement inside itself needs a second copy, which is not kept.
        const auto ids = [&] { return s.query<int>("SELECT id FROM note ORDER BY id LIMIT 2"); };
        for ([[maybe_unused]] const int outer : ids()) {
          for ([[maybe_unused]] const int inner : ids()) ++seen;
        }
      });
    });
    attempt(0, [&] { static_cast<void>(db_.query_optional<std::string>("SELECT title FROM note WHERE id = ?", 3)); });
    attempt(0, [&] {
      const Snapshot snapshot = db_.snapshot();
      static_cast<void>(snapshot.query_one<std::int64_t>("SELECT count(*) FROM note"));
    });
    attempt(6, [&] { db_.execute("INSERT INTO note (id, title) VALUES (?, ?)", 6, "last"); });
  }

  void expect_truth() const {
    std::set<int> present;
    for (const int id : db_.query<int>("SELECT id FROM note")) present.insert(id);
    EXPECT_FALSE(present.contains(99)) << "an undone savepoint came back";
    for (const auto& [id, told] : told_) {
      if (told == Told::unknown) continue;
      EXPECT_EQ(present.contains(id), told == Told::done) << "row " << id;
    }
    EXPECT_EQ(present.contains(5), present.contains(4)) << "half of a transaction";
  }

 private:
  template <class Action>
  void attempt(int id, Action&& action) {
    Told told = Told::failed;
    try {
      action();
      told = Told::done;
    } catch (const CommitOutcomeUnknown&) {
      told = Told::unknown;
    } catch (const Error&) {
    }
    if (id != 0) told_.emplace_back(id, told);
  }

  Database& db_;
  std::vector<std::pair<int, Told>> told_;
};

struct Sweep {
  const char* name;
  Call call;
  int code;
  Effect effect;
  int times = 1;
};

std::ostream& operator<<(std::ostream& out, const Sweep& sweep) { return out << sweep.name; }

class FaultSweep : public ::testing::TestWithParam<Sweep> {};

TEST_P(FaultSweep, LosesNothingAndLeaksNothingWhicheverCallFails) {
  const Sweep& sweep = GetParam();
  constexpr int kMostCalls = 500;
  int skip = 0;
  for (;; ++skip) {
    ASSERT_LT(skip, kMostCalls);
    SCOPED_TRACE("call " + std::to_string(skip));
    const TemporaryFolder folder;
    const testing::Handles before = handles();
    const std::size_t files_before = count_open_files();
    int failures = 0;
    {
      Database db = Database::open(folder / "app.db", {.readers = 2,
                                                       .durability = Durability::normal,
                                                       .acquire_timeout = 0ms,
                                                       .busy_timeout = 0ms,
                                                       .checkpoint_pages = 3});
      db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL)");
      Workload workload(db);
      {
        const FaultInjection fault(
            {.call = sweep.call, .code = sweep.code, .skip = skip, .times = sweep.times, .effect = sweep.effect});
        workload.run();
        failures = fault.failures();
      }
      workload.expect_truth();
      // Everything works again, on every reader.
      db.execute("INSERT INTO note (id, title) VALUES (1000, 'after')");
      db.write([](Transaction& tx) { tx.execute("INSERT INTO note (id, title) VALUES (1001, 'after')"); });
      const Snapshot one = db.snapshot();
      const Snapshot two = db.snapshot();
      EXPECT_EQ(one.query_one<int>("SELECT count(*) FROM note WHERE id >= 1000"), 2);
      EXPECT_EQ(two.query_one<int>("SELECT count(*) FROM note WHERE id >= 1000"), 2);
      EXPECT_EQ(two.query_one<std::string>("PRAGMA integrity_check"), "ok");
    }
    EXPECT_EQ(handles().open_connections(), before.open_connections());
    EXPECT_EQ(handles().open_statements(), before.open_statements());
    EXPECT_EQ(count_open_files(), files_before);
    ForeignConnection other(folder / "app.db");
    EXPECT_EQ(other.ask("PRAGMA integrity_check"), "ok");
    if (failures == 0) break;
    if (HasFailure()) break;  // one story is enough
  }
  EXPECT_GT(skip, 5) << "hardly anything was made to fail";
}

INSTANTIATE_TEST_SUITE_P(All, FaultSweep,
                         ::testing::Values(Sweep{"StepIoError", Call::step, SQLITE_IOERR_WRITE, Effect::instead},
                                           Sweep{"StepOutOfMemory", Call::step, SQLITE_NOMEM, Effect::instead},
                                           Sweep{"StepBusy", Call::step, SQLITE_BUSY, Effect::instead},
                                           Sweep{"StepBusyTwice", Call::step, SQLITE_BUSY, Effect::instead, 2},
                                           Sweep{"StepOutOfMemoryThrice", Call::step, SQLITE_NOMEM, Effect::instead, 3},
                                           Sweep{"StepRolledBack", Call::step, SQLITE_FULL, Effect::engine_rolls_back},
                                           Sweep{"PrepareOutOfMemory", Call::prepare, SQLITE_NOMEM, Effect::instead},
                                           Sweep{"BindOutOfMemory", Call::bind, SQLITE_NOMEM, Effect::instead}),
                         [](const ::testing::TestParamInfo<Sweep>& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace sqlane
