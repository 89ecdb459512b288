#include "migrate/table_definition.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>

#include "migrate/normal_sql.hpp"

namespace sqlane::detail {
namespace {

using Tokens = std::span<const NormalToken>;

// The constraints of one column, or of the table. They may follow each other without a comma.
class ClauseParser {
 public:
  // `column` is empty for those of the table.
  ClauseParser(Tokens tokens, std::string column, TableDefinition& table)
      : tokens_(tokens), column_(std::move(column)), table_(table) {}

  void parse(TableDefinition::Column* column) {
    while (at_ < tokens_.size()) {
      if (take("CONSTRAINT")) {
        label_ = "CONSTRAINT " + next_text() + " ";
      } else if (take("CHECK")) {
        table_.checks.push_back(std::exchange(label_, "") + "CHECK " + take_group());
        static_cast<void>(take_conflict());  // has no effect there
      } else if (take("PRIMARY")) {
        static_cast<void>(next_text());  // KEY
        take_key("PRIMARY KEY");
      } else if (take("UNIQUE")) {
        take_key("UNIQUE");
      } else if (take("NOT")) {
        take_not(column);
      } else if (take("NULL")) {
        label_.clear();
        static_cast<void>(take_conflict());
      } else if (take("DEFAULT")) {
        label_.clear();
        if (is("(")) {
          static_cast<void>(take_group());
        } else {
          ++at_;  // NULL for one; what follows a sign is passed over below
        }
      } else if (take("COLLATE")) {
        label_.clear();
        const std::string name = next_text();
        if (column != nullptr) column->collation = name == "binary" ? "" : name;
      } else if (take("REFERENCES")) {
        take_reference();
      } else if (take("DEFERRABLE")) {
        take_deferral(true);
      } else if (take("AS") && is("(") && column != nullptr) {
        column->generated_as = take_group();
      } else if (is("(")) {  // of a type, or the columns of FOREIGN KEY
        static_cast<void>(take_group());
      } else if (take("AUTOINCREMENT")) {
        table_.has_autoincrement = true;
      } else if (take("SET")) {  // ON DELETE SET NULL
        ++at_;
      } else {
        ++at_;
      }
    }
  }

 private:
  [[nodiscard]] bool is(std::string_view token) const { return at_ < tokens_.size() && tokens_[at_].is(token); }
  bool take(std::string_view token) {
    if (!is(token)) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    if (at_ >= tokens_.size() || !tokens_[at_].is_word(word)) return false;
    ++at_;
    return true;
  }
  std::string next_text() { return at_ < tokens_.size() ? tokens_[at_++].text : ""; }
  std::string take_group() {
    if (!is("(")) return "";
    const std::size_t begin = std::exchange(at_, behind_group(tokens_, at_));
    return to_text(tokens_.subspan(begin, at_ - begin));
  }

  // " ON CONFLICT REPLACE"; empty for that which holds anyhow.
  std::string take_conflict() {
    if (!is("ON") || at_ + 2 >= tokens_.size() || !tokens_[at_ + 1].is_word("conflict")) return "";
    at_ += 2;
    const std::string resolution = normal_type(next_text());
    return resolution == "ABORT" ? "" : " ON CONFLICT " + resolution;
  }

  void add_rule(const std::string& constraint) {
    if (const std::string conflict = take_conflict(); !conflict.empty()) {
      table_.conflict_rules.push_back(constraint + conflict);
    }
  }

  void take_key(const std::string& kind) {
    label_.clear();
    std::string columns = "(" + column_ + ")";
    if (column_.empty()) {
      const std::size_t begin = at_;
      columns = take_group();
      const bool counts = std::any_of(tokens_.begin() + static_cast<std::ptrdiff_t>(begin),
                                      tokens_.begin() + static_cast<std::ptrdiff_t>(at_),
                                      [](const NormalToken& token) { return token.is("AUTOINCREMENT"); });
      table_.has_autoincrement = table_.has_autoincrement || counts;
    } else if (!take_word("asc")) {
      static_cast<void>(take_word("desc"));
    }
    add_rule(kind + " " + columns);
  }

  void take_not(TableDefinition::Column* column) {
    if (take("DEFERRABLE")) {
      take_deferral(false);
    } else if (take("NULL") && column != nullptr) {
      label_.clear();
      add_rule(column_ + " NOT NULL");
    }
  }

  void take_reference() {
    label_.clear();
    ++at_;  // the table
    static_cast<void>(take_group());
    table_.deferred.push_back(false);
  }

