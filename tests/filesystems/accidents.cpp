// What users do to the files of a database that is open.
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <random>
#include <sqlane/sqlane.hpp>
#include <unistd.h>

#include "cases.hpp"
#include "folder.hpp"
#include "forked_writer.hpp"
#include "load.hpp"
#include "plain_sqlite.hpp"

namespace sqlane::filesystems {
namespace {

using std::chrono::milliseconds;
namespace fs = std::filesystem;

constexpr int kThreads = 4;

fs::path beside(const fs::path& file, const char* suffix) { return file.string() + suffix; }

void copy_over(const fs::path& from, const fs::path& to) {
  fs::copy_file(from, to, fs::copy_options::overwrite_existing);  // truncates and writes, as cp does
}

struct Accident {
  const char* name;
  // `other` is a whole database with other rows, on the same file system.
  void (*happen)(const fs::path& file, const fs::path& other);
};
constexpr Accident kAccidents[] = {
    {"rm_file", [](const fs::path& file, const fs::path&) { fs::remove(file); }},
    {"rm_wal", [](const fs::path& file, const fs::path&) { fs::remove(beside(file, "-wal")); }},
    {"rm_shm", [](const fs::path& file, const fs::path&) { fs::remove(beside(file, "-shm")); }},
    {"rm_wal_and_shm",
     [](const fs::path& file, const fs::path&) {
       fs::remove(beside(file, "-wal"));
       fs::remove(beside(file, "-shm"));
     }},
    {"rm_all",
     [](const fs::path& file, const fs::path&) {
       fs::remove(file);
       fs::remove(beside(file, "-wal"));
       fs::remove(beside(file, "-shm"));
     }},
    {"truncate_file", [](const fs::path& file, const fs::path&) { fs::resize_file(file, 0); }},
    {"truncate_wal", [](const fs::path& file, const fs::path&) { fs::resize_file(beside(file, "-wal"), 0); }},
    {"truncate_shm", [](const fs::path& file, const fs::path&) { fs::resize_file(beside(file, "-shm"), 0); }},
    {"mv_over", [](const fs::path& file, const fs::path& other) { fs::rename(other, file); }},
    {"mv_over_and_rm_wal",
     [](const fs::path& file, const fs::path& other) {
       fs::rename(other, file);
       fs::remove(beside(file, "-wal"));
       fs::remove(beside(file, "-shm"));
     }},
    {"mv_away", [](const fs::path& file, const fs::path& other) { fs::rename(file, other); }},
    {"cp_over", [](const fs::path& file, const fs::path& other) { copy_over(other, file); }},
    {"cp_over_and_rm_wal",
     [](const fs::path& file, const fs::path& other) {
       copy_over(other, file);
       fs::remove(beside(file, "-wal"));
       fs::remove(beside(file, "-shm"));
     }},
};

struct Figures {
  int rounds = 0;
  std::size_t acknowledged_before = 0;
  std::size_t acknowledged_after = 0;  // of writes that began after the accident
  std::size_t missing = 0;             // of these
  std::size_t in_between = 0;          // missing, of writes that had begun before and were acknowledged after
  int rounds_missing = 0;
  int damaged = 0;  // files that are not whole, for stock SQLite
  int failing = 0;  // rounds in which writes failed after the accident
  int died = 0;     // by a signal
  int untyped = 0;  // errors of no fitting class
  std::map<std::string, int> errors{};
};

// What was reported up to a moment.
struct Heard {
  std::vector<std::int64_t> before{}, between{}, after{};
  std::size_t failed = 0;
  bool is_over = false;  // no more will come

