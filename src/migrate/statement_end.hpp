#pragma once

#include <cstdint>

#include "sqlane/detail/sql_scanner.hpp"

namespace sqlane::detail {

// Tells which semicolon ends a statement: any outside of a trigger's body, and
// behind "; END" inside one. The states and transitions of sqlite3_complete(),
// which sees all of a file in one go, where scan_sql() reads to its end again
// for each statement. https://sqlite.org/c3ref/complete.html
class StatementEnd {
 public:
  // True if `token`, the text's next, ends the statement. Begin again then.
  constexpr bool ends_with(const Token& token) {
    const bool is_semicolon = token.kind == TokenKind::semicolon;
    if (is_semicolon && state_ != State::trigger && state_ != State::semicolon) {
      state_ = State::start;
      return true;
    }
    state_ = next(token, is_semicolon);
    return false;
  }

  // Inside a trigger's body: a semicolon now would not end the statement.
  [[nodiscard]] constexpr bool is_inside_trigger() const {
    return state_ == State::trigger || state_ == State::semicolon;
  }

 private:
  // start ─EXPLAIN─► explain ─CREATE─► create ─TRIGGER─► trigger ─;─► semicolon ─END─► end ─;─► start
  //
  // Explain stays for anything but the words that are tested below, create for
  // TEMP; otherwise they go to plain, which only a semicolon leaves. Semicolon and
  // end go back to trigger.
  enum class State : std::uint8_t { start, plain, explain, create, trigger, semicolon, end };

  [[nodiscard]] constexpr State next(const Token& token, bool is_semicolon) const {
    const auto is = [&](std::string_view word) {
      return token.kind == TokenKind::word && is_keyword(token.text, word);
    };
    switch (state_) {
      case State::start:
        if (is("EXPLAIN")) return State::explain;
        return is("CREATE") ? State::create : State::plain;
      case State::explain:
        if (is("CREATE")) return State::create;
        return is("EXPLAIN") || is("TEMP") || is("TEMPORARY") || is("TRIGGER") || is("END") ? State::plain
                                                                                            : State::explain;
      case State::create:
        if (is("TRIGGER")) return State::trigger;
        return is("TEMP") || is("TEMPORARY") ? State::create : State::plain;
      case State::plain: return State::plain;
      case State::trigger: return is_semicolon ? State::semicolon : State::trigger;
      case State::semicolon:
        if (is_semicolon) return State::semicolon;
        return is("END") ? State::end : State::trigger;
      case State::end: return State::trigger;
    }
    return State::plain;
  }

  State state_ = State::start;
};

}  // namespace sqlane::detail
