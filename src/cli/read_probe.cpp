#include "cli/read_probe.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <sqlane/sqlane.hpp>

#include "cli/sql_name.hpp"

namespace sqlane::cli {
namespace {

constexpr std::size_t kTables = 3;
constexpr std::size_t kKeysOfATable = 20'000;
constexpr std::size_t kMostKeyColumns = 4;
constexpr std::uint64_t kReadsOfASnapshot = 1000;
constexpr std::chrono::milliseconds kSamplingLimit{3000};

// A table, and how a row of it is found.
struct Access {
  std::string table;
  std::vector<std::string> key;  // columns, in SQL
  std::string column;            // that is read, in SQL
  bool has_rowid = true;
};

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// Nothing when its rows cannot be found by a short key.
std::optional<Access> find_access(const Snapshot& snapshot, const std::string& table) {
  Access access{.table = table, .key = {}, .column = {}};
  std::vector<std::string> columns;
  std::map<int, std::string> primary_key;
  for (const Row& row : snapshot.query(runtime_sql("PRAGMA table_info(" + quote_name(table) + ")"))) {
    columns.push_back(row.get<std::string>("name"));
    if (const int place = row.get<int>("pk"); place > 0) primary_key[place] = columns.back();
  }
  if (columns.empty()) return std::nullopt;
  access.column = "CAST(" + quote_name(columns.back()) + " AS TEXT)";
  for (const Row& row : snapshot.query("PRAGMA table_list")) {
    if (row.get<std::string_view>("name") == table) access.has_rowid = !row.get<bool>("wr");
  }
  if (!access.has_rowid) {
    for (const auto& [place, name] : primary_key) access.key.push_back(quote_name(name));
    if (access.key.size() > kMostKeyColumns) return std::nullopt;
    return access;
  }
  for (const std::string_view name : {"rowid", "_rowid_", "oid"}) {  // unless a column has that name
    const bool is_taken = std::any_of(columns.begin(), columns.end(),
                                      [&](const std::string& column) { return equals_ignoring_case(column, name); });
    if (is_taken) continue;
    access.key.emplace_back(name);
    return access;
  }
  return std::nullopt;
}

std::string join(const std::vector<std::string>& parts, std::string_view between) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : std::string(between)) + part;
  return text;
}

std::string look_up_sql(const Access& access) {
  std::vector<std::string> conditions;
  for (const std::string& column : access.key) conditions.push_back(column + " = ?");
  return fmt::format("SELECT {} FROM {} WHERE {}", access.column, quote_name(access.table), join(conditions, " AND "));
}

// Rowids next to random numbers between the least and the greatest one: no scan.
void sample_rowids(const Snapshot& snapshot, const Access& access, std::mt19937_64& random, std::size_t index,
                   RowKeys& into) {
  using Bounds = std::tuple<std::optional<std::int64_t>, std::optional<std::int64_t>>;
  const std::string table = quote_name(access.table);
  const std::string& rowid = access.key.front();
  const std::string least = fmt::format("SELECT min({0}), (SELECT max({0}) FROM {1}) FROM {1}", rowid, table);
  const auto [first, last] = snapshot.query_one<Bounds>(runtime_sql(least));
  if (!first) return;
  const std::string next = fmt::format("SELECT {0} FROM {1} WHERE {0} >= ? ORDER BY {0} LIMIT 1", rowid, table);
  std::uniform_int_distribution<std::int64_t> any(*first, *last);
  for (std::size_t i = 0; i < kKeysOfATable; ++i) {
    const auto found = snapshot.query_one<std::int64_t>(runtime_sql(next), any(random));
    into.keys.push_back({.table = index, .values = {std::to_string(found)}});
  }
}

// One row in so many, by going over the index that the table is.
void sample_primary_keys(const Snapshot& snapshot, const Access& access, std::uint64_t rows, std::size_t index,
                         RowKeys& into) {
  const std::uint64_t stride = rows / kKeysOfATable + 1;
  const std::string sql = fmt::format("SELECT {} FROM {}", join(access.key, ", "), quote_name(access.table));
  std::uint64_t at = 0;
  for (const Row& row : snapshot.query(runtime_sql(sql))) {
    if (at++ % stride != 0) continue;
    RowKey key{.table = index, .values = {}};
    for (int column = 0; column < row.size(); ++column) {
      // Blobs, NULL and numbers that text cannot say exactly are left out.
      try {
        key.values.push_back(std::to_string(row.get<std::int64_t>(column)));
      } catch (const TypeError&) {
        try {
          key.values.push_back(row.get<std::string>(column));
        } catch (const TypeError&) {
          break;
        }
      }
    }
    if (key.values.size() == access.key.size()) into.keys.push_back(std::move(key));
  }
}

