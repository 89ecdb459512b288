#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <latch>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/foreign_connection.hpp"
#include "support/foreign_process.hpp"
#include "support/temporary_folder.hpp"

// Two programs, each with threads of its own, that count up in one file. How
// much they do is fixed; SQLANE_TESTS_SECONDS makes it as much as they can in
// that time, to see how they get along under load:
//
//   SQLANE_TESTS_SECONDS=60 sqlane_threads_tests --gtest_filter='TwoProcesses.*'

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;
using testing::ChildProcess;
using testing::ForeignConnection;
using testing::LinePipe;
using testing::TemporaryFolder;

constexpr int kThreadsOfAProcess = 8;
constexpr int kOperationsOfAThread = 2000;  // of each thread

// How long each process goes on; zero: until each thread has done its operations.
std::chrono::seconds run_time() {
  const char* const seconds = std::getenv("SQLANE_TESTS_SECONDS");
  return std::chrono::seconds(seconds == nullptr ? 0 : std::atoi(seconds));
}

struct ThreadResult {
  std::int64_t acknowledged = 0;
  std::int64_t busy = 0;  // BusyError
  std::int64_t late = 0;  // TimeoutError
  std::int64_t other_errors = 0;
  std::int64_t longest_us = 0;  // of one operation
};

struct ProcessResult {
  std::vector<ThreadResult> threads;
  double seconds = 0;

  template <class Member>
  [[nodiscard]] std::int64_t sum(Member ThreadResult::*member) const {
    std::int64_t total = 0;
    for (const ThreadResult& thread : threads) total += thread.*member;
    return total;
  }
  [[nodiscard]] std::int64_t fewest() const {
    return std::ranges::min(threads, {}, &ThreadResult::acknowledged).acknowledged;
  }
  [[nodiscard]] std::int64_t longest_us() const {
    return std::ranges::max(threads, {}, &ThreadResult::longest_us).longest_us;
  }
};

// On one line, for the pipe.
std::string to_line(const ProcessResult& result) {
  std::ostringstream line;
  line << result.seconds;
  for (const ThreadResult& thread : result.threads) {
    line << ' ' << thread.acknowledged << ' ' << thread.busy << ' ' << thread.late << ' ' << thread.other_errors << ' '
         << thread.longest_us;
  }
  return line.str();
}

ProcessResult from_line(const std::string& line) {
  std::istringstream words(line);
  ProcessResult result;
  words >> result.seconds;
  result.threads.resize(kThreadsOfAProcess);
  for (ThreadResult& thread : result.threads) {
    words >> thread.acknowledged >> thread.busy >> thread.late >> thread.other_errors >> thread.longest_us;
  }
  if (!words) throw std::runtime_error("not a result: " + line);
  return result;
}

// By turns in one statement, and by reading first: a transaction that took the
// write lock only then would find that the other process has been faster.
void count_one(Database& db, int thread, int turn) {
  if (turn % 2 == 0) {
    db.execute("UPDATE counter SET n = n + 1 WHERE id = ?", thread);
  } else {
    db.write([&](Transaction& tx) {
      const auto n = tx.query_one<std::int64_t>("SELECT n FROM counter WHERE id = ?", thread);
      tx.execute("UPDATE counter SET n = ? WHERE id = ?", n + 1, thread);
    });
  }
}

ThreadResult count_up(Database& db, int thread, std::chrono::seconds time) {
  ThreadResult result;
  const steady_clock::time_point end = steady_clock::now() + time;
  const auto goes_on = [&](int turn) {
    return time.count() == 0 ? turn < kOperationsOfAThread : steady_clock::now() < end;
  };
  for (int turn = 0; goes_on(turn); ++turn) {
    const steady_clock::time_point begin = steady_clock::now();
    try {
      count_one(db, thread, turn);
      ++result.acknowledged;
    } catch (const BusyError&) {
      ++result.busy;
    } catch (const TimeoutError&) {
      ++result.late;
    } catch (const std::exception& error) {
      if (result.other_errors++ == 0) std::fprintf(stderr, "thread %d: %s\n", thread, error.what());
    }
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - begin);
    result.longest_us = std::max<std::int64_t>(result.longest_us, took.count());
  }
  return result;
}

