#include "sqlane/schema_check.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/quoted_name.hpp"
#include "database/core.hpp"
#include "database/core_access.hpp"
#include "migrate/table_definition.hpp"
#include "sqlane/database.hpp"
#include "sqlane/detail/sql_scanner.hpp"
#include "sqlite/statement_check.hpp"

namespace sqlane {
namespace {

using detail::quote_name;
using Kind = SchemaFault::Kind;

struct Attempt {
  std::string_view statement;  // "SELECT"
  std::string sql;
};

constexpr std::string_view kCheckStatement = "CHECK";
constexpr std::string_view kGeneratedStatement = "AS";

// What a table or an index is defined with has been read when it was made, and "text" taken for a string, in the schema
// of any connection. These read it once more.
std::vector<std::string> statements_reading_definitions() { return {"ALTER TABLE", "VACUUM"}; }

// What is in sqlite_schema, and how it is tried.
struct Entry {
  SchemaObjectType type;
  std::string name;
  std::string table;
  std::string sql;
  bool is_of_module = false;  // a virtual table
  std::vector<Attempt> attempts{};
  std::vector<SchemaFault> faults{};
};

// What SQLite could not find: "kode" of "no such column: old.kode".
std::string_view missing_name(std::string_view message) {
  const std::size_t colon = message.rfind(": ");
  if (colon == std::string_view::npos) return {};
  std::string_view name = message.substr(colon + 2);
  if (name.starts_with('"')) return name.substr(1, name.find('"', 1) - 1);  // from 3.41 on, with more after it
  if (name.ends_with("()")) name.remove_suffix(2);
  return name.substr(name.rfind('.') + 1);
}

bool has_missing_name(std::string_view sql, std::string_view message) {
  const std::string_view name = missing_name(message);
  return !name.empty() && sql.find(name) != std::string_view::npos;
}

// A table that a module has without CREATE VIRTUAL TABLE, with arguments: "generate_series(1, 9)".
bool is_table_of_module(std::string_view sql, std::string_view name) {
  for (std::size_t at = sql.find(name); !name.empty() && at != std::string_view::npos; at = sql.find(name, at + 1)) {
    const std::size_t after = sql.find_first_not_of(" \t\r\n\"`]", at + name.size());
    const bool is_word = at == 0 || !detail::is_word(sql[at - 1]);
    if (is_word && after != std::string_view::npos && sql[after] == '(') return true;
  }
  return false;
}

Kind kind_of(const Entry& entry, std::string_view message) {
  constexpr std::array<std::string_view, 5> kExtensions{
      "no such function: ", "no such collation sequence: ", "no such module: ", "no such tokenizer: ",
      "unknown tokenizer: "};
  if (std::ranges::any_of(kExtensions, [&](std::string_view start) { return message.starts_with(start); })) {
    return Kind::missing_extension;
  }
  if (message.starts_with("no such table: ") && is_table_of_module(entry.sql, missing_name(message))) {
    return Kind::missing_extension;
  }
  if (message.starts_with("no such column: ") &&
      entry.sql.find(quote_name(missing_name(message))) != std::string::npos) {
    return Kind::quoted_text;
  }
  // The text of a table names another table in a foreign key alone.
  const bool is_key = message.starts_with("foreign key mismatch") ||
                      (entry.type == SchemaObjectType::table && message.starts_with("no such table: "));
  return is_key ? Kind::foreign_key : Kind::other;
}

// Writes the statements that use what a schema has.
class AttemptWriter {
 public:
  explicit AttemptWriter(const Snapshot& snapshot) : snapshot_(snapshot) {}

  std::vector<Attempt> attempts_for(const Entry& entry) const {
    const std::string table = quote_name(entry.table);
    switch (entry.type) {
      case SchemaObjectType::index: return {{"SELECT", use_of_index(entry, table)}};
      case SchemaObjectType::trigger: return {attempt_of_trigger(entry, table)};
      case SchemaObjectType::table: {
        std::vector<Attempt> attempts = definitions(entry, table);
        attempts.push_back({"SELECT", "SELECT * FROM " + table});
        // What of a module's table can be changed is the module's affair.
        if (entry.is_of_module) return attempts;
        attempts.insert(attempts.end(), {insertion(table), update(entry, table), deletion(table)});
        return attempts;
      }
      default: return {{"SELECT", "SELECT * FROM " + table}};
    }
  }

