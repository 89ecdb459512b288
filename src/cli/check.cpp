#include "cli/check.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <span>
#include <sqlane/sqlane.hpp>
#include <sys/stat.h>
#include <system_error>
#include <tuple>
#include <unistd.h>
#include <utility>

#include "cli/file_modes.hpp"
#include "cli/log_files.hpp"
#include "cli/version.hpp"

namespace sqlane::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFirstRows = 3;

fs::path beside(const fs::path& file, const char* suffix) { return fs::path(file.string() + suffix); }

std::uint64_t size_of(const fs::path& file) {
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(file, error);
  return error ? 0 : bytes;
}

// Never waits, whatever has that name.
std::string first_bytes(const fs::path& path, std::size_t count) {
  std::string bytes(count, '\0');
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  const ssize_t size = file < 0 ? 0 : ::read(file, bytes.data(), count);
  if (file >= 0) ::close(file);
  bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  return bytes;
}

std::uint32_t number_at(std::string_view bytes, std::size_t at, std::size_t length) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < length; ++i) number = number << 8U | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

LogState state_of_log(const fs::path& log, std::uint32_t page_size) {
  const std::string bytes = first_bytes(log, kLogHeaderBytes);
  if (bytes.empty()) return LogState::none;
  const std::optional<LogHeader> header = parse_log_header(std::as_bytes(std::span(bytes)));
  if (!header) return LogState::unreadable;
  return header->page_size == page_size ? LogState::readable : LogState::other_size;
}

// https://sqlite.org/fileformat2.html#the_rollback_journal
bool is_hot(const fs::path& journal) {
  constexpr std::string_view kMagic = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
  return first_bytes(journal, kMagic.size()) == kMagic;
}

// Before the database is opened: a file that is closed would take its locks along.
FileFacts look_at(const fs::path& file) {
  const auto refuse = [&](const std::string& reason) {
    throw OpenError("cannot open \"" + file.string() + "\": " + reason);
  };
  struct stat status {};
  if (::lstat(file.c_str(), &status) != 0) refuse(std::generic_category().message(errno));
  if (S_ISLNK(status.st_mode)) refuse("it is a symbolic link; check the file that it points to");
  if (S_ISDIR(status.st_mode)) refuse("it is a directory");
  if (!S_ISREG(status.st_mode)) refuse("it is not a regular file");
  if (::faccessat(AT_FDCWD, file.c_str(), R_OK, AT_EACCESS) != 0) {
    refuse("it cannot be read: " + std::generic_category().message(errno));
  }
  FileFacts facts;
  facts.bytes = static_cast<std::uint64_t>(status.st_size);
  facts.mode = status.st_mode & 0777U;
  facts.has_own_mode = (facts.mode & 07U) == 0 || has_modes_of_files(fs::absolute(file).parent_path());
  facts.header = parse_database_header(first_bytes(file, kDatabaseHeaderBytes));
  facts.log_bytes = size_of(beside(file, "-wal"));
  facts.log = state_of_log(beside(file, "-wal"), facts.header ? facts.header->page_size : 0);
  if (facts.log == LogState::readable) facts.log_contents = read_log_contents(LogFile(file).reader());
  facts.has_log_index = size_of(beside(file, "-shm")) > 0;
  facts.journal_bytes = size_of(beside(file, "-journal"));
  facts.is_journal_hot = is_hot(beside(file, "-journal"));
  return facts;
}

// SQLite's own words: the file is named already, and what was asked is no matter.
std::string reason_of(const Error& error) {
  std::string text = error.what();
  if (text.starts_with("cannot open \"")) text.erase(0, text.find("\": ") + 3);
  for (const std::string_view guess : {": file is not a database", ": malformed database schema ("}) {
    if (const std::size_t at = text.find(guess); at != std::string::npos) text.erase(0, at + 2);
  }
  return text.substr(0, text.find(" (SQLite code"));
}

template <class T>
T ask(const Snapshot& snapshot, const std::string& sql) {
  return snapshot.query_one<T>(runtime_sql(sql));
}

void read_settings(const Snapshot& s, ContentFacts& facts) {
  facts.page_size = ask<std::uint64_t>(s, "PRAGMA page_size");
  facts.page_count = ask<std::uint64_t>(s, "PRAGMA page_count");
  facts.free_pages = ask<std::uint64_t>(s, "PRAGMA freelist_count");
  facts.journal_mode = ask<std::string>(s, "PRAGMA journal_mode");
  facts.encoding = ask<std::string>(s, "PRAGMA encoding");
  facts.auto_vacuum = ask<std::int64_t>(s, "PRAGMA auto_vacuum");
  facts.application_id = ask<std::int64_t>(s, "PRAGMA application_id");
  facts.user_version = ask<std::int64_t>(s, "PRAGMA user_version");
  facts.tables = s.query_one<std::uint64_t>(
      "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'");
}

std::vector<std::string> names_from(const Snapshot& s, const char* sql) {
  std::vector<std::string> names;
  for (std::string& name : s.query<std::string>(runtime_sql(sql))) names.push_back(std::move(name));
  return names;
}

void read_keys_of(const Snapshot& s, const std::string& table, ContentFacts& facts) {
  using Row = std::tuple<std::optional<std::int64_t>, std::string>;
  for (const auto& [rowid, parent] : s.query<Row>("SELECT \"rowid\", parent FROM pragma_foreign_key_check(?)", table)) {
    const auto known = std::ranges::find_if(facts.broken_keys, [&, &p = parent](const BrokenKeys& broken) {
      return broken.table == table && broken.parent == p;
    });
    BrokenKeys& broken = known != facts.broken_keys.end()
                             ? *known
                             : facts.broken_keys.emplace_back(BrokenKeys{.table = table, .parent = parent});
    ++broken.references;
    if (!rowid || std::ranges::find(broken.first, std::to_string(*rowid)) != broken.first.end()) continue;
    broken.has_more = broken.first.size() == kFirstRows;
    if (!broken.has_more) broken.first.push_back(std::to_string(*rowid));
  }
}

