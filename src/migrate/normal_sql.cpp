#include "migrate/normal_sql.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "sqlane/detail/sql_scanner.hpp"

namespace sqlane::detail {
namespace {

// Words that are never names without quotes, or not everywhere (CAST, RAISE,
// CROSS); and those that are values. The others SQLite takes as names wherever
// they make no sense otherwise. https://sqlite.org/lang_keywords.html
constexpr std::array<std::string_view, 72> kReserved{
    "ADD",        "ALL",        "ALTER",     "AND",          "AS",           "AUTOINCREMENT",
    "BETWEEN",    "CASE",       "CAST",      "CHECK",        "COLLATE",      "COMMIT",
    "CONSTRAINT", "CREATE",     "CROSS",     "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP",
    "DEFAULT",    "DEFERRABLE", "DELETE",    "DISTINCT",     "DROP",         "ELSE",
    "ESCAPE",     "EXCEPT",     "EXISTS",    "FALSE",        "FOREIGN",      "FROM",
    "FULL",       "GROUP",      "HAVING",    "IN",           "INDEX",        "INNER",
    "INSERT",     "INTERSECT",  "INTO",      "IS",           "ISNULL",       "JOIN",
    "LEFT",       "LIMIT",      "NATURAL",   "NOT",          "NOTHING",      "NOTNULL",
    "NULL",       "ON",         "OR",        "ORDER",        "OUTER",        "PRIMARY",
    "RAISE",      "REFERENCES", "RETURNING", "RIGHT",        "SELECT",       "SET",
    "TABLE",      "THEN",       "TO",        "TRANSACTION",  "TRUE",         "UNION",
    "UNIQUE",     "UPDATE",     "USING",     "VALUES",       "WHEN",         "WHERE"};
static_assert(std::is_sorted(kReserved.begin(), kReserved.end()));

constexpr std::array<std::string_view, 9> kTwoPartOperators{"!=", "->", "<<", "<=", "<>", "==", ">=", ">>", "||"};

std::string in_capital_letters(std::string_view text) {
  std::string capitals(text);
  std::transform(capitals.begin(), capitals.end(), capitals.begin(), to_upper);
  return capitals;
}

bool is_plain_word(std::string_view text) {
  return !text.empty() && is_word_start(text.front()) && std::all_of(text.begin(), text.end(), is_word);
}

// What stands between quotes, with doubled ones taken for one.
std::string unquote(std::string_view quoted) {
  const char quote = quoted.front() == '[' ? ']' : quoted.front();
  const std::string_view inner = quoted.substr(1, quoted.size() - 2);
  std::string text;
  for (std::size_t i = 0; i < inner.size(); ++i) {
    text += inner[i];
    if (quote != ']' && inner[i] == quote) ++i;
  }
  return text;
}

std::string quote(std::string_view text, char quote) {
  std::string quoted(1, quote);
  for (const char c : text) {
    quoted += c;
    if (c == quote) quoted += c;
  }
  return quoted + quote;
}

NormalToken normalize(const Token& token) {
  NormalToken normal;
  normal.source = token.text;
  switch (token.kind) {
    case TokenKind::word:
      normal.text = in_capital_letters(token.text);
      normal.kind = NormalToken::Kind::keyword;
      if (!is_reserved(normal.text)) {
        normal.text = in_small_letters(token.text);
        normal.kind = NormalToken::Kind::name;
      }
      return normal;
    case TokenKind::string:
      normal.kind = token.text.front() == '\'' ? NormalToken::Kind::literal : NormalToken::Kind::name;
      normal.text = token.text.front() == '\'' ? std::string(token.text) : normal_name(unquote(token.text));
      return normal;
    case TokenKind::placeholder:
    case TokenKind::unterminated:
      normal.kind = NormalToken::Kind::literal;
      normal.text = token.text;
      return normal;
    default:
      normal.kind = is_digit(token.text.front()) ? NormalToken::Kind::literal : NormalToken::Kind::symbol;
      normal.text = in_small_letters(token.text);
      return normal;
  }
}

bool adjoin(std::string_view left, std::string_view right) { return left.data() + left.size() == right.data(); }

std::string_view join(std::string_view left, std::string_view right) {
  return {left.data(), left.size() + right.size()};
}

// What the scanner takes for two tokens, and SQLite for one: x'00', <=, ->>.
bool merge(NormalToken& last, const Token& token) {
  if (!adjoin(last.source, token.text)) return false;
  const std::string_view both = join(last.source, token.text);
  if (is_keyword(last.source, "X") && token.kind == TokenKind::string && token.text.front() == '\'') {
    last = {NormalToken::Kind::literal, in_capital_letters(both), both};
    return true;
  }
  const bool is_operator =
      std::find(kTwoPartOperators.begin(), kTwoPartOperators.end(), both) != kTwoPartOperators.end() || both == "->>";
  if (!is_operator || last.kind != NormalToken::Kind::symbol) return false;
  last = {NormalToken::Kind::symbol, std::string(both == "==" ? "=" : both == "<>" ? "!=" : both), both};
  return true;
}

bool is_sign(const NormalToken& token) { return token.is("-") || token.is("+"); }

// Is a sign that follows `token` one of a number, rather than between two values?
bool ends_no_value(const NormalToken& token) {
  return token.kind == NormalToken::Kind::keyword || (token.kind == NormalToken::Kind::symbol && token.text != ")");
}

bool are_apart(const NormalToken* before, const NormalToken& left, const NormalToken& right) {
  if (left.is("(") || left.is(".") || right.is(")") || right.is(",") || right.is(".") || right.is(";")) return false;
  if (right.is("(")) return left.kind != NormalToken::Kind::name;
  if (is_sign(left) && right.kind == NormalToken::Kind::literal) return before != nullptr && !ends_no_value(*before);
  return true;
}

}  // namespace

std::string in_small_letters(std::string_view text) {
  std::string small(text);
  std::transform(small.begin(), small.end(), small.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return small;
}

bool is_reserved(std::string_view word) { return std::binary_search(kReserved.begin(), kReserved.end(), word); }

std::string normal_name(std::string_view name) {
  const std::string small = in_small_letters(name);
  return is_plain_word(small) && !is_reserved(in_capital_letters(name)) ? small : quote(small, '"');
}

std::vector<NormalToken> normal_tokens(std::string_view sql) {
  std::vector<NormalToken> tokens;
  Scanner scanner(sql);
  for (Token token = scanner.next(); token.kind != TokenKind::end; token = scanner.next()) {
    if (tokens.empty() || !merge(tokens.back(), token)) tokens.push_back(normalize(token));
  }
  return tokens;
}

std::string to_text(std::span<const NormalToken> tokens) {
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0 && are_apart(i > 1 ? &tokens[i - 2] : nullptr, tokens[i - 1], tokens[i])) text += ' ';
    text += tokens[i].text;
  }
  return text;
}

