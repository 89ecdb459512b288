#include <chrono>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "sqlite/connection.hpp"
#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/open_files.hpp"
#include "support/permissions.hpp"
#include "support/temporary_folder.hpp"
#include "support/working_folder.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::beside;
using testing::bytes_of;
using testing::contents_of;
using testing::count_open_files;
using testing::error_of;
using testing::ForeignConnection;
using testing::mentions;
using testing::OrdinaryUser;
using testing::TemporaryFolder;
using testing::Umask;
using testing::WorkingFolder;
using testing::write_bytes;

constexpr mode_t kPermissions = 0777;

mode_t mode_of(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw std::runtime_error("no " + path.string());
  return status.st_mode & kPermissions;
}

// Makes a database of several pages in rollback-journal mode.
void make_journal_database(const fs::path& path) {
  ForeignConnection other(path);
  other.run("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT)");
  other.run(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) "
      "INSERT INTO note SELECT i, 'note number ' || i FROM n");
}

void make_wal_database(const fs::path& path) {
  ForeignConnection other(path);
  other.run("PRAGMA journal_mode=WAL");
  other.run("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT)");
  other.run(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) "
      "INSERT INTO note SELECT i, 'note number ' || i FROM n");
}

// Opening fails, says why and where, and leaves the folder and this process as they were.
void expect_refused(const fs::path& path, std::string_view reason) {
  const fs::path folder = path.parent_path();
  const bool has_folder = fs::is_directory(folder);
  const auto before = has_folder ? contents_of(folder) : std::map<std::string, std::string>{};
  const std::size_t files_before = count_open_files();
  try {
    const Database db = Database::open(path, {.busy_timeout = 0ms});
    ADD_FAILURE() << path << " was opened";
  } catch (const OpenError& error) {
    EXPECT_TRUE(mentions(error, reason)) << error.what();
    EXPECT_TRUE(mentions(error, path.string())) << error.what();
    EXPECT_FALSE(mentions(error, "PRAGMA")) << error.what() << ": that is not what was asked";
    EXPECT_EQ(error.database(), path.string());
  }
  EXPECT_EQ(count_open_files(), files_before);
  if (has_folder) {
    const auto after = contents_of(folder);
    for (const auto& [name, bytes] : after) {
      ASSERT_TRUE(before.contains(name)) << name << " is new";
      EXPECT_TRUE(bytes == before.at(name)) << name << " was changed";
    }
    EXPECT_EQ(after.size(), before.size());
  }
}

TEST(Opening, CreatesFilesForTheirOwnerAloneWhateverTheUmask) {
  const TemporaryFolder folder;
  const Umask everybody(0);
  const fs::path path = folder / "new.db";
  Database db = Database::open(path);
  db.execute("CREATE TABLE note (title TEXT)");
  EXPECT_EQ(mode_of(path), 0600U);
  EXPECT_EQ(mode_of(beside(path, "-wal")), 0600U);
  EXPECT_EQ(mode_of(beside(path, "-shm")), 0600U);
}

TEST(Opening, LeavesThePermissionsOfAnExistingFileAlone) {
  const TemporaryFolder folder;
  const fs::path path = folder / "shared.db";
  make_journal_database(path);
  fs::permissions(path, fs::perms(0640));
  Database db = Database::open(path);
  db.execute("DELETE FROM note");
  EXPECT_EQ(mode_of(path), 0640U);
  EXPECT_EQ(mode_of(beside(path, "-wal")), 0640U);
}

TEST(Opening, LeavesNothingButTheDatabaseBesideANewFile) {
  const TemporaryFolder folder;
  { const Database db = Database::open(folder / "new.db"); }
  EXPECT_EQ(contents_of(folder.path()).size(), 1U);
}

