#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "migrate/normal_sql.hpp"
#include "migrate/table_definition.hpp"
#include "sqlane/error.hpp"
#include "sqlane/schema.hpp"
#include "sqlane/snapshot.hpp"

namespace sqlane {
namespace {

using detail::in_small_letters;
using detail::normal_name;
using detail::TableDefinition;

struct TableFacts {
  std::string name;
  std::string type;
  bool is_without_rowid;
  bool is_strict;
};

// https://sqlite.org/pragma.html#pragma_table_xinfo
struct ColumnFacts {
  std::string name;
  std::string type;
  bool is_not_null;
  std::optional<std::string> default_value;
  int primary_key;
  int hidden;
};

// https://sqlite.org/pragma.html#pragma_foreign_key_list
struct KeyFacts {
  int id;
  std::string table;
  std::string from;
  std::optional<std::string> to;
  std::string on_update;
  std::string on_delete;
};

struct IndexFacts {
  std::string name;
  bool is_unique;
  std::string origin;
};

struct IndexedColumn {
  std::optional<std::string> name;
  bool is_descending;
  std::string collation;
};

SchemaColumn::Kind kind_of(int hidden) {
  switch (hidden) {
    case 1: return SchemaColumn::Kind::hidden;
    case 2: return SchemaColumn::Kind::generated;
    case 3: return SchemaColumn::Kind::generated_stored;
    default: return SchemaColumn::Kind::ordinary;
  }
}

SchemaIndex::Origin origin_of(const std::string& letter) {
  if (letter == "u") return SchemaIndex::Origin::unique;
  return letter == "pk" ? SchemaIndex::Origin::primary_key : SchemaIndex::Origin::create_index;
}

template <class Entries>
void sort_by_name(Entries& entries) {
  std::sort(entries.begin(), entries.end(), [](const auto& left, const auto& right) {
    return in_small_letters(left.name) < in_small_letters(right.name);
  });
}

class SchemaReader {
 public:
  explicit SchemaReader(const Snapshot& snapshot) : snapshot_(snapshot) {}

  Schema read() {
    std::map<std::string, TableFacts> tables;
    for (TableFacts& facts :
         snapshot_.query<TableFacts>("SELECT name, type, wr, strict FROM pragma_table_list WHERE schema = 'main'")) {
      const std::string name = facts.name;
      tables.emplace(name, std::move(facts));
    }
    struct Entry {
      std::string type;
      std::string name;
      std::string table;
      std::string sql;
    };
    for (const Entry& entry : snapshot_.query<Entry>(
             "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
             " AND tbl_name NOT LIKE 'sqlane\\_migration' ESCAPE '\\' AND sql IS NOT NULL")) {
      if (entry.type == "table") {
        const auto facts = tables.find(entry.name);
        if (facts == tables.end()) throw CorruptError("the schema calls table " + entry.name + " by two names");
        if (facts->second.type != "shadow") add_table(facts->second, entry.sql);
      } else if (entry.type == "index") {
        index_texts_.emplace(entry.name, entry.sql);
      } else if (entry.type == "view") {
        schema_.views.push_back({SchemaObjectType::view, entry.name, entry.name, detail::parse_view(entry.sql)});
      } else if (entry.type == "trigger") {
        schema_.triggers.push_back(
            {SchemaObjectType::trigger, entry.name, entry.table, detail::parse_trigger(entry.sql)});
      }
    }
    for (SchemaTable& table : schema_.tables) {
      if (table.module.empty()) add_indexes(table);
    }
    name_referenced_columns();
    sort_by_name(schema_.tables);
    sort_by_name(schema_.indexes);
    sort_by_name(schema_.views);
    sort_by_name(schema_.triggers);
    return std::move(schema_);
  }

 private:
  void add_table(const TableFacts& facts, const std::string& sql) {
    SchemaTable table{.name = facts.name};
    if (facts.type == "virtual") {
      table.module = detail::parse_module(sql);
    } else {
      TableDefinition definition = detail::parse_table(sql);
      table.is_without_rowid = facts.is_without_rowid;
      table.is_strict = facts.is_strict;
      table.has_autoincrement = definition.has_autoincrement;
      add_columns(table, definition);
      add_foreign_keys(table, definition);
      table.checks = std::move(definition.checks);
      table.conflict_rules = std::move(definition.conflict_rules);
    }
    schema_.tables.push_back(std::move(table));
  }

