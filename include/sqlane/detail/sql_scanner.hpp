#pragma once

// A scanner for the outside of SQL: where tokens, strings, comments and
// statements begin and end, and which placeholders they hold. It knows the
// lexical rules (https://sqlite.org/lang_keywords.html,
// https://sqlite.org/lang_expr.html#parameters) and no grammar. Used at compile
// time for literals and at run time for everything else.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace sqlane::detail {

enum class TokenKind : std::uint8_t { end, word, placeholder, string, semicolon, open, close, other, unterminated };

struct Token {
  TokenKind kind = TokenKind::end;
  std::string_view text;
};

constexpr bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_word_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
constexpr bool is_word(char c) { return is_word_start(c) || is_digit(c) || c == '$'; }
constexpr bool is_number(char c) { return is_word(c) || c == '.'; }
constexpr bool is_suffix(char c) { return !is_space(c) && c != ')'; }
constexpr bool is_within_line(char c) { return c != '\n'; }
constexpr char to_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

// Says whether `token`, in quotation marks or not, stands for the table called `name`.
constexpr bool is_name(std::string_view token, std::string_view name) {
  char quote = '\0';
  if (token.size() >= 2 && !is_word(token.front())) {
    quote = token.back();
    token = token.substr(1, token.size() - 2);
  }
  std::size_t matching = 0;
  for (std::size_t i = 0; i < token.size(); ++i, ++matching) {
    if (quote != '\0' && token[i] == quote) ++i;  // doubled: it stands for itself
    if (i >= token.size() || matching >= name.size() || to_upper(token[i]) != to_upper(name[matching])) return false;
  }
  return matching == name.size();
}

// `keyword` in upper case.
constexpr bool is_keyword(std::string_view word, std::string_view keyword) {
  return std::equal(word.begin(), word.end(), keyword.begin(), keyword.end(),
                    [](char a, char b) { return to_upper(a) == b; });
}

class Scanner {
 public:
  constexpr explicit Scanner(std::string_view text, std::size_t position = 0) : text_(text), position_(position) {}

  constexpr Token next() {
    skip_blank();
    const std::size_t begin = position_;
    if (begin >= text_.size()) return {};
    const char c = text_[position_++];
    if (is_word_start(c)) {
      skip_while(is_word);
      return token(TokenKind::word, begin);
    }
    if (is_digit(c)) {  // 12, 1.5e3, 0xff; a sign after the exponent is a token of its own, which does no harm
      skip_while(is_number);
      return token(TokenKind::other, begin);
    }
    switch (c) {
      case ';': return token(TokenKind::semicolon, begin);
      case '(': return token(TokenKind::open, begin);
      case ')': return token(TokenKind::close, begin);
      case '\'':
      case '"':
      case '`': return quoted(c, begin);
      case '[': return quoted(']', begin);
      case '?': skip_while(is_digit); return token(TokenKind::placeholder, begin);
      case ':':
      case '@':
      case '#':
      case '$': return named_placeholder(begin);
      default: return token(TokenKind::other, begin);
    }
  }

  // Just behind the last token.
  [[nodiscard]] constexpr std::size_t position() const { return position_; }

 private:
  static constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

  [[nodiscard]] constexpr Token token(TokenKind kind, std::size_t begin) const {
    return {kind, text_.substr(begin, position_ - begin)};
  }

  constexpr void skip_while(bool (*predicate)(char)) {
    while (position_ < text_.size() && predicate(text_[position_])) ++position_;
  }

  [[nodiscard]] constexpr bool at(std::string_view what) const {
    return text_.substr(std::min(position_, text_.size())).starts_with(what);
  }

  constexpr void skip_blank() {
    while (true) {
      skip_while(is_space);
      if (at("--")) {
        skip_while(is_within_line);
      } else if (at(kByteOrderMark)) {
        position_ += kByteOrderMark.size();
      } else if (at("/*")) {  // one that is never closed reaches to the end, as in SQLite
        const std::size_t close = text_.find("*/", position_ + 2);
        position_ = close == std::string_view::npos ? text_.size() : close + 2;
      } else {
        return;
      }
    }
  }

