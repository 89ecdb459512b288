#include "migrate/key_check.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/quoted_name.hpp"
#include "migrate/normal_sql.hpp"
#include "sqlane/detail/queries.hpp"
#include "sqlane/error.hpp"
#include "sqlane/rows.hpp"
#include "sqlane/sql.hpp"

namespace sqlane::detail {
namespace {

using Kind = KeyFault::Kind;
constexpr std::size_t kExamples = 3;

template <class T, class... Args>
std::vector<T> fetch_all(Connection& connection, SqlFor<Access::read, Args...> sql, const Args&... args) {
  Rows<T> rows(connection, sql.text(), args...);
  std::vector<T> all;
  for (T& row : rows) all.push_back(std::move(row));
  return all;
}

std::vector<std::string> tables_with_keys(Connection& connection) {
  return fetch_all<std::string>(connection,
                                "SELECT name FROM main.sqlite_master WHERE type = 'table'"
                                " AND EXISTS (SELECT 1 FROM pragma_foreign_key_list(name, 'main')) ORDER BY name");
}

std::set<std::string> all_tables(Connection& connection) {
  std::set<std::string> tables;
  for (const std::string& name :
       fetch_all<std::string>(connection, "SELECT name FROM main.sqlite_master WHERE type IN ('table', 'view')")) {
    tables.insert(in_small_letters(name));
  }
  return tables;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const std::string& part : parts) text.append(text.empty() ? "" : separator).append(part);
  return text;
}

// The foreign keys of one table.
class TableKeys {
 public:
  TableKeys(Connection& connection, const std::string& table)
      : connection_(connection), table_(table), rowid_(name_of_rowid()) {
    using Part = std::tuple<std::int64_t, std::string, std::string, std::optional<std::string>>;
    for (auto& [id, parent, from, to] :
         fetch_all<Part>(connection,
                         "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?, 'main')"
                         " ORDER BY id, seq",
                         table)) {
      Key& key = keys_[id];
      key.parent = std::move(parent);
      key.columns.push_back(std::move(from));
      if (to) key.referenced.push_back(*std::move(to));
    }
  }

  void add_faults_to(KeyFaults& found) const {
    try {
      using Violation = std::tuple<std::optional<std::int64_t>, std::string, std::int64_t>;
      const SqlFor<Access::read, std::string> sql(
          "SELECT rowid, parent, fkid FROM pragma_foreign_key_check(?, 'main')");
      Rows<Violation> rows(connection_, sql.text(), table_);
      std::set<std::int64_t> without_rowid;
      for (const auto& [rowid, parent, id] : rows) {
        if (!rowid || rowid_.empty()) {
          without_rowid.insert(id);
          continue;
        }
        FaultyRows& same = found.faults[{.table = table_, .parent = parent, .values = values_of(*rowid, keys_.at(id))}];
        ++same.count;
        if (same.examples.size() >= kExamples) continue;
        same.examples.push_back(table_ + " row " + std::to_string(*rowid) + " to no row of " + parent);
      }
      for (const std::int64_t id : without_rowid) add_dangling_values(keys_.at(id), found);
    } catch (const Error& error) {
      if (!add_mismatch(error.what(), found)) throw;
    }
  }

 private:
  struct Key {
    std::string parent{};
    std::vector<std::string> columns{};
    std::vector<std::string> referenced{};  // none: the parent's primary key
  };

  // Hexadecimal, so that 1 and '1' are the same: a rebuilt table may have other types.
  static std::string values_as_text(const Key& key) {
    std::vector<std::string> values;
    for (const std::string& column : key.columns) values.push_back("hex(child." + quote_name(column) + ")");
    return join(values, " || ',' || ");
  }

  [[nodiscard]] std::string values_of(std::int64_t rowid, const Key& key) const {
    const std::string query = "SELECT " + values_as_text(key) + " FROM main." + quote_name(table_) +
                              " AS child WHERE child." + rowid_ + " = ?";
    const SqlFor<Access::read, std::int64_t> sql = runtime_sql(query);
    return fetch_one<std::string>(connection_, sql.text(), rowid);
  }

