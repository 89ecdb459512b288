#include "migrate/script.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "migrate/statement_end.hpp"
#include "migrate/unsuitable_pragma.hpp"
#include "sqlane/detail/sql_scanner.hpp"
#include "sqlane/error.hpp"

namespace sqlane::detail {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kNoTransaction = "NO-TRANSACTION";
constexpr std::string_view kDraft = "DRAFT";
constexpr std::string_view kNoKeyCheck = "NO-KEY-CHECK";
constexpr std::string_view kCheckKeys = "CHECK-KEYS";

// The position of the first byte that is not UTF-8, or npos. https://www.unicode.org/versions/latest/ table 3-7
std::size_t find_no_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = [&](std::size_t offset) {
      return at + offset < text.size() ? static_cast<unsigned char>(text[at + offset]) : 0U;
    };
    const unsigned first = byte(0);
    std::size_t length = 1;
    unsigned low = 0x80;  // of the second byte
    unsigned high = 0xbf;
    if (first >= 0x80) {
      if (first < 0xc2 || first > 0xf4) return at;
      length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
      if (first == 0xe0) low = 0xa0;   // shorter ones are overlong
      if (first == 0xed) high = 0x9f;  // surrogates
      if (first == 0xf0) low = 0x90;
      if (first == 0xf4) high = 0x8f;  // beyond U+10FFFF
      if (byte(1) < low || byte(1) > high) return at;
      for (std::size_t i = 2; i < length; ++i) {
        if (byte(i) < 0x80 || byte(i) > 0xbf) return at;
      }
    }
    at += length;
  }
  return std::string_view::npos;
}

bool is_blank(char c) { return is_space(c); }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string in_capitals(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), to_upper);
  return result;
}

// What follows "sqlane:" in a comment that begins so.
std::optional<std::string_view> mark_in(std::string_view comment) {
  constexpr std::string_view kUs = "SQLANE";
  comment = trimmed(comment);
  if (!is_keyword(comment.substr(0, kUs.size()), kUs)) return std::nullopt;
  comment = trimmed(comment.substr(kUs.size()));
  if (comment.empty() || comment.front() != ':') return std::nullopt;
  return trimmed(comment.substr(1));
}

// "visit, place"
std::vector<std::string> names_in(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    names.emplace_back(trimmed(list.substr(0, end)));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return names;
}

// A name as PRAGMA takes it, bare or in quotes.
std::string_view name_in(const Token& token) {
  return token.kind == TokenKind::string ? token.text.substr(1, token.text.size() - 2) : token.text;
}

// Reads one file from its beginning to its end.
class ScriptReader {
 public:
  ScriptReader(std::string_view text, const std::string& file) : text_(text), file_(file), scanner_(text) {}

  MigrationScript read() {
    expect_text();
    while (true) {
      const Token token = scanner_.next();
      const std::size_t end = scanner_.position();
      const std::size_t begin = token.kind == TokenKind::end ? text_.size() : end - token.text.size();
      read_gap(end_of_last_, begin);
      if (token.kind == TokenKind::end) break;
      end_of_last_ = end;
      if (token.kind == TokenKind::semicolon && head_size_ == 0) continue;  // an empty statement
      read_token(token, begin);
    }
    if (end_rule_.is_inside_trigger()) {
      refuse(MigrationProblem::malformed, begin_, "a trigger begins here that never ends",
             "end its body with \"END;\", the END behind a semicolon");
    }
    if (head_size_ > 0) finish_statement();
    if (script_.statements.empty() && (is_draft_ || !has_comment_)) {
      throw MigrationError(MigrationProblem::malformed, file_,
                           is_draft_ ? "it is a draft without a statement: write one, or remove the line \"-- sqlane: "
                                       "draft\" if it is to do nothing"
                                     : "it has no statement: write one, a comment if it is to do nothing, or remove "
                                       "the file if it was never released");
    }
    return std::move(script_);
  }

 private:
  // "EXPLAIN QUERY PLAN PRAGMA main . name =" are the longest beginnings that tell anything.
  static constexpr std::size_t kHead = 8;

