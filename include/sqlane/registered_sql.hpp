#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace sqlane {

// The texts of all literals "…"_sql in this program and the libraries that it
// has loaded, sorted, each once. Complete from main() on. They live as long as
// the library that they are from, so none may be unloaded meanwhile. Safe to use
// from any thread.
[[nodiscard]] std::vector<std::string_view> registered_sql();

namespace detail {

// A member of the list of all such literals, for as long as the program runs.
// The list needs no initialisation, so it may grow in whatever order they come.
class SqlRegistration {
 public:
  explicit SqlRegistration(std::string_view text) noexcept;
  SqlRegistration(const SqlRegistration&) = delete;
  SqlRegistration& operator=(const SqlRegistration&) = delete;

 private:
  friend std::vector<std::string_view> sqlane::registered_sql();

  std::string_view text_;
  const SqlRegistration* next_;
};

// A literal's characters as a template's argument.
template <std::size_t size>
struct LiteralText {
  char characters[size];

  consteval LiteralText(const char (&text)[size]) {  // NOLINT(*-explicit-*)
    for (std::size_t i = 0; i < size; ++i) characters[i] = text[i];
  }
  [[nodiscard]] constexpr std::string_view view() const { return {characters, size - 1}; }
};

template <SqlRegistration&>
struct Registered {};

// Stands wherever a literal does, and is checked as one. The text has one
// address in the whole program, by which statement caches find it.
template <LiteralText text>
class SqlLiteral {
 public:
  constexpr operator std::string_view() const noexcept { return text.view(); }  // NOLINT(*-explicit-*)

 private:
  static inline SqlRegistration registration{text.view()};
  // Naming it here is what makes it exist.
  using Use [[maybe_unused]] = Registered<registration>;
};

}  // namespace detail

inline namespace literals {

// A literal that can be found by check_registered_sql():
//
//   using namespace sqlane::literals;
//   db.query<Note>("SELECT id, title FROM note WHERE id = ?"_sql, id);
//
// (Not with clang 14 and -flto, which fails on text as a template's argument.)
template <detail::LiteralText text>
[[nodiscard]] constexpr detail::SqlLiteral<text> operator""_sql() noexcept {
  return {};
}

}  // namespace literals
}  // namespace sqlane
