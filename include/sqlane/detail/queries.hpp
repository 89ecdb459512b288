#pragma once

#include <optional>
#include <utility>

#include "sqlane/detail/binding.hpp"
#include "sqlane/detail/columns.hpp"
#include "sqlane/detail/statement.hpp"
#include "sqlane/error.hpp"
#include "sqlane/rows.hpp"
#include "sqlane/sql.hpp"

namespace sqlane::detail {

// Throws the NoRowError that query_one() promises.
[[noreturn]] void fail_no_row(Connection& connection, const SqlText& sql);

// Whether the same can succeed on another connection, this being the `attempt`th, from 1 on.
[[nodiscard]] bool reconnecting_helps(const Error& error, int attempt) noexcept;

// What `use(lend())` returns: on another loan where that helps, the connection
// of the one before having been replaced. `use` must not have done anything yet
// when it throws.
template <class Lend, class Use>
auto use_reconnecting(Lend&& lend, Use&& use) -> decltype(use(lend())) {
  for (int attempt = 1;; ++attempt) {
    auto loan = lend();
    try {
      return use(std::move(loan));
    } catch (const Error& error) {
      if (!reconnecting_helps(error, attempt)) throw;
    }
  }
}

template <class T, class... Args>
std::optional<T> fetch_first(Connection& connection, const SqlText& sql, const Args&... args) {
  static_assert(!holds_view<T>(), "a view would outlive its row: read std::string or std::vector<std::byte> instead");
  Statement statement(connection, sql);
  bind_all(statement, Lifetime::borrowed, args...);
  const bool has_row = statement.step();
  statement.expect_columns(column_count_of<T>());
  if (!has_row) return std::nullopt;
  return std::optional<T>(std::in_place, read_row<T>(statement));
}

template <class T, class... Args>
T fetch_one(Connection& connection, const SqlText& sql, const Args&... args) {
  std::optional<T> row = fetch_first<T>(connection, sql, args...);
  if (!row) fail_no_row(connection, sql);
  return *std::move(row);
}

template <class... Args>
ExecuteResult execute(Connection& connection, const SqlText& sql, const Args&... args) {
  Statement statement(connection, sql);
  bind_all(statement, Lifetime::borrowed, args...);
  return statement.execute();
}

// For a VACUUM: while it lives, a statement keeps its memory within the page cache (see Connection::let_spill).
class VacuumScope {
 public:
  explicit VacuumScope(Connection& connection);
  ~VacuumScope();
  VacuumScope(const VacuumScope&) = delete;
  VacuumScope& operator=(const VacuumScope&) = delete;

  // After the VACUUM: throws IoError when the database that was written to is no longer at its path.
  void expect_reachable() const;

 private:
  Connection& connection_;
};

// Reading, the same for Snapshot and Transaction. `Self::connection()` gives
// the connection, or throws when the transaction is over.
template <class Self, Access access>
class Queries {
 public:
  // All rows, one by one: for (auto& [id, title] : tx.query<std::tuple<int, std::string_view>>("SELECT …")).
  // A loop that inserts into a table that it reads may never end: see Rows.
  template <class T = Row, class... Args>
  [[nodiscard]] Rows<T> query(SqlFor<access, Args...> sql, const Args&... args) const {
    return Rows<T>(self().connection(), sql.text(), args...);
  }

  // The first row. Throws NoRowError when there is none.
  template <class T, class... Args>
  T query_one(SqlFor<access, Args...> sql, const Args&... args) const {
    return fetch_one<T>(self().connection(), sql.text(), args...);
  }

  // The first row, or nothing.
  template <class T, class... Args>
  std::optional<T> query_optional(SqlFor<access, Args...> sql, const Args&... args) const {
    return fetch_first<T>(self().connection(), sql.text(), args...);
  }

 private:
  friend Self;
  Queries() = default;

  [[nodiscard]] const Self& self() const { return static_cast<const Self&>(*this); }
};

}  // namespace sqlane::detail
