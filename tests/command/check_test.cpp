#include "cli/check.hpp"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <vector>

#include "cli/console.hpp"
#include "run_command.hpp"
#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/own_parts.hpp"
#include "support/permissions.hpp"
#include "support/sample_notes.hpp"
#include "support/temporary_folder.hpp"
#include "support/write_ahead_log.hpp"

namespace sqlane::cli {
namespace {

namespace fs = std::filesystem;

using testing::beside;
using testing::bytes_of;
using testing::contents_of;
using testing::damage_frame;
using testing::fill_with_notes;
using testing::ForeignConnection;
using testing::leave_log;
using testing::mentions;
using testing::TemporaryFolder;
using testing::write_bytes;

// Of the finding about `subject`.
CheckFinding about(const std::vector<CheckFinding>& findings, const std::string& subject) {
  const auto found = std::ranges::find(findings, subject, &CheckFinding::subject);
  return found == findings.end() ? CheckFinding{Judgement::ok, subject, "(nothing was said about it)"} : *found;
}

// What is said, without the ends of lines that its place on a screen takes.
std::string unwrapped(const std::string& text) {
  std::string flat;
  for (const char c : text) {
    const bool is_blank = c == ' ' || c == '\n';
    if (!is_blank || flat.empty() || flat.back() != ' ') flat += is_blank ? ' ' : c;
  }
  return flat;
}

constexpr std::uint64_t kMegabyte = 1U << 20U;
const DatabaseHeader kHeader{.page_size = 4096, .is_in_wal_mode = true, .page_count = 256, .is_page_count_valid = true};

struct FileCase {
  const char* what;
  FileFacts facts;
  const char* subject;
  Judgement judgement;
};

TEST(CheckJudgement, OfAFile) {
  const FileFacts sound{.bytes = kMegabyte, .header = kHeader};
  const auto with = [&](auto change) {
    FileFacts facts = sound;
    change(facts);
    return facts;
  };
  const auto with_log = [&](std::uint64_t bytes, LogState state, bool has_index = true) {
    return with([&](FileFacts& facts) {
      facts.log_bytes = bytes;
      facts.log = state;
      facts.has_log_index = has_index;
    });
  };
  const std::vector<FileCase> cases{
      {"sound", sound, "file", Judgement::ok},
      {"empty", {}, "file", Judgement::wrong},
      {"no database", with([](FileFacts& f) { f.header.reset(); }), "file", Judgement::wrong},
      {"cut off", with([](FileFacts& f) { f.bytes -= 1; }), "file", Judgement::wrong},
      {"longer than it says", with([](FileFacts& f) { f.bytes += 4096; }), "file", Judgement::ok},
      {"length not known", with([](FileFacts& f) {
         f.bytes -= 1;
         f.header->is_page_count_valid = false;
       }),
       "file", Judgement::ok},
      {"the rest is in the log", with([](FileFacts& f) {
         f.bytes -= 1;
         f.log_bytes = 8192;
         f.log = LogState::readable;
       }),
       "file", Judgement::ok},
      {"the rest comes, or the journal undoes it", with([](FileFacts& f) {
         f.bytes -= 1;
         f.is_journal_hot = true;
       }),
       "file", Judgement::ok},
      {"it has grown between two looks", with([](FileFacts& f) {
         f.bytes -= 1;
         f.is_read_whole = true;
       }),
       "file", Judgement::ok},
      {"private", sound, "access", Judgement::ok},
      {"of a group", with([](FileFacts& f) { f.mode = 0660; }), "access", Judgement::ok},
      {"read by all", with([](FileFacts& f) { f.mode = 0644; }), "access", Judgement::notable},
      {"of a file system without modes", with([](FileFacts& f) {
         f.mode = 0777;
         f.has_own_mode = false;
       }),
       "access", Judgement::notable},
      {"written by all", with([](FileFacts& f) { f.mode = 0666; }), "access", Judgement::warning},
      {"of another engine", with([](FileFacts& f) { f.header->format_to_read = 255; }), "file", Judgement::unreadable},
      {"with a schema of another engine", with([](FileFacts& f) { f.header->schema_format = 5; }), "file",
       Judgement::unreadable},
      {"that can only be read", with([](FileFacts& f) { f.header->format_to_write = 3; }), "file", Judgement::notable},
      {"no log", sound, "write-ahead log", Judgement::ok},
      {"a small log", with_log(8192, LogState::readable), "write-ahead log", Judgement::ok},
      {"after a crash", with_log(8192, LogState::readable, false), "write-ahead log", Judgement::notable},
      {"larger than the database", with_log(20 * kMegabyte, LogState::readable), "write-ahead log", Judgement::notable},
      {"nearly so", with_log(15 * kMegabyte, LogState::readable), "write-ahead log", Judgement::ok},
      {"no log at all", with_log(8192, LogState::unreadable), "write-ahead log", Judgement::wrong},
      {"another's log", with_log(8192, LogState::other_size), "write-ahead log", Judgement::wrong},
      {"a log beside nothing", {.log_bytes = 8192, .log = LogState::other_size}, "write-ahead log", Judgement::wrong},
      {"a log beside a rollback database", with([](FileFacts& f) {
         f.log_bytes = 8192;
         f.log = LogState::readable;
         f.header->is_in_wal_mode = false;
       }),
       "write-ahead log", Judgement::notable},
      {"no journal", sound, "journal", Judgement::ok},
      {"a journal that is done with", with([](FileFacts& f) { f.journal_bytes = 512; }), "journal", Judgement::ok},
      {"a hot journal", with([](FileFacts& f) {
         f.journal_bytes = 512;
         f.is_journal_hot = true;
       }),
       "journal", Judgement::notable}};
  for (const FileCase& tested : cases) {
    const CheckFinding finding = about(judge_file(tested.facts), tested.subject);
    EXPECT_EQ(finding.judgement, tested.judgement) << tested.what << ": " << finding.text;
    EXPECT_EQ(finding.advice.empty(), tested.judgement == Judgement::ok) << tested.what << " needs advice";
  }
}

TEST(CheckJudgement, OfContents) {
  const ContentFacts sound{.page_size = 4096, .page_count = 10'000, .journal_mode = "wal", .encoding = "UTF-8"};
  const auto judge = [&](const char* subject, auto change) {
    ContentFacts facts = sound;
    change(facts);
    return about(judge_contents(facts), subject).judgement;
  };
  const auto nothing = [](ContentFacts&) {};
  for (const char* subject : {"contents", "foreign keys", "schema", "space", "indexes"}) {
    EXPECT_EQ(judge(subject, nothing), Judgement::ok) << subject;
  }
  EXPECT_EQ(judge("contents", [](ContentFacts& f) { f.integrity.damage = {"row 1 missing"}; }), Judgement::wrong);
  EXPECT_EQ(judge("contents",
                  [](ContentFacts& f) {
                    f.integrity.unchecked = {{"t", "no such function: f"}};
                  }),
            Judgement::notable);
  EXPECT_EQ(judge("contents",
                  [](ContentFacts& f) {
                    f.integrity.unchecked = {{"t", "no such collation sequence: c", false}};
                  }),
            Judgement::warning)
      << "who knows what is in it";
  EXPECT_EQ(judge("rows", [](ContentFacts& f) { f.integrity.violations = {"NULL value in t.c"}; }), Judgement::warning);
  EXPECT_EQ(judge("foreign keys", [](ContentFacts& f) { f.broken_keys = {{"a", "b", 1, {}}}; }), Judgement::warning);
  EXPECT_EQ(judge("foreign keys", [](ContentFacts& f) { f.unknown_keys = {{"a", "mismatch"}}; }), Judgement::warning);
  using Kind = SchemaFault::Kind;
  const std::vector<std::tuple<Kind, const char*, Judgement>> faults{
      {Kind::missing_extension, "schema", Judgement::notable},
      {Kind::quoted_text, "schema", Judgement::warning},
      {Kind::other, "schema", Judgement::warning},
      {Kind::foreign_key, "foreign keys", Judgement::warning}};
  for (const auto& [kind, subject, judgement] : faults) {
    EXPECT_EQ(judge(subject, [&, &k = kind](ContentFacts& f) { f.faults = {{.kind = k, .name = "n"}}; }), judgement);
  }
  const SchemaFault of_check{.kind = Kind::quoted_text, .name = "n", .statements = {"ALTER TABLE", "VACUUM"}};
  EXPECT_EQ(judge("schema", [&](ContentFacts& f) { f.faults = {of_check}; }), Judgement::notable);
  EXPECT_EQ(judge("space", [](ContentFacts& f) { f.free_pages = 2500; }), Judgement::notable);
  EXPECT_EQ(judge("space", [](ContentFacts& f) { f.free_pages = 2499; }), Judgement::ok);
  EXPECT_EQ(judge("space", [](ContentFacts& f) { f.page_count = f.free_pages = 100; }), Judgement::ok)
      << "it is little";
  EXPECT_EQ(judge("space", [](ContentFacts& f) { f.page_size = 1024; }), Judgement::notable);
}

// What only a newer engine reads is not damaged; what is damaged is not another engine's.
TEST(CheckJudgement, OfARefusal) {
  struct Case {
    int code;
    const char* reason;
    std::uint32_t writer;
    std::optional<Judgement> judgement;
  };
  constexpr std::uint32_t kEngine = 3'040'001;
  constexpr std::uint32_t kNewer = 3'046'000;
  const std::vector<Case> cases{
      {11, "malformed database schema (v) - near \"ORDER\": syntax error", kEngine, Judgement::unreadable},
      {11, "malformed database schema (v) - unrecognized token: \"1_000\"", kEngine, Judgement::unreadable},
      {1, "malformed database schema (t) - unknown table option: RANDOM", kEngine, Judgement::unreadable},
      {11, "malformed database schema (t) - unknown datatype for t.x: \"U\"", kEngine, Judgement::unreadable},
      {11, "malformed database schema (t) - incomplete input", kEngine, Judgement::wrong},
      {11, "malformed database schema (t) - table t already exists", kEngine, Judgement::wrong},
      {11, "malformed database schema (t) - anything", kNewer, Judgement::unreadable},
      {11, "malformed database schema (t) - invalid rootpage", kNewer, Judgement::wrong},
      {11, "malformed database schema (i) - orphan index", kNewer, Judgement::wrong},
      {11, "malformed database schema (?)", kNewer, Judgement::wrong},
      {11, "database disk image is malformed", kNewer, Judgement::wrong},
      {26, "file is not a database", kEngine, Judgement::wrong},
      {8, "attempt to write a readonly database", kEngine, Judgement::warning},
      {10, "disk I/O error", kEngine, std::nullopt}};
  for (const Case& tested : cases) {
    FileFacts facts{.bytes = kMegabyte, .header = kHeader};
    facts.header->writer_version = tested.writer;
    const auto finding = judge_refusal(
        facts, {.code = tested.code, .extended_code = tested.code == 8 ? 776 : tested.code, .reason = tested.reason},
        kEngine);
    ASSERT_EQ(finding.has_value(), tested.judgement.has_value()) << tested.reason;
    if (!finding) continue;
    EXPECT_EQ(finding->judgement, *tested.judgement) << tested.reason;
    EXPECT_TRUE(mentions(finding->text, tested.reason)) << finding->text;
  }
}

TEST(CheckJudgement, CountsBrokenKeysByTableAndNamesTheFirst) {
  ContentFacts facts{.page_size = 4096,
                     .broken_keys = {{"note", "author", 5, {"1", "2", "3"}, true}, {"tag", "note", 1, {}}}};
  const CheckFinding finding = about(judge_contents(facts), "foreign keys");
  EXPECT_EQ(finding.text, "6 references are to rows that are not there");
  EXPECT_EQ(finding.details, (std::vector<std::string>{"5 of note to author: rowid 1, 2, 3, …", "1 of tag to note"}));
}

using Doubled = std::vector<std::pair<std::string, std::string>>;

IndexFacts index(const char* name, std::vector<std::string> columns, bool is_unique = false) {
  return {.name = name, .table = "t", .columns = std::move(columns), .is_unique = is_unique};
}

TEST(CheckJudgement, FindsIndexesThatOthersDouble) {
  EXPECT_EQ(find_doubled({index("a", {"x"}), index("b", {"x", "y"})}), (Doubled{{"a", "b"}}));
  EXPECT_EQ(find_doubled({index("a", {"y"}), index("b", {"x", "y"})}), Doubled());
  EXPECT_EQ(find_doubled({index("a", {"x"}), index("b", {"x"})}), (Doubled{{"b", "a"}})) << "one of them stays";
  EXPECT_EQ(find_doubled({index("a", {"x"}, true), index("b", {"x"})}), (Doubled{{"b", "a"}})) << "uniqueness stays";
  EXPECT_EQ(find_doubled({index("a", {"x"}, true), index("b", {"x", "y"}, true)}), Doubled());
  EXPECT_EQ(find_doubled({index("a", {"x", ""}), index("b", {"x", ""})}), Doubled()) << "expressions may differ";
  std::vector<IndexFacts> special{index("a", {"x"}), index("b", {"x", "y"})};
  special[0].is_partial = true;
  EXPECT_EQ(find_doubled(special), Doubled());
  special = {index("a", {"x"}), index("b", {"x", "y"})};
  special[1].is_partial = true;
  EXPECT_EQ(find_doubled(special), Doubled());
  special = {index("a", {"x"}, true), index("b", {"x"}, true)};
  special[0].is_made_by_constraint = true;
  EXPECT_EQ(find_doubled(special), (Doubled{{"b", "a"}}));
  special = {index("a", {"x"}), index("b", {"x", "y"})};
  special[0].is_named = true;
  EXPECT_EQ(find_doubled(special), Doubled()) << "a view names it";
  special = {index("a", {"x"}), index("b", {"x"})};
  special[1].is_named = true;
  EXPECT_EQ(find_doubled(special), (Doubled{{"a", "b"}}));
  special = {index("a", {"x"}), index("b", {"x"})};
  special[1].table = "other";
  EXPECT_EQ(find_doubled(special), Doubled());
}

TEST(CheckJudgement, AdvisesSqlThatDropsIndexesAlone) {
  ContentFacts facts{.page_size = 4096, .indexes = {index("a; DROP TABLE \"t\"", {"x"}), index("b", {"x", "y"})}};
  EXPECT_EQ(about(judge_contents(facts), "indexes").advice, "DROP INDEX \"a; DROP TABLE \"\"t\"\"\"");
}

TEST(CheckJudgement, ReadsAHeader) {
  const TemporaryFolder folder;
  ForeignConnection db(folder / "a.db");
  db.ask("PRAGMA page_size=65536");
  db.ask("CREATE TABLE t (x)");
  const auto header = parse_database_header(bytes_of(folder / "a.db"));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->page_size, 65536U);
  EXPECT_EQ(header->page_count, 2U);
  EXPECT_TRUE(header->is_page_count_valid);
  EXPECT_FALSE(header->is_in_wal_mode);
  EXPECT_FALSE(parse_database_header(std::string(100, 'x')));
  EXPECT_FALSE(parse_database_header(bytes_of(folder / "a.db").substr(0, 99)));
}

class Check : public ::testing::Test {
 protected:
  Check() {
    Database db = Database::open(file);
    fill_with_notes(db, 300, "own");
    db.close();
  }