 private:
  // A connection that only reads has no CHECKs, so each is tried by itself.
  static std::vector<Attempt> definitions(const Entry& entry, const std::string& table) {
    std::vector<Attempt> attempts;
    if (entry.is_of_module) return attempts;
    constexpr std::string_view kCheck = "CHECK (";
    const detail::TableDefinition definition = detail::parse_table(entry.sql);
    for (const std::string& check : definition.checks) {
      const std::size_t at = check.find(kCheck);
      if (at == std::string::npos) continue;
      attempts.push_back({kCheckStatement, "SELECT " + check.substr(at + kCheck.size() - 1) + " FROM " + table});
    }
    for (const detail::TableDefinition::Column& column : definition.columns) {
      if (column.generated_as.empty()) continue;
      attempts.push_back({kGeneratedStatement, "SELECT " + column.generated_as + " FROM " + table});
    }
    return attempts;
  }

  static Attempt insertion(const std::string& table) { return {"INSERT", "INSERT INTO " + table + " DEFAULT VALUES"}; }
  static Attempt deletion(const std::string& table) { return {"DELETE", "DELETE FROM " + table}; }

  [[nodiscard]] Attempt update(const Entry& entry, const std::string& table) const {
    std::string sql = "UPDATE " + table + " SET ";
    std::string_view separator;
    for (const std::string& column :
         snapshot_.query<std::string>("SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0", entry.table)) {
      sql.append(separator).append(quote_name(column)).append(" = ").append(quote_name(column));
      separator = ", ";
    }
    return {"UPDATE", std::move(sql)};
  }

  // One that SQLite cannot compile without the trigger.
  [[nodiscard]] Attempt attempt_of_trigger(const Entry& entry, const std::string& table) const {
    switch (detail::event_of_trigger(detail::parse_trigger(entry.sql))) {
      case detail::TriggerEvent::insert_row: return insertion(table);
      case detail::TriggerEvent::delete_row: return deletion(table);
      case detail::TriggerEvent::update_row: break;
    }
    return update(entry, table);
  }

  // Its expressions and collations, whatever index the query planner would choose.
  static std::string use_of_index(const Entry& entry, const std::string& table) {
    const detail::IndexDefinition index = detail::parse_index(entry.sql);
    std::string sql = "SELECT 1 FROM " + table + " NOT INDEXED";
    if (!index.where.empty()) sql += " WHERE " + index.where;
    std::string_view separator = " ORDER BY ";
    for (const std::string& column : index.columns) {
      sql.append(std::exchange(separator, ", ")).append(column);
    }
    return sql;
  }

  const Snapshot& snapshot_;
};

SchemaObjectType type_of(const std::string& type) {
  if (type == "view") return SchemaObjectType::view;
  if (type == "trigger") return SchemaObjectType::trigger;
  return type == "index" ? SchemaObjectType::index : SchemaObjectType::table;
}

// What SQLite keeps for itself, and modules for theirs, is left out.
std::vector<Entry> read_entries(const Snapshot& snapshot) {
  using Row = std::tuple<std::string, std::string, std::string, std::string, bool>;
  std::vector<Entry> entries;
  for (const auto& [type, name, table, sql, is_of_module] : snapshot.query<Row>(
           "SELECT s.type, s.name, s.tbl_name, s.sql, s.type = 'table' AND s.rootpage = 0 FROM sqlite_schema s LEFT "
           "JOIN pragma_table_list l "
           "ON l.schema = 'main' AND l.name = s.tbl_name WHERE s.sql IS NOT NULL AND s.name NOT LIKE 'sqlite\\_%' "
           "ESCAPE '\\' AND l.type IS NOT 'shadow' ORDER BY s.type = 'table', s.type DESC, s.name")) {
    entries.push_back({.type = type_of(type), .name = name, .table = table, .sql = sql, .is_of_module = is_of_module});
  }
  const AttemptWriter writer(snapshot);
  for (Entry& entry : entries) entry.attempts = writer.attempts_for(entry);
  return entries;
}

// SQLite has two ways to say the same of a function.
std::string in_one_way(std::string message) {
  if (!message.starts_with("unknown function: ")) return message;
  return "no such function: " + std::string(missing_name(message));
}

void try_out(Entry& entry, detail::Connection& connection) {
  for (const Attempt& attempt : entry.attempts) {
    const auto fault = detail::check_statement(connection, attempt.sql, CallSite::current());
    if (!fault) continue;
    const std::string message = in_one_way(fault->message);
    const Kind kind = kind_of(entry, message);
    const bool is_definition = attempt.statement == kCheckStatement || attempt.statement == kGeneratedStatement;
    const bool is_string = is_definition && kind == Kind::quoted_text;
    if (attempt.statement == kGeneratedStatement && !is_string) continue;  // the other statements tell it
    const auto known = std::ranges::find(entry.faults, message, &SchemaFault::message);
    if (known != entry.faults.end()) {
      if (!is_string) known->statements.emplace_back(attempt.statement);
      continue;
    }
    entry.faults.push_back(
        {.kind = kind,
         .type = entry.type,
         .name = entry.name,
         .table = entry.table,
         .statements = is_string ? statements_reading_definitions() : std::vector{std::string(attempt.statement)},
         .message = message});
  }
  // Without the collation of its key, a table cannot even be read.
  if (std::ranges::find(entry.faults, Kind::missing_extension, &SchemaFault::kind) != entry.faults.end()) {
    std::erase_if(entry.faults, [](const SchemaFault& fault) { return fault.message == "no query solution"; });
  }
}

// A table's statements compile its triggers and indexes as well, and a trigger's those of its table. Leaves each fault
// to that one of them whose text has what is missing.
class Attribution {
 public:
  explicit Attribution(std::vector<Entry>& entries) : entries_(entries) {}

