#include "sqlite/integrity.hpp"

#include <optional>
#include <sqlite3.h>
#include <string>
#include <string_view>
#include <utility>

#include "base/quoted_name.hpp"
#include "sqlane/detail/queries.hpp"
#include "sqlane/detail/statement.hpp"
#include "sqlane/error.hpp"
#include "sqlite/connection.hpp"
#include "sqlite/errors.hpp"

namespace sqlane::detail {
namespace {

constexpr std::size_t kMostMessages = 100;

// https://sqlite.org/pragma.html#pragma_integrity_check
class IntegrityCheck {
 public:
  explicit IntegrityCheck(Connection& connection) : connection_(connection) {}

  IntegrityReport run(IntegrityDepth depth) && {
    const std::string pragma = depth == IntegrityDepth::full ? "PRAGMA integrity_check" : "PRAGMA quick_check";
    if (const auto reason = ask(pragma + "(" + std::to_string(kMostMessages) + ")")) {
      report_.unchecked.push_back({.table = "", .reason = *reason});
      for (const std::string& table : tables()) {
        if (report_.damage.size() >= kMostMessages) break;
        check_table(table, pragma, depth);
      }
    }
    return std::move(report_);
  }

 private:
  // Takes over the findings of `sql`. Returns why it could not be run, if so.
  std::optional<std::string> ask(const std::string& sql) {
    try {
      const SqlFor<Access::read> text = runtime_sql(sql);
      Statement statement(connection_, text.text());
      while (statement.step()) {
        const std::string_view line = statement.text(0, "text");
        if (line != "ok" && report_.damage.size() < kMostMessages) report_.damage.emplace_back(line);
      }
    } catch (const CorruptError& error) {
      report_.damage.push_back(words_of_engine(error));
    } catch (const Error& error) {
      if (error.code() != SQLITE_ERROR) throw;
      return words_of_engine(error);
    }
    return std::nullopt;
  }

  // With the table of the schema first. What a module keeps is in ordinary tables.
  std::vector<std::string> tables() {
    std::vector<std::string> names{"sqlite_schema"};
    const SqlFor<Access::read> text =
        runtime_sql("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 ORDER BY name");
    Statement statement(connection_, text.text());
    while (statement.step()) names.emplace_back(statement.text(0, "text"));
    return names;
  }

  void check_table(const std::string& table, const std::string& pragma, IntegrityDepth depth) {
    const std::string name = quote_name(table);
    const auto reason = ask(pragma + "(" + name + ")");
    if (!reason) return;
    report_.unchecked.push_back({.table = table, .reason = *reason});
    if (depth == IntegrityDepth::full && !ask("PRAGMA quick_check(" + name + ")")) return;
    read(name);
  }

  // Each page of the table; the count is no matter.
  void read(const std::string& name) {
    try {
      const std::string sql = "SELECT count(*) FROM " + name + " NOT INDEXED";
      const SqlFor<Access::read> text = runtime_sql(sql);
      Statement statement(connection_, text.text());
      statement.step();
    } catch (const CorruptError& error) {
      report_.damage.push_back(words_of_engine(error));
    } catch (const Error& error) {
      if (error.code() != SQLITE_ERROR) throw;  // the key itself needs what is missing
    }
  }

  Connection& connection_;
  IntegrityReport report_;
};

}  // namespace

IntegrityReport check_integrity(Connection& connection, IntegrityDepth depth) {
  return IntegrityCheck(connection).run(depth);
}

}  // namespace sqlane::detail
