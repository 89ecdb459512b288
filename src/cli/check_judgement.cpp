#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <iterator>
#include <string_view>
#include <utility>

#include "cli/check.hpp"
#include "cli/format.hpp"
#include "cli/sql_name.hpp"
#include "cli/version.hpp"

// What a check makes of what it has seen. Pure.
namespace sqlane::cli {
namespace {

constexpr std::uint64_t kLargeLog = 16U << 20U;       // smaller ones are not worth a word,
constexpr std::uint64_t kVeryLargeLog = 256U << 20U;  // larger ones always
constexpr std::uint64_t kMuchFree = 1U << 20U;
constexpr std::uint64_t kFreePercent = 25;
constexpr std::uint64_t kUsualPage = 4096;

constexpr const char* kFile = "file";
constexpr const char* kAccess = "access";
constexpr const char* kJournal = "journal";
constexpr const char* kLog = "write-ahead log";
constexpr const char* kContents = "contents";
constexpr const char* kRows = "rows";
constexpr const char* kKeys = "foreign keys";
constexpr const char* kSpace = "space";
constexpr const char* kIndexes = "indexes";
constexpr const char* kSchema = "schema";

// Where damage is, Debian's .recover makes an empty database and .dump ends with a ROLLBACK; both exit with 0.
constexpr const char* kSaving =
    "restore a backup; or save what can be read: sqlite3 FILE .dump | sed '$s/^ROLLBACK.*/COMMIT;/' | sqlite3 NEW, and "
    "look whether NEW has the tables and about the rows that were there; .recover instead of .dump finds more, but "
    "takes a sqlite3 built with it";
constexpr const char* kOpeningThere = "open it there; nothing is said of damage";

// https://sqlite.org/rescode.html
constexpr int kError = 1;
constexpr int kCorrupt = 11;
constexpr int kNotADatabase = 26;
constexpr int kReadOnlyRollback = 776;

// https://sqlite.org/fileformat2.html
constexpr int kNewestFormat = 2;
constexpr std::uint32_t kNewestSchemaFormat = 4;

std::string name_count(std::size_t count, const char* what) {
  return count == 1 ? fmt::format("one {}", what) : fmt::format("{} {}s", count, what);
}

std::vector<std::string> first_of(std::vector<std::string> lines) {
  constexpr std::size_t kMostLines = 10;
  if (lines.size() <= kMostLines) return lines;
  const std::size_t more = lines.size() - kMostLines;
  lines.resize(kMostLines);
  lines.push_back(fmt::format("and {} more", more));
  return lines;
}

CheckFinding judge_engine(const DatabaseHeader& header) {
  const std::string format =
      header.format_to_read > kNewestFormat
          ? fmt::format("its format is {}, those of SQLite are 1 and 2", header.format_to_read)
          : fmt::format("its schema has format {}, those of SQLite are 1 to 4", header.schema_format);
  return {Judgement::unreadable, kFile, "it was made by a newer or another engine: " + format, {}, kOpeningThere};
}

CheckFinding judge_size(const FileFacts& facts) {
  if (facts.bytes == 0) {
    return {Judgement::wrong, kFile, "it is empty: there is no database in it", {}, "restore it from a backup"};
  }
  if (!facts.header) {
    return {Judgement::wrong,
            kFile,
            "it is no SQLite database: it does not begin as one",
            {},
            "it is another program's, encrypted, or its beginning was overwritten; restore it from a backup"};
  }
  if (is_of_other_engine(*facts.header)) return judge_engine(*facts.header);
  const std::uint64_t expected = std::uint64_t{facts.header->page_count} * facts.header->page_size;
  // What is in a log need not be in the file yet, and of a transaction that goes on
  // the first page comes before those behind the end. Nor were size and header
  // looked at in one moment, as SQLite does it.
  const bool is_settled = facts.log_bytes == 0 && !facts.is_journal_hot && !facts.is_read_whole;
  if (facts.header->is_page_count_valid && is_settled && facts.bytes < expected) {
    return {Judgement::wrong,
            kFile,
            fmt::format("it is cut off: {} of {} bytes are there", facts.bytes, expected),
            {},
            "copying it was not finished, or the disk was full; copy it again, or restore it from a backup"};
  }
  if (facts.header->format_to_write > kNewestFormat) {
    return {Judgement::notable,
            kFile,
            fmt::format("this SQLite can only read it: its format for writing is {}", facts.header->format_to_write),
            {},
            "it was made by a newer or another engine: change it there"};
  }
  return {Judgement::ok, kFile, "an SQLite database, as long as it says"};
}

CheckFinding judge_access(const FileFacts& facts) {
  constexpr std::uint32_t kOthersRead = 04;
  constexpr std::uint32_t kOthersWrite = 02;
  const std::uint32_t mode = facts.mode;
  if (!facts.has_own_mode && (mode & (kOthersRead | kOthersWrite)) != 0) {
    return {
        Judgement::notable,
        kAccess,
        fmt::format("its file system gives every file the same mode ({:03o}), so every user of this computer can {} it",
                    mode, (mode & kOthersWrite) != 0 ? "change" : "read"),
        {},
        "chmod has no effect there; mount it with the options uid and umask=077, if others use this computer"};
  }
  if ((mode & kOthersWrite) != 0) {
    return {Judgement::warning,
            kAccess,
            fmt::format("every user of this computer can change it (mode {:03o})", mode),
            {},
            "chmod o-rwx FILE"};
  }
  if ((mode & kOthersRead) != 0) {
    return {Judgement::notable,
            kAccess,
            fmt::format("every user of this computer can read it (mode {:03o})", mode),
            {},
            "chmod o-rwx FILE, if what is in it is private"};
  }
  return {Judgement::ok, kAccess, fmt::format("other users cannot read it (mode {:03o})", mode)};
}

CheckFinding judge_damaged_log(const FileFacts& facts) {
  const LogContents& log = facts.log_contents;
  return {
      Judgement::wrong,
      kLog,
      fmt::format("{}, and damaged: frame {} or one soon after it is not as it was written. SQLite reads the log as "
                  "far as that: {} of its commits. {} more stand after it, and are not read",
                  format_bytes(facts.log_bytes), log.frames + 1, log.commits, log.commits_beyond),
      {},
      "keep a copy of the file and of its -wal before any program opens it, and compare with a backup. A program "
      "that has had it open since before may still read them: make a backup while it runs. A power failure loses "
      "the last commits like this where synchronous is NORMAL or OFF"};
}

CheckFinding judge_log(const FileFacts& facts) {
  const std::string size = format_bytes(facts.log_bytes);
  if (facts.bytes == 0 && facts.log != LogState::none) {
    return {Judgement::wrong,
            kLog,
            fmt::format("{}, beside an empty file: SQLite deletes it as soon as the file is opened", size),
            {},
            "move it away before anything else, with a copy; what was committed last may be in it alone"};
  }
  switch (facts.log) {
    case LogState::none: return {Judgement::ok, kLog, "none: all that is committed is in the file"};
    case LogState::unreadable:
      return {
          Judgement::wrong,
          kLog,
          fmt::format("{} are there, but no log: SQLite passes over them, and what was committed last may be missing",
                      size),
          {},
          "keep a copy of the file and of its -wal; compare with a backup"};
    case LogState::other_size:
      return {Judgement::wrong,
              kLog,
              fmt::format("{}, of a database with pages of another size", size),
              {},
              "it is another database's: move it away"};
    case LogState::readable: break;
  }
  if (facts.log_contents.commits_beyond > 1) return judge_damaged_log(facts);
  if (facts.header && !facts.header->is_in_wal_mode) {
    return {Judgement::notable,
            kLog,
            fmt::format("{}, beside a database that is not in WAL mode", size),
            {},
            "make sure that it belongs to this file: SQLite plays it back"};
  }
  if (facts.log_bytes >= kVeryLargeLog || (facts.log_bytes >= kLargeLog && facts.log_bytes >= facts.bytes)) {
    return {Judgement::notable,
            kLog,
            fmt::format("{}, beside {} of database: it cannot start over, or nobody copies it back", size,
                        format_bytes(facts.bytes)),
            {},
            "look for a program that keeps a read open; once nobody has it open, "
            "sqlite3 FILE 'PRAGMA wal_checkpoint(TRUNCATE)' empties it"};
  }
  if (facts.log_contents.commits_beyond == 1) {
    return {Judgement::notable,
            kLog,
            fmt::format("{}, whose last commit is not whole: SQLite passes over that one", size),
            {},
            "a power failure leaves a commit like this that had not come to its end; if there was none, compare with a "
            "backup"};
  }
  if (!facts.has_log_index) {
    return {Judgement::notable,
            kLog,
            fmt::format("{}, left by a program that did not close it", size),
            {},
            "all that is committed in it is whole, and the next program to open the file takes it in; a copy of the "
            "file needs its -wal as well"};
  }
  return {Judgement::ok, kLog, fmt::format("{}, which can be read", size)};
}

CheckFinding judge_journal(const FileFacts& facts) {
  if (!facts.is_journal_hot) return {Judgement::ok, kJournal, "no transaction is left half-way"};
  return {Judgement::notable,
          kJournal,
          fmt::format("a transaction has not come to its end ({} to undo it with)", format_bytes(facts.journal_bytes)),
          {},
          "a program writes at this moment, or crashed while it did; "
          "the next one that opens it for writing undoes it. Never delete the -journal"};
}

CheckFinding judge_damage(const ContentFacts& facts) {
  const char* const check = facts.is_quick ? "quick_check" : "integrity_check";
  if (!facts.integrity.damage.empty()) {
    return {Judgement::wrong, kContents, fmt::format("{} found damage", check), first_of(facts.integrity.damage),
            kSaving};
  }
  std::string text = fmt::format("{} {}, {} found {}", facts.tables, facts.tables == 1 ? "table" : "tables", check,
                                 facts.integrity.violations.empty() ? "nothing" : "no damage");
  if (facts.integrity.unchecked.empty()) return {Judgement::ok, kContents, std::move(text)};
  std::vector<std::string> details;
  std::size_t not_read = 0;
  for (const auto& [table, reason, is_read] : facts.integrity.unchecked) {
    // Without a name: the whole, because of those that follow.
    if (table.empty()) continue;
    if (!is_read) ++not_read;
    details.push_back(fmt::format("{}{}: {}", table, is_read ? "" : " was not read", reason));
  }
  text += fmt::format(", as far as it can look: of {} it reads only the pages, and free pages are not looked at",
                      name_count(details.size(), "table"));
  constexpr const char* kAdvice =
      "what is missing belongs to the program that made the file; PRAGMA integrity_check there checks the rest";
  if (not_read == 0) return {Judgement::notable, kContents, std::move(text), std::move(details), kAdvice};
  text += fmt::format("; {} not read, and may be damaged",
                      not_read == 1 ? "one of them was" : fmt::format("{} of them were", not_read));
  return {Judgement::warning, kContents, std::move(text), std::move(details), kAdvice};
}

CheckFinding judge_values(const std::vector<std::string>& violations) {
  return {
      Judgement::warning, kRows, "some have values that their table does not allow", first_of(violations),
      "the pages are whole: find these rows by their column (SELECT … WHERE … IS NULL, or typeof() of another type), "
      "and UPDATE or DELETE them; .dump would lose them. sqlane backup copies them with --no-verify"};
}

std::string describe(const SchemaFault& fault) {
  const std::string what = fmt::format("{} {}", to_string(fault.type), fault.name);
  const bool is_of_table = fault.type == SchemaObjectType::index || fault.type == SchemaObjectType::trigger;
  return fmt::format("{}{}: {}: {}", what, is_of_table ? " on " + fault.table : "", fmt::join(fault.statements, ", "),
                     fault.message);
}

std::vector<std::string> describe_all(const std::vector<SchemaFault>& faults, SchemaFault::Kind kind) {
  std::vector<std::string> lines;
  for (const SchemaFault& fault : faults) {
    if (fault.kind == kind) lines.push_back(describe(fault));
  }
  return lines;
}

CheckFinding judge_keys(const ContentFacts& facts) {
  std::vector<std::string> details;
  std::vector<std::string> advice;
  std::uint64_t references = 0;
  for (const BrokenKeys& broken : facts.broken_keys) {
    references += broken.references;
    std::string line = fmt::format("{} of {} to {}", broken.references, broken.table, broken.parent);
    if (!broken.first.empty()) {
      line += fmt::format(": rowid {}{}", fmt::join(broken.first, ", "), broken.has_more ? ", …" : "");
    }
    details.push_back(std::move(line));
  }
  std::vector<std::string> texts;
  if (references > 0) {
    texts.push_back(references == 1 ? "one reference is to a row that is not there"
                                    : fmt::format("{} references are to rows that are not there", references));
    advice.emplace_back("delete the rows with these references, or add those that they refer to");
  }
  std::vector<std::string> failing = describe_all(facts.faults, SchemaFault::Kind::foreign_key);
  for (const UnknownKeys& unknown : facts.unknown_keys) {
    failing.push_back(fmt::format("those of {} cannot be checked: {}", unknown.table, unknown.reason));
  }
  if (!failing.empty()) {
    texts.emplace_back("some do not fit what they refer to");
    advice.emplace_back(
        "a key needs the table that it names, with a primary key or a unique index on just these columns; as long as "
        "it "
        "has none, rows can be changed only with foreign keys off");
  }
  std::ranges::move(failing, std::back_inserter(details));
  if (texts.empty()) return {Judgement::ok, kKeys, "each refers to a row that is there"};
  return {Judgement::warning, kKeys, fmt::format("{}", fmt::join(texts, "; ")), std::move(details),
          fmt::format("{}", fmt::join(advice, "; "))};
}

// Only statements that read the definitions once more fail.
bool is_of_definition(const SchemaFault& fault) {
  return !fault.statements.empty() && std::ranges::all_of(fault.statements, [](const std::string& statement) {
    return statement == "ALTER TABLE" || statement == "VACUUM";
  });
}

// What fails when it is used.
std::vector<CheckFinding> judge_schema(const ContentFacts& facts) {
  std::vector<CheckFinding> findings;
  using Kind = SchemaFault::Kind;
  std::vector<SchemaFault> used;
  std::vector<SchemaFault> kept;
  std::ranges::partition_copy(facts.faults, std::back_inserter(kept), std::back_inserter(used), is_of_definition);
  const auto add = [&](Kind kind, Judgement judgement, const char* text, const char* advice) {
    std::vector<std::string> details = describe_all(used, kind);
    if (!details.empty()) findings.push_back({judgement, kSchema, text, std::move(details), advice});
  };
  add(Kind::missing_extension, Judgement::notable, "parts need a function, a collation or a module that is not here",
      "it belongs to the program that made the file, or to a newer SQLite: what needs it works there alone");
  add(Kind::quoted_text, Judgement::warning, "a string stands in double quotes, which are those of a name",
      "make these anew with the string in single quotes; or Options::sql.double_quoted_strings, as other programs "
      "have it");
  if (!kept.empty()) {
    findings.push_back(
        {Judgement::notable, kSchema, "a string stands in double quotes, which ALTER TABLE and VACUUM refuse",
         describe_all(kept, Kind::quoted_text),
         "all else works: make an index anew with the string in single quotes; of a table, do these two in a "
         "migration, which takes it for a string, or with Options::sql.double_quoted_strings"});
  }
  add(Kind::other, Judgement::warning, "parts fail when they are used",
      "they no longer fit the tables: drop them, or make them anew");
  if (findings.empty()) findings.push_back({Judgement::ok, kSchema, "all of it can be used"});
  return findings;
}

CheckFinding judge_space(const ContentFacts& facts) {
  const std::uint64_t free = facts.free_pages * facts.page_size;
  if (facts.page_count > 0 && free >= kMuchFree && facts.free_pages * 100 >= facts.page_count * kFreePercent) {
    return {
        Judgement::notable,
        kSpace,
        fmt::format("{} of it, {} %, are free pages", format_bytes(free), facts.free_pages * 100 / facts.page_count),
        {},
        "they are used again; VACUUM gives them back to the disk, and needs that much room meanwhile"};
  }
  if (facts.page_size < kUsualPage) {
    return {Judgement::notable,
            kSpace,
            fmt::format("pages have {} bytes, as was usual long ago", facts.page_size),
            {},
            "larger ones read faster: PRAGMA journal_mode=DELETE; PRAGMA page_size=4096; VACUUM"};
  }
  return {Judgement::ok, kSpace,
          facts.free_pages == 0 ? "no free pages" : fmt::format("{} are free pages", format_bytes(free))};
}

CheckFinding judge_indexes(const ContentFacts& facts) {
  const auto doubled = find_doubled(facts.indexes);
  if (doubled.empty()) return {Judgement::ok, kIndexes, "none doubles another"};
  std::vector<std::string> details;
  std::vector<std::string> drops;
  for (const auto& [index, by] : doubled) {
    details.push_back(fmt::format("{}: {} does the same", index, by));
    drops.push_back(fmt::format("DROP INDEX {}", quote_name(index)));
  }
  return {Judgement::notable, kIndexes,
          fmt::format("{} superfluous, at the cost of every write",
                      doubled.size() == 1 ? "one is" : fmt::format("{} are", doubled.size())),
          std::move(details), fmt::format("{}", fmt::join(drops, "; "))};
}

// Whatever is found with `index` is found with `other` as well.
bool is_doubled_by(const IndexFacts& index, const IndexFacts& other) {
  if (&index == &other || index.table != other.table || index.is_partial || other.is_partial) return false;
  if (index.is_made_by_constraint || index.is_named || index.columns.size() > other.columns.size()) return false;
  if (std::ranges::count(index.columns, std::string()) > 0) return false;
  if (!std::equal(index.columns.begin(), index.columns.end(), other.columns.begin())) return false;
  const bool is_equal = index.columns.size() == other.columns.size();
  if (index.is_unique && !(is_equal && other.is_unique)) return false;
  // Of two that are alike, one stays.
  const bool is_mutual =
      is_equal && index.is_unique == other.is_unique && !other.is_made_by_constraint && !other.is_named;
  return !is_mutual || other.name < index.name;
}

constexpr std::string_view kMalformedSchema = "malformed database schema (";

// SQLite's parser does not know what a text of the schema has. That the text was cut off is no such case.
bool is_of_unknown_syntax(std::string_view reason) {
  if (!reason.starts_with(kMalformedSchema)) return false;
  return std::ranges::any_of(std::array<std::string_view, 4>{": syntax error", "unrecognized token: ",
                                                             "unknown table option: ", "unknown datatype for "},
                             [&](std::string_view part) { return reason.find(part) != std::string_view::npos; });
}

// Where the pages are is the same to all versions.
bool is_of_page(std::string_view reason) {
  return reason.find(") - ") == std::string_view::npos || reason.find("invalid rootpage") != std::string_view::npos ||
         reason.find("orphan index") != std::string_view::npos;
}

CheckFinding judge_foreign_schema(std::uint32_t writer, const std::string& reason, std::uint32_t engine) {
  const bool is_newer = writer > engine;
  return {Judgement::unreadable,
          kContents,
          fmt::format("they were made by {}: {}",
                      is_newer ? fmt::format("SQLite {}, and this is {}", format_engine_version(writer),
                                             format_engine_version(engine))
                               : "a newer or another engine",
                      reason),
          {},
          is_newer ? kOpeningThere
                   : "open it there; if no other engine had it, the text of its schema is damaged: restore a backup"};
}

}  // namespace

bool is_of_other_engine(const DatabaseHeader& header) {
  return header.format_to_read > kNewestFormat || header.schema_format > kNewestSchemaFormat;
}

std::optional<CheckFinding> judge_refusal(const FileFacts& facts, const Refusal& refusal,
                                          std::uint32_t engine_version) {
  const std::uint32_t writer = facts.header ? facts.header->writer_version : 0;
  const std::string unreadable = "they cannot be read: " + refusal.reason;
  if (refusal.extended_code == kReadOnlyRollback) {
    return CheckFinding{Judgement::warning,
                        kContents,
                        unreadable,
                        {},
                        "open it for writing once, which undoes the transaction: sqlite3 FILE 'PRAGMA user_version'"};
  }
  const bool is_schema = refusal.reason.starts_with(kMalformedSchema);
  if ((refusal.code == kCorrupt || refusal.code == kError) && is_schema &&
      (is_of_unknown_syntax(refusal.reason) || (writer > engine_version && !is_of_page(refusal.reason)))) {
    return judge_foreign_schema(writer, refusal.reason, engine_version);
  }
  if (refusal.code == kCorrupt || refusal.code == kNotADatabase) {
    return CheckFinding{Judgement::wrong, kContents, unreadable, {}, kSaving};
  }
  return std::nullopt;
}

std::vector<std::pair<std::string, std::string>> find_doubled(const std::vector<IndexFacts>& indexes) {
  std::vector<std::pair<std::string, std::string>> doubled;
  for (const IndexFacts& index : indexes) {
    const auto other =
        std::ranges::find_if(indexes, [&](const IndexFacts& candidate) { return is_doubled_by(index, candidate); });
    if (other != indexes.end()) doubled.emplace_back(index.name, other->name);
  }
  return doubled;
}

std::vector<CheckFinding> judge_file(const FileFacts& facts) {
  std::vector<CheckFinding> findings{judge_size(facts), judge_access(facts)};
  if (facts.bytes > 0 && !facts.header) return findings;
  findings.push_back(judge_log(facts));
  findings.push_back(judge_journal(facts));
  return findings;
}

std::vector<CheckFinding> judge_contents(const ContentFacts& facts) {
  std::vector<CheckFinding> findings{judge_damage(facts)};
  if (!facts.integrity.damage.empty()) return findings;  // what else it says need not be so
  if (!facts.integrity.violations.empty()) findings.push_back(judge_values(facts.integrity.violations));
  findings.push_back(judge_keys(facts));
  for (CheckFinding& finding : judge_schema(facts)) findings.push_back(std::move(finding));
  findings.push_back(judge_space(facts));
  findings.push_back(judge_indexes(facts));
  return findings;
}

Judgement CheckReport::judgement() const {
  Judgement worst = Judgement::ok;
  for (const CheckFinding& finding : findings) worst = std::max(worst, finding.judgement);
  return worst;
}

}  // namespace sqlane::cli