  // Nothing in the folder is other than before; whatever comes of the check.
  Outcome check(const std::vector<std::string>& more = {}) {
    const auto before = contents_of(folder.path());
    std::vector<std::string> arguments{"check", file};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = run(arguments);
    EXPECT_EQ(contents_of(folder.path()), before);
    return outcome;
  }

  TemporaryFolder folder;
  fs::path file = folder / "app.db";
};

TEST_F(Check, FindsNothingWrongWithASoundDatabase) {
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"--quick"}}) {
    const Outcome outcome = check(more);
    EXPECT_EQ(outcome.code, kExitSuccess) << outcome.out;
    EXPECT_TRUE(mentions(outcome.out, "Nothing is wrong with it.")) << outcome.out;
    EXPECT_TRUE(mentions(outcome.out, more.empty() ? "integrity_check" : "quick_check")) << outcome.out;
    EXPECT_FALSE(mentions(outcome.out, "WRONG")) << outcome.out;
  }
}

TEST_F(Check, NamesDamage) {
  std::string bytes = bytes_of(file);
  std::fill(bytes.begin() + 100'000, bytes.begin() + 130'000, '\x5a');
  write_bytes(file, bytes);
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, kExitFindings);
  EXPECT_TRUE(mentions(outcome.out, "integrity_check found damage")) << outcome.out;
  EXPECT_TRUE(mentions(outcome.out, "  - ")) << outcome.out;
}

