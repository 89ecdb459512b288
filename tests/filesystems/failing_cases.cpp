// Disks that are full, gone, failing, or hanging.
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <future>
#include <poll.h>
#include <sqlane/sqlane.hpp>
#include <unistd.h>

#include "cases.hpp"
#include "folder.hpp"
#include "load.hpp"
#include "plain_sqlite.hpp"

namespace sqlane::filesystems {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kInsert = "INSERT INTO ack (id, body) VALUES (?, ?)";

Database open_with_table(const Place& place) {
  Database db = open_or_refuse(place.folder, [&] { return Database::open(place.file()); });
  db.execute(runtime_sql(kTable));
  return db;
}

// A file that takes what room there is. Goes with this object.
class Ballast {
 public:
  explicit Ballast(const std::filesystem::path& file) : file_(file) {
    constexpr std::size_t kAtMost = 1U << 30U;
    const int opened = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    expect(opened >= 0, "the ballast cannot be made");
    const std::string data(1U << 20U, 'b');
    std::size_t size = 0;
    for (std::size_t piece = data.size(); piece > 0 && size < kAtMost; piece /= 16) {
      ssize_t written = 0;
      do {
        written = ::write(opened, data.data(), piece);
        if (::fsync(opened) != 0) break;  // some file systems tell only then
        size += written > 0 ? static_cast<std::size_t>(written) : 0;
      } while (written > 0 && size < kAtMost);
    }
    ::close(opened);
    if (size >= kAtMost) {
      std::filesystem::remove(file);
      throw Skipped("there is more room than the test fills");
    }
  }
  ~Ballast() { remove(); }
  Ballast(const Ballast&) = delete;
  Ballast& operator=(const Ballast&) = delete;

  void remove() {
    std::error_code ignored;
    std::filesystem::remove(file_, ignored);
  }

