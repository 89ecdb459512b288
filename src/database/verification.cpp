#include "sqlane/verification.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "sqlane/database.hpp"
#include "sqlane/error.hpp"
#include "sqlane/schema_check.hpp"

namespace sqlane {
namespace {

class Verifier {
 public:
  explicit Verifier(const Migrations& migrations) : migrations_(migrations), list_(migrations.list()) {}

  MigrationVerification run() && {
    verification_.newest = migrations_.newest();
    Database db = Database::in_memory();
    schemas_.emplace_back();
    for (std::size_t count = 1; count <= list_.size(); ++count) {
      static_cast<void>(go_to(db, count));
      schemas_.push_back(read_schema(db));
      if (!list_[count - 1].down) verification_.irreversible.push_back(list_[count - 1].version);
    }
    check_contents(db, MigrationDirection::up);
    check_definitions(db);
    for (std::size_t count = list_.size(); count > 0; --count) {
      if (list_[count - 1].down) count = try_again(count);
    }
    return std::move(verification_);
  }

 private:
  // Of a database that has the first `count` migrations.
  [[nodiscard]] std::int32_t version_at(std::size_t count) const { return count == 0 ? 0 : list_[count - 1].version; }

  // To the first `count` migrations, from one more or less. The file's name.
  std::string go_to(Database& db, std::size_t count) const {
    const MigrationReport report = db.migrate(migrations_, {.target = version_at(count)});
    return report.steps.empty() ? "" : report.steps.back().file;
  }

  // Down from the first `top` migrations as far as each says how, and up again.
  // The count that was reached below.
  std::size_t try_again(std::size_t top) {
    Database db = Database::in_memory();
    static_cast<void>(go_to(db, top));
    std::size_t bottom = top;
    while (bottom > 0 && list_[bottom - 1].down) {
      const std::string file = go_to(db, bottom - 1);
      --bottom;
      // What is left over would be found again with each step: the rest is for another database.
      if (!is_as_before(db, bottom, MigrationDirection::down, file)) return bottom + 1;
    }
    check_contents(db, MigrationDirection::down);
    for (std::size_t count = bottom + 1; count <= top; ++count) {
      if (!is_as_before(db, count, MigrationDirection::up, go_to(db, count))) break;
    }
    check_contents(db, MigrationDirection::up);
    return bottom + 1;
  }

  bool is_as_before(const Database& db, std::size_t count, MigrationDirection direction, const std::string& file) {
    std::vector<SchemaDifference> differences = compare_schemas(schemas_[count], read_schema(db));
    if (differences.empty()) return true;
    const bool is_up = direction == MigrationDirection::up;
    const std::string version = std::to_string(version_at(count));
    verification_.findings.push_back(
        {.version = version_at(is_up ? count : count + 1),
         .direction = direction,
         .sentence = is_up ? file + ", once undone, does not lead to version " + version + " as it was the first time"
                           : file + " does not lead back to version " + version,
         .differences = std::move(differences)});
    return false;
  }

  void add(const Database& db, MigrationDirection direction, std::string sentence) {
    verification_.findings.push_back({.version = migration_status(db, migrations_).version,
                                      .direction = direction,
                                      .sentence = std::move(sentence),
                                      .differences = {}});
  }

  void check_contents(const Database& db, MigrationDirection direction) {
    for (const std::string& line : db.query<std::string>("PRAGMA integrity_check(10)")) {
      if (line != "ok") add(db, direction, "integrity_check: " + line);
    }
    struct Violation {
      std::string table;
      std::string parent;
      std::int64_t references;
    };
    try {
      for (const Violation& violation :
           db.query<Violation>("SELECT \"table\", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2")) {
        add(db, direction,
            "foreign keys: " + std::to_string(violation.references) +
                (violation.references == 1 ? " reference of " : " references of ") + violation.table +
                " to nothing in " + violation.parent);
      }
    } catch (const Error& error) {  // keys that do not fit what they refer to
      add(db, direction, std::string("foreign keys: ") + error.what());
    }
  }

  // What becomes of keys is looked at with the contents.
  void check_definitions(const Database& db) {
    for (const SchemaFault& fault : check_schema(db)) {
      if (fault.kind == SchemaFault::Kind::foreign_key) continue;
      add(db, MigrationDirection::up,
          std::string(to_string(fault.type)) + " " + fault.name + " does not compile: " + fault.message);
    }
  }

  const Migrations& migrations_;
  const std::span<const Migration> list_;
  std::vector<Schema> schemas_;  // by the number of migrations
  MigrationVerification verification_;
};

}  // namespace

Schema read_schema(const Database& database) {
  return database.read([](const Snapshot& snapshot) { return read_schema(snapshot); });
}

MigrationVerification verify_migrations(const Migrations& migrations) { return Verifier(migrations).run(); }

Schema schema_of(const Migrations& migrations) {
  Database database = Database::in_memory();
  database.migrate(migrations);
  return read_schema(database);
}

}  // namespace sqlane
