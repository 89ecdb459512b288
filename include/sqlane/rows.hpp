#pragma once

#include <cstddef>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "sqlane/detail/binding.hpp"
#include "sqlane/detail/columns.hpp"
#include "sqlane/detail/statement.hpp"

namespace sqlane {

// The row that a query stands on, read column by column: what query() gives
// when no type is named. Valid until the next row.
class Row {
 public:
  explicit Row(const detail::Statement& statement) : statement_(&statement) {}

  [[nodiscard]] int size() const noexcept { return statement_->column_count(); }
  [[nodiscard]] std::string_view name(int column) const { return statement_->column_name(column); }
  [[nodiscard]] bool is_null(int column) const {
    return statement_->storage_class(column) == detail::StorageClass::null;
  }

  // By position, from 0, or by name. TypeError when the value does not fit,
  // UsageError when there is no such column.
  template <class T>
  [[nodiscard]] T get(int column) const {
    return detail::read_column<T>(*statement_, column);
  }
  template <class T>
  [[nodiscard]] T get(std::string_view name) const {
    return get<T>(index_of(name));
  }

 private:
  [[nodiscard]] int index_of(std::string_view name) const {
    for (int column = 0; column < size(); ++column) {
      if (this->name(column) == name) return column;
    }
    statement_->fail_usage("there is no column \"" + std::string(name) + "\"");
  }

  const detail::Statement* statement_;
};

// The rows of a query: the first is there when query() returns, the others are fetched one by one as the loop asks for
// them. Go over them once. Views in T (std::string_view, std::span<const std::byte>, Row) are valid until the next row.
// Rows belong to their Snapshot or Transaction and end with it. Use from one thread at a time.
//
// Inside the loop, do not insert into a table that the query reads, nor change what it selects or sorts by: it may come
// to those rows as well, and to theirs, without an end. Fetch all rows into a std::vector first.
template <class T>
class Rows {
 public:
  class Iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    Iterator() = default;
    explicit Iterator(Rows& rows) : rows_(&rows) {}

    T& operator*() const { return *rows_->current_; }
    T* operator->() const { return &*rows_->current_; }
    Iterator& operator++() {
      rows_->advance();
      return *this;
    }
    void operator++(int) { rows_->advance(); }
    friend bool operator==(const Iterator& it, std::default_sentinel_t) { return it.is_at_end(); }

   private:
    [[nodiscard]] bool is_at_end() const { return !rows_->current_; }

    Rows* rows_ = nullptr;
  };

  // Runs the query up to its first row. Values are copied: the loop outlives the
  // temporaries they may have come from.
  template <class... Args>
  Rows(detail::Connection& connection, const detail::SqlText& sql, const Args&... args) : statement_(connection, sql) {
    detail::bind_all(statement_, detail::Lifetime::copied, args...);
    const bool has_row = statement_.step();
    // Counted behind the first step: preparing again after a schema change can alter it.
    if constexpr (!std::same_as<T, Row>) statement_.expect_columns(detail::column_count_of<T>());
    take(has_row);
  }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

  [[nodiscard]] Iterator begin() {
    if (std::exchange(is_started_, true)) statement_.fail_usage("rows can be gone over once only");
    if (current_) statement_.expect_live();
    return Iterator(*this);
  }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  void advance() {
    if (!current_) statement_.fail_usage("there are no more rows");
    current_.reset();
    take(statement_.step());
  }

  // At the end the statement goes back at once: it stands in nobody's way then.
  void take(bool has_row) {
    if (!has_row) {
      statement_.give_back();
    } else if constexpr (std::same_as<T, Row>) {
      current_.emplace(statement_);
    } else {
      current_.emplace(detail::read_row<T>(statement_));
    }
  }

  detail::Statement statement_;
  std::optional<T> current_;
  bool is_started_ = false;
};

namespace detail {
template <class T>
inline constexpr bool is_rows = false;
template <class T>
inline constexpr bool is_rows<Rows<T>> = true;
}  // namespace detail

}  // namespace sqlane
