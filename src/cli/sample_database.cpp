#include "cli/sample_database.hpp"

#include <cstdlib>
#include <sqlane/sqlane.hpp>

namespace sqlane::cli {
namespace {

namespace fs = std::filesystem;

// The tables behind PROJ's crs_view, with as many rows in all: 13,098.
void generate(const fs::path& file) {
  Database db = Database::open(file, {.durability = Durability::normal});
  db.write([](Transaction& tx) {
    tx.execute(
        "CREATE TABLE geodetic_crs (auth_name TEXT NOT NULL, code TEXT NOT NULL, name TEXT NOT NULL, description TEXT,"
        " type TEXT NOT NULL, deprecated BOOLEAN NOT NULL CHECK (deprecated IN (0, 1)),"
        " PRIMARY KEY (auth_name, code)) WITHOUT ROWID");
    for (const char* table : {"projected_crs", "vertical_crs", "compound_crs"}) {
      tx.execute(runtime_sql("CREATE TABLE " + std::string(table) +
                             " (auth_name TEXT NOT NULL, code TEXT NOT NULL, name TEXT NOT NULL, description TEXT,"
                             " deprecated BOOLEAN NOT NULL CHECK (deprecated IN (0, 1)),"
                             " PRIMARY KEY (auth_name, code)) WITHOUT ROWID"));
    }
    tx.execute(
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1800)"
        " INSERT INTO geodetic_crs SELECT 'EPSG', 4000 + x, 'Geodetic system ' || x, NULL, 'geographic 2D',"
        " x % 20 = 0 FROM n");
    struct Table {
      const char* name;
      int first;
      int count;
    };
    for (const Table& table : {Table{"projected_crs", 10'000, 10'000}, Table{"vertical_crs", 5'900, 500},
                               Table{"compound_crs", 7'000, 798}}) {
      tx.execute(
          runtime_sql("WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?1)"
                      " INSERT INTO " +
                      std::string(table.name) + " SELECT 'EPSG', ?2 + x, 'System ' || x, NULL, x % 20 = 0 FROM n"),
          table.count, table.first);
    }
    tx.execute(
        "CREATE VIEW crs_view AS"
        " SELECT 'geodetic_crs' AS table_name, auth_name, code, name, type, description, deprecated FROM geodetic_crs"
        " UNION ALL SELECT 'projected_crs', auth_name, code, name, 'projected', description, deprecated"
        " FROM projected_crs"
        " UNION ALL SELECT 'vertical_crs', auth_name, code, name, 'vertical', description, deprecated FROM vertical_crs"
        " UNION ALL SELECT 'compound_crs', auth_name, code, name, 'compound', description, deprecated"
        " FROM compound_crs");
  });
  db.close();
}

}  // namespace

std::string describe(SampleOrigin origin) {
  switch (origin) {
    case SampleOrigin::proj: return "a private copy of PROJ's coordinate system database";
    case SampleOrigin::generated:
      return "generated in the shape of PROJ's database, which is not installed (proj-data)";
    case SampleOrigin::given: return "as given";
  }
  return "";
}

fs::path find_proj_database() {
  for (const char* variable : {"PROJ_DATA", "PROJ_LIB"}) {
    const char* folder = std::getenv(variable);
    if (folder != nullptr && fs::exists(fs::path(folder) / "proj.db")) return fs::path(folder) / "proj.db";
  }
  const fs::path installed = "/usr/share/proj/proj.db";
  return fs::exists(installed) ? installed : fs::path();
}

SampleOrigin provide_sample(const fs::path& file, const fs::path& proj) {
  if (fs::exists(file)) return SampleOrigin::given;
  if (proj.empty()) {
    generate(file);
    return SampleOrigin::generated;
  }
  fs::copy_file(proj, file);
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  return SampleOrigin::proj;
}

}  // namespace sqlane::cli
