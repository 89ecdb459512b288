#include <chrono>
#include <latch>
#include <optional>
#include <sqlite3.h>
#include <string>
#include <thread>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/grouped_writes.hpp"
#include "support/queued_writes.hpp"

namespace sqlane {
namespace {

using testing::ForeignConnection;
using testing::GroupedWrites;
using testing::mentions;
using testing::QueuedWrites;

// The lane's holder, as others see it.

// A function pause() for SQL, known to connections that are opened meanwhile:
// it arrives, and returns once it is released.
class PausingFunction {
 public:
  PausingFunction() {
    instance() = this;
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(&PausingFunction::add_to));
  }
  PausingFunction(const PausingFunction&) = delete;
  PausingFunction& operator=(const PausingFunction&) = delete;
  ~PausingFunction() {
    sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(&PausingFunction::add_to));
    instance() = nullptr;
  }

  void await() { has_arrived_.wait(); }
  void release() { is_released_.count_down(); }

 private:
  static PausingFunction*& instance() {
    static PausingFunction* one = nullptr;
    return one;
  }
  static int add_to(sqlite3* connection, const char** /*message*/, const void* /*functions*/) {
    return sqlite3_create_function_v2(
        connection, "pause", 0, SQLITE_UTF8, instance(),
        [](sqlite3_context* context, int, sqlite3_value**) {
          auto& self = *static_cast<PausingFunction*>(sqlite3_user_data(context));
          self.has_arrived_.count_down();
          self.is_released_.wait();
          sqlite3_result_int(context, 1);
        },
        nullptr, nullptr, nullptr);
  }

  std::latch has_arrived_{1};
  std::latch is_released_{1};
};

TEST_F(GroupedWrites, ShowWhoHasTheLaneAndHowManyWait) {
  std::latch is_running(1);
  std::latch is_seen(1);
  int line = 0;
  EXPECT_FALSE(db.lane_holder().has_value());
  QueuedWrites queue(db);
  queue.add(adding("a"));
  queue.add([&] {
    line = __LINE__ + 1;
    db.write([&](Transaction& tx) {
      add(tx, "b");
      is_running.count_down();
      is_seen.wait();
    });
  });
  queue.add(adding("c"));
  queue.add(inserting("d"));
  queue.release();
  is_running.wait();
  const std::optional<LaneHolder> holder = db.lane_holder();
  is_seen.count_down();
  queue.join();
  ASSERT_TRUE(holder.has_value());
  EXPECT_TRUE(mentions(holder->site.to_string(), "group_commit_lane_holder_test.cpp:" + std::to_string(line) + " "))
      << holder->site.to_string();
  EXPECT_EQ(holder->sql, "") << "no statement runs at the moment";
  EXPECT_EQ(holder->waiting, 2U);
  EXPECT_GE(holder->held.count(), 0);
  EXPECT_FALSE(db.lane_holder().has_value());
}

TEST_F(GroupedWrites, ShowTheStatementThatRuns) {
  PausingFunction pause;
  Database other = Database::open(folder / "other.db", options());
  other.execute("CREATE TABLE t (a)");
  int line = 0;
  QueuedWrites queue(other);
  queue.add([&] { other.execute("INSERT INTO t VALUES (1)"); });
  queue.add([&] {
    line = __LINE__ + 1;
    other.execute("INSERT INTO t SELECT pause()");
  });
  queue.add([&] { other.execute("INSERT INTO t VALUES (3)"); });
  queue.release();
  pause.await();
  const std::optional<LaneHolder> holder = other.lane_holder();
  pause.release();
  queue.join();
  ASSERT_TRUE(holder.has_value());
  EXPECT_EQ(holder->sql, "INSERT INTO t SELECT pause()");
  EXPECT_TRUE(mentions(holder->site.to_string(), "group_commit_lane_holder_test.cpp:" + std::to_string(line) + " "))
      << holder->site.to_string();
  EXPECT_EQ(holder->waiting, 1U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NO_THROW(queue.get(i));
  EXPECT_EQ(other.query_one<int>("SELECT count(*) FROM t"), 3);
}

TEST_F(GroupedWrites, ShowThatTheyWaitForAnotherProgram) {
  Options patient = options();
  patient.busy_timeout = std::chrono::minutes(1);
  Database other = Database::open(folder / "other.db", patient);
  other.execute("CREATE TABLE t (a)");
  ForeignConnection foreign(folder / "other.db");
  foreign.run("BEGIN IMMEDIATE");
  std::jthread writer([&] { EXPECT_NO_THROW(other.execute("INSERT INTO t VALUES (1)")); });
  std::optional<LaneHolder> holder;
  do {
    std::this_thread::yield();
    holder = other.lane_holder();
  } while (!holder.has_value() || holder->sql.empty());
  EXPECT_EQ(holder->sql, "BEGIN IMMEDIATE");
  EXPECT_EQ(holder->waiting, 0U);
  foreign.run("ROLLBACK");
  writer.join();
  EXPECT_FALSE(other.lane_holder().has_value());
}

}  // namespace
}  // namespace sqlane