TEST(Opening, SwitchesARollbackJournalDatabaseToWalAndKeepsItsContent) {
  const TemporaryFolder folder;
  const fs::path path = folder / "old.db";
  make_journal_database(path);
  ASSERT_EQ(bytes_of(path)[18], 1);
  {
    Database db = Database::open(path);
    EXPECT_EQ(db.query_one<std::int64_t>("SELECT count(*) FROM note"), 500);
    EXPECT_TRUE(fs::exists(beside(path, "-wal")));
  }
  EXPECT_EQ(bytes_of(path)[18], 2);
  ForeignConnection other(path);
  EXPECT_EQ(other.ask("PRAGMA journal_mode"), "wal");
  EXPECT_EQ(other.ask("PRAGMA integrity_check"), "ok");
  EXPECT_EQ(other.ask("SELECT title FROM note WHERE id = 500"), "note number 500");
}

TEST(Opening, TakesAnEmptyFileForANewDatabase) {
  const TemporaryFolder folder;
  write_bytes(folder / "empty.db", "");
  Database db = Database::open(folder / "empty.db");
  db.execute("CREATE TABLE note (title TEXT)");
  EXPECT_EQ(db.query_one<std::int64_t>("SELECT count(*) FROM note"), 0);
}

TEST(Opening, RecoversTheLogThatACrashedProgramLeft) {
  const TemporaryFolder folder;
  const fs::path path = folder / "crashed.db";
  {
    ForeignConnection other(folder / "live.db");
    other.run("PRAGMA journal_mode=WAL; CREATE TABLE note (title TEXT); INSERT INTO note VALUES ('in the log')");
    fs::copy_file(folder / "live.db", path);
    fs::copy_file(folder / "live.db-wal", beside(path, "-wal"));
  }
  const Database db = Database::open(path);
  EXPECT_EQ(db.query_one<std::string>("SELECT title FROM note"), "in the log");
}

TEST(Opening, UsesThePathOfTheOptions) {
  const TemporaryFolder folder;
  const Database db = Database::open(Options{.path = folder / "app.db", .readers = 2});
  EXPECT_TRUE(fs::exists(folder / "app.db"));
  EXPECT_EQ(db.options().path, folder / "app.db");
  EXPECT_EQ(db.options().readers, 2U);
}

TEST(Opening, PrefersThePathGivenBesideTheOptions) {
  const TemporaryFolder folder;
  const Database db = Database::open(folder / "this.db", {.path = folder / "that.db"});
  EXPECT_TRUE(fs::exists(folder / "this.db"));
  EXPECT_FALSE(fs::exists(folder / "that.db"));
  EXPECT_EQ(db.options().path, folder / "this.db");
}

TEST(Opening, IgnoresThePathForAMemoryDatabase) {
  const TemporaryFolder folder;
  Database db = Database::in_memory(Options{.path = folder / "app.db"});
  db.execute("CREATE TABLE note (title TEXT)");
  EXPECT_TRUE(contents_of(folder.path()).empty());
}

TEST(Opening, FindsARelativePathAgainAfterTheWorkingFolderChanged) {
  const TemporaryFolder folder;
  const WorkingFolder elsewhere(folder.path());
  Database db = Database::open("relative.db");
  fs::current_path("/");
  db.execute("CREATE TABLE note (title TEXT)");  // opens its readers only now
  EXPECT_EQ(db.query_one<std::int64_t>("SELECT count(*) FROM note"), 0);
  EXPECT_TRUE(fs::exists(folder / "relative.db"));
}

TEST(Opening, TakesANameThatLooksLikeAUriLiterally) {
  const TemporaryFolder folder;
  const WorkingFolder inside(folder.path());
  constexpr const char* kName = "file:x?vfs=unix-none";
  {
    Database db = Database::open(kName);
    db.execute("CREATE TABLE note (title TEXT)");
    EXPECT_TRUE(db.query<std::string>("SELECT title FROM note").empty());
  }
  EXPECT_TRUE(fs::exists(folder / kName));
  EXPECT_EQ(contents_of(folder.path()).size(), 1U);
}

TEST(Opening, TakesTheNameOfAMemoryDatabaseLiterally) {
  const TemporaryFolder folder;
  const WorkingFolder inside(folder.path());
  {
    Database db = Database::open(":memory:");
    db.execute("CREATE TABLE note (title TEXT)");
  }
  EXPECT_TRUE(fs::exists(folder / ":memory:"));
}

