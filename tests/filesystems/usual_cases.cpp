// What every program does with a database.
#include <numeric>
#include <sqlane/sqlane.hpp>
#include <sqlane/testing.hpp>

#include "cases.hpp"
#include "folder.hpp"
#include "load.hpp"
#include "plain_sqlite.hpp"

namespace sqlane::filesystems {
namespace {

constexpr std::int64_t kRows = 200;
constexpr std::int64_t kPreparedRows = 500;

Database open_at(const Place& place, const Options& options) {
  return open_or_refuse(place.folder, [&] { return Database::open(place.file(), options); });
}

void insert_rows(Database& db, std::int64_t first, std::int64_t count) {
  for (std::int64_t id = first; id < first + count; ++id) {
    db.execute("INSERT INTO ack (id, body) VALUES (?, ?)", id, "written by sqlane");
  }
}

void expect_rows(const Database& db, std::int64_t count, const std::string& when) {
  const auto found = db.query_one<std::int64_t>("SELECT count(*) FROM ack");
  expect(found == count, when + " there are " + std::to_string(found) + " rows, not " + std::to_string(count));
}

std::vector<std::int64_t> ids_up_to(std::int64_t last) {
  std::vector<std::int64_t> ids(static_cast<std::size_t>(last));
  std::iota(ids.begin(), ids.end(), 1);
  return ids;
}

std::string make_and_reopen(const Place& place, const Options& options) {
  {
    Database db = open_at(place, options);
    db.execute(runtime_sql(kTable));
    insert_rows(db, 1, kRows);
    expect_rows(db, kRows, "written,");
    expect(db.health().is_healthy(), "it is not healthy");
    db.close();
  }
  const Database db = Database::open(place.file(), options);
  expect_rows(db, kRows, "reopened,");
  return {};
}

std::string use_prepared(const Place& place, Options options) {
  prepare(place.file(), Left::rollback_mode, kPreparedRows);
  options.mode = OpenMode::existing;
  {
    Database db = open_at(place, options);
    insert_rows(db, kPreparedRows + 1, kRows);
    expect_rows(db, kPreparedRows + kRows, "opened,");
    db.close();
  }
  expect_all(place.file(), ids_up_to(kPreparedRows + kRows));
  return {};
}

std::string create(const Place& place) { return make_and_reopen(place, {}); }
std::string exclusive(const Place& place) { return make_and_reopen(place, {.locking = Locking::exclusive}); }
std::string existing(const Place& place) { return use_prepared(place, {}); }
std::string existing_exclusive(const Place& place) { return use_prepared(place, {.locking = Locking::exclusive}); }

std::string threads(const Place& place) {
  Database db = open_at(place, {});
  db.execute(runtime_sql(kTable));
  Load load(db, 8, 1);
  const bool is_done = load.wait_until(
      [](const Load::Tally& tally) { return tally.acknowledged + tally.failed >= 2000; }, std::chrono::seconds(20));
  load.stop();
  expect(load.errors().empty(), "a write failed: " + (load.errors().empty() ? "" : load.errors().begin()->first));
  expect(load.not_read_back() == 0, "an acknowledged row was not read back");
  db.close();
  expect_all(place.file(), load.acknowledged());
  return is_done ? "" : std::to_string(load.acknowledged().size()) + " writes in 20 s";
}

std::string read_prepared(const Place& place, Left left) {
  prepare(place.file(), left, kPreparedRows);
  const auto before = contents_of(place.folder);
  {
    const Database db = open_at(place, {.mode = OpenMode::read_only});
    expect_rows(db, kPreparedRows, "read only,");
  }
  for (const auto& [name, content] : before) {
    const auto after = contents_of(place.folder);
    expect(after.contains(name) && after.at(name) == content, "reading has changed " + name);
  }
  return {};
}
std::string read_only(const Place& place) { return read_prepared(place, Left::wal_mode); }
std::string read_only_rollback(const Place& place) { return read_prepared(place, Left::rollback_mode); }
std::string read_only_log(const Place& place) { return read_prepared(place, Left::with_log); }

std::string backup(const Place& place) {
  Database db = open_at(place, {});
  db.execute(runtime_sql(kTable));
  insert_rows(db, 1, kRows);
  db.backup_to(place.file("copy.db"));
  insert_rows(db, kRows + 1, kRows);
  expect_rows(db, 2 * kRows, "after the backup");
  db.restore_from(place.file("copy.db"));
  expect_rows(db, kRows, "restored,");
  db.close();
  expect_all(place.file(), ids_up_to(kRows));
  return {};
}

std::string migrate(const Place& place) {
  Migrations migrations;
  migrations.add({.version = 1, .name = "make", .up = kTable});
  migrations.add({.version = 2, .name = "change", .up = "ALTER TABLE ack ADD COLUMN note TEXT"});
  {
    Database db = open_at(place, {});
    db.migrate(migrations);
    insert_rows(db, 1, kRows);
  }
  Database db = Database::open(place.file());
  db.migrate(migrations);
  expect_rows(db, kRows, "migrated,");
  return {};
}

std::string clone_and_save(const Place& place) {
  Database db = open_at(place, {});
  db.execute(runtime_sql(kTable));
  insert_rows(db, 1, kRows);
  const Database copy = testing::clone(db);
  expect_rows(copy, kRows, "cloned,");
  testing::save(copy, place.file("copy.db"));
  const Database loaded = testing::load(place.file("copy.db"));
  expect_rows(loaded, kRows, "saved and loaded,");
  return {};
}

std::string vacuum(const Place& place) {
  Database db = open_at(place, {});
  db.execute(runtime_sql(kTable));
  db.execute(
      "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
      " INSERT INTO ack SELECT i, printf('%1000d', i) FROM n");
  db.execute("DELETE FROM ack WHERE id > 200");
  db.execute("VACUUM");
  expect_rows(db, kRows, "vacuumed,");
  db.close();
  expect_all(place.file(), ids_up_to(kRows));
  expect(std::filesystem::file_size(place.file()) < 500'000, "VACUUM has not made the file smaller");
  return {};
}

}  // namespace

std::vector<Case> usual_cases() {
  return {{"create", create},
          {"existing", existing},
          {"threads", threads},
          {"read_only", read_only},
          {"read_only_rollback", read_only_rollback},
          {"read_only_log", read_only_log},
          {"exclusive", exclusive},
          {"existing_exclusive", existing_exclusive},
          {"backup", backup},
          {"migrate", migrate},
          {"clone_and_save", clone_and_save},
          {"vacuum", vacuum}};
}

}  // namespace sqlane::filesystems