  void take(const Report& report, bool has_happened, Figures& figures) {
    if (report.kind == Report::Kind::acknowledged) {
      (report.began_after ? after : has_happened ? between : before).push_back(report.id);
      return;
    }
    is_over = report.kind == Report::Kind::refused || report.kind == Report::Kind::finished;
    figures.untyped += report.kind == Report::Kind::untyped ? 1 : 0;
    if (!has_happened) throw Wrong(std::string("before the accident: ") + report.said);
    failed += report.began_after ? 1 : 0;
    // Messages differ in their paths and places.
    const std::string said = report.said;
    ++figures.errors[said.substr(0, said.find(':'))];
  }
};

void run_round(const Accident& accident, const fs::path& folder, std::size_t moment, Figures& figures) {
  const fs::path file = folder / "app.db";
  const fs::path other = folder / "other.db";
  fs::create_directory(folder);
  prepare(other, Left::wal_mode, 50);
  Heard heard;
  ForkedWriter writer(file, {}, {.threads = kThreads, .first_id = 1000});
  while (heard.before.size() < moment) {
    const auto report = writer.next(std::chrono::seconds(10));
    expect(report.has_value(), "no write for 10 s");
    heard.take(*report, false, figures);
  }
  while (const auto report = writer.next(milliseconds(0))) heard.take(*report, false, figures);
  accident.happen(file, other);
  writer.mark();
  while (!heard.is_over && heard.after.size() < 100 && heard.failed < 4 * kThreads) {
    const auto report = writer.next(milliseconds(2000));
    if (!report) break;
    heard.take(*report, true, figures);
  }
  writer.kill();
  while (const auto report = writer.next(milliseconds(0))) heard.take(*report, true, figures);

  const Look after = look_for(file, heard.after);
  figures.missing += after.missing.size();
  figures.rounds_missing += after.missing.empty() ? 0 : 1;
  figures.in_between += look_for(file, heard.between).missing.size();
  figures.damaged += after.damage.empty() ? 0 : 1;
  figures.acknowledged_before += heard.before.size();
  figures.acknowledged_after += heard.after.size();
  figures.failing += heard.failed > 0 ? 1 : 0;
  figures.died += writer.died_of() != 0 ? 1 : 0;
  ++figures.rounds;
  fs::remove_all(folder);
}

void print(const Accident& accident, const Figures& figures) {
  std::string errors;
  for (const auto& [name, count] : figures.errors) {
    errors += (errors.empty() ? "" : ", ") + name + " " + std::to_string(count);
  }
  std::printf("%-20s %6d %8zu %8zu %8zu %8d %8zu %8d %8d %6d  %s\n", accident.name, figures.rounds,
              figures.acknowledged_before, figures.acknowledged_after, figures.missing, figures.rounds_missing,
              figures.in_between, figures.damaged, figures.failing, figures.died, errors.c_str());
}

}  // namespace

int run_accidents(const fs::path& folder, int rounds, unsigned seed, std::string_view only) {
  std::printf(
      "seed %u; writes: acknowledged before the accident; begun and acknowledged after it; of these missing after "
      "kill -9, in so many rounds; missing that had begun before it; rounds: file not whole for stock SQLite; "
      "writes failed; ended by a signal; errors\n",
      seed);
  std::printf("%-20s %6s %8s %8s %8s %8s %8s %8s %8s %6s\n", "accident", "rounds", "before", "after", "MISSING",
              "rounds", "between", "damaged", "failing", "died");
  std::mt19937 random(seed);
  bool is_right = true;
  for (const Accident& accident : kAccidents) {
    if (!only.empty() && only != accident.name) continue;
    Figures figures;
    for (int i = 0; i < rounds; ++i) {
      try {
        run_round(accident, folder / "accident", 1 + random() % 300, figures);
      } catch (const std::exception& error) {
        std::printf("%-20s WRONG: %s\n", accident.name, error.what());
        is_right = false;
        fs::remove_all(folder / "accident");
      }
    }
    print(accident, figures);
    is_right = is_right && figures.missing == 0 && figures.untyped == 0;
  }
  return is_right ? 0 : 1;
}

}  // namespace sqlane::filesystems