TEST(Opening, RefusesAnEmptyPath) {
  const TemporaryFolder folder;
  const WorkingFolder inside(folder.path());
  EXPECT_TRUE(mentions(error_of<OpenError>([] { static_cast<void>(Database::open("")); }), "empty"));
  EXPECT_TRUE(mentions(error_of<OpenError>([] { static_cast<void>(Database::open(Options{})); }), "empty"));
  EXPECT_TRUE(contents_of(folder.path()).empty());
}

TEST(Opening, RefusesADirectory) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "folder.db");
  expect_refused(folder / "folder.db", "directory");
  expect_refused(folder.path().string() + "/", "directory");
  expect_refused(folder / "folder.db/..", "directory");
}

TEST(Opening, RefusesWhatIsNotARegularFile) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe.db").c_str(), 0600), 0);
  expect_refused(folder / "pipe.db", "not a regular file");
}

TEST(Opening, RefusesAPathWithANulByte) {
  const TemporaryFolder folder;
  const std::string name = (folder / "app.db").string() + std::string("\0.txt", 5);
  const OpenError error = error_of<OpenError>([&] { static_cast<void>(Database::open(name)); });
  EXPECT_TRUE(mentions(error, "NUL")) << error.what();
  EXPECT_TRUE(mentions(error, "app.db?.txt")) << error.what();
  EXPECT_TRUE(contents_of(folder.path()).empty());
}

TEST(Opening, RefusesAPathWhoseFolderIsMissing) {
  const TemporaryFolder folder;
  expect_refused(folder / "missing/app.db", "folder");
  EXPECT_FALSE(fs::exists(folder / "missing"));
}

TEST(Opening, RefusesASymbolicLinkAndLeavesItsTargetUntouched) {
  const TemporaryFolder folder;
  make_journal_database(folder / "real.db");
  fs::create_symlink("real.db", folder / "link.db");
  expect_refused(folder / "link.db", "symbolic link");
  fs::create_symlink("nowhere.db", folder / "dangling.db");
  expect_refused(folder / "dangling.db", "symbolic link");
  EXPECT_FALSE(fs::exists(folder / "nowhere.db"));
}

TEST(Opening, ReachesADatabaseThroughALinkedFolder) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "real");
  fs::create_directory_symlink("real", folder / "link");
  { const Database db = Database::open(folder / "link" / "app.db"); }
  EXPECT_TRUE(fs::exists(folder / "real/app.db"));
}

TEST(Opening, RefusesAFileThatCannotBeRead) {
  const TemporaryFolder folder;
  fs::permissions(folder.path(), fs::perms(0777));
  make_journal_database(folder / "secret.db");
  const std::string bytes = bytes_of(folder / "secret.db");
  fs::permissions(folder / "secret.db", fs::perms(0000));
  {
    const OrdinaryUser nobody;
    const OpenError error = error_of<OpenError>([&] { static_cast<void>(Database::open(folder / "secret.db")); });
    EXPECT_TRUE(mentions(error, "cannot be read")) << error.what();
  }
  fs::permissions(folder / "secret.db", fs::perms(0600));
  EXPECT_TRUE(bytes_of(folder / "secret.db") == bytes);
  EXPECT_EQ(contents_of(folder.path()).size(), 1U);
}

TEST(Opening, RefusesAFileThatCannotBeWritten) {
  const TemporaryFolder folder;
  fs::permissions(folder.path(), fs::perms(0777));
  make_journal_database(folder / "fixed.db");
  fs::permissions(folder / "fixed.db", fs::perms(0444));
  const OrdinaryUser nobody;
  expect_refused(folder / "fixed.db", "cannot be written");
}

TEST(Opening, RefusesAFolderInWhichNoFileCanBeMade) {
  const TemporaryFolder folder;
  fs::permissions(folder.path(), fs::perms(0555));
  {
    const OrdinaryUser nobody;
    expect_refused(folder / "new.db", "cannot be created");
  }
  fs::permissions(folder.path(), fs::perms(0755));
}

