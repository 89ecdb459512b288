#include "sqlite/errors.hpp"

#include <algorithm>
#include <array>
#include <sqlite3.h>
#include <string_view>
#include <utility>
#include <vector>

#include "sqlite/remedies.hpp"

namespace sqlane::detail {
namespace {

// The one table from SQLite's codes to ours. An extended code stands before the
// primary code that it belongs to.
constexpr std::array kRules{
    ErrorRule{SQLITE_ERROR_MISSING_COLLSEQ, ErrorKind::schema, false},
    ErrorRule{SQLITE_ABORT_ROLLBACK, ErrorKind::aborted, false},
    ErrorRule{SQLITE_ABORT, ErrorKind::interrupted, false},
    ErrorRule{SQLITE_BUSY_SNAPSHOT, ErrorKind::busy, true, Recovery::start_over},
    ErrorRule{SQLITE_BUSY, ErrorKind::busy, true, Recovery::wait},
    ErrorRule{SQLITE_LOCKED_SHAREDCACHE, ErrorKind::busy, true, Recovery::reconnect},
    ErrorRule{SQLITE_LOCKED, ErrorKind::usage, false},  // by a statement of the same connection
    ErrorRule{SQLITE_PROTOCOL, ErrorKind::busy, true, Recovery::reconnect},
    ErrorRule{SQLITE_PERM, ErrorKind::io, false},
    ErrorRule{SQLITE_READONLY_DBMOVED, ErrorKind::io, false},
    ErrorRule{SQLITE_READONLY, ErrorKind::read_only, false},
    ErrorRule{SQLITE_INTERRUPT, ErrorKind::interrupted, true},
    ErrorRule{SQLITE_IOERR_LOCK, ErrorKind::io, true, Recovery::reconnect},
    ErrorRule{SQLITE_IOERR_RDLOCK, ErrorKind::io, true, Recovery::reconnect},
    ErrorRule{SQLITE_IOERR_UNLOCK, ErrorKind::io, true, Recovery::reconnect},
    ErrorRule{SQLITE_IOERR_CHECKRESERVEDLOCK, ErrorKind::io, true, Recovery::reconnect},
    ErrorRule{SQLITE_IOERR_BLOCKED, ErrorKind::io, true, Recovery::reconnect},
    ErrorRule{SQLITE_IOERR_SHMOPEN, ErrorKind::io, true, Recovery::reconnect},
    ErrorRule{SQLITE_IOERR_SHMSIZE, ErrorKind::io, true, Recovery::reconnect},
    ErrorRule{SQLITE_IOERR_SHMLOCK, ErrorKind::io, true, Recovery::reconnect},
    ErrorRule{SQLITE_IOERR_SHMMAP, ErrorKind::io, true, Recovery::reconnect},
    ErrorRule{SQLITE_IOERR, ErrorKind::io, false},
    ErrorRule{SQLITE_CANTOPEN, ErrorKind::io, false, Recovery::reconnect},
    ErrorRule{SQLITE_CORRUPT, ErrorKind::corrupt, false},
    ErrorRule{SQLITE_NOTADB, ErrorKind::corrupt, false, Recovery::reconnect},
    ErrorRule{SQLITE_FULL, ErrorKind::disk_full, false},
    ErrorRule{SQLITE_SCHEMA, ErrorKind::schema, true, Recovery::reconnect},
    ErrorRule{SQLITE_TOOBIG, ErrorKind::type, false},
    ErrorRule{SQLITE_MISMATCH, ErrorKind::type, false},
    ErrorRule{SQLITE_CONSTRAINT, ErrorKind::constraint, false},
};

constexpr std::string_view kCodeOfEngine = " (SQLite code ";

ConstraintKind constraint_kind(int extended_code) {
  switch (extended_code) {
    case SQLITE_CONSTRAINT_UNIQUE: return ConstraintKind::unique;
    case SQLITE_CONSTRAINT_PRIMARYKEY: return ConstraintKind::primary_key;
    case SQLITE_CONSTRAINT_ROWID: return ConstraintKind::rowid;
    case SQLITE_CONSTRAINT_NOTNULL: return ConstraintKind::not_null;
    case SQLITE_CONSTRAINT_CHECK: return ConstraintKind::check;
    case SQLITE_CONSTRAINT_FOREIGNKEY: return ConstraintKind::foreign_key;
    case SQLITE_CONSTRAINT_TRIGGER: return ConstraintKind::trigger;
    case SQLITE_CONSTRAINT_DATATYPE: return ConstraintKind::datatype;
    default: return ConstraintKind::other;
  }
}

// Reads "UNIQUE constraint failed: note.title, note.lang" or, of a STRICT table,
// "cannot store TEXT value in INTEGER column note.size"; the only place where
// SQLite says which columns. An index on expressions gives "index 'name'" instead.
std::pair<std::string, std::vector<std::string>> violated_columns(ConstraintKind kind, std::string_view message) {
  const std::string_view marker = kind == ConstraintKind::datatype ? " column " : " constraint failed: ";
  const std::size_t at = message.find(marker);
  std::pair<std::string, std::vector<std::string>> found;
  if (at == std::string_view::npos) return found;
  std::string_view rest = message.substr(at + marker.size());
  if (rest.starts_with("index '")) return found;
  while (!rest.empty()) {
    const std::string_view name = rest.substr(0, rest.find(", "));
    const std::size_t dot = name.find('.');
    if (dot == std::string_view::npos) return {};
    found.first = name.substr(0, dot);
    found.second.emplace_back(name.substr(dot + 1));
    rest.remove_prefix(std::min(rest.size(), name.size() + 2));
  }
  return found;
}

[[noreturn]] void throw_constraint(const std::string& message, const std::string& engine_message,
                                   ErrorDetails details) {
  const ConstraintKind kind = constraint_kind(details.extended_code);
  const bool names_columns = kind == ConstraintKind::unique || kind == ConstraintKind::primary_key ||
                             kind == ConstraintKind::rowid || kind == ConstraintKind::not_null ||
                             kind == ConstraintKind::datatype;
  auto [table, columns] =
      names_columns ? violated_columns(kind, engine_message) : decltype(violated_columns(kind, "")){};
  throw ConstraintError(message, std::move(details), kind, std::move(table), std::move(columns));
}

ErrorDetails details_of(const Error& error) {
  return {.code = error.code(),
          .extended_code = error.extended_code(),
          .sql = error.sql(),
          .database = error.database(),
          .retryable = error.is_retryable(),
          .transaction_ended = error.transaction_ended()};
}

// Throws a copy when `error` is of the first type that fits; the most general comes last.
template <class... Types>
void throw_copy_as(const Error& error, const std::string& message) {
  const auto try_one = [&]<class E>(const E*) {
    if (dynamic_cast<const E*>(&error) != nullptr) throw E(message, details_of(error));
  };
  (try_one(static_cast<const Types*>(nullptr)), ...);
}

[[noreturn]] void throw_copy(const Error& error, const std::string& message) {
  if (const auto* const constraint = dynamic_cast<const ConstraintError*>(&error)) {
    throw ConstraintError(message, details_of(error), constraint->kind(), constraint->table(), constraint->columns());
  }
  throw_copy_as<CommitOutcomeUnknown, TransactionAborted, BusyError, TimeoutError, TypeError, ReadOnlyError,
                DiskFullError, IoError, CorruptError, SchemaError, InterruptedError, OpenError, ClosedError>(error,
                                                                                                             message);
  throw Error(message, details_of(error));
}

// The first characters of a text that is longer than a message should be.
std::string_view beginning_of(std::string_view text) {
  constexpr std::size_t kMost = 500;
  constexpr auto is_continuation = [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80; };
  std::size_t end = std::min(text.size(), kMost);
  while (end > 0 && end < text.size() && is_continuation(text[end])) --end;  // UTF-8 stays whole
  return text.substr(0, end);
}

std::string shorten(const std::string& text) {
  const std::string_view beginning = beginning_of(text);
  return beginning.size() == text.size() ? text : std::string(beginning) + "…";
}

}  // namespace

std::string quote_sql(std::string_view sql) {
  const std::string_view beginning = beginning_of(sql);
  std::string quoted = "\"" + std::string(beginning);
  quoted += beginning.size() == sql.size() ? "\"" : "…\" (" + std::to_string(sql.size()) + " bytes)";
  return quoted;
}

void rethrow_saying(const std::string& more) {
  try {
    throw;
  } catch (const Error& error) {
    throw_copy(error, error.what() + more);
  }
}

std::exception_ptr copy_of_current_error() noexcept {
  try {
    try {
      throw;
    } catch (const Error& error) {
      throw_copy(error, error.what());
    }
  } catch (...) {
    return std::current_exception();
  }
}

ErrorRule classify(int extended_code) noexcept {
  for (const ErrorRule& rule : kRules) {
    if (rule.code == extended_code || rule.code == (extended_code & 0xff)) return rule;
  }
  return {extended_code, ErrorKind::general, false, Recovery::none};
}

std::string words_of_engine(const Error& error) {
  const std::string_view text = error.what();
  return std::string(text.substr(0, text.find(kCodeOfEngine)));
}

void throw_failure(Failure failure) {
  const ErrorRule rule = classify(failure.extended_code);
  if (failure.extended_code == SQLITE_ERROR && is_about_schema(failure.message)) failure.is_preparing = true;
  std::string message =
      shorten(failure.message) + std::string(kCodeOfEngine) + std::to_string(failure.extended_code) + ")";
  if (!failure.sql.empty()) message += " in " + quote_sql(failure.sql);
  message += " on " + failure.database + remedy_for(failure.message, failure.sql) + failure.remedy;
  ErrorDetails details{.code = failure.extended_code & 0xff,
                       .extended_code = failure.extended_code,
                       .sql = std::move(failure.sql),
                       .database = std::move(failure.database),
                       .retryable = rule.retryable,
                       .transaction_ended = failure.transaction_ended};
  if (failure.outcome_unknown) {
    details.retryable = false;
    throw CommitOutcomeUnknown("COMMIT failed, and the changes may or may not survive a crash: " + message,
                               std::move(details));
  }
  switch (failure.is_preparing ? ErrorKind::schema : failure.kind.value_or(rule.kind)) {
    case ErrorKind::usage: throw UsageError(message);
    case ErrorKind::busy: throw BusyError(message, std::move(details));
    case ErrorKind::constraint: throw_constraint(message, failure.message, std::move(details));
    case ErrorKind::type: throw TypeError(message, std::move(details));
    case ErrorKind::read_only: throw ReadOnlyError(message, std::move(details));
    case ErrorKind::disk_full: throw DiskFullError(message, std::move(details));
    case ErrorKind::io: throw IoError(message, std::move(details));
    case ErrorKind::corrupt: throw CorruptError(message, std::move(details));
    case ErrorKind::schema: throw SchemaError(message, std::move(details));
    case ErrorKind::interrupted: throw InterruptedError(message, std::move(details));
    case ErrorKind::aborted: throw TransactionAborted(message, std::move(details));
    case ErrorKind::general: break;
  }
  throw Error(message, std::move(details));
}

}  // namespace sqlane::detail