TEST_F(Check, KnowsAFileThatIsCutOffEmptyOrSomethingElse) {
  const std::string bytes = bytes_of(file);
  const std::vector<std::pair<std::string, std::string>> cases{{bytes.substr(0, bytes.size() / 2), "it is cut off"},
                                                               {"", "it is empty"},
                                                               {std::string(10'000, 'x'), "it is no SQLite database"},
                                                               {bytes.substr(0, 60), "it is no SQLite database"}};
  for (const auto& [content, verdict] : cases) {
    write_bytes(file, content);
    const Outcome outcome = check();
    EXPECT_EQ(outcome.code, kExitFindings);
    EXPECT_TRUE(mentions(outcome.out, verdict)) << outcome.out;
    EXPECT_EQ(outcome.err, "");
  }
}

// SQLite deletes what is beside an empty file, by reading it alone.
TEST_F(Check, LeavesALogAloneThatOutlivedItsDatabase) {
  {
    ForeignConnection other(file);
    other.ask("PRAGMA wal_autocheckpoint=0");
    other.ask("CREATE TABLE in_the_log (x)");
    fs::copy_file(beside(file, "-wal"), folder / "kept");
  }
  fs::remove(beside(file, "-shm"));
  fs::rename(folder / "kept", beside(file, "-wal"));
  write_bytes(file, "");
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, kExitFindings);
  EXPECT_TRUE(mentions(outcome.out, "beside an empty file")) << outcome.out;
}

TEST_F(Check, LeavesAJournalAloneThatOutlivedItsDatabase) {
  write_bytes(file, "");
  write_bytes(beside(file, "-journal"), "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7 and so on");
  EXPECT_EQ(check().code, kExitFindings);
}

// What a pipe or a device says would come from somebody else, or never.
TEST_F(Check, NeverWaitsForWhatIsNoFile) {
  const fs::path pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const fs::path& path : {pipe, fs::path("/dev/null")}) {
    const Outcome outcome = run({"check", path});
    EXPECT_EQ(outcome.code, kExitFailure);
    EXPECT_EQ(outcome.err, "sqlane: cannot open \"" + path.string() + "\": it is not a regular file\n");
  }
  ASSERT_EQ(::mkfifo(beside(file, "-wal").c_str(), 0600), 0);
  const Outcome outcome = run({"check", file});
  EXPECT_EQ(outcome.code, kExitFailure);
  EXPECT_TRUE(mentions(outcome.err, "app.db-wal\" is not a regular file")) << outcome.err;
}