TEST(Opening, RefusesAWalDatabaseInAFolderThatCannotBeWritten) {
  const TemporaryFolder folder;
  make_wal_database(folder / "app.db");
  fs::permissions(folder / "app.db", fs::perms(0666));
  fs::permissions(folder.path(), fs::perms(0555));
  {
    const OrdinaryUser nobody;
    expect_refused(folder / "app.db", "cannot open");
  }
  fs::permissions(folder.path(), fs::perms(0755));
}

TEST(Opening, RefusesAFileThatIsNoDatabaseAndLeavesItUntouched) {
  const TemporaryFolder folder;
  write_bytes(folder / "letter.txt", std::string(5000, 'x'));
  expect_refused(folder / "letter.txt", "not a database");
  write_bytes(folder / "short.txt", "Dear Sir or Madam");
  expect_refused(folder / "short.txt", "not a database");
}

TEST(Opening, RefusesATruncatedFileAndLeavesItUntouched) {
  const TemporaryFolder folder;
  const fs::path path = folder / "torn.db";
  make_journal_database(path);
  fs::resize_file(path, fs::file_size(path) - 4096);
  expect_refused(path, "malformed");
  fs::resize_file(path, 4096 + 100);
  expect_refused(path, "malformed");
}

TEST(Opening, RefusesATruncatedWalDatabaseAndLeavesItUntouched) {
  const TemporaryFolder folder;
  const fs::path path = folder / "torn.db";
  make_wal_database(path);
  ASSERT_FALSE(fs::exists(beside(path, "-wal")));
  fs::resize_file(path, fs::file_size(path) - 4096);
  expect_refused(path, "malformed");
}

TEST(Opening, RefusesAFileThatANewerSqliteMustRead) {
  const TemporaryFolder folder;
  const fs::path path = folder / "newer.db";
  make_journal_database(path);
  std::string bytes = bytes_of(path);
  bytes[18] = 3;
  bytes[19] = 3;
  write_bytes(path, bytes);
  expect_refused(path, "not a database");
}

TEST(Opening, RefusesAFileThatOnlyANewerSqliteMayWrite) {
  const TemporaryFolder folder;
  const fs::path path = folder / "newer.db";
  make_journal_database(path);
  std::string bytes = bytes_of(path);
  bytes[18] = 3;
  write_bytes(path, bytes);
  expect_refused(path, "only read");
}

std::uint32_t little_endian_word(const std::string& bytes, std::size_t at) {
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    word |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  }
  return word;
}

void put_big_endian_word(std::string& bytes, std::size_t at, std::uint32_t word) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(word >> (24 - 8 * i));
}

// https://sqlite.org/fileformat2.html#the_write_ahead_log
TEST(Opening, RefusesALogOfANewerFormatAndLeavesItUntouched) {
  const TemporaryFolder folder;
  const TemporaryFolder source;
  const fs::path path = folder / "newer.db";
  {
    ForeignConnection other(source / "live.db");
    other.run("PRAGMA journal_mode=WAL; CREATE TABLE note (title TEXT)");
    fs::copy_file(source / "live.db", path);
    fs::copy_file(source / "live.db-wal", beside(path, "-wal"));
  }
  std::string log = bytes_of(beside(path, "-wal"));
  ASSERT_EQ(log[3] & 1, 0) << "checksums are big-endian here";
  put_big_endian_word(log, 4, 3007001);
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  for (std::size_t at = 0; at < 24; at += 8) {
    first += little_endian_word(log, at) + second;
    second += little_endian_word(log, at + 4) + first;
  }
  put_big_endian_word(log, 24, first);
  put_big_endian_word(log, 28, second);
  write_bytes(beside(path, "-wal"), log);
  expect_refused(path, "cannot open");
}

