#include "cli/file_stats.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>
#include <sqlane/sqlane.hpp>
#include <tuple>

#include "cli/log_files.hpp"
#include "cli/sql_name.hpp"

namespace sqlane::cli {
namespace {

constexpr std::chrono::milliseconds kBusyTimeout{1000};
constexpr std::uint64_t kSmallFile = 64'000'000;  // up to which rows may be counted one by one

LogStats read_log(const std::filesystem::path& path) {
  const std::optional<LogIndexHead> index = read_log_index(path);
  const LogFile file(path);
  const LogContents contents = read_log_contents(file.reader());
  LogStats log{.file_bytes = file.size(),
               .frames = contents.frames,
               .commits = contents.commits,
               .uncommitted_frames = contents.uncommitted_frames,
               .commits_beyond = contents.commits_beyond,
               .is_unreadable = contents.is_unreadable,
               .checkpointed_frames = std::nullopt};
  if (index && contents.header && index->salt == contents.header->salt) {
    log.checkpointed_frames = std::min<std::uint64_t>(index->checkpointed, log.frames);
  }
  return log;
}

std::string name_auto_vacuum(int mode) { return mode == 0 ? "none" : mode == 1 ? "full" : "incremental"; }

void read_schema(const Snapshot& snapshot, FileStats& stats) {
  using Entry = std::tuple<std::string, std::string, std::string, bool>;
  for (const auto& [type, name, table, is_virtual] : snapshot.query<Entry>(
           "SELECT type, name, tbl_name, ifnull(sql LIKE 'CREATE VIRTUAL%', 0) FROM sqlite_schema ORDER BY name")) {
    if (type == "view") ++stats.schema.views;
    if (type == "trigger") ++stats.schema.triggers;
    if (type == "index") ++stats.schema.indexes;
    if (type == "table") ++(is_virtual ? stats.schema.virtual_tables : stats.schema.tables);
    if ((type == "table" && !is_virtual) || type == "index") {
      stats.objects.push_back({.name = name, .kind = type, .table = table, .bytes = {}, .rows = {}});
    }
  }
}

std::set<std::string> read_tables_without_rowid(const Snapshot& snapshot) {
  std::set<std::string> names;
  for (const Row& row : snapshot.query("PRAGMA table_list")) {
    if (row.get<bool>("wr")) names.insert(row.get<std::string>("name"));
  }
  return names;
}

// A row for each page (not aggregate=TRUE), so that a limit of time can end it
// within a large table, and so that leaves are told from inner pages: cells of
// the leaves are the rows of a rowid table.
void read_sizes(const Snapshot& snapshot, FileStats& stats) {
  const std::set<std::string> without_rowid = read_tables_without_rowid(snapshot);
  std::map<std::string, StoredObject*> by_name;
  for (StoredObject& object : stats.objects) by_name[object.name] = &object;
  StoredObject schema{.name = "sqlite_schema", .kind = "table", .table = "sqlite_schema", .bytes = {}, .rows = {}};
  by_name[schema.name] = by_name["sqlite_master"] = &schema;
  using Sizes = std::tuple<std::string, std::uint64_t, std::uint64_t, std::uint64_t>;
  for (const auto& [name, bytes, cells, cells_of_leaves] : snapshot.query<Sizes>(
           "SELECT name, sum(pgsize), sum(ncell), sum(iif(pagetype = 'leaf', ncell, 0)) FROM dbstat GROUP BY name")) {
    const auto found = by_name.find(name);
    if (found == by_name.end()) continue;
    StoredObject& object = *found->second;
    object.bytes = bytes;
    if (object.kind == "table") object.rows = without_rowid.contains(name) ? cells : cells_of_leaves;
  }
  stats.objects.push_back(std::move(schema));
}

// Where dbstat gives none: what ANALYZE wrote down, or by counting.
void read_rows(const Snapshot& snapshot, FileStats& stats) {
  std::map<std::string, std::uint64_t> estimates;
  if (snapshot.query_one<int>("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'") > 0) {
    using Estimate = std::tuple<std::string, std::uint64_t>;
    for (const auto& [table, rows] :
         snapshot.query<Estimate>("SELECT tbl, max(CAST(stat AS INTEGER)) FROM sqlite_stat1 GROUP BY tbl")) {
      estimates[table] = rows;
    }
  }
  for (StoredObject& object : stats.objects) {
    if (object.kind != "table") continue;
    if (const auto found = estimates.find(object.name); found != estimates.end()) {
      object.rows = found->second;
    } else if (stats.file_bytes <= kSmallFile) {
      object.rows = snapshot.query_one<std::uint64_t>(runtime_sql("SELECT count(*) FROM " + quote_name(object.name)));
    }
  }
}

// Whether it came to its end within the limit; other errors come out.
template <class Read>
bool read_within(const Database& db, std::chrono::milliseconds limit, FileStats& stats, Read read) {
  const std::vector<StoredObject> before = stats.objects;
  try {
    db.read({.statement_timeout = limit}, [&](const Snapshot& snapshot) { read(snapshot, stats); });
    return true;
  } catch (const TimeoutError&) {
    stats.objects = before;
    return false;
  }
}

void read_objects(const Database& db, std::chrono::milliseconds limit, FileStats& stats) {
  if (db.query_one<int>("SELECT count(*) FROM pragma_module_list WHERE name = 'dbstat'") == 0) {
    stats.objects_note = "this SQLite has no table dbstat, so the sizes of tables are not known";
  } else if (!read_within(db, limit, stats, read_sizes)) {
    stats.objects_note = fmt::format(
        "reading the whole file took longer than {} ms, so the sizes of tables are not known", limit.count());
  }
  if (!stats.objects_note.empty() && !read_within(db, limit, stats, read_rows)) {
    stats.objects_note += ", nor how many rows they have";
  }
  std::stable_sort(stats.objects.begin(), stats.objects.end(), [](const StoredObject& a, const StoredObject& b) {
    return std::tie(a.bytes, a.rows) > std::tie(b.bytes, b.rows);
  });
}

}  // namespace

std::uint64_t page_cache_for(std::uint64_t pages, std::uint64_t page_size) {
  constexpr std::uint64_t kBesideAPage = 250;
  constexpr std::uint64_t kMiB = 1U << 20U;
  return (pages * (page_size + kBesideAPage) / kMiB + 1) * kMiB;
}

FileStats read_file_stats(const std::filesystem::path& path, std::chrono::milliseconds limit, Sharing sharing) {
  FileStats stats;
  stats.path = path;
  stats.log = read_log(path);
  const Database db = open_to_read(path, {.readers = 1, .busy_timeout = kBusyTimeout}, sharing);
  stats.file_bytes = std::filesystem::file_size(path);
  db.read([&](const Snapshot& snapshot) {
    stats.engine = snapshot.query_one<std::string>("SELECT sqlite_version()");
    stats.page_size = snapshot.query_one<std::uint64_t>("PRAGMA page_size");
    stats.page_count = snapshot.query_one<std::uint64_t>("PRAGMA page_count");
    stats.free_pages = snapshot.query_one<std::uint64_t>("PRAGMA freelist_count");
    stats.journal_mode = snapshot.query_one<std::string>("PRAGMA journal_mode");
    stats.encoding = snapshot.query_one<std::string>("PRAGMA encoding");
    stats.auto_vacuum = name_auto_vacuum(snapshot.query_one<int>("PRAGMA auto_vacuum"));
    stats.user_version = snapshot.query_one<std::int64_t>("PRAGMA user_version");
    stats.application_id = snapshot.query_one<std::int64_t>("PRAGMA application_id");
    read_schema(snapshot, stats);
  });
  read_objects(db, limit, stats);
  stats.page_cache_for_all = page_cache_for(stats.page_count, stats.page_size);
  return stats;
}

}  // namespace sqlane::cli
