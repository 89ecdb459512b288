#include "sqlane/integrity.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/quoted_name.hpp"
#include "database/core.hpp"
#include "database/core_access.hpp"
#include "migrate/table_definition.hpp"
#include "sqlane/database.hpp"
#include "sqlane/error.hpp"
#include "sqlite/integrity.hpp"

namespace sqlane {
namespace {

constexpr int kSqlError = 1;  // https://sqlite.org/rescode.html#error

struct Check {
  std::string table;
  std::string text;  // "CONSTRAINT positive CHECK (size > 0)"
};

std::vector<Check> read_checks(const Snapshot& snapshot) {
  using Row = std::tuple<std::string, std::string>;
  std::vector<Check> checks;
  for (const auto& [table, sql] : snapshot.query<Row>("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND "
                                                      "rootpage > 0 AND sql LIKE '%CHECK%' ORDER BY name")) {
    for (std::string& text : detail::parse_table(sql).checks) checks.push_back({table, std::move(text)});
  }
  return checks;
}

// "CHECK constraint failed in t: 3 rows have not CHECK (size > 0)"; nothing where the check cannot be asked for.
std::optional<std::string> find_violation(const Snapshot& snapshot, const Check& check) {
  constexpr std::string_view kCheck = "CHECK (";
  const std::size_t at = check.text.find(kCheck);
  if (at == std::string::npos) return std::nullopt;
  try {
    const auto rows =
        snapshot.query_one<std::uint64_t>(runtime_sql("SELECT count(*) FROM " + detail::quote_name(check.table) +
                                                      " WHERE NOT " + check.text.substr(at + kCheck.size() - 1)));
    if (rows == 0) return std::nullopt;
    return "CHECK constraint failed in " + check.table + ": " + std::to_string(rows) +
           (rows == 1 ? " row violates " : " rows violate ") + check.text;
  } catch (const Error& error) {
    if (error.code() != kSqlError) throw;
    return std::nullopt;
  }
}

}  // namespace

IntegrityReport check_integrity(const Database& database, IntegrityDepth depth) {
  IntegrityReport report;
  {
    const detail::Lease reader = detail::CoreAccess::core(database).lend_reader({}, CallSite::current());
    reader.connection().begin_snapshot();
    report = detail::check_integrity(reader.connection(), depth);
  }
  if (!report.damage.empty()) return report;
  try {
    database.read([&](const Snapshot& snapshot) {
      for (const Check& check : read_checks(snapshot)) {
        if (auto violation = find_violation(snapshot, check)) report.violations.push_back(*std::move(violation));
      }
    });
  } catch (const CorruptError& error) {
    report.damage.emplace_back(error.what());
  }
  return report;
}

}  // namespace sqlane