  // A name may hold "::" and end in a suffix in parentheses, as Tcl's variables do.
  constexpr Token named_placeholder(std::size_t begin) {
    bool has_name = false;
    while (position_ < text_.size()) {
      if (is_word(text_[position_])) {
        has_name = true;
        ++position_;
      } else if (at("::")) {
        position_ += 2;
      } else if (text_[position_] == '(' && has_name) {
        skip_while(is_suffix);
        if (!at(")")) return token(TokenKind::unterminated, begin);
        ++position_;
        break;
      } else {
        break;
      }
    }
    return token(has_name ? TokenKind::placeholder : TokenKind::other, begin);
  }

  // Within quotes a doubled quote stands for itself; [ ] has no such rule.
  constexpr Token quoted(char quote, std::size_t begin) {
    while (position_ < text_.size()) {
      if (text_[position_++] != quote) continue;
      if (quote == ']' || position_ >= text_.size() || text_[position_] != quote)
        return token(TokenKind::string, begin);
      ++position_;
    }
    return token(TokenKind::unterminated, begin);
  }

  std::string_view text_;
  std::size_t position_;
};

enum class SqlKind : std::uint8_t {
  empty,
  read,     // SELECT, VALUES, EXPLAIN, PRAGMA
  write,    // INSERT, UPDATE, DELETE, REPLACE
  schema,   // CREATE, DROP, ALTER, REINDEX, ANALYZE, VACUUM
  control,  // BEGIN, COMMIT, END, ROLLBACK, SAVEPOINT, RELEASE
  attach,   // ATTACH, DETACH
  unknown,
};

constexpr SqlKind kind_of_keyword(std::string_view word) {
  struct Row {
    std::string_view keyword;
    SqlKind kind;
  };
  constexpr Row kTable[] = {
      {"SELECT", SqlKind::read},       {"VALUES", SqlKind::read},     {"EXPLAIN", SqlKind::read},
      {"PRAGMA", SqlKind::read},       {"INSERT", SqlKind::write},    {"UPDATE", SqlKind::write},
      {"DELETE", SqlKind::write},      {"REPLACE", SqlKind::write},   {"CREATE", SqlKind::schema},
      {"DROP", SqlKind::schema},       {"ALTER", SqlKind::schema},    {"REINDEX", SqlKind::schema},
      {"ANALYZE", SqlKind::schema},    {"VACUUM", SqlKind::schema},   {"BEGIN", SqlKind::control},
      {"COMMIT", SqlKind::control},    {"END", SqlKind::control},     {"ROLLBACK", SqlKind::control},
      {"SAVEPOINT", SqlKind::control}, {"RELEASE", SqlKind::control}, {"ATTACH", SqlKind::attach},
      {"DETACH", SqlKind::attach},
  };
  for (const Row& row : kTable) {
    if (is_keyword(word, row.keyword)) return row.kind;
  }
  return SqlKind::unknown;
}

// What can be said of a text without a schema.
struct SqlFacts {
  SqlKind kind = SqlKind::empty;
  bool is_insert = false;       // INSERT or REPLACE, also behind WITH
  std::string_view into{};      // the table that it names, in quotation marks perhaps
  int parameters = 0;           // values to bind: the largest index, as sqlite3_bind_parameter_count()
  bool has_positional = false;  // ? or ?1
  bool has_named = false;       // :a, @a or $a
  bool is_terminated = true;    // no string or quoted name is left open
  bool is_single = true;        // nothing but blanks and comments follows the first statement
  std::size_t end = 0;          // just behind the first statement and its semicolon
};