TEST_F(Check, SaysOfAFileThatItMayNotReadNoMore) {
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(file.c_str(), 0), 0);
  Outcome outcome{};
  {
    const testing::OrdinaryUser user;
    outcome = run({"check", file});
  }
  EXPECT_EQ(outcome.code, kExitFailure);
  EXPECT_EQ(outcome.err, "sqlane: cannot open \"" + file.string() + "\": it cannot be read: Permission denied\n");
}

// A name can hold what clears a terminal, and with it the verdict.
TEST_F(Check, ShowsNoControlCharactersOfTheDatabase) {
  {
    ForeignConnection other(file);
    other.ask("CREATE INDEX \"\033[2J\" ON note (title)");
  }
  const Outcome outcome = check();
  EXPECT_EQ(outcome.out.find('\033'), std::string::npos) << outcome.out;
  EXPECT_TRUE(mentions(outcome.out, "?[2J: note_title does the same")) << outcome.out;
}

TEST_F(Check, FailsWhereThereIsNothingToCheck) {
  for (const fs::path& path : {folder / "missing.db", folder.path()}) {
    const Outcome outcome = run({"check", path});
    EXPECT_EQ(outcome.code, kExitFailure);
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
  }
}

TEST_F(Check, CountsRowsThatReferToNothing) {
  {
    ForeignConnection other(file);
    other.ask("CREATE TABLE tag (note INTEGER REFERENCES note, label TEXT REFERENCES note(title))");
    other.ask("INSERT INTO tag (note) VALUES (1), (7777), (8888)");
  }
  Outcome outcome = check();
  EXPECT_EQ(outcome.code, kExitFindings);
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "those of tag cannot be checked: foreign key mismatch")) << outcome.out;
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "table note: UPDATE, DELETE: foreign key mismatch")) << outcome.out;
  EXPECT_FALSE(mentions(unwrapped(outcome.out), "WRONG")) << outcome.out;
  {
    ForeignConnection other(file);
    other.ask("ALTER TABLE tag DROP COLUMN label");
  }
  outcome = check();
  EXPECT_EQ(outcome.code, kExitFindings);
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "2 of tag to note: rowid 2, 3")) << outcome.out;
  {
    ForeignConnection other(file);
    other.ask("CREATE TABLE pair (a INTEGER REFERENCES note, b INTEGER REFERENCES note)");
    other.ask("INSERT INTO pair VALUES (7777, 8888)");
  }
  outcome = check();
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "4 references are to rows that are not there")) << outcome.out;
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "2 of pair to note: rowid 1 ")) << outcome.out;
}