  void run() {
    for (Entry& part : entries_) {
      if (part.type != SchemaObjectType::index && part.type != SchemaObjectType::trigger) continue;
      Entry* const table = table_of(part);
      if (table == nullptr) continue;  // a trigger of a view
      std::erase_if(part.faults, [&](const SchemaFault& fault) { return !is_fault_of(part, *table, fault); });
      if (part.type != SchemaObjectType::index) continue;
      for (SchemaFault& fault : part.faults) {
        const SchemaFault* const of_table = find_fault(*table, fault.message);
        fault.statements = of_table == nullptr ? statements_reading_definitions() : of_table->statements;
        std::erase(fault.statements, kCheckStatement);
      }
    }
    for (Entry& table : entries_) {
      if (table.type != SchemaObjectType::table) continue;
      std::erase_if(table.faults, [&](const SchemaFault& fault) { return is_told_by_part(table, fault); });
    }
  }

 private:
  [[nodiscard]] Entry* table_of(const Entry& part) const {
    const auto found = std::ranges::find_if(entries_, [&](const Entry& entry) {
      return entry.type == SchemaObjectType::table && entry.name == part.table;
    });
    return found == entries_.end() ? nullptr : &*found;
  }

  static const SchemaFault* find_fault(const Entry& entry, const std::string& message) {
    const auto found = std::ranges::find(entry.faults, message, &SchemaFault::message);
    return found == entry.faults.end() ? nullptr : &*found;
  }

  // What is no fault of the table's statements is none, but for an index on a string.
  static bool is_fault_of(const Entry& part, const Entry& table, const SchemaFault& fault) {
    if (find_fault(table, fault.message) == nullptr) {
      return part.type == SchemaObjectType::index && fault.kind == Kind::quoted_text;
    }
    if (fault.kind == Kind::foreign_key) return false;
    return !has_missing_name(table.sql, fault.message) || has_missing_name(part.sql, fault.message);
  }

  [[nodiscard]] bool is_told_by_part(const Entry& table, const SchemaFault& fault) const {
    return !has_missing_name(table.sql, fault.message) && std::ranges::any_of(entries_, [&](const Entry& part) {
      return part.type != SchemaObjectType::table && part.table == table.name &&
             find_fault(part, fault.message) != nullptr;
    });
  }

  std::vector<Entry>& entries_;
};

}  // namespace

std::vector<SchemaFault> check_schema(const Database& database) {
  std::vector<Entry> entries = database.read([](const Snapshot& snapshot) { return read_entries(snapshot); });
  {
    const detail::Lease reader = detail::CoreAccess::core(database).lend_reader({}, CallSite::current());
    for (Entry& entry : entries) try_out(entry, reader.connection());
  }
  Attribution(entries).run();
  std::vector<SchemaFault> faults;
  for (Entry& entry : entries) std::ranges::move(entry.faults, std::back_inserter(faults));
  return faults;
}

}  // namespace sqlane
