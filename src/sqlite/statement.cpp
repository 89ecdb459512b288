#include "sqlane/detail/statement.hpp"

#include <cmath>
#include <sqlite3.h>
#include <string>
#include <utility>

#include "sqlane/detail/queries.hpp"
#include "sqlane/error.hpp"
#include "sqlite/connection.hpp"

namespace sqlane::detail {
namespace {

std::string_view name_of(StorageClass storage_class) {
  switch (storage_class) {
    case StorageClass::integer: return "an INTEGER";
    case StorageClass::real: return "a REAL";
    case StorageClass::text: return "a TEXT";
    case StorageClass::blob: return "a BLOB";
    case StorageClass::null: return "NULL";
  }
  return "?";
}

sqlite3_destructor_type destructor_for(Lifetime lifetime) {
  return lifetime == Lifetime::borrowed ? SQLITE_STATIC
                                        : reinterpret_cast<sqlite3_destructor_type>(-1);  // SQLITE_TRANSIENT
}

}  // namespace

Statement::Statement(Connection& connection, const SqlText& sql)
    : connection_(&connection), cached_(&connection.check_out(sql, *this)), handle_(cached_->handle) {}

Statement::~Statement() { give_back(); }

void Statement::expect_live() const {
  if (handle_ == nullptr) fail_usage("these rows have ended: their snapshot or transaction is over");
  // SQLite lets a reading statement go on after a rollback, outside of any snapshot.
  connection_->expect_live_transaction();
}

void Statement::check(int code) const {
  expect_live();
  if (code != SQLITE_OK) connection_->fail(code, cached_->text);
}

void Statement::bind_null(int index) { check(sqlite3_bind_null(handle_, index)); }

void Statement::bind_integer(int index, std::int64_t value) { check(sqlite3_bind_int64(handle_, index, value)); }

void Statement::bind_real(int index, double value) {
  if (std::isnan(value)) fail_parameter(index, "SQLite stores NaN as NULL; std::nullopt says so");
  check(sqlite3_bind_double(handle_, index, value));
}

void Statement::bind_text(int index, std::string_view value, Lifetime lifetime) {
  expect_live();
  if (lifetime == Lifetime::copied) cached_->holds_copies = true;
  const char* data = value.data() == nullptr ? "" : value.data();  // a null pointer would bind NULL
  check(sqlite3_bind_text64(handle_, index, data, value.size(), destructor_for(lifetime), SQLITE_UTF8));
}

void Statement::bind_blob(int index, std::span<const std::byte> value, Lifetime lifetime) {
  expect_live();
  if (lifetime == Lifetime::copied) cached_->holds_copies = true;
  if (value.empty()) {  // likewise
    check(sqlite3_bind_zeroblob(handle_, index, 0));
    return;
  }
  check(sqlite3_bind_blob64(handle_, index, value.data(), value.size(), destructor_for(lifetime)));
}

int Statement::parameter_index(std::string_view name) const {
  expect_live();
  for (int index = 1; index <= cached_->facts.parameters; ++index) {
    const char* candidate = sqlite3_bind_parameter_name(handle_, index);
    if (candidate != nullptr && candidate == name) return index;
  }
  fail_usage("there is no placeholder " + std::string(name));
}

bool Statement::step() {
  expect_live();
  if (row_ == 0) connection_->begin_statement();
  const RunningStatement::Scope scope(connection_->running(), cached_->shown);
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) {
    ++row_;
    return true;
  }
  if (code == SQLITE_DONE) return false;
  connection_->fail_step(code, cached_->text);
}

ExecuteResult Statement::execute() {
  expect_live();
  sqlite3* const connection = connection_->handle();
  const std::int64_t changes_before = sqlite3_total_changes64(connection);
  const bool is_insert = cached_->facts.is_insert;
  if (is_insert) connection_->watch_inserts(*cached_);
  row_ = 0;
  while (step()) {
  }
  ExecuteResult result;
  // After a statement that changes nothing, sqlite3_changes() still tells of the one before.
  if (sqlite3_total_changes64(connection) != changes_before) {
    result.changes = sqlite3_changes64(connection);
    if (is_insert && result.changes > 0) result.last_insert_rowid = connection_->inserted_rowid(*cached_);
  }
  reset();
  return result;
}

void Statement::give_back() noexcept {
  if (connection_ == nullptr || connection_->is_of_another_process()) return;
  sqlite3_reset(handle_);
  std::exchange(connection_, nullptr)->check_in(*std::exchange(cached_, nullptr));
  handle_ = nullptr;
}

void Statement::reset() noexcept { sqlite3_reset(handle_); }

int Statement::column_count() const noexcept { return sqlite3_column_count(handle_); }

std::string_view Statement::column_name(int column) const {
  expect_live();
  const char* name = sqlite3_column_name(handle_, column);
  if (name == nullptr) fail_usage("there is no column " + std::to_string(column));
  return name;
}

