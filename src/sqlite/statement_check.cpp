#include "sqlite/statement_check.hpp"

#include <sqlite3.h>

#include "sqlane/detail/statement.hpp"
#include "sqlane/error.hpp"
#include "sqlite/connection.hpp"
#include "sqlite/errors.hpp"

namespace sqlane::detail {
namespace {

// https://sqlite.org/c3ref/errcode.html
std::optional<std::size_t> error_offset([[maybe_unused]] sqlite3* connection) {
#if SQLITE_VERSION_NUMBER >= 3038000
  if (const int offset = sqlite3_error_offset(connection); offset >= 0) return static_cast<std::size_t>(offset);
#endif
  return std::nullopt;
}

// Such errors end in the statement and the call site, which the caller knows.
std::string without_place(std::string_view message, std::string_view text) {
  return std::string(message.substr(0, message.rfind(" in " + quote_sql(text))));
}

}  // namespace

std::optional<StatementFault> check_statement(Connection& connection, std::string_view text, CallSite site) {
  const SqlFacts facts = scan_sql(text);
  const Arity arity{.values = facts.parameters, .named = facts.has_named};
  try {
    const Statement prepared(connection, {.text = text, .access = Access::write, .arity = arity, .site = site});
    return std::nullopt;
  } catch (const UsageError& error) {
    return StatementFault{without_place(error.what(), text), std::nullopt};
  } catch (const ReadOnlyError& error) {
    return StatementFault{without_place(error.what(), text), std::nullopt};
  } catch (const Error& error) {
    if (error.code() != SQLITE_ERROR) throw;
    // Nothing has been asked of the connection since.
    return StatementFault{sqlite3_errmsg(connection.handle()), error_offset(connection.handle())};
  }
}

}  // namespace sqlane::detail
