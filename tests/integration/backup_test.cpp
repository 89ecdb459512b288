#include "database/backup.hpp"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <set>
#include <signal.h>
#include <sqlite3.h>
#include <stop_token>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "database/core_access.hpp"
#include "sqlite/backup.hpp"
#include "sqlite/connection.hpp"
#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/foreign_process.hpp"
#include "support/open_files.hpp"
#include "support/permissions.hpp"
#include "support/sample_notes.hpp"
#include "support/sqlite_shell.hpp"
#include "support/temporary_folder.hpp"
#include "vfs/memory_store.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;

using namespace std::chrono_literals;
using testing::beside;
using testing::bytes_of;
using testing::count_open_files;
using testing::dump_of;
using testing::error_of;
using testing::fill_with_notes;
using testing::ForeignConnection;
using testing::mentions;
using testing::TemporaryFolder;
using testing::write_bytes;

using Names = std::set<std::string>;

Names names_in(const fs::path& folder) {
  Names names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

// On another thread: a callback of the copy must not use the database itself.
template <class Action>
void elsewhere(Action&& action) {
  std::jthread(std::forward<Action>(action)).join();
}

class BackupTo : public ::testing::Test {
 protected:
  [[nodiscard]] fs::path copy() const { return copies / "copy.db"; }
  void expect_nothing_left() const { EXPECT_EQ(names_in(copies.path()), Names()); }

  TemporaryFolder folder;
  TemporaryFolder copies;
};

TEST_F(BackupTo, MakesAnOrdinaryDatabaseWithAllThatIsCommitted) {
  Database db = Database::open(folder / "app.db");
  fill_with_notes(db, 500, "a");
  db.execute("PRAGMA user_version = 7");
  db.execute("CREATE TRIGGER t AFTER DELETE ON note BEGIN INSERT INTO note (title) VALUES ('trigger'); END");
  const BackupReport report = db.backup_to(copy());
  EXPECT_EQ(report.bytes, fs::file_size(copy()));
  EXPECT_EQ(dump_of(copy()), dump_of(folder / "app.db"));
  EXPECT_EQ(names_in(copies.path()), Names{"copy.db"});
  ForeignConnection other(copy());
  EXPECT_EQ(other.ask("PRAGMA user_version"), "7");
  EXPECT_EQ(other.ask("PRAGMA integrity_check"), "ok");
}

// Whoever looks into it needs to make no files beside it.
TEST_F(BackupTo, LeavesACopyThatStandsAlone) {
  Database db = Database::open(folder / "app.db");
  fill_with_notes(db, 10, "a");
  db.backup_to(copy());
  const std::string bytes = bytes_of(copy());
  {
    ForeignConnection other(copy());
    EXPECT_EQ(other.ask("PRAGMA journal_mode"), "delete");
    EXPECT_EQ(other.ask("SELECT count(*) FROM note"), "10");
    EXPECT_EQ(names_in(copies.path()), Names{"copy.db"});
  }
  EXPECT_EQ(bytes_of(copy()), bytes);
}

TEST_F(BackupTo, KeepsTheCopyToItsOwnerWhateverTheUmask) {
  Database db = Database::open(folder / "app.db");
  for (const mode_t mask : {0U, 0777U}) {
    const testing::Umask umask(mask);
    const fs::path file = copies / ("copy-" + std::to_string(mask));
    db.backup_to(file);
    struct stat status {};
    ASSERT_EQ(::stat(file.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0600U);
  }
}

// copy                          writer
// a step  ------------------->  adds a note, commits
// a step  ------------------->  adds a note, commits …
TEST_F(BackupTo, IsOfOneStateAndNeverStartsOverWhileOthersWrite) {
  Database db = Database::open(folder / "app.db");
  fill_with_notes(db, 4000, "before");
  const std::string before = dump_of(folder / "app.db");
  std::vector<std::uint64_t> seen;
  std::stop_source stop;  // or it would go on for ever if it did start over
  db.backup_to(copy(),
               {.on_progress =
                    [&](const BackupProgress& progress) {
                      if (!progress.is_verifying) seen.push_back(progress.copied_bytes);
                      if (seen.size() > 1000) stop.request_stop();
                      elsewhere([&] {
                        db.execute("UPDATE note SET title = 'after', body = randomblob(900) WHERE id % 100 = 0");
                      });
                    },
                .stop = stop.get_token()});
  EXPECT_GT(seen.size(), 20U);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(dump_of(copy()), before);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note WHERE title = 'after'"), 40);
}

TEST_F(BackupTo, TellsHowFarItIs) {
  Database db = Database::open(folder / "app.db");
  fill_with_notes(db, 2000, "a");
  std::vector<BackupProgress> told;
  const BackupReport report =
      db.backup_to(copy(), {.on_progress = [&](const BackupProgress& progress) { told.push_back(progress); }});
  ASSERT_GT(told.size(), 10U);
  for (const BackupProgress& progress : told) EXPECT_EQ(progress.total_bytes, report.bytes);
  EXPECT_TRUE(told.back().is_verifying);
  EXPECT_EQ(told.back().copied_bytes, report.bytes);
  EXPECT_EQ(told[told.size() - 2].copied_bytes, report.bytes);
  EXPECT_FALSE(told[told.size() - 2].is_verifying);
  EXPECT_LT(told.front().copied_bytes, report.bytes / 4);

  told.clear();
  db.backup_to(copies / "unverified.db", {.verification = BackupOptions::Verification::none,
                                          .on_progress = [&](const BackupProgress& p) { told.push_back(p); }});
  EXPECT_FALSE(told.back().is_verifying);
}

TEST_F(BackupTo, KeepsAMemoryDatabase) {
  {
    Database db = Database::in_memory({.memory_limit = 64U << 20U});
    fill_with_notes(db, 1000, "from memory");
    db.backup_to(copy());
  }
  const Database kept = Database::open(copy());
  EXPECT_EQ(kept.query_one<int>("SELECT count(*) FROM note WHERE title = 'from memory'"), 1000);
}

TEST_F(BackupTo, OfADatabaseThatIsOnlyReadLeavesThatAlone) {
  {
    ForeignConnection other(folder / "app.db");
    other.ask("CREATE TABLE note (title TEXT)");
    other.ask("INSERT INTO note VALUES ('a')");
  }
  const std::string bytes = bytes_of(folder / "app.db");
  {
    const Database db = Database::open(folder / "app.db", {.mode = OpenMode::read_only});
    db.backup_to(copy());
  }
  EXPECT_EQ(bytes_of(folder / "app.db"), bytes);
  EXPECT_EQ(names_in(folder.path()), Names{"app.db"});
  EXPECT_EQ(dump_of(copy()), dump_of(folder / "app.db"));
}

TEST_F(BackupTo, CopiesAFileThatHasNothingYet) {
  write_bytes(folder / "app.db", "");
  const Database db = Database::open(folder / "app.db", {.mode = OpenMode::read_only});
  db.backup_to(copy());
  ForeignConnection other(copy());
  EXPECT_EQ(other.ask("SELECT count(*) FROM sqlite_master"), "0");
}

TEST_F(BackupTo, KeepsWhateverFormatTheDatabaseHas) {
  for (const std::string settings :
       {"PRAGMA page_size=512", "PRAGMA page_size=65536", "PRAGMA auto_vacuum=FULL", "PRAGMA encoding='UTF-16be'"}) {
    SCOPED_TRACE(settings);
    const std::string name = std::to_string(std::hash<std::string>()(settings)) + ".db";
    {
      ForeignConnection other(folder / name);
      other.ask(settings);
      other.ask("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body BLOB)");
    }
    Database db = Database::open(folder / name);
    fill_with_notes(db, 800, "größer");
    db.execute("DELETE FROM note WHERE id % 3 = 0");
    db.backup_to(copies / name);
    EXPECT_EQ(dump_of(copies / name), dump_of(folder / name));
    ForeignConnection copied(copies / name);
    for (const char* pragma : {"PRAGMA page_size", "PRAGMA auto_vacuum", "PRAGMA encoding"}) {
      EXPECT_EQ(copied.ask(pragma),
                db.query_one<std::string>(runtime_sql("SELECT CAST(" + std::string(pragma + 7) +
                                                      " AS TEXT) FROM pragma_" + std::string(pragma + 7))));
    }
  }
}

TEST_F(BackupTo, RefusesAPlaceWhereItCannotBe) {
  Database db = Database::open(folder / "app.db");
  write_bytes(copies / "there", "somebody's");
  fs::create_symlink(copies / "nowhere", copies / "link");
  fs::create_directory(copies / "folder");
  const Names before = names_in(copies.path());
  const std::vector<std::pair<fs::path, std::string>> places{
      {"", "empty"},
      {fs::path(std::string(copies / "a") + std::string(1, '\0') + "b"), "NUL"},
      {copies / "folder", "directory"},
      {copies / "folder/", "directory"},
      {copies / "missing/copy.db", "folder cannot be reached"},
      {copies / "link", "symbolic link"},
      {copies / "there", "already"},
      {folder / "app.db", "already"},
      {"/dev/null", "not a regular file"}};
  for (const auto& [place, reason] : places) {
    const auto error = error_of<OpenError>([&, &at = place] { db.backup_to(at); });
    EXPECT_TRUE(mentions(error, reason)) << place << ": " << error.what();
  }
  EXPECT_EQ(names_in(copies.path()), before);
  EXPECT_EQ(bytes_of(copies / "there"), "somebody's");
}

TEST_F(BackupTo, RefusesAFolderThatCannotBeWritten) {
  fs::permissions(folder.path(), fs::perms::all);
  const testing::OrdinaryUser user;
  Database db = Database::open(folder / "app.db");
  const auto error = error_of<OpenError>([&] { db.backup_to("/copy.db"); });
  EXPECT_TRUE(mentions(error, "Permission denied")) << error.what();
}

// SQLite would play them back into the copy as soon as somebody opens it.
TEST_F(BackupTo, RefusesANameThatAnotherDatabaseHasLeftFilesBeside) {
  Database db = Database::open(folder / "app.db");
  for (const char* suffix : {"-wal", "-journal"}) {
    write_bytes(beside(copy(), suffix), "left");
    const auto error = error_of<OpenError>([&] { db.backup_to(copy()); });
    EXPECT_TRUE(mentions(error, suffix)) << error.what();
    EXPECT_FALSE(fs::exists(copy()));
    write_bytes(beside(copy(), suffix), "");
    EXPECT_NO_THROW(db.backup_to(copy()));
    fs::remove(copy());
    fs::remove(beside(copy(), suffix));
  }
}

TEST_F(BackupTo, NeverReplacesAFileThatAppearsMeanwhile) {
  Database db = Database::open(folder / "app.db");
  const auto error = error_of<OpenError>([&] {
    db.backup_to(copy(), {.on_progress = [&](const BackupProgress&) { write_bytes(copy(), "somebody's"); }});
  });
  EXPECT_TRUE(mentions(error, "already")) << error.what();
  EXPECT_EQ(bytes_of(copy()), "somebody's");
  EXPECT_EQ(names_in(copies.path()), Names{"copy.db"});
}

TEST_F(BackupTo, HasNoNameBeforeItIsComplete) {
  Database db = Database::open(folder / "app.db");
  fill_with_notes(db, 500, "a");
  bool was_there = false;
  db.backup_to(copy(), {.on_progress = [&](const BackupProgress&) { was_there = was_there || fs::exists(copy()); }});
  EXPECT_FALSE(was_there);
  EXPECT_TRUE(fs::exists(copy()));
}

TEST_F(BackupTo, TakesTheLongestNameThereIs) {
  Database db = Database::open(folder / "app.db");
  const std::string name(255, 'n');
  db.backup_to(copies / name);
  EXPECT_EQ(names_in(copies.path()), Names{name});
  EXPECT_THROW(db.backup_to(copies / (name + "n")), OpenError);
}

// On request before it begins, between steps, and while it is checked.
TEST_F(BackupTo, LeavesNothingWhenItIsStopped) {
  Database db = Database::open(folder / "app.db", {.readers = 1});
  fill_with_notes(db, 4000, "a");
  db.backup_to(copy());
  fs::remove(copy());
  const std::size_t files = count_open_files();  // now that all connections are open
  for (const int steps : {0, 1, 20, 1000}) {     // the last is the check
    std::stop_source stop;
    if (steps == 0) stop.request_stop();
    int told = 0;
    const auto error = error_of<InterruptedError>([&] {
      db.backup_to(copy(), {.on_progress =
                                [&](const BackupProgress& progress) {
                                  if (++told == steps || progress.is_verifying) stop.request_stop();
                                },
                            .stop = stop.get_token()});
    });
    EXPECT_TRUE(mentions(error, "stop")) << error.what();
    expect_nothing_left();
    EXPECT_EQ(count_open_files(), files);
  }
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 4000) << "the reader has come back";
}

// SQLite reads all pages in one instruction; a stop that comes meanwhile ends it there.
TEST_F(BackupTo, IsStoppedInTheMiddleOfItsCheck) {
  std::stop_source stop;
  bool is_armed = false;
  int reads = 0;
  const auto store = detail::MemoryStore::make(0, [&](const detail::FileAccess& access) {
    if (is_armed && access.operation == detail::FileOperation::read && ++reads == 20) stop.request_stop();
    return SQLITE_OK;
  });
  {
    Database db = detail::CoreAccess::in_memory({}, store);
    fill_with_notes(db, 2000, "a");
  }
  detail::Connection connection(
      {.database = "checked", .memory = store, .role = detail::Role::writer, .page_cache = 4096});
  is_armed = true;
  EXPECT_THROW(detail::expect_integrity(connection, "it", "checked", stop.get_token()), InterruptedError);
  EXPECT_GE(reads, 20);
  EXPECT_LT(reads, 100) << "of 700 pages";
}

TEST_F(BackupTo, IsInterruptedByADrainThatGivesUp) {
  Database db = Database::open(folder / "app.db", {.readers = 1});
  fill_with_notes(db, 500, "a");
  std::vector<LeaseReport> overstaying;
  EXPECT_THROW(db.backup_to(copy(), {.on_progress =
                                         [&](const BackupProgress&) {
                                           if (overstaying.empty()) elsewhere([&] { overstaying = db.drain(0ms); });
                                         }}),
               InterruptedError);
  ASSERT_EQ(overstaying.size(), 1U);
  EXPECT_EQ(overstaying.front().activity, "backup");
  expect_nothing_left();
}

// Damages the table's data, not its page of the schema.
void damage(const fs::path& database) {
  std::string bytes = bytes_of(database);
  ASSERT_GT(bytes.size(), 40'000U);
  std::fill(bytes.begin() + 20'000, bytes.begin() + 36'000, '\x5a');
  write_bytes(database, bytes);
}

TEST_F(BackupTo, TellsOfADamagedDatabaseInsteadOfKeepingItsCopy) {
  {
    Database db = Database::open(folder / "app.db");
    fill_with_notes(db, 200, "a");
  }
  damage(folder / "app.db");
  Database db = Database::open(folder / "app.db");
  const auto error = error_of<CorruptError>([&] { db.backup_to(copy()); });
  EXPECT_TRUE(mentions(error, (folder / "app.db").string())) << error.what();
  expect_nothing_left();
  EXPECT_NO_THROW(db.backup_to(copy(), {.verification = BackupOptions::Verification::none}));
  EXPECT_TRUE(fs::exists(copy()));
}

TEST_F(BackupTo, NeverCopiesTheFallback) {
  {
    Database fallback = Database::open(folder / "fallback.db");
    fill_with_notes(fallback, 10, "fallback");
  }
  Database db =
      Database::open(folder / "app.db", {.readers = 1, .acquire_timeout = 0ms, .fallback = folder / "fallback.db"});
  fill_with_notes(db, 10, "own");
  const Snapshot reader = db.snapshot();
  std::jthread([&] {
    EXPECT_EQ(db.query_one<std::string>("SELECT min(title) FROM note"), "fallback");
    EXPECT_THROW(db.backup_to(copy()), TimeoutError);
  }).join();
  expect_nothing_left();
}

TEST_F(BackupTo, InsideAWriteIsOfTheStateBeforeIt) {
  Database db = Database::open(folder / "app.db");
  fill_with_notes(db, 3, "before");
  db.write([&](Transaction& tx) {
    tx.execute("DELETE FROM note");
    db.backup_to(copy());
  });
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 0);
  EXPECT_EQ(ForeignConnection(copy()).ask("SELECT count(*) FROM note"), "3");
}

TEST_F(BackupTo, WorksWhereTheFileIsThisProcesssAlone) {
  Database db = Database::open(folder / "app.db", {.locking = Locking::exclusive});
  fill_with_notes(db, 100, "a");
  db.backup_to(copy());
  EXPECT_EQ(ForeignConnection(copy()).ask("SELECT count(*) FROM note"), "100");
  EXPECT_TRUE(testing::is_locked_out(testing::run_in_shell(folder / "app.db", "SELECT 1 FROM note")));
}

TEST_F(BackupTo, IsRefusedAfterClose) {
  Database db = Database::open(folder / "app.db");
  db.close();
  EXPECT_THROW(db.backup_to(copy()), ClosedError);
  expect_nothing_left();
}

// The copy that a migration makes before it begins.
class BackupThatReplaces : public BackupTo {
 protected:
  BackupReport back_up(const BackupOptions& options = {}) {
    return detail::back_up(detail::CoreAccess::core(db), copy(), detail::Existing::replace, options,
                           CallSite::current());
  }

  Database db = Database::open(folder / "app.db");
};

TEST_F(BackupThatReplaces, KeepsTheOldFileUntilTheNewOneIsComplete) {
  fill_with_notes(db, 1, "a");
  back_up();
  fill_with_notes(db, 600, "b");
  const std::string old = bytes_of(copy());
  int told = 0;
  back_up({.on_progress = [&](const BackupProgress&) { EXPECT_EQ(bytes_of(copy()), old) << ++told; }});
  EXPECT_EQ(dump_of(copy()), dump_of(folder / "app.db"));
  EXPECT_EQ(names_in(copies.path()), Names{"copy.db"});
}

TEST_F(BackupThatReplaces, LeavesTheOldFileWhenItFails) {
  write_bytes(copy(), "old");
  std::stop_source stop;
  EXPECT_THROW(back_up({.on_progress = [&](const BackupProgress&) { stop.request_stop(); }, .stop = stop.get_token()}),
               InterruptedError);
  EXPECT_EQ(bytes_of(copy()), "old");
  EXPECT_EQ(names_in(copies.path()), Names{"copy.db"});
}

TEST_F(BackupThatReplaces, RefusesADirectoryALinkAndWhatThisProcessHasOpen) {
  fs::create_directory(copy());
  EXPECT_THROW(back_up(), OpenError);
  fs::remove(copy());
  fs::create_symlink(folder / "app.db", copy());
  EXPECT_THROW(back_up(), OpenError);
  fs::remove(copy());
  {
    const Database open = Database::open(copy());
    EXPECT_THROW(back_up(), UsageError);
  }
  EXPECT_EQ(names_in(copies.path()), Names{"copy.db"});
  EXPECT_NO_THROW(back_up());
}

// The name is given last: what a kill leaves is a file of another name.
TEST_F(BackupTo, OfAKilledProgramIsNotThere) {
  testing::ChildProcess child([&](const testing::LinePipe&, const testing::LinePipe&) {
    Database db = Database::open(folder / "app.db");
    fill_with_notes(db, 2000, "a");
    int told = 0;
    db.backup_to(copy(), {.on_progress = [&](const BackupProgress&) {
                   if (++told == 10) ::kill(::getpid(), SIGKILL);
                 }});
  });
  EXPECT_EQ(child.join(), -1);
  EXPECT_FALSE(fs::exists(copy()));
  Database db = Database::open(folder / "app.db");
  db.backup_to(copy());
  EXPECT_EQ(ForeignConnection(copy()).ask("SELECT count(*) FROM note"), "2000");
}

}  // namespace
}  // namespace sqlane