  // In a table without rowids the rows that refer to nothing are found by the key's values.
  void add_dangling_values(const Key& key, KeyFaults& found) const {
    const std::vector<std::string> referenced = key.referenced.empty() ? primary_key_of(key.parent) : key.referenced;
    std::vector<std::string> are_set;
    std::vector<std::string> are_equal;
    for (std::size_t i = 0; i < key.columns.size(); ++i) {
      const std::string value = "child." + quote_name(key.columns[i]);
      are_set.push_back(value + " IS NOT NULL");
      // With the parent's collation and affinity alone. https://sqlite.org/foreignkeys.html#fk_indexes
      if (i < referenced.size()) are_equal.push_back("parent." + quote_name(referenced[i]) + " = +" + value);
    }
    std::string query = "SELECT " + values_as_text(key) + ", count(*) FROM main." + quote_name(table_) +
                        " AS child WHERE " + join(are_set, " AND ");
    if (!are_equal.empty()) {  // else there is no such parent
      query += " AND NOT EXISTS (SELECT 1 FROM main." + quote_name(key.parent) + " AS parent WHERE " +
               join(are_equal, " AND ") + ")";
    }
    query += " GROUP BY 1";
    const SqlFor<Access::read> sql = runtime_sql(query);
    Rows<std::tuple<std::string, std::uint64_t>> rows(connection_, sql.text());
    for (const auto& [values, count] : rows) {
      FaultyRows& same = found.faults[{.table = table_, .parent = key.parent, .values = values}];
      same.count += count;
      same.examples.assign(std::min<std::uint64_t>(same.count, kExamples), table_ + " to no row of " + key.parent);
    }
  }

  [[nodiscard]] std::vector<std::string> primary_key_of(const std::string& table) const {
    return fetch_all<std::string>(connection_,
                                  "SELECT name FROM pragma_table_xinfo(?, 'main') WHERE pk > 0 ORDER BY pk", table);
  }

  // A column can have one of these names, and hides the rowid then.
  [[nodiscard]] std::string name_of_rowid() const {
    std::set<std::string> columns;
    for (const std::string& name :
         fetch_all<std::string>(connection_, "SELECT name FROM pragma_table_xinfo(?, 'main')", table_)) {
      columns.insert(in_small_letters(name));
    }
    for (const char* const name : {"rowid", "_rowid_", "oid"}) {
      if (!columns.contains(name)) return name;
    }
    return "";
  }

  [[nodiscard]] std::string what_does_not_fit(const Key& key) const {
    const std::size_t columns = primary_key_of(key.parent).size();
    const auto views = fetch_all<std::int64_t>(
        connection_, "SELECT count(*) FROM main.sqlite_master WHERE type = 'view' AND name = ? COLLATE NOCASE",
        key.parent);
    if (views.front() > 0) return key.parent + ", which is a view";
    if (!key.referenced.empty())
      return "(" + join(key.referenced, ", ") + ") of " + key.parent + ", which is no key there";
    if (columns == 0) return key.parent + ", which has no primary key";
    return "the primary key of " + key.parent + ", which has " + std::to_string(columns) + " columns";
  }

  // SQLite has no code for it: foreign key mismatch - "visit" referencing "place"
  bool add_mismatch(std::string_view message, KeyFaults& found) const {
    if (message.find("foreign key mismatch") == std::string_view::npos) return false;
    std::vector<std::string> examples;
    std::string parent;
    for (const auto& [id, key] : keys_) {
      if (message.find(" referencing " + quote_name(key.parent)) == std::string_view::npos) continue;
      parent = key.parent;
      examples.push_back("(" + join(key.columns, ", ") + ") of " + table_ + " refers to " + what_does_not_fit(key));
    }
    found.faults[{.kind = Kind::mismatch, .table = table_, .parent = parent}] = {1, {join(examples, " or ")}};
    return true;
  }

  Connection& connection_;
  const std::string& table_;
  std::string rowid_;
  std::map<std::int64_t, Key> keys_;
};

class Matching {
 public:
  Matching(const KeyFaults& before, const KeyFaults& after) : before_(before), after_(after) {
    for (const auto& [fault, rows] : before.faults) left_.emplace(fault, rows.count);
    comparison_.made.tables = comparison_.old.tables = after.tables;
  }