// Table by table: a key that fits nothing keeps SQLite from looking at all the others.
void read_keys(const Snapshot& s, ContentFacts& facts) {
  for (const std::string& table : names_from(s,
                                             "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 "
                                             "AND sql LIKE '%REFERENCES%' ORDER BY name")) {
    try {
      read_keys_of(s, table, facts);
    } catch (const CorruptError&) {
      throw;
    } catch (const Error& error) {  // a parent without the columns, or without a unique index on them
      facts.unknown_keys.push_back({.table = table, .reason = reason_of(error)});
    }
  }
}

void read_indexes_of(const Snapshot& s, const std::string& table, ContentFacts& facts) {
  using Row = std::tuple<std::string, bool, std::string, bool>;
  for (const auto& [name, is_unique, origin, is_partial] :
       s.query<Row>("SELECT name, \"unique\", origin, partial FROM pragma_index_list(?) ORDER BY name", table)) {
    IndexFacts index{.name = name,
                     .table = table,
                     .columns = {},
                     .is_unique = is_unique,
                     .is_partial = is_partial,
                     .is_made_by_constraint = origin != "c"};
    index.is_named = s.query_one<bool>(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type IN ('view', 'trigger') AND sql LIKE '%INDEXED%BY%' "
        "AND instr(lower(sql), lower(?)) > 0)",
        name);
    using Column = std::tuple<std::optional<std::string>, bool, std::string>;
    for (const auto& [column, is_descending, collation] :
         s.query<Column>("SELECT name, \"desc\", coll FROM pragma_index_xinfo(?) WHERE key = 1 ORDER BY seqno", name)) {
      index.columns.push_back(column ? *column + (is_descending ? " desc " : " asc ") + collation : "");
    }
    facts.indexes.push_back(std::move(index));
  }
}

void read_indexes(const Snapshot& s, ContentFacts& facts) {
  for (const std::string& table :
       names_from(s, "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 ORDER BY name")) {
    read_indexes_of(s, table, facts);
  }
}

void read_contents(const CheckOptions& options, const Database& database, ContentFacts& facts) try {
  const auto stage = [&](const char* what) {
    if (options.on_stage) options.on_stage(what);
  };
  database.read([&](const Snapshot& s) { read_settings(s, facts); });
  stage("checking contents");
  facts.integrity = check_integrity(database, facts.is_quick ? IntegrityDepth::quick : IntegrityDepth::full);
  if (!facts.integrity.damage.empty()) return;
  stage("checking foreign keys");
  database.read([&](const Snapshot& s) {
    read_keys(s, facts);
    read_indexes(s, facts);
  });
  stage("checking the schema");
  facts.faults = check_schema(database);
} catch (const CorruptError& error) {
  facts.integrity.damage.push_back(reason_of(error));
}

}  // namespace

std::optional<DatabaseHeader> parse_database_header(std::string_view bytes) {
  constexpr std::string_view kMagic("SQLite format 3\0", 16);
  constexpr std::uint32_t kLargestPage = 65536;  // written as 1, since it has but two bytes
  if (bytes.size() < kDatabaseHeaderBytes || !bytes.starts_with(kMagic)) return std::nullopt;
  DatabaseHeader header;
  header.page_size = number_at(bytes, 16, 2);
  if (header.page_size == 1) header.page_size = kLargestPage;
  header.is_in_wal_mode = bytes[19] == 2;
  header.format_to_write = static_cast<unsigned char>(bytes[18]);
  header.format_to_read = static_cast<unsigned char>(bytes[19]);
  header.schema_format = number_at(bytes, 44, 4);
  header.writer_version = number_at(bytes, 96, 4);
  header.page_count = number_at(bytes, 28, 4);
  header.is_page_count_valid = header.page_count > 0 && number_at(bytes, 24, 4) == number_at(bytes, 92, 4);
  return header;
}

CheckReport check_database(const CheckOptions& options) {
  CheckReport report{.file = options.file, .facts = look_at(options.file)};
  // An empty one is not opened: SQLite would delete a log or a journal that is beside it.
  if (!report.facts.header || is_of_other_engine(*report.facts.header)) {
    report.findings = judge_file(report.facts);
    return report;
  }
  std::vector<CheckFinding> about_contents;
  try {
    const Database database =
        open_to_read(options.file, {.readers = 1, .page_cache = std::size_t{64} << 20U}, options.sharing);
    ContentFacts facts{.is_quick = options.is_quick};
    read_contents(options, database, facts);
    about_contents = judge_contents(facts);
    report.facts.is_read_whole = facts.integrity.damage.empty();
    report.contents = std::move(facts);
  } catch (const OpenError& error) {
    const Refusal refusal{.code = error.code(), .extended_code = error.extended_code(), .reason = reason_of(error)};
    std::optional<CheckFinding> finding = judge_refusal(report.facts, refusal, engine_version());
    if (!finding) throw;
    about_contents.push_back(*std::move(finding));
  }
  report.findings = judge_file(report.facts);
  for (CheckFinding& finding : about_contents) report.findings.push_back(std::move(finding));
  return report;
}

}  // namespace sqlane::cli
