#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "sqlane/sql.hpp"

struct sqlite3_stmt;

namespace sqlane {

// What a statement changed.
struct ExecuteResult {
  std::int64_t changes = 0;            // rows inserted, updated or deleted by the statement itself
  std::int64_t last_insert_rowid = 0;  // 0 when it inserted no row itself, or one without a rowid
};

namespace detail {

class Connection;
struct CachedStatement;

// https://sqlite.org/datatype3.html
enum class StorageClass : std::uint8_t { integer = 1, real = 2, text = 3, blob = 4, null = 5 };

enum class Lifetime : std::uint8_t {
  borrowed,  // the bytes outlive the execution: SQLite reads them in place
  copied,
};

// A prepared statement, checked out of its connection's cache until
// destruction; nobody else gets it meanwhile. When the transaction or snapshot
// that it belongs to ends first, it is revoked: using it then is a UsageError.
// Use from one thread at a time.
class Statement {
 public:
  Statement(Connection& connection, const SqlText& sql);
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();

  // Binding: index counts from 1.
  void bind_null(int index);
  void bind_integer(int index, std::int64_t value);
  void bind_real(int index, double value);  // TypeError for NaN, which SQLite would turn into NULL
  void bind_text(int index, std::string_view value, Lifetime lifetime);
  void bind_blob(int index, std::span<const std::byte> value, Lifetime lifetime);
  [[nodiscard]] int parameter_index(std::string_view name) const;  // UsageError when there is none

  // The next row, or false at the end.
  bool step();
  // Runs to the end, passing over any rows, and makes ready for other values.
  ExecuteResult execute();
  void reset() noexcept;
  // Ends the check-out before its time.
  void give_back() noexcept;

  // Columns count from 0. Each of the readers below throws TypeError, saying
  // that `wanted` does not fit, when the column holds another storage class.
  [[nodiscard]] int column_count() const noexcept;
  [[nodiscard]] std::string_view column_name(int column) const;
  [[nodiscard]] StorageClass storage_class(int column) const;
  [[nodiscard]] std::int64_t integer(int column, std::string_view wanted) const;
  [[nodiscard]] double real(int column, std::string_view wanted) const;
  [[nodiscard]] std::string_view text(int column, std::string_view wanted) const;
  [[nodiscard]] std::span<const std::byte> blob(int column, std::string_view wanted) const;

  // Throws UsageError when revoked, TransactionAborted when SQLite has ended the transaction.
  void expect_live() const;
  [[noreturn]] void fail_column(int column, std::string_view wanted, std::string_view why) const;
  [[noreturn]] void fail_parameter(int index, std::string_view why) const;
  [[noreturn]] void fail_usage(std::string_view why) const;
  // UsageError unless a row has exactly `count` columns.
  void expect_columns(std::size_t count) const;

 private:
  friend class Connection;

  void check(int code) const;

  Connection* connection_;  // null when revoked
  CachedStatement* cached_;
  sqlite3_stmt* handle_;
  std::int64_t row_ = 0;  // of the current execution, counting from 1
};

}  // namespace detail
}  // namespace sqlane
