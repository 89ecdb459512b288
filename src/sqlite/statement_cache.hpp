#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "sqlane/detail/sql_scanner.hpp"

struct sqlite3_stmt;

namespace sqlane::detail {

class RunningStatement;
class Statement;

// A prepared statement and what is known of it.
struct CachedStatement {
  CachedStatement() = default;
  CachedStatement(const CachedStatement&) = delete;
  CachedStatement& operator=(const CachedStatement&) = delete;
  ~CachedStatement();  // finalizes

  sqlite3_stmt* handle = nullptr;
  std::string text;
  std::string_view shown;               // the text, as published while it runs
  RunningStatement* running = nullptr;  // where
  SqlFacts facts;
  bool is_read_only = true;
  bool holds_copies = false;  // of bound values
  bool defers_keys = false;   // PRAGMA defer_foreign_keys, with a value
  enum class Failure : std::uint8_t { unknown, undoes_itself, leaves_something } failure = Failure::unknown;
  enum class Target : std::uint8_t { unknown, table, virtual_table } target = Target::unknown;  // of an INSERT
  Statement* holder = nullptr;  // whoever has checked it out
  std::list<CachedStatement>::iterator position;
  bool is_listed = false;  // found under its text; a second copy of a busy statement is not
};

// The prepared statements of one connection: those in use, each by one holder,
// and those idle, the least recently used at the end.
//
// Found by text. A literal is first looked up by its address, in a table where
// a newcomer displaces whoever sat at the same place; length and text are still
// compared, since an unloaded library's address can come back with other text.
//
// Use from one thread at a time.
class StatementCache {
 public:
  explicit StatementCache(std::size_t capacity) : capacity_(capacity) {}

  // The idle statement with this text, now in use; or null.
  [[nodiscard]] CachedStatement* check_out(std::string_view text, bool is_literal);

  // The same, left where it is.
  [[nodiscard]] CachedStatement* find_idle(std::string_view text) noexcept;

  // A fresh entry, in use and empty. Call list() once it is prepared, or discard().
  [[nodiscard]] CachedStatement& add();
  void list(CachedStatement& statement);
  void discard(CachedStatement& statement) noexcept { in_use_.erase(statement.position); }

  void check_in(CachedStatement& statement) noexcept;

  void drop_idle() noexcept;

  [[nodiscard]] bool has_statements_in_use() const noexcept { return !in_use_.empty(); }
  // The newest in use, of all or of those that write; or null.
  enum class Which : std::uint8_t { all, writing };
  [[nodiscard]] CachedStatement* find_in_use(Which which) noexcept;
  [[nodiscard]] std::size_t idle_count() const noexcept { return idle_.size(); }

 private:
  using Entries = std::list<CachedStatement>;

  static constexpr std::size_t kAddressBits = 8;

  [[nodiscard]] static std::size_t slot_of(const char* address) noexcept;
  void forget(CachedStatement& statement) noexcept;

  std::size_t capacity_;
  Entries idle_;
  Entries in_use_;
  std::unordered_map<std::string_view, CachedStatement*> by_text_;  // keys view CachedStatement::text
  std::array<CachedStatement*, std::size_t{1} << kAddressBits> by_address_{};
};

}  // namespace sqlane::detail