 private:
  std::filesystem::path file_;
};

// Writes large rows until one fails, as "Class: message".
std::string error_of_large_writes(Database& db, std::int64_t& id, std::vector<std::int64_t>& acknowledged) {
  for (int i = 0; i < 2000; ++i, ++id) {
    try {
      db.execute(kInsert, id, std::string(100'000, 'y'));
      acknowledged.push_back(id);
    } catch (const std::exception& error) {
      ++id;
      return described(error);
    }
  }
  throw Skipped("the file system takes data although it is full");
}

// Tries until a write succeeds. Returns the newest error after `tries`.
std::string error_of_last_try(Database& db, std::int64_t& id, std::vector<std::int64_t>& acknowledged, int tries) {
  std::string failure;
  for (int i = 0; i < tries; ++i, ++id) {
    try {
      db.execute(kInsert, id, "after that");
      acknowledged.push_back(id++);
      return {};
    } catch (const std::exception& error) {
      failure = described(error);
    }
  }
  return failure;
}

std::string full(const Place& place) {
  Database db = open_with_table(place);
  std::vector<std::int64_t> acknowledged;
  std::int64_t id = 1;
  expect(error_of_last_try(db, id, acknowledged, 1).empty(), "the first write failed");
  Ballast ballast(place.file("ballast"));
  const std::string failure = error_of_large_writes(db, id, acknowledged);
  expect(db.query_one<std::size_t>("SELECT count(*) FROM ack") >= acknowledged.size(),  // more: of unknown outcome
         "while the disk is full, a read does not find what was acknowledged");
  ballast.remove();
  const std::string after = error_of_last_try(db, id, acknowledged, 3);
  expect(after.empty(), "with room again, writing does not go on: " + after);
  db.close();
  expect_all(place.file(), acknowledged);
  // Reported at fsync alone, it leaves open what is on the disk.
  const bool is_told_late = failure.starts_with("CommitOutcomeUnknown") &&
                            failure.find("No space left") != failure.npos && failure.find("code 1034") != failure.npos;
  expect(failure.starts_with("DiskFullError") || is_told_late, "a full disk is called: " + failure);
  return {};
}

std::string open_when_full(const Place& place) {
  prepare(place.file(), Left::wal_mode, 500);
  const auto before = contents_of(place.folder);
  {
    const Ballast ballast(place.file("ballast"));
    for (const OpenMode mode : {OpenMode::read_only, OpenMode::existing}) {
      try {
        const Database db = Database::open(place.file(), {.mode = mode});
        expect(db.query_one<std::int64_t>("SELECT count(*) FROM ack") == 500, "rows are missing");
      } catch (const std::exception& error) {
        const std::string failure = described(error);
        expect(failure.find("full") != std::string::npos, "a full disk is called: " + failure);
      }
    }
  }
  const std::string changes = changes_since(before, place.folder);
  expect(changes.empty(), "opened on a full disk, and closed: " + changes);
  const Database db = Database::open(place.file());
  expect(db.query_one<std::int64_t>("SELECT count(*) FROM ack") == 500, "with room again, rows are missing");
  return {};
}

void run_command(const std::string& command) {
  expect(std::system(command.c_str()) == 0, "failed: " + command);  // NOLINT(concurrency-mt-unsafe)
}

std::size_t acknowledged_by(Load& load) {
  std::size_t count = 0;
  load.wait_until([&](const Load::Tally& tally) { return (count = tally.acknowledged, true); }, seconds(0));
  return count;
}

std::string missing_of(const Place& place, const std::vector<std::int64_t>& ids) {
  return std::to_string(look_for(place.file(), ids).missing.size()) + " of " + std::to_string(ids.size());
}

// Loses the device under 8 threads, and brings it back `times` times; each time the one Database goes on by reopen().
std::string lose_device(const Place& place, int times) {
  if (place.lose.empty()) throw Skipped("the device cannot be taken away here");
  std::vector<std::int64_t> before, gone, back;  // acknowledged: before the loss, up to reopen(), and then
  std::string error;
  std::size_t not_read_back = 0;
  Database db = open_with_table(place);
  for (int i = 0; i < times; ++i) {
    Load load(db, 8, 1 + i * 10 * kIdsOfThread);
    const auto at_least_100 = [](const Load::Tally& tally) { return tally.acknowledged >= 100; };
    expect(load.wait_until(at_least_100, seconds(10)), "100 writes take longer than 10 s");
    run_command(place.lose);
    const std::size_t when_lost = acknowledged_by(load);
    const auto all_fail = [](const Load::Tally& tally) { return tally.threads_failing == 8; };
    const bool have_failed = load.wait_until(all_fail, seconds(10));
    run_command(place.bring_back);
    expect(have_failed, "writes are acknowledged, or hang, although the device is gone");
    db.reopen();
    const std::size_t when_back = acknowledged_by(load);
    const auto more = [&](const Load::Tally& tally) { return tally.acknowledged > when_back + 100; };
    const bool goes_on = load.wait_until(more, seconds(10));
    load.stop();
    for (const auto& [what, count] : load.errors()) error = what;
    expect(goes_on, "after reopen(), writing does not go on: " + error);
    not_read_back += load.not_read_back();
    const auto first = load.acknowledged().begin();
    before.insert(before.end(), first, first + static_cast<std::ptrdiff_t>(when_lost));
    gone.insert(gone.end(), first + static_cast<std::ptrdiff_t>(when_lost),
                first + static_cast<std::ptrdiff_t>(when_back));
    back.insert(back.end(), first + static_cast<std::ptrdiff_t>(when_back), load.acknowledged().end());
  }
  db.close();
  const std::string figures = "missing of the acknowledged: before the loss " + missing_of(place, before) +
                              ", up to reopen() " + missing_of(place, gone) + ", then " + missing_of(place, back) +
                              "; not found by a read meanwhile " + std::to_string(not_read_back) + "; " + error;
  std::vector<std::int64_t> all = before;
  all.insert(all.end(), gone.begin(), gone.end());
  all.insert(all.end(), back.begin(), back.end());
  const Look found = look_for(place.file(), all);
  expect(found.damage.empty(), "the file is not whole: " + found.damage + "; " + figures);
  expect(found.missing.empty() && not_read_back == 0, figures);
  return figures;
}

std::string device_gone(const Place& place) { return lose_device(place, 1); }
std::string replug(const Place& place) { return lose_device(place, 20); }

void turn(const Place& place, const std::string& what) { std::ofstream(place.switches) << what << std::flush; }

// The file system is as it should be again when this goes.
struct SwitchedOff {
  const Place& place;
  ~SwitchedOff() { turn(place, "none"); }
};

// The Nth call of each kind fails, once, and then for good.
std::string failing_calls(const Place& place) {
  if (place.switches.empty()) throw Skipped("calls cannot be made to fail here");
  constexpr int kCalls = 12;
  std::vector<std::int64_t> acknowledged;
  std::int64_t id = 1;
  int failures = 0;
  for (const std::string call : {"write", "read", "fsync", "open", "getattr"}) {
    for (const std::string how : {"once", "always"}) {
      for (int nth = 1; nth <= kCalls; ++nth) {
        const std::string when = call + " fails " + how + " from call " + std::to_string(nth) + ": ";
        const SwitchedOff off{place};
        // Exclusive: a read that fails in the mapped index of the log ends the process by SIGBUS, in stock SQLite as
        // well.
        Database db = Database::open(place.file(), {.locking = Locking::exclusive});
        db.execute(runtime_sql(kTable));
        turn(place, call + " " + how + " " + std::to_string(nth));
        for (int i = 0; i < 4; ++i) {
          try {
            const std::int64_t next = id++;
            db.execute(kInsert, next, std::string(3000, 'z'));
            acknowledged.push_back(next);
            static_cast<void>(db.query_one<std::int64_t>("SELECT count(*) FROM ack WHERE body LIKE '%a'"));
          } catch (const std::exception& error) {
            ++failures;
            try {
              static_cast<void>(described(error));
            } catch (const Wrong& wrong) {
              throw Wrong(when + wrong.what());
            }
          }
        }
        turn(place, "none");
        const std::string after = error_of_last_try(db, id, acknowledged, 3);
        expect(after.empty(), when + "later, writing does not go on: " + after);
        db.close();
      }
    }
  }
  expect_all(place.file(), acknowledged);
  return std::to_string(failures) + " calls failed";
}

// While a write hangs in the file system, others are told in time.
std::string hanging(const Place& place) {
  if (place.switches.empty()) throw Skipped("calls cannot be made to hang here");
  Database db = open_with_table(place);
  db.execute(kInsert, 1, "first");
  std::future<void> write;
  std::future<DatabaseStatistics> statistics;
  std::future<std::string> waiting;
  const SwitchedOff off{place};  // before the futures go, which wait
  turn(place, "hang");
  write = std::async(std::launch::async, [&] { db.execute(kInsert, 2, "second"); });
  while (!db.lane_holder()) ::poll(nullptr, 0, 1);
  statistics = std::async(std::launch::async, [&] { return db.stats(); });
  waiting = std::async(std::launch::async, [&]() -> std::string {
    try {
      db.write({.timeout = milliseconds(200)}, [](Transaction& tx) { tx.execute(kInsert, 3, "third"); });
      return "acknowledged";
    } catch (const std::exception& error) {
      return described(error);
    }
  });
  const bool has_statistics = statistics.wait_for(seconds(3)) == std::future_status::ready;
  const bool has_answer = waiting.wait_for(seconds(3)) == std::future_status::ready;
  turn(place, "none");
  write.get();
  const std::string answer = waiting.get();
  expect(has_statistics, "stats() hangs with the file system");
  expect(has_answer && answer.starts_with("TimeoutError"), "a write with a timeout of 200 ms: " + answer);
  expect(db.query_one<std::int64_t>("SELECT count(*) FROM ack WHERE id < 3") == 2, "released, a row is missing");
  return {};
}

}  // namespace

std::vector<Case> failing_cases() {
  return {{"full", full},     {"open_when_full", open_when_full}, {"device_gone", device_gone},
          {"replug", replug}, {"failing_calls", failing_calls},   {"hanging", hanging}};
}

}  // namespace sqlane::filesystems