TEST(Opening, SaysThatAFileIsOfAnotherEngine) {
  const TemporaryFolder folder;
  ForeignConnection(folder / "app.db")
      .run("CREATE TABLE note (title TEXT); CREATE VIEW v AS SELECT max(1, 2 ) FROM note");
  const std::string bytes = bytes_of(folder / "app.db");
  std::string format = bytes;
  format[18] = format[19] = '\xff';
  write_bytes(folder / "app.db", format);
  expect_refused(folder / "app.db", "of a newer or another engine: file is not a database (SQLite code 26)");
  std::string schema = bytes;
  schema.replace(schema.find("max(1, 2 )"), 10, "max 1,, 2 ");
  write_bytes(folder / "app.db", schema);
  expect_refused(folder / "app.db", "of a newer or another engine: malformed database schema (v)");
}

TEST(Opening, RefusesOptionsThatMakeNoSense) {
  const TemporaryFolder folder;
  constexpr std::size_t kFarTooMany = std::numeric_limits<std::size_t>::max();
  const auto refuses = [&](Options options) {
    options.path = folder / "app.db";
    EXPECT_THROW(static_cast<void>(Database::open(options)), UsageError);
    EXPECT_THROW(static_cast<void>(Database::in_memory(options)), UsageError);
    EXPECT_TRUE(contents_of(folder.path()).empty());
  };
  refuses({.acquire_timeout = -1ms});
  refuses({.busy_timeout = -1ms});
  refuses({.page_cache = kFarTooMany});
  refuses({.checkpoint_pages = 0});
  refuses({.checkpoint_pages = kFarTooMany});
}

TEST(Opening, RefusesMoreReadersThanCanBe) {
  const TemporaryFolder folder;
  const Options options{.path = folder / "app.db", .readers = std::numeric_limits<std::size_t>::max()};
  EXPECT_THROW(static_cast<void>(Database::open(options)), UsageError);
}

// Undefined behaviour is what a time point past the end of time leads to.
TEST(Opening, TakesTimeoutsWithoutEnd) {
  const TemporaryFolder folder;
  const auto opens = [&] {
    Database db = Database::open(folder / "app.db", {.acquire_timeout = std::chrono::milliseconds::max(),
                                                     .busy_timeout = std::chrono::milliseconds::max()});
    db.execute("CREATE TABLE note (title TEXT)");
    db.write({.timeout = std::chrono::milliseconds::max()}, [](Transaction&) {});
    ::_exit(0);
  };
  EXPECT_EXIT(opens(), ::testing::ExitedWithCode(0), "");
}

// A connection that only reads cannot remove the log and the index that it makes.
TEST(Opening, ToReadOnlyLeavesNothingBesideTheFile) {
  const TemporaryFolder folder;
  {
    Database db = Database::open(folder / "app.db");
    db.execute("CREATE TABLE note (title TEXT)");
  }
  const auto before = contents_of(folder.path());
  ASSERT_EQ(before.size(), 1U);
  {
    const Database reading = Database::open(folder / "app.db", {.mode = OpenMode::read_only});
    EXPECT_EQ(reading.query_one<int>("SELECT count(*) FROM note"), 0);
  }
  EXPECT_EQ(contents_of(folder.path()), before);
  Database closed = Database::open(folder / "app.db", {.mode = OpenMode::read_only});
  closed.close();
  EXPECT_EQ(contents_of(folder.path()), before);
}

// Whoever waits with this clock finds that the time has come, at once.
class SkippingClock final : public detail::Clock {
 public:
  time_point now() override { return now_; }
  void wait_until(detail::Condition&, detail::MutexLock&, time_point deadline) override { now_ = deadline; }

 private:
  time_point now_{};
};

// The log can come when nobody reads; SQLite waits for that itself.
TEST(Opening, WaitsOnceForOneWhoReadsAFileThatHasNoLogYet) {
  const TemporaryFolder folder;
  make_journal_database(folder / "app.db");
  ForeignConnection reading(folder / "app.db");
  reading.run("BEGIN; SELECT * FROM note");
  SkippingClock clock;
  const auto begun = clock.now();
  EXPECT_THROW(detail::Connection({.database = (folder / "app.db").string(), .busy_timeout = 50ms}, clock), OpenError);
  EXPECT_EQ(clock.now() - begun, 50ms);
}

}  // namespace
}  // namespace sqlane
