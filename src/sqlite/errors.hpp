#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "sqlane/error.hpp"

namespace sqlane::detail {

// Which class of sqlane::Error a result code becomes.
enum class ErrorKind : std::uint8_t {
  general,
  busy,
  constraint,
  type,
  read_only,
  disk_full,
  io,
  corrupt,
  schema,
  interrupted,
  aborted,
  usage,
};

// What mends the cause, before the same is tried again.
enum class Recovery : std::uint8_t {
  none,
  wait,        // somebody else has a lock
  start_over,  // the transaction's view is too old to write: roll back, begin again
  reconnect,   // the connection's locks or its log are in a state that only a new one leaves behind
};

struct ErrorRule {
  int code;  // an extended result code, or a primary one for all below it
  ErrorKind kind;
  bool retryable;
  Recovery recovery = Recovery::none;
};

// https://sqlite.org/rescode.html
[[nodiscard]] ErrorRule classify(int extended_code) noexcept;

struct Failure {
  int extended_code = 0;
  std::string message;  // SQLite's
  std::string sql;
  std::string database;
  bool transaction_ended = false;
  bool outcome_unknown = false;
  bool is_preparing = false;        // SQLITE_ERROR then means that the SQL does not fit the schema
  std::optional<ErrorKind> kind{};  // where it is another than that of the code
  std::string remedy{};             // "; …", to stand at the end
};

[[noreturn]] void throw_failure(Failure failure);

// SQL in quotation marks, for a message: a long text is cut. ErrorDetails has all of it.
[[nodiscard]] std::string quote_sql(std::string_view sql);

// The part of such an error that is SQLite's: without code, statement and database.
[[nodiscard]] std::string words_of_engine(const Error& error);

// Throws the sqlane::Error being handled once more, of the same type, with `more`
// after its message.
[[noreturn]] void rethrow_saying(const std::string& more);

// The exception being handled once more, of the same type but sharing nothing
// with it, for another thread. One that is no sqlane::Error is shared.
[[nodiscard]] std::exception_ptr copy_of_current_error() noexcept;

}  // namespace sqlane::detail