TEST_F(Check, GoesOnAfterAKeyThatFitsNothing) {
  {
    ForeignConnection other(file);
    other.ask("CREATE TABLE a (label TEXT REFERENCES note(title))");
    other.ask("CREATE TABLE b (note INTEGER REFERENCES note)");
    other.ask("INSERT INTO b VALUES (7777)");
  }
  const Outcome outcome = check();
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "1 of b to note: rowid 1")) << outcome.out;
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "those of a cannot be checked")) << outcome.out;
}

// Turso's files, and those of a format that is to come.
TEST_F(Check, CallsAFileOfAnotherEngineNoDamage) {
  std::string bytes = bytes_of(file);
  bytes[18] = bytes[19] = '\xff';
  write_bytes(file, bytes);
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, kExitFailure) << outcome.out;
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "made by a newer or another engine")) << outcome.out;
  EXPECT_FALSE(mentions(unwrapped(outcome.out), "WRONG")) << outcome.out;
  EXPECT_EQ(nlohmann::json::parse(check({"--json"}).out)["judgement"], "unreadable");
}

TEST_F(Check, CallsASchemaOfANewerEngineNoDamage) {
  {
    ForeignConnection other(file);
    other.ask("PRAGMA journal_mode=DELETE");
    other.ask("CREATE VIEW titles AS SELECT group_concat(title, 'and more') FROM note");
  }
  std::string bytes = bytes_of(file);
  const std::string known = "title, 'and more'";
  bytes.replace(bytes.find(known), known.size(), "title ORDER BY id");
  write_bytes(file, bytes);
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, kExitFailure) << outcome.out;
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "made by a newer or another engine")) << outcome.out;
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "syntax error")) << outcome.out;
  EXPECT_FALSE(mentions(unwrapped(outcome.out), "WRONG")) << outcome.out;
}

