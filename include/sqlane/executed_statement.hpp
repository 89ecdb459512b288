#pragma once

#include <cstdint>
#include <string>
#include <string_view>

struct sqlite3_stmt;

namespace sqlane {

// A statement that is about to run. Valid only inside the callback.
class ExecutedStatement {
 public:
  enum class Origin : std::uint8_t {
    caller,
    library,  // BEGIN, COMMIT, SAVEPOINT and what else the library runs by itself
  };
  enum class Target : std::uint8_t { writer, reader };

  ExecutedStatement(std::string_view sql, Origin origin, Target target, sqlite3_stmt* handle)
      : sql_(sql), handle_(handle), origin_(origin), target_(target) {}

  [[nodiscard]] std::string_view sql() const noexcept { return sql_; }
  [[nodiscard]] Origin origin() const noexcept { return origin_; }
  [[nodiscard]] Target target() const noexcept { return target_; }

  // The text with what is bound in place of the placeholders.
  [[nodiscard]] std::string with_values() const;

 private:
  std::string_view sql_;
  sqlite3_stmt* handle_;
  Origin origin_;
  Target target_;
};

}  // namespace sqlane
