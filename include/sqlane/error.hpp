#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace sqlane {

// What an error knows about itself. Bound values are never part of it.
struct ErrorDetails {
  int code = 0;           // SQLite's primary result code; 0 when the error is sqlane's own
  int extended_code = 0;  // SQLite's extended result code
  std::string sql;        // the statement, empty when there was none
  std::string database;   // the path, or ":memory:"
  bool retryable = false;
  bool transaction_ended = false;
};

// Base of everything that can go wrong at run time through no fault of the
// caller's code. The classes below it differ in what a caller can do about them.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, ErrorDetails details = {});

  [[nodiscard]] int code() const noexcept { return details_->code; }
  [[nodiscard]] int extended_code() const noexcept { return details_->extended_code; }
  [[nodiscard]] const std::string& sql() const noexcept { return details_->sql; }
  [[nodiscard]] const std::string& database() const noexcept { return details_->database; }

  // Doing the same again later can succeed, and cannot do it twice.
  [[nodiscard]] bool is_retryable() const noexcept { return details_->retryable; }

  // SQLite itself rolled back the whole transaction; it refuses further statements.
  [[nodiscard]] bool transaction_ended() const noexcept { return details_->transaction_ended; }

 private:
  std::shared_ptr<const ErrorDetails> details_;  // shared: copying an exception must not throw
};

// The database could not be opened: no such folder, no permission, not a
// database, a newer format. The file has not been changed.
class OpenError : public Error {
  using Error::Error;
};

// Another process held a lock for longer than Options::busy_timeout.
class BusyError : public Error {
  using Error::Error;
};

// The deadline passed while waiting for a reader or for the writer lane. The
// message names who held it, and since when.
class TimeoutError : public Error {
  using Error::Error;
};

enum class ConstraintKind {
  unique,
  primary_key,
  rowid,
  not_null,
  check,
  foreign_key,
  trigger,   // RAISE(ABORT, …) in a trigger
  datatype,  // a STRICT table refused the value
  other,
};

// A constraint refused the change. Only this statement was undone (not even that
// with the conflict clause FAIL); the transaction stays usable.
class ConstraintError : public Error {
 public:
  ConstraintError(const std::string& message, ErrorDetails details, ConstraintKind kind, std::string table,
                  std::vector<std::string> columns);

  [[nodiscard]] ConstraintKind kind() const noexcept { return kind_; }
  // Empty where SQLite does not say (foreign keys, triggers).
  [[nodiscard]] const std::string& table() const noexcept { return violation_->table; }
  [[nodiscard]] const std::vector<std::string>& columns() const noexcept { return violation_->columns; }

 private:
  struct Violation {
    std::string table;
    std::vector<std::string> columns;
  };
  ConstraintKind kind_;
  std::shared_ptr<const Violation> violation_;
};

// A value does not fit the type: NULL into a non-optional, 2^40 into an
// int32_t, text into a number. The message names column, row and type.
class TypeError : public Error {
  using Error::Error;
};

// query_one() found no row.
class NoRowError : public Error {
  using Error::Error;
};

// A statement that writes was given to a reader, or the file cannot be written.
class ReadOnlyError : public Error {
  using Error::Error;
};

// The disk or the database's own size limit is exhausted.
class DiskFullError : public Error {
  using Error::Error;
};

// Reading, writing or syncing failed; or the file was moved or deleted while open.
class IoError : public Error {
  using Error::Error;
};

// The file's content contradicts itself, or it is no database at all.
class CorruptError : public Error {
  using Error::Error;
};

// The SQL does not fit the schema: a syntax error, no such table or column.
class SchemaError : public Error {
  using Error::Error;
};

class InterruptedError : public Error {
  using Error::Error;
};

// The transaction is gone, rolled back by SQLite after the error that the
// message names. Nothing of it took effect.
class TransactionAborted : public Error {
  using Error::Error;
};

// COMMIT failed in a way that leaves open whether the changes will be there
// after a crash. Never retried by sqlane; look before you repeat it.
class CommitOutcomeUnknown : public Error {
  using Error::Error;
};

enum class MigrationProblem {
  malformed,          // a file's name or text cannot be a migration's
  duplicate,          // two migrations have one number
  missing,            // a number is not there: a file was forgotten, or deleted
  reordered,          // a migration that was applied has another number now
  changed,            // a migration that was applied is not what it was
  superseded,         // the database is newer than the program
  unmanaged,          // the database has tables, and nobody has said which migrations it has
  dirty,              // a migration without a transaction did not come to its end
  foreign,            // the database is another program's, going by its application_id
  irreversible,       // it would have to be undone, and does not say how
  not_transactional,  // a statement cannot run inside a transaction
  transaction,        // a statement would end the transaction, or begin one
  foreign_keys,       // rows would refer to nothing
  failed,             // a statement failed, or a function threw an error of sqlane
};

// The database cannot be brought to the version that was asked for. It is as the
// last whole step left it. The message names the file, and what to do.
class MigrationError : public Error {
 public:
  MigrationError(MigrationProblem problem, std::string file, const std::string& message, ErrorDetails details = {});

  [[nodiscard]] MigrationProblem problem() const noexcept { return problem_; }
  // As "0003_add_index.sql"; empty where it is about none, or several.
  [[nodiscard]] const std::string& file() const noexcept { return *file_; }

 private:
  MigrationProblem problem_;
  std::shared_ptr<const std::string> file_;
};

// The database was closed before or while the call waited. Nothing was done.
class ClosedError : public Error {
  using Error::Error;
};

// The caller's code is wrong, and would be wrong every time.
class UsageError : public std::logic_error {
  using std::logic_error::logic_error;
};

}  // namespace sqlane