  void take_deferral(bool is_deferrable) {
    if (!take_word("initially")) return;
    const bool is_deferred = next_text() == "deferred";
    if (!table_.deferred.empty()) table_.deferred.back() = is_deferrable && is_deferred;
  }

  Tokens tokens_;
  std::string column_;
  TableDefinition& table_;
  std::size_t at_ = 0;
  std::string label_;  // CONSTRAINT name, before what it names
};

bool begins_table_constraint(const NormalToken& token) {
  return token.is("CONSTRAINT") || token.is("PRIMARY") || token.is("UNIQUE") || token.is("CHECK") ||
         token.is("FOREIGN");
}

std::size_t find(Tokens tokens, std::string_view what, std::size_t from = 0) {
  while (from < tokens.size() && !tokens[from].is(what)) ++from;
  return from;
}

// What follows `CREATE [VIRTUAL] kind name`.
Tokens behind_name(Tokens tokens, std::string_view kind) {
  std::size_t at = 0;
  while (at < tokens.size() && normal_type(tokens[at].text) != kind) ++at;
  return tokens.subspan(std::min(tokens.size(), at + 2));
}

Tokens inside(Tokens group) { return group.size() < 2 ? Tokens() : group.subspan(1, group.size() - 2); }

}  // namespace

TableDefinition parse_table(std::string_view sql) {
  TableDefinition table;
  const std::vector<NormalToken> all = normal_tokens(sql);
  const Tokens tokens = behind_name(all, "TABLE");
  const std::size_t open = find(tokens, "(");
  if (open == tokens.size()) return table;
  for (const Tokens part : split_at_commas(inside(tokens.subspan(open, behind_group(tokens, open) - open)))) {
    if (part.empty()) continue;
    if (begins_table_constraint(part.front())) {
      ClauseParser(part, "", table).parse(nullptr);
    } else {
      const NormalToken& name = part.front();
      TableDefinition::Column column{.name = name.text, .collation = "", .generated_as = ""};
      ClauseParser(part.subspan(1), column.name, table).parse(&column);
      table.columns.push_back(std::move(column));
    }
  }
  std::sort(table.checks.begin(), table.checks.end());
  std::sort(table.conflict_rules.begin(), table.conflict_rules.end());
  return table;
}

IndexDefinition parse_index(std::string_view sql) {
  IndexDefinition index;
  const std::vector<NormalToken> all = normal_tokens(sql);
  const Tokens tokens = behind_name(all, "INDEX");
  const std::size_t open = find(tokens, "(");
  const std::size_t end = behind_group(tokens, open);
  if (open == tokens.size()) return index;
  for (Tokens part : split_at_commas(inside(tokens.subspan(open, end - open)))) {
    if (!part.empty() && (part.back().is_word("asc") || part.back().is_word("desc"))) {
      part = part.first(part.size() - 1);
    }
    index.columns.push_back(to_text(part));
  }
  if (end < tokens.size()) index.where = to_text(tokens.subspan(end + 1));  // behind WHERE
  return index;
}

std::string parse_view(std::string_view sql) { return to_text(behind_name(normal_tokens(sql), "VIEW")); }

std::string parse_module(std::string_view sql) {
  std::vector<NormalToken> tokens = normal_tokens(sql);
  const std::size_t using_at = find(tokens, "USING");
  if (using_at + 1 >= tokens.size()) return "";
  for (std::size_t i = using_at + 2; i < tokens.size(); ++i) tokens[i].text = tokens[i].source;
  return to_text(Tokens(tokens).subspan(using_at + 1));
}

std::string parse_trigger(std::string_view sql) {
  const std::vector<NormalToken> all = normal_tokens(sql);
  const Tokens tokens = behind_name(all, "TRIGGER");
  const bool is_timed = !tokens.empty() && (tokens.front().is_word("before") || tokens.front().is_word("after") ||
                                            tokens.front().is_word("instead"));
  // FOR EACH ROW is the only kind there is.
  std::vector<NormalToken> kept;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i + 2 < tokens.size() && tokens[i].is_word("for") && tokens[i + 1].is_word("each") &&
        tokens[i + 2].is_word("row")) {
      i += 2;
    } else {
      kept.push_back(tokens[i]);
    }
  }
  return (is_timed ? "" : "before ") + to_text(kept);
}

TriggerEvent event_of_trigger(std::string_view trigger) {
  for (const NormalToken& token : normal_tokens(trigger)) {
    if (token.is("UPDATE")) return TriggerEvent::update_row;
    if (token.is("DELETE")) return TriggerEvent::delete_row;
    if (token.is("INSERT")) break;
  }
  return TriggerEvent::insert_row;
}

}  // namespace sqlane::detail