std::string normal_sql(std::string_view sql) { return to_text(normal_tokens(sql)); }

std::string normal_default(std::string_view sql) {
  const std::vector<NormalToken> tokens = normal_tokens(sql);
  if (tokens.size() == 1 && tokens.front().kind == NormalToken::Kind::name) {
    const std::string_view word = tokens.front().source;
    return quote(is_word_start(word.front()) ? std::string(word) : unquote(word), '\'');
  }
  return to_text(tokens);
}

std::string normal_type(std::string_view type) { return in_capital_letters(normal_sql(type)); }

std::size_t behind_group(std::span<const NormalToken> tokens, std::size_t open) {
  int depth = 0;
  for (std::size_t i = open; i < tokens.size(); ++i) {
    if (tokens[i].is("(")) ++depth;
    if (tokens[i].is(")")) --depth;
    if (depth <= 0) return i + 1;
  }
  return tokens.size();
}

std::vector<std::span<const NormalToken>> split_at_commas(std::span<const NormalToken> tokens) {
  std::vector<std::span<const NormalToken>> parts;
  std::size_t begin = 0;
  std::size_t i = 0;
  while (i < tokens.size()) {
    if (tokens[i].is(",")) {
      parts.push_back(tokens.subspan(begin, i - begin));
      begin = i + 1;
    }
    i = tokens[i].is("(") ? behind_group(tokens, i) : i + 1;
  }
  if (begin < tokens.size()) parts.push_back(tokens.subspan(begin));
  return parts;
}

}  // namespace sqlane::detail
