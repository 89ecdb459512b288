// Several processes, and their sudden end.
#include <memory>
#include <random>
#include <sqlane/sqlane.hpp>

#include "cases.hpp"
#include "folder.hpp"
#include "forked_writer.hpp"
#include "load.hpp"
#include "plain_sqlite.hpp"

namespace sqlane::filesystems {
namespace {

using std::chrono::seconds;

// Adds the id of an acknowledged write. Throws for what a child says of an error.
void take(const Report& report, std::vector<std::int64_t>& acknowledged) {
  switch (report.kind) {
    case Report::Kind::acknowledged: acknowledged.push_back(report.id); break;
    case Report::Kind::refused: throw Refused(report.said);
    case Report::Kind::failed: throw Wrong(std::string("a write failed: ") + report.said);
    case Report::Kind::untyped: throw Wrong(report.said);
    case Report::Kind::finished: break;
  }
}

std::string two_processes(const Place& place) {
  constexpr std::int64_t kRows = 200;
  std::vector<std::int64_t> acknowledged;
  {
    std::vector<std::unique_ptr<ForkedWriter>> writers;
    for (int i = 0; i < 2; ++i) {
      writers.push_back(std::make_unique<ForkedWriter>(
          place.file(), Options{},
          ForkedWriter::Plan{.threads = 2, .first_id = 1 + i * 10 * kIdsOfThread, .rows_of_thread = kRows}));
    }
    for (const auto& writer : writers) {
      bool is_finished = false;
      while (const auto report = writer->next(seconds(20))) {
        take(*report, acknowledged);
        is_finished = report->kind == Report::Kind::finished;
      }
      expect(is_finished, "a process has not come to its end");
    }
  }
  expect(acknowledged.size() == 4 * kRows, "not all was written");
  expect_all(place.file(), acknowledged);
  return {};
}

std::string kill_under_load(const Place& place, const Options& options) {
  constexpr int kKills = 5;
  std::random_device seed;
  std::vector<std::int64_t> acknowledged;
  for (int i = 0; i < kKills; ++i) {
    ForkedWriter writer(place.file(), options, {.threads = 8, .first_id = 1 + i * 10 * kIdsOfThread});
    for (unsigned left = 50 + seed() % 250; left > 0; --left) {
      const auto report = writer.next(seconds(10));
      expect(report.has_value(), "no write was acknowledged for 10 s");
      take(*report, acknowledged);
    }
    writer.kill();
    while (const auto report = writer.next({})) take(*report, acknowledged);
    expect_all(place.file(), acknowledged);
  }
  const Database db = Database::open(place.file(), options);  // takes away what the last kill has left
  expect(db.query_one<std::size_t>("SELECT count(*) FROM ack") >= acknowledged.size(),
         "opened again, rows are missing");
  return {};
}

std::string kill(const Place& place) { return kill_under_load(place, {}); }
std::string kill_exclusive(const Place& place) { return kill_under_load(place, {.locking = Locking::exclusive}); }

}  // namespace

std::vector<Case> process_cases() {
  return {{"two_processes", two_processes}, {"kill", kill}, {"kill_exclusive", kill_exclusive}};
}

}  // namespace sqlane::filesystems
