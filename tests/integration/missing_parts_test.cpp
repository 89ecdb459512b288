#include <filesystem>
#include <functional>
#include <ostream>
#include <sqlane/sqlane.hpp>
#include <sqlane/testing.hpp>
#include <string>
#include <typeinfo>
#include <vector>

#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/own_parts.hpp"
#include "support/temporary_folder.hpp"

// Databases whose schema needs a function, a collation or a module of the program that made them: what cannot be done
// with them is a SchemaError, whichever call finds it.
namespace sqlane {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::ForeignConnection;
using testing::mentions;
using testing::TemporaryFolder;
using testing::write_bytes;

struct MissingPart {
  const char* name;
  std::string schema;
  bool keeps_from_vacuum = true;
};

std::ostream& operator<<(std::ostream& out, const MissingPart& part) { return out << part.name; }

class MissingParts : public ::testing::TestWithParam<MissingPart> {
 protected:
  MissingParts() {
    ForeignConnection maker(file);
    add_own_parts(maker);
    maker.run("PRAGMA synchronous=OFF; CREATE TABLE other (a, b); " + GetParam().schema +
              "; INSERT INTO t (a, b) VALUES ('one', 1), ('two', 2)");
  }

  // Whether it failed.
  static bool fails_well(const std::string& what, const std::function<void()>& call) {
    try {
      call();
      return false;
    } catch (const Error& error) {
      EXPECT_NE(typeid(error), typeid(Error)) << what << ": " << error.what();
      const bool is_of_part = mentions(error, "no such") || mentions(error, "unknown function");
      const bool is_of_schema = dynamic_cast<const SchemaError*>(&error) != nullptr;
      const bool is_of_migration = dynamic_cast<const MigrationError*>(&error) != nullptr;
      EXPECT_TRUE(!is_of_part || is_of_schema || is_of_migration) << what << ": " << error.what();
      return true;
    }
  }

  TemporaryFolder folder;
  fs::path file = folder / "app.db";
};

INSTANTIATE_TEST_SUITE_P(
    Of, MissingParts,
    ::testing::Values(
        MissingPart{"ACheck", "CREATE TABLE t (a CHECK (weight(a)), b)"},
        MissingPart{"AGeneratedColumn", "CREATE TABLE t (a, b, g AS (weight(a)))"},
        MissingPart{"AStoredColumn", "CREATE TABLE t (a, b, g AS (weight(a)) STORED)"},
        MissingPart{"ADefault", "CREATE TABLE t (a, b, c DEFAULT (weight(1)))", false},
        MissingPart{"AnIndex", "CREATE TABLE t (a, b); CREATE INDEX i ON t (weight(a))"},
        MissingPart{"APartialIndex", "CREATE TABLE t (a, b); CREATE INDEX i ON t (b) WHERE weight(a)"},
        MissingPart{"ACollation", "CREATE TABLE t (a COLLATE german, b)"},
        MissingPart{"ACollationOfAKey", "CREATE TABLE t (a TEXT COLLATE german PRIMARY KEY, b) WITHOUT ROWID"},
        MissingPart{"ACollationOfAnIndex", "CREATE TABLE t (a, b); CREATE INDEX i ON t (a COLLATE german)"},
        MissingPart{
            "ATrigger",
            "CREATE TABLE t (a, b); INSERT INTO t VALUES (0, 0); CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT "
            "weight(new.a); END",
            false},
        MissingPart{"AView", "CREATE TABLE t (a, b); CREATE VIEW v AS SELECT weight(a) FROM t", false},
        MissingPart{"AModule",
                    "CREATE TABLE t (a, b); PRAGMA writable_schema=ON; INSERT INTO sqlite_master VALUES ('table', 'm', "
                    "'m', 0, 'CREATE VIRTUAL TABLE m USING unknown_module (x)'); CREATE VIEW v AS SELECT * FROM m",
                    false}),
    [](const ::testing::TestParamInfo<MissingPart>& tested) { return std::string(tested.param.name); });

TEST_P(MissingParts, AreSchemaErrorsInEveryCall) {
  Database db = Database::open(file, {.durability = Durability::normal});
  for (const char* sql :
       {"ANALYZE", "REINDEX", "REINDEX t", "PRAGMA optimize", "ALTER TABLE t RENAME TO u", "ALTER TABLE t ADD COLUMN z",
        "ALTER TABLE t RENAME COLUMN b TO c", "ALTER TABLE t DROP COLUMN b", "DROP TABLE t",
        "INSERT INTO t (a) VALUES ('x')", "UPDATE t SET a = 'x'", "DELETE FROM t", "DELETE FROM t WHERE a = 'x'",
        "CREATE INDEX j ON t (a)", "CREATE TABLE n AS SELECT * FROM t",
        "CREATE TRIGGER s AFTER DELETE ON t BEGIN "
        "DELETE FROM other; END"}) {
    fails_well(sql, [&] {
      Transaction tx = db.begin();  // rolled back
      tx.execute(runtime_sql(sql));
    });
  }
  for (const char* sql : {"SELECT * FROM t", "SELECT * FROM t ORDER BY a", "SELECT * FROM sqlite_schema",
                          "SELECT * FROM sqlite_schema, pragma_table_xinfo(name)", "PRAGMA foreign_key_check",
                          "PRAGMA integrity_check", "PRAGMA quick_check"}) {
    fails_well(sql, [&] {
      db.read([&](const Snapshot& s) {
        for (const Row& row : s.query(runtime_sql(sql))) static_cast<void>(row);
      });
    });
  }
  fails_well("check_integrity", [&] { static_cast<void>(check_integrity(db)); });
  fails_well("check_schema", [&] { static_cast<void>(check_schema(db)); });
  fails_well("read_schema", [&] { static_cast<void>(read_schema(db)); });
  fails_well("backup_to", [&] { db.backup_to(folder / "copy.db"); });
  fails_well("restore_from", [&] { db.restore_from(folder / "copy.db"); });
  fails_well("restore_to_new", [&] { restore_to_new(folder / "new.db", file); });
  fails_well("clone", [&] { static_cast<void>(testing::clone(db)); });
  Migrations migrations;
  migrations.add({.version = 1, .name = "alter", .up = "ALTER TABLE t RENAME COLUMN b TO c", .file = "1.sql"});
  fails_well("baseline", [&] { baseline(db, migrations, 0); });
  fails_well("migrate", [&] { db.migrate(migrations); });
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM other"), 0);
}

TEST_P(MissingParts, KeepVacuumFromItWithTheReason) {
  Database db = Database::open(file, {.durability = Durability::normal});
  const auto vacuum = [&] { db.execute("VACUUM"); };
  const auto copy = [&] { db.execute(runtime_sql("VACUUM INTO '" + (folder / "into.db").string() + "'")); };
  if (!GetParam().keeps_from_vacuum) {
    EXPECT_NO_THROW(vacuum());
    return;
  }
  for (const auto& call : {std::function<void()>(vacuum), std::function<void()>(copy)}) {
    const auto error = error_of<SchemaError>(call);
    EXPECT_TRUE(mentions(error, "no such", "belongs to the program that made the database")) << error.what();
  }
}

// Not a part of the schema at all.
TEST(MissingFunctions, OfAStatementGetNoAdviceAboutTheSchema) {
  Database db = Database::in_memory();
  const auto error = error_of<SchemaError>([&] { db.execute("SELECT wieght(1)"); });
  EXPECT_FALSE(mentions(error, "belongs to the program")) << error.what();
}

}  // namespace
}  // namespace sqlane
