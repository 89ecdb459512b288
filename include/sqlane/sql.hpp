#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "sqlane/call_site.hpp"
#include "sqlane/detail/sql_scanner.hpp"

namespace sqlane {

// SQL that is not known at compile time. Checked when it runs instead, with
// UsageError. `text` must live until the call returns.
struct RuntimeSql {
  std::string_view text;
  CallSite site;
};

[[nodiscard]] constexpr RuntimeSql runtime_sql(std::string_view text, CallSite site = CallSite::current()) {
  return {text, site};
}

// What a statement may do where it is given.
enum class Access : unsigned char {
  read,   // on a Snapshot, or straight on the Database: nothing that writes
  write,  // in a Transaction: anything but transaction control
};

// A value for a named placeholder; made by bind().
template <class T>
struct Named {
  std::string_view name;
  T value;  // a reference when bind() was given something that has a name itself
};

// bind(":title", title). The name is written as in the SQL, with its prefix.
// (The signature is chosen so that it wins over std::bind, which a std::string
// argument brings into view.)
template <std::size_t size, class T>
[[nodiscard]] constexpr Named<T> bind(const char (&name)[size], T&& value) {
  return {name, std::forward<T>(value)};
}

namespace detail {

template <class T>
inline constexpr bool is_named = false;
template <class T>
inline constexpr bool is_named<Named<T>> = true;

// What one execution binds: how many values, by name or by position.
struct Arity {
  int values = 0;
  bool named = false;
  bool mixed = false;
};

template <class... Args>
inline constexpr Arity kArityOf{.values = static_cast<int>(sizeof...(Args)),
                                .named = (false || ... || is_named<Args>),
                                .mixed = (false || ... || is_named<Args>)&&!(true && ... && is_named<Args>)};

// Calling one of these ends compilation; the compiler quotes the name.
namespace mistake {
void the_sql_text_holds_no_statement();
void the_sql_text_holds_more_than_one_statement();
void the_sql_text_leaves_a_string_or_quoted_name_open();
void the_sql_has_more_placeholders_than_there_are_arguments();
void the_sql_has_fewer_placeholders_than_there_are_arguments();
void named_placeholders_take_their_values_from_bind();
void bind_is_for_named_placeholders_but_the_sql_has_question_marks();
void named_and_positional_values_do_not_mix();
void a_snapshot_only_reads_so_write_in_a_transaction();
void transactions_are_controlled_by_write_begin_and_savepoint_not_by_sql();
void attaching_databases_is_not_possible_inside_sqlane();
}  // namespace mistake

enum class SqlMistake : unsigned char {
  none,
  no_statement,
  several_statements,
  unterminated,
  too_few_values,
  too_many_values,
  named_without_bind,
  bind_without_named,
  mixed_values,
  write_in_snapshot,
  transaction_control,
  attach,
};

constexpr SqlMistake find_mistake(const SqlFacts& facts, Access access, Arity arity) {
  if (facts.kind == SqlKind::empty) return SqlMistake::no_statement;
  if (!facts.is_terminated) return SqlMistake::unterminated;
  if (!facts.is_single) return SqlMistake::several_statements;
  if (facts.kind == SqlKind::control) return SqlMistake::transaction_control;
  if (facts.kind == SqlKind::attach) return SqlMistake::attach;
  const bool writes = facts.kind == SqlKind::write || facts.kind == SqlKind::schema;
  if (access == Access::read && writes) return SqlMistake::write_in_snapshot;
  if (arity.mixed || (facts.has_named && facts.has_positional)) return SqlMistake::mixed_values;
  if (facts.parameters > arity.values) return SqlMistake::too_few_values;
  if (facts.parameters < arity.values) return SqlMistake::too_many_values;
  if (facts.has_named && !arity.named) return SqlMistake::named_without_bind;
  if (facts.has_positional && arity.named) return SqlMistake::bind_without_named;
  return SqlMistake::none;
}

consteval void stop_at(SqlMistake mistake) {
  switch (mistake) {
    case SqlMistake::none: break;
    case SqlMistake::no_statement: mistake::the_sql_text_holds_no_statement(); break;
    case SqlMistake::several_statements: mistake::the_sql_text_holds_more_than_one_statement(); break;
    case SqlMistake::unterminated: mistake::the_sql_text_leaves_a_string_or_quoted_name_open(); break;
    case SqlMistake::too_few_values: mistake::the_sql_has_more_placeholders_than_there_are_arguments(); break;
    case SqlMistake::too_many_values: mistake::the_sql_has_fewer_placeholders_than_there_are_arguments(); break;
    case SqlMistake::named_without_bind: mistake::named_placeholders_take_their_values_from_bind(); break;
    case SqlMistake::bind_without_named:
      mistake::bind_is_for_named_placeholders_but_the_sql_has_question_marks();
      break;
    case SqlMistake::mixed_values: mistake::named_and_positional_values_do_not_mix(); break;
    case SqlMistake::write_in_snapshot: mistake::a_snapshot_only_reads_so_write_in_a_transaction(); break;
    case SqlMistake::transaction_control:
      mistake::transactions_are_controlled_by_write_begin_and_savepoint_not_by_sql();
      break;
    case SqlMistake::attach: mistake::attaching_databases_is_not_possible_inside_sqlane(); break;
  }
}

// A statement's text on its way into the statement cache.
struct SqlText {
  std::string_view text;
  bool is_literal = false;  // checked already, and its address serves as the cache key
  Access access = Access::read;
  Arity arity;
  CallSite site;
  bool is_vacuum = false;  // VACUUM alone cannot run inside a transaction
};

constexpr bool begins_with_vacuum(std::string_view text) { return is_keyword(Scanner(text).next().text, "VACUUM"); }

// The type of a `sql` parameter, in the manner of std::format_string: a literal
// is checked where it stands, text built at run time must say so.
template <Access access, int values, bool named, bool mixed>
class BasicSql {
 public:
  template <class Text>
  requires std::convertible_to<const Text&, std::string_view>
  consteval BasicSql(const Text& literal, CallSite site = CallSite::current())  // NOLINT(*-explicit-*)
      : text_{literal, true, access, kArity, site, begins_with_vacuum(literal)} {
    stop_at(find_mistake(scan_sql(literal), access, kArity));
  }

  constexpr BasicSql(RuntimeSql sql)
      : text_{sql.text, false, access, kArity, sql.site, begins_with_vacuum(sql.text)} {}  // NOLINT(*-explicit-*)

  BasicSql(const std::string& text_built_at_run_time_goes_through_runtime_sql, CallSite site = {}) = delete;

  [[nodiscard]] constexpr const SqlText& text() const { return text_; }

 private:
  static constexpr Arity kArity{values, named, mixed};

  SqlText text_;
};

template <Access access, Arity arity>
using SqlWithArity = BasicSql<access, arity.values, arity.named, arity.mixed>;

template <Access access, class... Args>
using SqlFor =
    std::type_identity_t<BasicSql<access, kArityOf<Args...>.values, kArityOf<Args...>.named, kArityOf<Args...>.mixed>>;

}  // namespace detail
}  // namespace sqlane