  void add_columns(SchemaTable& table, const TableDefinition& definition) {
    std::size_t position = 0;
    for (const ColumnFacts& facts : snapshot_.query<ColumnFacts>(
             "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?)"
             " ORDER BY cid",
             table.name)) {
      SchemaColumn column{.name = facts.name,
                          .type = detail::normal_type(facts.type),
                          .is_not_null = facts.is_not_null,
                          .primary_key = facts.primary_key,
                          .kind = kind_of(facts.hidden)};
      if (facts.default_value) column.default_value = detail::normal_default(*facts.default_value);
      if (position < definition.columns.size()) {
        column.collation = definition.columns[position].collation;
        column.generated_as = definition.columns[position].generated_as;
      }
      ++position;
      table.columns.push_back(std::move(column));
    }
  }

  // The newest has the lowest number.
  void add_foreign_keys(SchemaTable& table, const TableDefinition& definition) {
    int newest = -1;
    for (const KeyFacts& facts : snapshot_.query<KeyFacts>(
             "SELECT id, \"table\", \"from\", \"to\", on_update, on_delete FROM pragma_foreign_key_list(?)"
             " ORDER BY id DESC, seq",
             table.name)) {
      if (std::exchange(newest, facts.id) != facts.id) {
        const std::size_t position = table.foreign_keys.size();
        table.foreign_keys.push_back(
            {.table = normal_name(facts.table),
             .on_update = facts.on_update,
             .on_delete = facts.on_delete,
             .is_deferred = position < definition.deferred.size() && definition.deferred[position]});
      }
      table.foreign_keys.back().columns.push_back(normal_name(facts.from));
      if (facts.to) table.foreign_keys.back().referenced.push_back(normal_name(*facts.to));
    }
  }

  void add_indexes(SchemaTable& table) {
    for (const IndexFacts& facts :
         snapshot_.query<IndexFacts>("SELECT name, \"unique\", origin FROM pragma_index_list(?)", table.name)) {
      SchemaIndex index{
          .name = facts.name, .table = table.name, .is_unique = facts.is_unique, .origin = origin_of(facts.origin)};
      detail::IndexDefinition definition;
      if (index.origin == SchemaIndex::Origin::create_index) {
        const auto text = index_texts_.find(facts.name);
        if (text == index_texts_.end()) continue;  // one of SQLite's own
        definition = detail::parse_index(text->second);
      } else {
        index.name.clear();
      }
      index.where = definition.where;
      add_indexed_columns(index, facts.name, definition);
      (index.name.empty() ? table.keys : schema_.indexes).push_back(std::move(index));
    }
  }

  void add_indexed_columns(SchemaIndex& index, const std::string& name, const detail::IndexDefinition& definition) {
    for (const IndexedColumn& facts : snapshot_.query<IndexedColumn>(
             "SELECT name, \"desc\", coll FROM pragma_index_xinfo(?) WHERE key = 1 ORDER BY seqno", name)) {
      const std::size_t position = index.columns.size();
      std::string text;
      if (facts.name) {
        text = normal_name(*facts.name);
        if (const std::string collation = normal_name(facts.collation); collation != "binary") {
          text += " COLLATE " + collation;
        }
      } else if (position < definition.columns.size()) {
        text = definition.columns[position];
      }
      if (facts.is_descending) text += " DESC";
      index.columns.push_back(std::move(text));
    }
  }

  // REFERENCES visit means its primary key.
  void name_referenced_columns() {
    for (SchemaTable& table : schema_.tables) {
      for (SchemaForeignKey& key : table.foreign_keys) {
        const auto parent = std::find_if(schema_.tables.begin(), schema_.tables.end(), [&](const SchemaTable& other) {
          return normal_name(other.name) == key.table;
        });
        if (!key.referenced.empty() || parent == schema_.tables.end()) continue;
        for (int position = 1;; ++position) {
          const auto column = std::find_if(parent->columns.begin(), parent->columns.end(),
                                           [&](const SchemaColumn& one) { return one.primary_key == position; });
          if (column == parent->columns.end()) break;
          key.referenced.push_back(normal_name(column->name));
        }
      }
    }
  }

  const Snapshot& snapshot_;
  Schema schema_;
  std::map<std::string, std::string> index_texts_;
};

}  // namespace

Schema read_schema(const Snapshot& snapshot) { return SchemaReader(snapshot).read(); }

}  // namespace sqlane