// As another program leaves it that has a collation and a function of its own.
void add_own_parts(const fs::path& file) {
  ForeignConnection other(file);
  testing::add_own_parts(other);
  other.ask("CREATE TABLE word (text TEXT COLLATE german)");
  other.ask("CREATE INDEX word_text ON word (text)");
  other.ask("CREATE TABLE parcel (size CHECK (weight(size) > 0))");
  other.ask("CREATE INDEX parcel_weight ON parcel (weight(size))");
  other.ask("INSERT INTO word VALUES ('a'), ('b')");
  other.ask("INSERT INTO parcel VALUES (1)");
}

TEST_F(Check, ChecksTheRestOfAFileWithPartsOfItsOwnProgram) {
  add_own_parts(file);
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, kExitSuccess) << outcome.out << outcome.err;
  for (const char* text :
       {"3 tables, integrity_check found nothing", "word: no such collation sequence: german",
        "parcel: unknown function: weight", "table parcel: CHECK, INSERT, UPDATE: no such function: weight",
        "index parcel_weight on parcel: INSERT, UPDATE: no such function: weight", "space", "indexes"}) {
    EXPECT_TRUE(mentions(unwrapped(outcome.out), text)) << text << "\n" << outcome.out;
  }
}

TEST_F(Check, FindsDamageInAFileWithPartsOfItsOwnProgram) {
  add_own_parts(file);
  std::string bytes = bytes_of(file);
  std::fill(bytes.begin() + 100'000, bytes.begin() + 130'000, '\x5a');
  write_bytes(file, bytes);
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, kExitFindings) << outcome.out << outcome.err;
  EXPECT_TRUE(mentions(outcome.out, "integrity_check found damage")) << outcome.out;
}

// What no statement of this program can read is damaged all the same.
TEST_F(Check, FindsEmptyPagesOfATableWhoseKeyNeedsAnotherProgram) {
  std::string pages;
  {
    ForeignConnection other(file);
    testing::add_own_parts(other);
    other.ask("CREATE TABLE dense (a TEXT COLLATE german PRIMARY KEY) WITHOUT ROWID");
    other.ask("INSERT INTO dense SELECT title || id FROM note");
    pages = other.ask("SELECT max(pageno) FROM dbstat WHERE name = 'dense'");
  }
  std::string bytes = bytes_of(file);
  bytes.replace((std::stoul(pages) - 1) * 4096, 4096, 4096, '\0');
  write_bytes(file, bytes);
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, kExitFindings) << outcome.out << outcome.err;
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "page " + pages + " of dense is not one of a table")) << outcome.out;
  EXPECT_EQ(run({"backup", file, folder / "copy.db"}).code, kExitFailure);
}

TEST_F(Check, SaysOfValuesThatAreNotAllowedThatTheirPagesAreWhole) {
  {
    ForeignConnection other(file);
    other.ask("PRAGMA ignore_check_constraints=ON");
    other.ask("CREATE TABLE sized (n CHECK (n > 0))");
    other.ask("INSERT INTO sized VALUES (-1)");
  }
  Outcome outcome = check();
  EXPECT_EQ(outcome.code, kExitFindings) << outcome.out;
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "CHECK constraint failed in sized: 1 row violates CHECK (n > 0)"))
      << outcome.out;
  EXPECT_FALSE(mentions(outcome.out, "WRONG")) << outcome.out;
  EXPECT_EQ(run({"backup", file, folder / "checks.db"}).code, kExitSuccess) << "a copy has what the original has";
  {
    ForeignConnection other(file);
    other.ask("CREATE TABLE named (n)");
    other.ask("INSERT INTO named VALUES (NULL)");
    other.ask("PRAGMA writable_schema=ON");
    other.ask("UPDATE sqlite_schema SET sql = 'CREATE TABLE named (n NOT NULL)' WHERE name = 'named'");
  }
  outcome = check();
  EXPECT_EQ(outcome.code, kExitFindings) << outcome.out;
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "- NULL value in named.n")) << outcome.out;
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "the pages are whole")) << outcome.out;
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "Nothing is damaged; one thing is to be mended")) << outcome.out;
  EXPECT_FALSE(mentions(outcome.out, "WRONG")) << outcome.out;
  EXPECT_FALSE(mentions(outcome.out, "| sed")) << outcome.out;
  const Outcome refused = run({"backup", file, folder / "copy.db"});
  EXPECT_EQ(refused.code, kExitFailure);
  EXPECT_TRUE(mentions(refused.err, "--no-verify")) << refused.err;
  EXPECT_EQ(run({"backup", file, folder / "copy.db", "--no-verify"}).code, kExitSuccess);
}

