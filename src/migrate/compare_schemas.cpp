#include <algorithm>
#include <cstddef>
#include <iterator>
#include <span>
#include <utility>

#include "migrate/normal_sql.hpp"
#include "sqlane/schema.hpp"

namespace sqlane {
namespace {

using detail::in_small_letters;
using Kind = SchemaDifference::Kind;

std::string join(std::span<const std::string> parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

std::string describe(const SchemaColumn& column) {
  std::string text = column.type;
  const auto add = [&](std::string_view word) { text.append(text.empty() ? 0 : 1, ' ').append(word); };
  if (column.is_not_null) add("NOT NULL");
  if (column.default_value) add("DEFAULT " + *column.default_value);
  if (!column.collation.empty()) add("COLLATE " + column.collation);
  if (!column.generated_as.empty()) add("AS " + column.generated_as);
  if (column.kind == SchemaColumn::Kind::generated_stored) add("STORED");
  if (column.kind == SchemaColumn::Kind::hidden) add("hidden");
  return text.empty() ? "without a type" : text;
}

std::string describe(const SchemaForeignKey& key) {
  std::string text = "FOREIGN KEY (" + join(key.columns) + ") REFERENCES " + key.table;
  if (!key.referenced.empty()) text += " (" + join(key.referenced) + ")";
  if (key.on_update != "NO ACTION") text += " ON UPDATE " + key.on_update;
  if (key.on_delete != "NO ACTION") text += " ON DELETE " + key.on_delete;
  if (key.is_deferred) text += " DEFERRABLE INITIALLY DEFERRED";
  return text;
}

// Without its name: what follows INDEX name ON.
std::string describe(const SchemaIndex& index) {
  std::string text = index.is_unique ? "UNIQUE " : "";
  text += "ON " + detail::normal_name(index.table) + " (" + join(index.columns) + ")";
  if (!index.where.empty()) text += " WHERE " + index.where;
  return text;
}

// All of a table but its columns, one by one, in an order that depends on nothing.
std::vector<std::string> clauses_of(const SchemaTable& table) {
  std::vector<std::string> clauses = table.checks;
  clauses.insert(clauses.end(), table.conflict_rules.begin(), table.conflict_rules.end());
  for (const SchemaForeignKey& key : table.foreign_keys) clauses.push_back(describe(key));
  bool has_primary_key = false;
  for (const SchemaIndex& key : table.keys) {
    const bool is_primary = key.origin == SchemaIndex::Origin::primary_key;
    has_primary_key = has_primary_key || is_primary;
    clauses.push_back((is_primary ? "PRIMARY KEY (" : "UNIQUE (") + join(key.columns) + ")");
  }
  for (const SchemaColumn& column : table.columns) {
    if (column.primary_key > 0 && !has_primary_key) {
      clauses.push_back("PRIMARY KEY (" + detail::normal_name(column.name) + ") as the rowid");
    }
  }
  if (table.has_autoincrement) clauses.emplace_back("AUTOINCREMENT");
  if (table.is_strict) clauses.emplace_back("STRICT");
  if (table.is_without_rowid) clauses.emplace_back("WITHOUT ROWID");
  if (!table.module.empty()) clauses.push_back("USING " + table.module);
  std::sort(clauses.begin(), clauses.end());
  return clauses;
}

// Where two texts part, with what is around.
std::string around_difference(std::string_view text, std::string_view other) {
  constexpr std::size_t kBefore = 20;
  constexpr std::size_t kLength = 60;
  const auto differs = std::mismatch(text.begin(), text.end(), other.begin(), other.end()).first;
  const auto at = static_cast<std::size_t>(differs - text.begin());
  std::size_t begin = at > kBefore ? text.rfind(' ', at - kBefore) : 0;
  begin = begin == std::string_view::npos ? 0 : begin;
  std::size_t end = text.size() - begin > kLength ? text.find(' ', begin + kLength) : text.size();
  end = std::min(end, text.size());
  return (begin > 0 ? "\"..." : "\"") + std::string(text.substr(begin, end - begin)) +
         (end < text.size() ? "...\"" : "\"");
}

std::string name_of(const SchemaTable& table) { return table.name; }
std::string name_of(const SchemaIndex& index) { return index.name; }
std::string name_of(const SchemaObject& object) { return object.name; }
std::string name_of(const SchemaColumn& column) { return column.name; }

template <class Entry>
const Entry* find(std::span<const Entry> entries, const Entry& like) {
  const std::string name = in_small_letters(name_of(like));
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const Entry& entry) { return in_small_letters(name_of(entry)) == name; });
  return found == entries.end() ? nullptr : &*found;
}

class Comparison {
 public:
  Comparison(const Schema& expected, const Schema& actual) : expected_(expected), actual_(actual) {}

  std::vector<SchemaDifference> run() && {
    compare(expected_.tables, actual_.tables,
            [this](const SchemaTable* expected, const SchemaTable* actual) { compare_tables(expected, actual); });
    compare(expected_.indexes, actual_.indexes,
            [this](const SchemaIndex* expected, const SchemaIndex* actual) { compare_indexes(expected, actual); });
    compare(expected_.views, actual_.views, [this](const SchemaObject* expected, const SchemaObject* actual) {
      compare_objects(expected, actual, "view " + (expected == nullptr ? actual : expected)->name);
    });
    compare(expected_.triggers, actual_.triggers, [this](const SchemaObject* expected, const SchemaObject* actual) {
      const SchemaObject& one = *(expected == nullptr ? actual : expected);
      if (!belongs_to_one_side(one.table)) {
        compare_objects(expected, actual, "trigger " + one.name + " on " + one.table);
      }
    });
    return std::move(differences_);
  }

