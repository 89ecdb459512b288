#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <sqlane/integrity.hpp>
#include <sqlane/schema_check.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cli/opening.hpp"
#include "cli/wal_reader.hpp"

namespace sqlane::cli {

// The first bytes of a database file. https://sqlite.org/fileformat2.html#the_database_header
struct DatabaseHeader {
  std::uint32_t page_size = 0;
  bool is_in_wal_mode = false;
  int format_to_write = 1;  // 1 and 2 are SQLite's
  int format_to_read = 1;
  std::uint32_t schema_format = 4;   // up to 4 are SQLite's
  std::uint32_t writer_version = 0;  // of the SQLite that wrote it last: 3040001
  std::uint32_t page_count = 0;      // as it was last written
  bool is_page_count_valid = false;  // by a SQLite that keeps it
};
inline constexpr std::size_t kDatabaseHeaderBytes = 100;
// Nothing where these are no database's.
[[nodiscard]] std::optional<DatabaseHeader> parse_database_header(std::string_view bytes);

enum class Judgement : unsigned char {
  ok,
  notable,
  warning,     // something fails when it is used, or can be changed by those who should not; nothing is damaged
  unreadable,  // not by this SQLite, which says nothing of whether it is damaged
  wrong,       // damaged
};

struct CheckFinding {
  Judgement judgement = Judgement::ok;
  std::string subject;                 // "contents"
  std::string text;                    // what is the case
  std::vector<std::string> details{};  // a line each
  std::string advice{};                // what to do about it
};

// What is beside a database.
enum class LogState : unsigned char {
  none,  // or empty
  readable,
  other_size,  // its pages are not those of the database
  unreadable,  // no header of a log
};

// What the file says of itself without being opened as a database.
struct FileFacts {
  std::uint64_t bytes = 0;
  std::optional<DatabaseHeader> header{};
  std::uint32_t mode = 0600;  // permissions
  bool has_own_mode = true;   // false: its file system gives all files the same one
  std::uint64_t log_bytes = 0;
  LogState log = LogState::none;
  LogContents log_contents{};  // where it is readable
  bool has_log_index = false;  // -shm
  std::uint64_t journal_bytes = 0;
  bool is_journal_hot = false;  // it has a header, so a transaction has not come to its end
  bool is_read_whole = false;   // by SQLite, under its lock, without finding damage
};

struct IndexFacts {
  std::string name;
  std::string table;
  std::vector<std::string> columns;  // with collation and order; an expression is empty
  bool is_unique = false;
  bool is_partial = false;
  bool is_made_by_constraint = false;  // it cannot be dropped
  bool is_named = false;               // by a view or a trigger, INDEXED BY: nor can it then
};

struct UnknownKeys {
  std::string table;
  std::string reason;  // why they could not be checked
};

struct BrokenKeys {
  std::string table;
  std::string parent;
  std::uint64_t references = 0;      // a row with two keys can have two
  std::vector<std::string> first{};  // rowids of some, where the table has any
  bool has_more = false;             // rows than these
};

// What is inside.
struct ContentFacts {
  std::uint64_t page_size = 0;
  std::uint64_t page_count = 0;
  std::uint64_t free_pages = 0;
  std::string journal_mode;
  std::string encoding;
  std::int64_t auto_vacuum = 0;
  std::int64_t application_id = 0;
  std::int64_t user_version = 0;
  std::uint64_t tables = 0;
  bool is_quick = false;
  IntegrityReport integrity{};
  std::vector<BrokenKeys> broken_keys{};
  std::vector<UnknownKeys> unknown_keys{};
  std::vector<SchemaFault> faults{};
  std::vector<IndexFacts> indexes{};
};

// Why SQLite refused to read a file.
struct Refusal {
  int code = 0;  // https://sqlite.org/rescode.html
  int extended_code = 0;
  std::string reason;  // SQLite's words
};

// Pure.
[[nodiscard]] std::vector<CheckFinding> judge_file(const FileFacts& facts);
[[nodiscard]] std::vector<CheckFinding> judge_contents(const ContentFacts& facts);
// Nothing where it is not the file that is the reason. `engine_version` as SQLITE_VERSION_NUMBER.
[[nodiscard]] std::optional<CheckFinding> judge_refusal(const FileFacts& facts, const Refusal& refusal,
                                                        std::uint32_t engine_version);
// Whether it is of a kind that only a newer or another engine reads.
[[nodiscard]] bool is_of_other_engine(const DatabaseHeader& header);
// Indexes that another one of the same table makes superfluous, each with that.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> find_doubled(const std::vector<IndexFacts>& indexes);

struct CheckOptions {
  std::filesystem::path file;
  bool is_quick = false;
  Sharing sharing = Sharing::usual;
  std::function<void(const std::string& what)> on_stage{};
};

struct CheckReport {
  std::filesystem::path file;
  FileFacts facts{};
  std::optional<ContentFacts> contents{};  // unset: it could not be read
  std::vector<CheckFinding> findings{};

  [[nodiscard]] Judgement judgement() const;  // the worst
};

// Reads it as OpenMode::read_only does. Throws OpenError when there is no such
// file, or it cannot be opened for a reason that is not its own. Not while this
// process has the database open otherwise.
[[nodiscard]] CheckReport check_database(const CheckOptions& options);

}  // namespace sqlane::cli