// Whether the row is there.
template <class Source>
bool look_up(const Source& source, const std::string& sql, const std::vector<std::string>& values) {
  using Value = std::optional<std::string>;
  const auto found = [](const std::optional<Value>& row) { return row.has_value(); };
  switch (values.size()) {
    case 1: return found(source.template query_optional<Value>(runtime_sql(sql), values[0]));
    case 2: return found(source.template query_optional<Value>(runtime_sql(sql), values[0], values[1]));
    case 3: return found(source.template query_optional<Value>(runtime_sql(sql), values[0], values[1], values[2]));
    default:
      return found(source.template query_optional<Value>(runtime_sql(sql), values[0], values[1], values[2], values[3]));
  }
}

}  // namespace

RowKeys sample_rows(const Database& db, const FileStats& stats, std::uint64_t seed) {
  RowKeys sample;
  std::mt19937_64 random(seed);
  for (const StoredObject& object : stats.objects) {
    if (sample.tables.size() == kTables) break;
    if (object.kind != "table" || object.name.starts_with("sqlite_") || object.rows.value_or(1) == 0) continue;
    const std::size_t before = sample.keys.size();
    const std::size_t index = sample.sql.size();
    try {
      db.read({.statement_timeout = kSamplingLimit}, [&](const Snapshot& snapshot) {
        const std::optional<Access> access = find_access(snapshot, object.name);
        if (!access) return;
        if (access->has_rowid) {
          sample_rowids(snapshot, *access, random, index, sample);
        } else {
          sample_primary_keys(snapshot, *access, object.rows.value_or(0), index, sample);
        }
        if (sample.keys.size() > before) sample.sql.push_back(look_up_sql(*access));
      });
    } catch (const TimeoutError&) {
      sample.keys.resize(before);
    }
    if (sample.keys.size() > before) sample.tables.push_back(object.name);
  }
  std::shuffle(sample.keys.begin(), sample.keys.end(), random);
  return sample;
}

ReadMeasurement measure_reads(const Database& db, const RowKeys& keys, const ReadPlan& plan,
                              const Measuring& measuring) {
  const auto make_step = [&](std::size_t thread) -> Step {
    // Each thread goes round from a place of its own.
    const auto at = std::make_shared<std::size_t>(thread * keys.keys.size() / plan.threads);
    const auto next = [&keys, at]() -> const RowKey& { return keys.keys[(*at)++ % keys.keys.size()]; };
    for (std::size_t i = 0; i < keys.keys.size() && !measuring.stop.stop_requested(); ++i) {
      const RowKey& key = next();
      look_up(db, keys.sql[key.table], key.values);
    }
    if (plan.mode == ReadMode::autocommit) {
      return [&db, &keys, next] {
        const RowKey& key = next();
        look_up(db, keys.sql[key.table], key.values);
      };
    }
    return [&db, &keys, next] {
      db.read([&](const Snapshot& snapshot) {
        for (std::uint64_t i = 0; i < kReadsOfASnapshot; ++i) {
          const RowKey& key = next();
          look_up(snapshot, keys.sql[key.table], key.values);
        }
      });
    };
  };
  const Timed timed = time_steps(measuring, plan.threads, make_step);
  const std::uint64_t reads = plan.mode == ReadMode::autocommit ? 1 : kReadsOfASnapshot;
  ReadMeasurement measurement{.mode = plan.mode,
                              .threads = plan.threads,
                              .locking = db.options().locking,
                              .page_cache = db.options().page_cache,
                              .per_second = timed.per_second() * static_cast<double>(reads),
                              .latency = latency_of(timed.histogram)};
  if (reads > 1) {  // of a read among others only the mean is known
    measurement.latency = {.count = measurement.latency.count * reads,
                           .median = measurement.latency.median / static_cast<std::int64_t>(reads),
                           .p99 = {},
                           .max = {}};
  }
  return measurement;
}

}  // namespace sqlane::cli