// As ordinary programs keep documents.
TEST_F(Check, ReadsATableWithChecksAndColumnsMadeOfJson) {
  {
    ForeignConnection other(file);
    other.ask(
        "CREATE TABLE doc (body TEXT CHECK (json_valid(body)), kind TEXT AS (json_extract(body, '$.kind')) STORED, "
        "size INTEGER AS (json_array_length(body, '$.parts')))");
    other.ask("CREATE INDEX by_kind ON doc (kind)");
    other.ask("CREATE INDEX by_size ON doc (json_array_length(body, '$.parts'))");
    other.ask("INSERT INTO doc VALUES ('{\"kind\": \"a\", \"parts\": [1, 2]}'), ('{}')");
  }
  Outcome outcome = check();
  EXPECT_EQ(outcome.code, kExitSuccess) << outcome.out;
  EXPECT_TRUE(mentions(outcome.out, "Nothing is wrong with it.")) << outcome.out;
  {
    ForeignConnection other(file);
    other.ask("PRAGMA ignore_check_constraints=ON");
    other.ask("CREATE TABLE bare (body CHECK (json_valid(body)))");
    other.ask("INSERT INTO bare VALUES ('{')");
  }
  outcome = check();
  EXPECT_EQ(outcome.code, kExitFindings) << outcome.out;
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "1 row violates CHECK (json_valid(body))")) << outcome.out;
}

TEST_F(Check, NamesWhatWouldFailAtItsFirstUse) {
  {
    ForeignConnection other(file);
    other.ask("CREATE VIEW quoted AS SELECT \"text\" AS t FROM note");
    other.ask("CREATE TRIGGER lost AFTER DELETE ON note BEGIN INSERT INTO nowhere VALUES (1); END");
  }
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, kExitFindings) << outcome.out;
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "view quoted: SELECT: no such column: text")) << outcome.out;
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "Options::sql.double_quoted_strings")) << outcome.out;
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "trigger lost on note: DELETE: no such table: main.nowhere"))
      << outcome.out;
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "Nothing is damaged; 2 things are to be mended")) << outcome.out;
  EXPECT_FALSE(mentions(unwrapped(outcome.out), "WRONG")) << outcome.out;
}

TEST_F(Check, AdvisesASalvageThatWorks) {
  std::string bytes = bytes_of(file);
  std::fill(bytes.begin() + 32'768, bytes.begin() + 36'864, '\x5a');
  write_bytes(file, bytes);
  const Outcome outcome = check();
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "sqlite3 FILE .dump | sed '$s/^ROLLBACK.*/COMMIT;/' | sqlite3"))
      << outcome.out;
  // The three commands, one by one.
  std::string dump = testing::run_in_shell(file, ".dump").output;
  const std::size_t last = dump.rfind("\nROLLBACK");
  ASSERT_NE(last, std::string::npos) << "of damage, SQLite's shell makes nothing at all: the advice can be shorter";
  ForeignConnection saved(folder / "new.db");
  saved.run(dump.substr(0, last) + "\nCOMMIT;");
  EXPECT_GT(std::stoi(saved.ask("SELECT count(*) FROM note")), 200) << "of 300, without those of a page";
  EXPECT_EQ(saved.ask("PRAGMA integrity_check"), "ok");
}

TEST_F(Check, ReadsALogThatACrashHasLeft) {
  {
    ForeignConnection other(file);
    other.ask("PRAGMA wal_autocheckpoint=0");
    other.ask("CREATE TABLE in_the_log (x)");
    fs::copy_file(file, folder / "crashed.db");
    fs::copy_file(beside(file, "-wal"), folder / "crashed.db-wal");
  }
  const std::string bytes = bytes_of(folder / "crashed.db");
  const std::string log = bytes_of(folder / "crashed.db-wal");
  const Outcome outcome = run({"check", folder / "crashed.db", "--json"});
  EXPECT_EQ(outcome.code, kExitSuccess) << outcome.out;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["wal_bytes"], log.size());
  EXPECT_TRUE(mentions(outcome.out, "did not close it")) << outcome.out;
  EXPECT_TRUE(mentions(outcome.out, "2 tables")) << outcome.out;
  EXPECT_EQ(bytes_of(folder / "crashed.db"), bytes);
  EXPECT_EQ(bytes_of(folder / "crashed.db-wal"), log);
  EXPECT_FALSE(fs::exists(folder / "crashed.db-shm")) << "it was not there before";
}

// SQLite reads such a log as far as the damage, and says nothing of the rest.
TEST_F(Check, NamesALogThatIsDamaged) {
  const fs::path crashed = folder / "crashed.db";
  leave_log(file, crashed, 20);
  const std::string whole = bytes_of(beside(crashed, "-wal"));
  damage_frame(crashed, 5, 4096);
  const Outcome outcome = run({"check", crashed});
  EXPECT_EQ(outcome.code, kExitFindings) << outcome.out;
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "5 of its commits. 15 more stand after it, and are not read"))
      << outcome.out;
  EXPECT_TRUE(mentions(unwrapped(outcome.out), "keep a copy of the file and of its -wal")) << outcome.out;
  EXPECT_FALSE(mentions(unwrapped(outcome.out), "nothing is lost")) << outcome.out;
  EXPECT_FALSE(mentions(outcome.out, "Nothing is")) << outcome.out;
  const Outcome stats = run({"stats", crashed});
  EXPECT_TRUE(mentions(stats.out, "5 frames of 5 commits")) << stats.out;
  EXPECT_TRUE(mentions(stats.out, "and 15 commits after a damaged frame, which SQLite does not read")) << stats.out;

  write_bytes(beside(crashed, "-wal"), whole);
  damage_frame(crashed, 19, 4096);
  const Outcome last = run({"check", crashed});
  EXPECT_EQ(last.code, kExitSuccess) << last.out;
  EXPECT_TRUE(mentions(unwrapped(last.out), "whose last commit is not whole")) << last.out;
}

