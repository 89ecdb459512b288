#include "sqlane/sql_check.hpp"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "database/core.hpp"
#include "database/core_access.hpp"
#include "sqlane/database.hpp"
#include "sqlane/detail/sql_scanner.hpp"
#include "sqlane/error.hpp"
#include "sqlane/registered_sql.hpp"
#include "sqlite/statement_check.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;

using detail::CoreAccess;
using detail::Lease;
using detail::SqlFacts;
using detail::SqlKind;

// What is expected of a text.
enum class Contents : std::uint8_t {
  queries,        // of a file: what changes the schema is out of place
  any_statement,  // of a literal, which may change the schema
};

struct Place {
  std::size_t line = 1;
  std::size_t column = 1;
};

Place place_of(std::string_view text, std::size_t offset) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark) && offset >= kByteOrderMark.size()) {
    text.remove_prefix(kByteOrderMark.size());
    offset -= kByteOrderMark.size();
  }
  const std::string_view before = text.substr(0, offset);
  const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  return {1 + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n')), 1 + offset - line_begin};
}

// Reads one committed state while it checks.
class SqlChecker {
 public:
  explicit SqlChecker(const Database& database)
      : reader_(CoreAccess::core(database).lend_reader({}, CallSite::current())) {
    reader_.connection().begin_snapshot();
  }

  void check_text(const fs::path& file, std::string_view text, Contents contents) {
    std::size_t begin = 0;
    while (true) {
      // Not from the first byte of the file on, but from that of the statement.
      detail::Scanner scanner(text, begin);
      detail::Token first = scanner.next();
      while (first.kind == detail::TokenKind::semicolon) first = scanner.next();
      if (first.kind == detail::TokenKind::end) return;
      begin = static_cast<std::size_t>(first.text.data() - text.data());
      const SqlFacts facts = detail::scan_sql(text.substr(begin));
      std::string_view statement = text.substr(begin, facts.end);
      while (statement.ends_with(';') || (!statement.empty() && detail::is_space(statement.back()))) {
        statement.remove_suffix(1);
      }
      check_statement(file, text, begin, statement, facts.kind, contents);
      begin += facts.end;
    }
  }

  [[nodiscard]] std::vector<SqlFinding> take_findings() { return std::move(findings_); }

 private:
  void check_statement(const fs::path& file, std::string_view text, std::size_t begin, std::string_view statement,
                       SqlKind kind, Contents contents) {
    if (kind == SqlKind::schema && contents == Contents::any_statement) return;
    std::optional<detail::StatementFault> fault;
    if (kind == SqlKind::schema) {
      fault = {.message = "what changes the schema belongs into a migration", .offset = {}};
    } else {
      fault = detail::check_statement(reader_.connection(), statement, CallSite::current());
    }
    if (!fault) return;
    const Place place = place_of(text, begin + fault->offset.value_or(0));
    findings_.push_back({file, place.line, place.column, std::string(statement), std::move(fault->message)});
  }

  const Lease reader_;
  std::vector<SqlFinding> findings_;
};

[[noreturn]] void fail_reading(const fs::path& path, const std::string& reason) {
  throw OpenError("cannot read \"" + path.string() + "\": " + reason, {.database = path.string()});
}

std::vector<fs::path> sql_files_below(const fs::path& folder) try {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".sql" && !entry.is_directory()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
} catch (const fs::filesystem_error& error) {
  fail_reading(folder, error.code().message());
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad()) fail_reading(path, std::generic_category().message(errno));
  return text;
}

}  // namespace

std::vector<SqlFinding> check_sql_folder(const Database& database, const fs::path& folder) {
  const std::vector<fs::path> files = sql_files_below(folder);
  if (files.empty()) throw OpenError("there is no .sql file in the folder \"" + folder.string() + "\"");
  SqlChecker checker(database);
  for (const fs::path& file : files) checker.check_text(file, read_file(file), Contents::queries);
  return checker.take_findings();
}

std::vector<SqlFinding> check_registered_sql(const Database& database) {
  SqlChecker checker(database);
  for (const std::string_view text : registered_sql()) checker.check_text({}, text, Contents::any_statement);
  return checker.take_findings();
}

}  // namespace sqlane