  [[noreturn]] void refuse(MigrationProblem problem, std::size_t position, const std::string& what,
                           std::string_view remedy) const {
    const auto line = 1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(position), '\n');
    std::string message = "line " + std::to_string(line) + ": " + what + ": ";
    message += remedy;
    throw MigrationError(problem, file_, message);
  }

  void expect_text() const {
    constexpr auto kMalformed = MigrationProblem::malformed;
    if (text_.starts_with("\xff\xfe") || text_.starts_with("\xfe\xff")) {
      refuse(kMalformed, 0, "the file is in UTF-16", "save it as UTF-8");
    }
    if (const std::size_t at = text_.find('\0'); at != std::string_view::npos) {
      refuse(kMalformed, at, "there is a NUL byte, at which SQLite would stop reading",
             "remove it, or save the file as UTF-8 if it is in another encoding");
    }
    if (const std::size_t at = find_no_utf8(text_); at != std::string_view::npos) {
      refuse(kMalformed, at, "this is not UTF-8", "save the file as UTF-8");
    }
  }

  // Between two tokens: blanks and comments.
  void read_gap(std::size_t at, std::size_t end) {
    while (at < end) {
      const std::string_view rest = text_.substr(at, end - at);
      has_comment_ = has_comment_ || rest.starts_with("--") || rest.starts_with("/*");
      if (rest.starts_with("--")) {
        const std::size_t size = std::min(rest.find('\n'), rest.size());
        read_line_comment(at, rest.substr(2, size - 2));
        at += size;
      } else if (rest.starts_with("/*")) {
        const std::size_t close = rest.find("*/", 2);
        if (close == std::string_view::npos) {
          refuse(MigrationProblem::malformed, at, "a comment begins here that never ends, and all behind it is not run",
                 "close it with */");
        }
        if (mark_in(rest.substr(2, close - 2))) {
          refuse(MigrationProblem::malformed, at, "a mark stands in a comment of several lines",
                 "write \"-- sqlane: no-transaction\" on a line of its own");
        }
        at += close + 2;
      } else if (rest.starts_with(kByteOrderMark)) {
        refuse(MigrationProblem::malformed, at, "there is a byte order mark in the middle of the file",
               "remove it; it is left over where two files were joined");
      } else {
        ++at;
      }
    }
  }

  void read_line_comment(std::size_t at, std::string_view comment) {
    if (comment.find('\r') != std::string_view::npos) {
      refuse(MigrationProblem::malformed, at,
             "there is a carriage return in a comment, which for SQLite goes on behind it",
             "end all lines with a line feed");
    }
    const auto mark = mark_in(comment);
    if (!mark) return;
    const std::size_t word_size = std::min(mark->find_first_of(" \t"), mark->size());
    const std::string word = in_capitals(mark->substr(0, word_size));
    const std::string_view rest = trimmed(mark->substr(word_size));
    const bool has_tables = word == kCheckKeys && !rest.empty();
    if (!has_tables && !(rest.empty() && (word == kNoTransaction || word == kNoKeyCheck || word == kDraft))) {
      refuse(MigrationProblem::malformed, at, "there is no mark \"" + std::string(*mark) + "\"",
             "there are \"-- sqlane: no-transaction\", \"-- sqlane: no-key-check\", and \"-- sqlane: check-keys "
             "TABLE, TABLE\"; write other comments without \"sqlane:\"");
    }
    if (head_size_ > 0 || !script_.statements.empty()) {
      refuse(MigrationProblem::malformed, at, "the mark stands behind the first statement",
             "move it to the top of the file, since it is for all of it");
    }
    if (word == kDraft) {
      is_draft_ = true;
    } else if (word == kNoTransaction) {
      script_.is_transactional = false;
    } else {
      if (script_.checked_tables) {
        refuse(MigrationProblem::malformed, at, "a second mark says which keys are checked", "write one of them");
      }
      script_.checked_tables = names_in(rest);
    }
  }

  void read_token(const Token& token, std::size_t begin) {
    constexpr auto kMalformed = MigrationProblem::malformed;
    if (token.kind == TokenKind::unterminated) {
      refuse(kMalformed, begin, "a quote is opened here that is never closed", "close it");
    }
    if (token.kind == TokenKind::placeholder) {
      refuse(kMalformed, begin, "there is no value for the placeholder " + std::string(token.text),
             "write the value itself, or use a function");
    }
    if (const auto c = static_cast<unsigned char>(token.text.front()); c < 0x20 || c == 0x7f) {
      refuse(kMalformed, begin, "there is a control character", "remove it");
    }
    if (head_size_ == 0) begin_ = begin;
    if (end_rule_.ends_with(token)) {
      finish_statement();
      return;
    }
    if (head_size_ < head_.size()) head_[head_size_++] = token;
    end_ = scanner_.position();
  }

  void finish_statement() {
    expect_suitable();
    count_lines();
    script_.statements.push_back({std::string(text_.substr(begin_, end_ - begin_)), line_});
    head_size_ = 0;
    end_rule_ = {};
  }

  // Up to the statement that ends here.
  void count_lines() {
    const auto from = text_.begin() + static_cast<std::ptrdiff_t>(counted_);
    line_ += static_cast<std::size_t>(std::count(from, text_.begin() + static_cast<std::ptrdiff_t>(begin_), '\n'));
    counted_ = begin_;
  }

  // The statement's n-th word or sign; a token without a text behind its last one.
  [[nodiscard]] Token head(std::size_t n) const { return n < head_size_ ? head_[n] : Token{}; }
  [[nodiscard]] bool is_at(std::size_t n, std::string_view keyword) const {
    return head(n).kind == TokenKind::word && is_keyword(head(n).text, keyword);
  }

  void expect_suitable() {
    std::size_t verb = 0;
    if (is_at(0, "EXPLAIN")) verb = is_at(1, "QUERY") && is_at(2, "PLAN") ? 3 : 1;
    if (head(verb).kind != TokenKind::word) return;

    const std::string word = in_capitals(head(verb).text);
    const SqlKind kind = kind_of_keyword(word);
    if (kind == SqlKind::control) {
      refuse(MigrationProblem::transaction, begin_, word + " would begin or end a transaction",
             script_.is_transactional ? "remove it; sqlane begins and commits the transaction of each migration"
                                      : "remove it; the statements of this file run one by one, each by itself");
    }
    if (kind == SqlKind::attach) {
      refuse(MigrationProblem::malformed, begin_, word + " is about another database, and a migration about this one",
             "remove it, and bring data over from another file in the program itself");
    }
    // EXPLAIN VACUUM is a harmless question; not so the others, whose effect or refusal comes while they are prepared.
    if (word == "VACUUM" && verb == 0 && script_.is_transactional) {
      refuse(MigrationProblem::not_transactional, begin_, "VACUUM fails inside a transaction",
             "put it into a file of its own that begins with \"-- sqlane: no-transaction\"");
    }
    if (word == "PRAGMA") expect_suitable_pragma(verb + 1);
  }

  // PRAGMA [schema .] name [= value | (value)]
  void expect_suitable_pragma(std::size_t name) {
    if (head(name + 1).text == ".") name += 2;
    const UnsuitablePragma* const pragma = find_unsuitable_pragma(name_in(head(name)));
    const bool has_value = head(name + 1).kind == TokenKind::open || head(name + 1).text == "=";
    if (pragma == nullptr || (pragma->needs_value && !has_value)) return;
    script_.sets_foreign_keys = script_.sets_foreign_keys || pragma->name == "foreign_keys";
    if (pragma->is_for_outside && !script_.is_transactional) return;
    refuse(pragma->is_for_outside ? MigrationProblem::not_transactional : MigrationProblem::malformed, begin_,
           "PRAGMA " + std::string(pragma->name) + " " + std::string(pragma->reason), pragma->remedy);
  }

  std::string_view text_;
  const std::string& file_;
  Scanner scanner_;
  MigrationScript script_;
  std::size_t end_of_last_ = 0;  // the last token of any kind
  bool has_comment_ = false;
  bool is_draft_ = false;

  // The statement that is being read; none while its head is empty.
  StatementEnd end_rule_;
  std::array<Token, kHead> head_;
  std::size_t head_size_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;  // its last token so far

  std::size_t line_ = 1;     // of the position
  std::size_t counted_ = 0;  // up to which lines were counted
};

}  // namespace

MigrationScript parse_migration(std::string_view text, const std::string& file) {
  const std::string normalized = normalize_text(text);
  return ScriptReader(normalized, file).read();
}

std::string normalize_text(std::string_view text) {
  while (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    if (c == '\n') {
      while (!result.empty() && result.back() == '\r') result.pop_back();
    }
    result += c;
  }
  while (!result.empty() && result.back() == '\r') result.pop_back();
  return result;
}

}  // namespace sqlane::detail