  KeyComparison run() && {
    std::map<KeyFault, std::uint64_t> unmatched;
    for (const auto& [fault, rows] : after_.faults) {
      unmatched[fault] = rows.count - take(fault, rows.count);
    }
    for (auto& [fault, count] : left_) {
      if (count > 0 && (is_gone(fault.table) || is_gone(fault.parent))) renamed_.emplace(key_of(fault), &fault);
    }
    for (const auto& [fault, rows] : after_.faults) {
      const std::uint64_t made = count_made(fault, unmatched[fault]);
      add(comparison_.made, fault, rows, made);
      add(comparison_.old, fault, rows, rows.count - made);
    }
    return std::move(comparison_);
  }

 private:
  using WithoutNames = std::pair<Kind, std::string>;
  static WithoutNames key_of(const KeyFault& fault) { return {fault.kind, fault.values}; }

  // How many of `wanted` were there before, which are then accounted for.
  std::uint64_t take(const KeyFault& fault, std::uint64_t wanted) {
    const auto found = left_.find(fault);
    if (found == left_.end()) return 0;
    const std::uint64_t taken = std::min(wanted, found->second);
    found->second -= taken;
    return taken;
  }

  [[nodiscard]] bool is_gone(const std::string& table) const {
    const std::string name = in_small_letters(table);
    return before_.tables.contains(name) && !after_.tables.contains(name);
  }
  [[nodiscard]] bool was_unchecked(const std::string& table) const {
    return before_.faults.lower_bound({.kind = Kind::mismatch, .table = table}) !=
           before_.faults.lower_bound({.kind = Kind::mismatch, .table = table + '\0'});
  }
  [[nodiscard]] bool can_be(const std::string& was, const std::string& is) const { return was == is || is_gone(was); }

  std::uint64_t count_made(const KeyFault& fault, std::uint64_t count) {
    if (fault.kind == Kind::dangling && was_unchecked(fault.table)) return 0;
    const auto [begin, end] = renamed_.equal_range(key_of(fault));
    for (auto at = begin; at != end; ++at) {
      const KeyFault& was = *at->second;
      if (can_be(was.table, fault.table) && can_be(was.parent, fault.parent)) count -= take(was, count);
    }
    return count;
  }

  static void add(KeyFaults& to, const KeyFault& fault, const FaultyRows& rows, std::uint64_t count) {
    if (count > 0) to.faults[fault] = {count, rows.examples};
  }

  const KeyFaults& before_;
  const KeyFaults& after_;
  std::map<KeyFault, std::uint64_t> left_;  // of `before`, not accounted for yet
  std::multimap<WithoutNames, const KeyFault*> renamed_;
  KeyComparison comparison_;
};

}  // namespace

std::uint64_t KeyFaults::count(KeyFault::Kind kind) const {
  std::uint64_t sum = 0;
  for (const auto& [fault, rows] : faults) sum += fault.kind == kind ? rows.count : 0;
  return sum;
}

std::string KeyFaults::examples(KeyFault::Kind kind) const {
  std::vector<std::string> named;
  for (auto at = faults.begin(); at != faults.end() && named.size() < kExamples; ++at) {
    const auto& [fault, rows] = *at;
    if (fault.kind != kind) continue;
    const std::size_t most = std::min(kExamples - named.size(), rows.examples.size());
    const std::size_t size = std::min<std::uint64_t>(most, rows.count);
    named.insert(named.end(), rows.examples.begin(), rows.examples.begin() + static_cast<std::ptrdiff_t>(size));
  }
  return join(named, ", ") + (count(kind) > named.size() ? ", …" : "");
}

KeyFaults find_key_faults(Connection& connection, const CheckedTables& checked) {
  KeyFaults found{.tables = all_tables(connection)};
  for (const std::string& name : checked.value_or(std::vector<std::string>())) {
    if (found.tables.contains(in_small_letters(name))) continue;
    throw MigrationError(MigrationProblem::failed, "",
                         "there is no table " + name + " whose foreign keys could be checked: correct \"check-keys\"");
  }
  for (const std::string& table : tables_with_keys(connection)) {
    const auto is_table = [&](const std::string& name) { return in_small_letters(name) == in_small_letters(table); };
    if (checked && std::ranges::none_of(*checked, is_table)) continue;
    TableKeys(connection, table).add_faults_to(found);
  }
  return found;
}

KeyComparison compare_key_faults(const KeyFaults& before, const KeyFaults& after) {
  return Matching(before, after).run();
}

}  // namespace sqlane::detail