// sqlite3_column_value() hands out an "unprotected" value, which may be looked
// at by the one thread that has the connection. It saves finding the column
// twice, once for its type and once for its content.
// https://sqlite.org/c3ref/column_blob.html

StorageClass Statement::storage_class(int column) const {
  const auto found = static_cast<StorageClass>(sqlite3_value_type(sqlite3_column_value(handle_, column)));
  if (found == StorageClass::null) static_cast<void>(column_name(column));  // NULL, or no such column?
  return found;
}

std::int64_t Statement::integer(int column, std::string_view wanted) const {
  sqlite3_value* const value = sqlite3_column_value(handle_, column);
  if (sqlite3_value_type(value) != SQLITE_INTEGER) fail_column(column, wanted, "");
  return sqlite3_value_int64(value);
}

double Statement::real(int column, std::string_view wanted) const {
  sqlite3_value* const value = sqlite3_column_value(handle_, column);
  const int type = sqlite3_value_type(value);
  if (type == SQLITE_FLOAT) return sqlite3_value_double(value);
  if (type != SQLITE_INTEGER) fail_column(column, wanted, "");
  const std::int64_t integer = sqlite3_value_int64(value);
  constexpr std::int64_t kExact = std::int64_t{1} << 53;  // a double holds every integer up to it
  if (integer > kExact || integer < -kExact) fail_column(column, wanted, "the integer would be rounded");
  return static_cast<double>(integer);
}

std::string_view Statement::text(int column, std::string_view wanted) const {
  sqlite3_value* const value = sqlite3_column_value(handle_, column);
  if (sqlite3_value_type(value) != SQLITE_TEXT) fail_column(column, wanted, "");
  const unsigned char* const data = sqlite3_value_text(value);
  if (data == nullptr) connection_->fail(SQLITE_NOMEM, cached_->text);
  return {reinterpret_cast<const char*>(data), static_cast<std::size_t>(sqlite3_value_bytes(value))};
}

std::span<const std::byte> Statement::blob(int column, std::string_view wanted) const {
  sqlite3_value* const value = sqlite3_column_value(handle_, column);
  if (sqlite3_value_type(value) != SQLITE_BLOB) fail_column(column, wanted, "");
  const auto size = static_cast<std::size_t>(sqlite3_value_bytes(value));
  const void* const data = sqlite3_value_blob(value);  // null for an empty one
  if (data == nullptr && size != 0) connection_->fail(SQLITE_NOMEM, cached_->text);
  return {static_cast<const std::byte*>(data), size};
}

void Statement::fail_column(int column, std::string_view wanted, std::string_view why) const {
  const std::string name = quote_sql(column_name(column));  // SQLite names an expression by its text
  std::string message = "column " + std::to_string(column) + " (" + name + ") of row " + std::to_string(row_) +
                        " holds " + std::string(name_of(storage_class(column))) + ", which does not fit " +
                        std::string(wanted);
  if (!why.empty()) message += ": " + std::string(why);
  message += " in " + quote_sql(cached_->text) + " on " + connection_->settings().database;
  throw TypeError(message, {.code = SQLITE_MISMATCH,
                            .extended_code = SQLITE_MISMATCH,
                            .sql = cached_->text,
                            .database = connection_->settings().database});
}

void Statement::fail_parameter(int index, std::string_view why) const {
  expect_live();
  throw TypeError("the value for parameter " + std::to_string(index) + " cannot be stored: " + std::string(why) +
                      " in " + quote_sql(cached_->text),
                  {.code = SQLITE_MISMATCH,
                   .extended_code = SQLITE_MISMATCH,
                   .sql = cached_->text,
                   .database = connection_->settings().database});
}

void Statement::fail_usage(std::string_view why) const {
  throw UsageError(std::string(why) + (cached_ == nullptr ? "" : " in " + quote_sql(cached_->text)));
}

void Statement::expect_columns(std::size_t count) const {
  if (static_cast<std::size_t>(column_count()) == count) return;
  fail_usage("a row has " + std::to_string(column_count()) + " columns, the type that is to hold it " +
             std::to_string(count));
}

VacuumScope::VacuumScope(Connection& connection) : connection_(connection) { connection_.let_spill(); }

VacuumScope::~VacuumScope() { connection_.stop_spilling(); }

void VacuumScope::expect_reachable() const {
  if (connection_.has_logged()) connection_.expect_reachable_commit();  // VACUUM INTO writes to another file
}

bool reconnecting_helps(const Error& error, int attempt) noexcept {
  constexpr int kAttempts = 3;
  return attempt < kAttempts && classify(error.extended_code()).recovery == Recovery::reconnect;
}

void fail_no_row(Connection& connection, const SqlText& sql) {
  throw NoRowError("there is no row for " + quote_sql(sql.text) + " on " + connection.settings().database,
                   {.sql = std::string(sql.text), .database = connection.settings().database});
}

}  // namespace sqlane::detail
