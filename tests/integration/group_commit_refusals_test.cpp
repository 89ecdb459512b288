#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/grouped_writes.hpp"
#include "support/queued_writes.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::GroupedWrites;
using testing::mentions;
using testing::QueuedWrites;

// What is refused inside.

TEST_F(GroupedWrites, RefuseSqlThatControlsTransactionsAndMayGoOn) {
  std::atomic<int> refused = 0;
  const std::vector<std::string> texts{"COMMIT",
                                       "ROLLBACK",
                                       "END",
                                       "BEGIN",
                                       "SAVEPOINT sqlane",
                                       "RELEASE sqlane_job",
                                       "ROLLBACK TO sqlane_job",
                                       "ATTACH ':memory:' AS other",
                                       "PRAGMA journal_mode=DELETE",
                                       "PRAGMA foreign_keys=OFF"};
  QueuedWrites queue(db);
  for (const char* title : {"a", "b", "c"}) {
    queue.add([&, title] {
      db.write([&](Transaction& tx) {
        for (const std::string& text : texts) {
          try {
            tx.execute(runtime_sql(text));
          } catch (const UsageError&) {
            ++refused;
          }
        }
        add(tx, title);
      });
    });
  }
  const long commits_before = commits();
  queue.run();
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NO_THROW(queue.get(i));
  EXPECT_EQ(static_cast<std::size_t>(refused), 3 * texts.size());
  EXPECT_EQ(rows(), (Rows{"a", "b", "c"}));
  EXPECT_EQ(commits(), commits_before + 1);
  EXPECT_EQ(db.query_one<std::string>("PRAGMA journal_mode"), "wal");
}

TEST_F(GroupedWrites, OfASingleStatementThatControlsTransactionsFailAlone) {
  for (const char* text : {"COMMIT", "ROLLBACK", "SAVEPOINT x", "RELEASE sqlane_job", "ATTACH ':memory:' AS other",
                           "PRAGMA journal_mode=DELETE"}) {
    SCOPED_TRACE(text);
    expect_to_fail_alone<UsageError>([&] { db.execute(runtime_sql(text)); });
  }
}

TEST_F(GroupedWrites, RefuseToWaitForTheLaneInsideAndNameBothPlaces) {
  std::vector<int> lines(3);
  std::vector<std::thread::id> threads;
  std::atomic<int> refused = 0;
  const auto expect_refused = [&](int outer, int inner, const std::function<void()>& action) {
    const UsageError error = error_of<UsageError>(action);
    EXPECT_TRUE(mentions(error, "group_commit_refusals_test.cpp:" + std::to_string(outer) + " ")) << error.what();
    EXPECT_TRUE(mentions(error, "group_commit_refusals_test.cpp:" + std::to_string(inner) + " ")) << error.what();
    ++refused;
  };
  QueuedWrites queue(db);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    queue.add([&, i] {
      // Each on a line of its own, so that the error has to name the right one.
      const auto job = [&, i](Transaction& tx) {
        threads.push_back(std::this_thread::get_id());
        expect_refused(lines[i], __LINE__, [&] { db.write([](Transaction&) {}); });
        expect_refused(lines[i], __LINE__, [&] { db.execute("DELETE FROM note"); });
        expect_refused(lines[i], __LINE__, [&] { static_cast<void>(db.begin()); });
        expect_refused(lines[i], __LINE__, [&] { db.close(); });
        add(tx, std::to_string(i));
      };
      if (i == 0) {
        lines[i] = __LINE__ + 1;
        db.write(job);
      } else if (i == 1) {
        lines[i] = __LINE__ + 1;
        db.write(job);
      } else {
        lines[i] = __LINE__ + 1;
        db.write(job);
      }
    });
  }
  queue.run();
  for (std::size_t i = 0; i < lines.size(); ++i) EXPECT_NO_THROW(queue.get(i));
  EXPECT_EQ(refused, 12);
  EXPECT_EQ(threads, std::vector(lines.size(), queue.thread_of(0)));
  EXPECT_EQ(rows(), (Rows{"0", "1", "2"})) << "and the database is still open";
}

}  // namespace
}  // namespace sqlane