 private:
  // Calls `compare_pair(expected, actual)`, either of which can be null.
  template <class Entry, class ComparePair>
  static void compare(const std::vector<Entry>& expected, const std::vector<Entry>& actual,
                      ComparePair&& compare_pair) {
    for (const Entry& entry : expected) compare_pair(&entry, find<Entry>(actual, entry));
    for (const Entry& entry : actual) {
      if (find<Entry>(expected, entry) == nullptr) compare_pair(nullptr, &entry);
    }
  }

  void add(Kind kind, SchemaObjectType type, const std::string& name, const std::string& table, std::string sentence) {
    differences_.push_back({kind, type, name, table, std::move(sentence)});
  }

  // False when one of them is not there, which is a difference then.
  template <class Entry>
  bool are_both(const Entry* expected, const Entry* actual, SchemaObjectType type, const std::string& table,
                const std::string& what) {
    if (expected != nullptr && actual != nullptr) return true;
    const bool is_missing = actual == nullptr;
    add(is_missing ? Kind::missing : Kind::unexpected, type, name_of(is_missing ? *expected : *actual), table,
        what + (is_missing ? " is missing" : " is not expected"));
    return false;
  }

  [[nodiscard]] bool belongs_to_one_side(const std::string& table) const {
    const auto has = [&](const Schema& schema) {
      return find<SchemaTable>(schema.tables, {.name = table}) != nullptr ||
             find<SchemaObject>(schema.views, {.name = table, .table = "", .sql = ""}) != nullptr;
    };
    return has(expected_) != has(actual_);
  }

  void compare_tables(const SchemaTable* expected, const SchemaTable* actual) {
    const SchemaTable& one = *(expected == nullptr ? actual : expected);
    const std::string what = "table " + one.name;
    if (!are_both(expected, actual, SchemaObjectType::table, one.name, what)) return;
    const auto differs = [&](const std::string& how) {
      add(Kind::differs, SchemaObjectType::table, one.name, one.name, what + ": " + how);
    };
    bool has_same_columns = true;
    compare(expected->columns, actual->columns, [&](const SchemaColumn* wanted, const SchemaColumn* found) {
      const std::string& name = (wanted == nullptr ? found : wanted)->name;
      const std::string column = what + ": column " + name;
      if (!are_both(wanted, found, SchemaObjectType::column, one.name, column)) {
        has_same_columns = false;
      } else if (const std::string is = describe(*found), should = describe(*wanted); is != should) {
        add(Kind::differs, SchemaObjectType::column, name, one.name, column + " is " + is + ", expected " + should);
      }
    });
    if (has_same_columns) {
      const std::string is = order_of(*actual);
      const std::string should = order_of(*expected);
      if (is != should) differs("the columns are in the order " + is + ", expected " + should);
    }
    const std::vector<std::string> found = clauses_of(*actual);
    const std::vector<std::string> wanted = clauses_of(*expected);
    for (const std::string& clause : missing_from(found, wanted)) differs(clause + " is missing");
    for (const std::string& clause : missing_from(wanted, found)) differs(clause + " is not expected");
  }

  static std::string order_of(const SchemaTable& table) {
    std::vector<std::string> names;
    for (const SchemaColumn& column : table.columns) names.push_back(detail::normal_name(column.name));
    return join(names);
  }

  static std::vector<std::string> missing_from(const std::vector<std::string>& found,
                                               const std::vector<std::string>& wanted) {
    std::vector<std::string> missing;
    std::set_difference(wanted.begin(), wanted.end(), found.begin(), found.end(), std::back_inserter(missing));
    return missing;
  }

  void compare_indexes(const SchemaIndex* expected, const SchemaIndex* actual) {
    const SchemaIndex& one = *(expected == nullptr ? actual : expected);
    if (belongs_to_one_side(one.table)) return;
    const std::string what = "index " + one.name + " on " + one.table;
    if (!are_both(expected, actual, SchemaObjectType::index, one.table, what)) return;
    const std::string is = describe(*actual);
    const std::string should = describe(*expected);
    if (is == should) return;
    add(Kind::differs, SchemaObjectType::index, one.name, one.table, what + ": is " + is + ", expected " + should);
  }

  void compare_objects(const SchemaObject* expected, const SchemaObject* actual, const std::string& what) {
    const SchemaObject& one = *(expected == nullptr ? actual : expected);
    if (!are_both(expected, actual, one.type, one.table, what) || expected->sql == actual->sql) return;
    add(Kind::differs, one.type, one.name, one.table,
        what + ": is " + around_difference(actual->sql, expected->sql) + ", expected " +
            around_difference(expected->sql, actual->sql));
  }

  const Schema& expected_;
  const Schema& actual_;
  std::vector<SchemaDifference> differences_;
};

}  // namespace

std::string_view to_string(SchemaObjectType type) noexcept {
  switch (type) {
    case SchemaObjectType::table: return "table";
    case SchemaObjectType::column: return "column";
    case SchemaObjectType::index: return "index";
    case SchemaObjectType::view: return "view";
    case SchemaObjectType::trigger: return "trigger";
  }
  return "";
}

std::string_view to_string(SchemaDifference::Kind kind) noexcept {
  switch (kind) {
    case Kind::missing: return "missing";
    case Kind::unexpected: return "unexpected";
    case Kind::differs: return "differs";
  }
  return "";
}

std::vector<SchemaDifference> compare_schemas(const Schema& expected, const Schema& actual) {
  return Comparison(expected, actual).run();
}

}  // namespace sqlane
