#pragma once

#include <chrono>
#include <cstddef>
#include <gtest/gtest.h>
#include <map>
#include <mutex>
#include <set>
#include <sqlane/sqlane.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/lane_queue.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::testing {

// A database of titles. Its writes are noted: in which order they ran, on which thread,
// and how many shared their commit.
class TitledWrites : public ::testing::Test {
 protected:
  // Count without an end: some hours, if nobody interrupts them.
  static constexpr const char* kEndlessRead =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000000) SELECT count(*) FROM n";
  static constexpr const char* kEndlessWrite =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000000) "
      "INSERT INTO note SELECT 'endless ' || count(*) FROM n";

  explicit TitledWrites(BatchLimits batch = {.run_time = std::chrono::hours(1)},
                        std::chrono::milliseconds acquire_timeout = std::chrono::hours(1))
      : db(Database::open(folder / "app.db",
                          {.readers = 1,
                           .acquire_timeout = acquire_timeout,
                           .busy_timeout = std::chrono::hours(1),
                           .batch = batch,
                           .on_write_sample = {.every = 1, .callback = [this](const WriteTrace& trace) {
                                                 const std::lock_guard lock(mutex);
                                                 jobs_of_last[std::this_thread::get_id()] = trace.jobs;
                                               }}})) {
    db.execute("CREATE TABLE note (title TEXT)");
  }

  using Titles = std::vector<std::string>;
  Titles titles() { return db.query<std::string>("SELECT title FROM note ORDER BY rowid"); }
  static void insert(Transaction& tx, const std::string& title) { tx.execute("INSERT INTO note VALUES (?)", title); }

  // What became of one job.
  struct Ran {
    std::string title;
    bool on_own_thread = false;
    std::thread::id thread;
    std::size_t jobs = 0;  // that shared its commit; 0 when it failed
  };

  // Queues a job that inserts its title.
  void add(LaneQueue& queue, const std::string& title, WriteOptions options = {}) {
    queue.add([this, title, options = std::move(options)] {
      const std::thread::id own = std::this_thread::get_id();
      std::size_t place = 0;
      db.write(options, [&](Transaction& tx) {
        insert(tx, title);
        place = ran.size();
        ran.push_back({title, std::this_thread::get_id() == own, std::this_thread::get_id()});
      });
      const std::lock_guard lock(mutex);
      jobs_of[title] = jobs_of_last[own];
    });
  }

  [[nodiscard]] std::vector<std::string> order() const {
    std::vector<std::string> all;
    for (const Ran& one : ran) all.push_back(one.title);
    return all;
  }
  // A batch is led by the thread of its first waiter.
  [[nodiscard]] std::size_t batches() const {
    std::set<std::thread::id> leaders;
    for (const Ran& one : ran) leaders.insert(one.thread);
    return leaders.size();
  }

  TemporaryFolder folder;
  std::mutex mutex;
  std::map<std::thread::id, std::size_t> jobs_of_last;  // by whoever asked
  std::map<std::string, std::size_t> jobs_of;
  std::vector<Ran> ran;  // by the lane's holder
  Database db;
};

}  // namespace sqlane::testing