ProcessResult count_up(Database& db) {
  ProcessResult result;
  result.threads.resize(kThreadsOfAProcess);
  const steady_clock::time_point begin = steady_clock::now();
  {
    std::latch start(kThreadsOfAProcess);
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreadsOfAProcess; ++t) {
      threads.emplace_back([&, t] {
        start.arrive_and_wait();
        result.threads[static_cast<std::size_t>(t)] = count_up(db, t, run_time());
      });
    }
  }
  result.seconds = std::chrono::duration<double>(steady_clock::now() - begin).count();
  return result;
}

void report(const std::string& name, const ProcessResult& process) {
  std::ostringstream shares;
  for (const ThreadResult& thread : process.threads) shares << ' ' << thread.acknowledged;
  const std::int64_t acknowledged = process.sum(&ThreadResult::acknowledged);
  std::printf(
      "%s: %lld writes in %.2f s (%.0f/s), threads:%s, longest %.1f ms, "
      "%lld BusyErrors, %lld TimeoutErrors, %lld other errors\n",
      name.c_str(), static_cast<long long>(acknowledged), process.seconds,
      static_cast<double>(acknowledged) / process.seconds, shares.str().c_str(),
      static_cast<double>(process.longest_us()) / 1000, static_cast<long long>(process.sum(&ThreadResult::busy)),
      static_cast<long long>(process.sum(&ThreadResult::late)),
      static_cast<long long>(process.sum(&ThreadResult::other_errors)));
  ::testing::Test::RecordProperty(name + "_threads", shares.str());
  ::testing::Test::RecordProperty(name + "_longest_us", std::to_string(process.longest_us()));
}

// here                       the child
// makes the table
// "open" ------------------> opens
//       <------------------- "ready"
// "count" -----------------> counts
// counts
//       <------------------- its result, the database closed
class TwoProcesses : public ::testing::TestWithParam<Durability> {};

TEST_P(TwoProcesses, CountUpInOneFileAndLoseNothing) {
  const auto open = [](const fs::path& file) { return Database::open(file, {.durability = GetParam()}); };
  const TemporaryFolder folder;
  const fs::path path = folder / "app.db";
  ChildProcess child([&](const LinePipe& from_parent, const LinePipe& to_parent) {
    std::string line;
    static_cast<void>(from_parent.read(line));
    Database db = open(path);
    to_parent.write("ready");
    if (!from_parent.read(line)) return;
    const ProcessResult result = count_up(db);
    db.close();
    to_parent.write(to_line(result));
  });
  ProcessResult here;
  ProcessResult there;
  {
    Database db = open(path);
    db.execute("CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)");
    for (int t = 0; t < kThreadsOfAProcess; ++t) db.execute("INSERT INTO counter VALUES (?, 0)", t);
    child.tell("open");
    ASSERT_EQ(child.hear(), "ready");
    child.tell("count");
    here = count_up(db);
    there = from_line(child.hear());
  }
  report("here", here);
  report("there", there);

  for (const ProcessResult* process : {&here, &there}) {
    EXPECT_EQ(process->sum(&ThreadResult::busy), 0);
    EXPECT_EQ(process->sum(&ThreadResult::late), 0);
    EXPECT_EQ(process->sum(&ThreadResult::other_errors), 0);
    if (run_time().count() == 0) {
      EXPECT_EQ(process->fewest(), kOperationsOfAThread);
    } else {
      EXPECT_GE(process->fewest() * kThreadsOfAProcess * 10, process->sum(&ThreadResult::acknowledged))
          << "a thread starved";
    }
  }
  const std::int64_t ours = here.sum(&ThreadResult::acknowledged);
  const std::int64_t theirs = there.sum(&ThreadResult::acknowledged);
  EXPECT_GE(std::min(ours, theirs) * 20, std::max(ours, theirs)) << "a process starved";

  ForeignConnection stock(path);
  for (std::size_t t = 0; t < kThreadsOfAProcess; ++t) {
    EXPECT_EQ(stock.ask("SELECT n FROM counter WHERE id = " + std::to_string(t)),
              std::to_string(here.threads[t].acknowledged + there.threads[t].acknowledged))
        << "of thread " << t;
  }
  EXPECT_EQ(stock.ask("PRAGMA integrity_check"), "ok");
}

INSTANTIATE_TEST_SUITE_P(All, TwoProcesses, ::testing::Values(Durability::full, Durability::normal),
                         [](const auto& one) { return one.param == Durability::full ? "Full" : "Normal"; });

}  // namespace
}  // namespace sqlane
