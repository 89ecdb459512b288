#include "cli/demo.hpp"

#include <fmt/format.h>
#include <system_error>
#include <tuple>
#include <vector>

#include "cli/looking_first.hpp"
#include "cli/private_folder.hpp"
#include "sqlane/cli/migrations.hpp"

namespace sqlane::cli {
namespace {

namespace fs = std::filesystem;

std::uintmax_t wal_bytes(const fs::path& file) {
  std::error_code none;
  const std::uintmax_t size = fs::file_size(file.string() + "-wal", none);
  return none ? 0 : size;
}

void expect_going_on(const DemoOptions& options) {
  if (options.stop.stop_requested()) throw InterruptedError("a stop was requested during the demo");
}

std::string integrity_of(const Database& db) { return db.query_one<std::string>("PRAGMA integrity_check(1)"); }

void expect_usable(const Database& db, const std::string& file) {
  if (db.query_one<int>("SELECT count(*) FROM sqlite_master WHERE name = 'crs_view'") != 1) {
    throw SchemaError("the database has no crs_view; give a file that does not exist yet, or a copy of proj.db",
                      {.database = file});
  }
  const std::string integrity = integrity_of(db);
  if (integrity != "ok") throw CorruptError("integrity_check: " + integrity, {.database = file});
  const auto refusal = migration_status(db, migrations()).refusal;
  // PROJ's database was made without us.
  if (refusal && refusal->problem() != MigrationProblem::unmanaged) throw MigrationError(*refusal);
  if (db.query_one<int>("SELECT count(*) FROM (SELECT 1 FROM crs_view LIMIT 1)") == 0) {
    throw SchemaError("crs_view has no rows", {.database = file});
  }
}

}  // namespace

std::uint64_t count_missing(Database& db, std::int64_t run, const LoadResult& load) {
  std::vector<std::vector<bool>> found(load.acknowledged.size());
  db.read([&](const Snapshot& snapshot) {
    using Key = std::tuple<std::size_t, std::size_t>;
    for (const auto& [worker, sequence] :
         snapshot.query<Key>("SELECT worker, sequence FROM visit WHERE run = ?", run)) {
      std::vector<bool>& of_worker = found.at(worker);
      if (of_worker.size() <= sequence) of_worker.resize(sequence + 1);
      of_worker[sequence] = true;
    }
  });
  std::uint64_t missing = 0;
  for (std::size_t worker = 0; worker < found.size(); ++worker) {
    for (const std::int64_t sequence : load.acknowledged[worker]) {
      const auto at = static_cast<std::size_t>(sequence);
      if (at >= found[worker].size() || !found[worker][at]) ++missing;
    }
  }
  return missing;
}

DemoReport run_demo(const DemoOptions& options, DemoListener& listener) {
  DemoReport report;
  report.options = options;
  const PrivateFolder folder(fs::temp_directory_path(), "sqlane-demo");
  const fs::path file = options.file.empty() ? folder.path() / "demo.db" : options.file;
  const fs::path peer_file = folder.path() / "peer.db";
  report.database = file.string();
  report.origin = provide_sample(file, options.proj);

  LoadPlan plan{.threads = options.threads,
                .length = std::chrono::duration<double>(options.seconds),
                .writes_percent = options.writes_percent,
                .stop = options.stop};
  if (report.origin == SampleOrigin::given) {
    const auto open = [&] { return Database::open(file, {.mode = OpenMode::read_only, .readers = 1}); };
    if (const auto db = open_to_look(open)) expect_usable(*db, report.database);
  }
  std::vector<CrsKey> keys;
  {
    Database db = Database::open(file);
    report.engine = db.query_one<std::string>("SELECT sqlite_version()");
    listener.say(fmt::format("SQLite {}; database {}: {}", report.engine, report.database, describe(report.origin)));
    expect_usable(db, report.database);
    if (migration_status(db, migrations()).refusal) baseline(db, migrations(), 0);
    report.migrations_applied = static_cast<int>(db.migrate(migrations()).steps.size());
    keys = db.query<CrsKey>("SELECT auth_name, CAST(code AS TEXT) FROM crs_view");
    report.coordinate_systems = static_cast<std::int64_t>(keys.size());
    plan.keys = &keys;
    plan.run = db.query_one<std::int64_t>("SELECT coalesce(max(run), 0) + 1 FROM visit");
    listener.say(fmt::format("integrity ok; {} of {} migrations applied; {} coordinate systems; latencies: p50 / p99",
                             report.migrations_applied, migrations().list().size(), report.coordinate_systems));
    db.close();  // empties the write-ahead log, so that a plain copy is whole
    fs::copy_file(file, peer_file);
  }
  {
    Database db = Database::open(file);
    SqlaneSubject subject(db);
    report.sqlane = run_load(
        subject, plan, [&](const LoadGlance& glance) { listener.glance(subject.name(), glance, wal_bytes(file)); });
    db.close();
  }
  expect_going_on(options);
  PeerSubject peer(peer_file);
  report.peer = run_load(peer, plan,
                         [&](const LoadGlance& glance) { listener.glance(peer.name(), glance, wal_bytes(peer_file)); });
  expect_going_on(options);

  Database db = Database::open(file);
  for (const auto& of_worker : report.sqlane.acknowledged) report.acknowledged += of_worker.size();
  report.missing = count_missing(db, plan.run, report.sqlane);
  report.integrity = integrity_of(db);
  db.close();
  return report;
}

}  // namespace sqlane::cli