constexpr int placeholder_number(std::string_view digits) {
  int number = 0;
  for (const char digit : digits) number = std::min(number * 10 + (digit - '0'), 1'000'000);
  return number;
}

// Reads the first statement of `text`.
constexpr SqlFacts scan_sql(std::string_view text) {
  SqlFacts facts;
  Scanner scanner(text);
  int depth = 0;
  bool is_with = false;
  bool is_create = false;
  bool is_trigger = false;  // its body holds semicolons and ends with "; END"
  int words = 0;
  std::vector<std::string_view> names;
  Token before_previous;
  Token previous;
  for (Token token = scanner.next();; before_previous = previous, previous = token, token = scanner.next()) {
    if (token.kind == TokenKind::end) {
      facts.end = text.size();
      return facts;
    }
    if (token.kind == TokenKind::semicolon) {
      if (facts.kind == SqlKind::empty) continue;  // a leading semicolon
      const bool is_trigger_end = is_keyword(previous.text, "END") && before_previous.kind == TokenKind::semicolon;
      if (is_trigger && !is_trigger_end) continue;
      break;
    }
    if (facts.is_insert && facts.into.empty() && is_keyword(previous.text, "INTO")) facts.into = token.text;
    if (facts.is_insert && previous.text == "." && before_previous.text.data() == facts.into.data()) {
      facts.into = token.text;  // the name before it is the schema's
    }
    switch (token.kind) {
      case TokenKind::unterminated: facts.is_terminated = false; break;
      case TokenKind::open: ++depth; break;
      case TokenKind::close: --depth; break;
      case TokenKind::placeholder:
        if (token.text.front() == '?') {
          facts.has_positional = true;
          facts.parameters = token.text.size() == 1
                                 ? facts.parameters + 1
                                 : std::max(facts.parameters, placeholder_number(token.text.substr(1)));
        } else {
          facts.has_named = true;
          if (std::find(names.begin(), names.end(), token.text) == names.end()) {
            names.push_back(token.text);
            ++facts.parameters;
          }
        }
        break;
      case TokenKind::word:
        ++words;
        if (is_with && depth == 0) {  // the first verb outside parentheses is what the WITH is for
          const SqlKind kind = kind_of_keyword(token.text);
          const bool is_verb = (kind == SqlKind::read || kind == SqlKind::write) &&
                               !is_keyword(token.text, "REPLACE") && !is_keyword(token.text, "EXPLAIN") &&
                               !is_keyword(token.text, "PRAGMA");
          const bool is_replace = is_keyword(token.text, "INTO") && is_keyword(previous.text, "REPLACE");
          if (is_verb || is_replace) {
            facts.kind = is_replace ? SqlKind::write : kind;
            facts.is_insert = is_replace || is_keyword(token.text, "INSERT");
            is_with = false;
          }
        }
        // CREATE [TEMP] TRIGGER, perhaps behind EXPLAIN [QUERY PLAN]
        if (words <= 4 && is_keyword(token.text, "CREATE")) is_create = true;
        if (is_create && words <= 6 && is_keyword(token.text, "TRIGGER") &&
            (is_keyword(previous.text, "CREATE") || is_keyword(previous.text, "TEMP") ||
             is_keyword(previous.text, "TEMPORARY"))) {
          is_trigger = true;
        }
        break;
      default: break;
    }
    if (facts.kind == SqlKind::empty) {
      is_with = token.kind == TokenKind::word && is_keyword(token.text, "WITH");
      facts.kind = token.kind == TokenKind::word ? kind_of_keyword(token.text) : SqlKind::unknown;
      facts.is_insert = is_keyword(token.text, "INSERT") || is_keyword(token.text, "REPLACE");
    }
  }
  facts.end = scanner.position();
  for (Token token = scanner.next(); token.kind != TokenKind::end; token = scanner.next()) {
    if (token.kind != TokenKind::semicolon) facts.is_single = false;
  }
  return facts;
}

}  // namespace sqlane::detail