TEST_F(Check, KnowsALogThatIsNone) {
  write_bytes(beside(file, "-wal"), std::string(5000, 'x'));
  const Outcome outcome = run({"check", file});
  EXPECT_EQ(outcome.code, kExitFindings) << outcome.out;
  EXPECT_TRUE(mentions(outcome.out, "but no log")) << outcome.out;
}

// As a crash leaves it: the file half written, and the journal that says what was there.
TEST_F(Check, SaysWhatToDoAboutATransactionLeftHalfWay) {
  {
    ForeignConnection other(file);
    other.ask("PRAGMA journal_mode=DELETE");
    other.ask("PRAGMA cache_spill=1");
    other.ask("PRAGMA cache_size=2");
    other.ask("BEGIN");
    other.ask("UPDATE note SET title = 'half'");
    fs::copy_file(file, folder / "crashed.db");
    fs::copy_file(beside(file, "-journal"), folder / "crashed.db-journal");
  }
  const std::string bytes = bytes_of(folder / "crashed.db");
  const Outcome outcome = run({"check", folder / "crashed.db"});
  EXPECT_EQ(outcome.code, kExitFindings) << outcome.out;
  EXPECT_TRUE(mentions(outcome.out, "a transaction has not come to its end")) << outcome.out;
  EXPECT_TRUE(mentions(outcome.out, "open it for writing once")) << outcome.out;
  EXPECT_EQ(bytes_of(folder / "crashed.db"), bytes);
  // The advice holds.
  EXPECT_EQ(testing::run_in_shell(folder / "crashed.db", "PRAGMA user_version").status, 0);
  EXPECT_EQ(run({"check", folder / "crashed.db"}).code, kExitSuccess);
}

TEST_F(Check, NamesASuperfluousIndex) {
  {
    ForeignConnection other(file);
    other.ask("CREATE INDEX by_title ON note (title)");
  }
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, kExitSuccess);
  EXPECT_TRUE(mentions(outcome.out, "by_title: note_title does the same")) << outcome.out;
  EXPECT_TRUE(mentions(outcome.out, "DROP INDEX \"by_title\"")) << outcome.out;
  EXPECT_TRUE(mentions(outcome.out, "one thing is worth knowing")) << outcome.out;
}

TEST_F(Check, LeavesAnIndexAloneThatAViewNames) {
  {
    ForeignConnection other(file);
    other.ask("CREATE INDEX by_title ON note (title)");
    other.ask("CREATE VIEW titles AS SELECT title FROM note INDEXED BY by_title");
    other.ask("CREATE VIEW named AS SELECT title FROM note INDEXED BY note_title");
  }
  const Outcome outcome = check();
  EXPECT_FALSE(mentions(outcome.out, "DROP INDEX")) << outcome.out;
}

TEST_F(Check, TellsOfDamageALineEachAndTenOfThem) {
  std::string bytes = bytes_of(file);
  for (std::size_t at = 8 * 4096 + 8; at + 4096 < bytes.size(); at += 4096) bytes.replace(at, 40, 40, '\x5a');
  write_bytes(file, bytes);
  const Outcome outcome = check();
  EXPECT_TRUE(mentions(outcome.out, "integrity_check found damage")) << outcome.out;
  EXPECT_TRUE(mentions(outcome.out, "- and ")) << outcome.out;
  EXPECT_FALSE(mentions(outcome.out, "?")) << outcome.out;
  EXPECT_FALSE(mentions(outcome.out, "*** in database")) << outcome.out;
}

TEST_F(Check, TellsAllInJsonAlone) {
  const Outcome outcome = check({"--json"});
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["judgement"], "ok");
  EXPECT_EQ(json["bytes"], fs::file_size(file));
  EXPECT_EQ(json["settings"]["page_size"], 4096);
  EXPECT_EQ(json["settings"]["journal_mode"], "wal");
  ASSERT_EQ(json["findings"].size(), 9U);
  for (const auto& finding : json["findings"]) EXPECT_EQ(finding["judgement"], "ok") << finding.dump();
}

}  // namespace
}  // namespace sqlane::cli
