#include <cstdint>
#include <filesystem>
#include <set>
#include <signal.h>
#include <sqlite3.h>
#include <stop_token>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/foreign_process.hpp"
#include "support/sample_notes.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;

using namespace std::chrono_literals;
using testing::beside;
using testing::bytes_of;
using testing::contents_of;
using testing::dump_of;
using testing::error_of;
using testing::fill_with_notes;
using testing::ForeignConnection;
using testing::mentions;
using testing::TemporaryFolder;
using testing::write_bytes;

std::string title(const Database& db) { return db.query_one<std::string>("SELECT min(title) FROM note"); }

template <class Action>
void elsewhere(Action&& action) {
  std::jthread(std::forward<Action>(action)).join();
}

// app.db has some notes "own", source.db many "restored".
class RestoreFrom : public ::testing::Test {
 protected:
  RestoreFrom() {
    Database source = Database::open(from);
    fill_with_notes(source, 2000, "restored");
    source.backup_to(folder / "copy");
    source.close();
    fs::rename(folder / "copy", from);
    fill_with_notes(db, 20, "own");
  }

  void expect_unchanged() {
    EXPECT_EQ(title(db), "own");
    EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 20);
    EXPECT_EQ(db.query_one<std::string>("PRAGMA integrity_check"), "ok");
    EXPECT_NO_THROW(db.write([](Transaction& tx) {
      tx.execute("INSERT INTO note (title) VALUES ('more')");
      tx.execute("DELETE FROM note WHERE title = 'more'");
    }));
  }

  TemporaryFolder folder;
  TemporaryFolder sources;
  fs::path from = sources / "source.db";
  fs::path file = folder / "app.db";
  Database db = Database::open(file, {.readers = 4});
};

TEST_F(RestoreFrom, ReplacesAllContents) {
  db.execute("CREATE TABLE other (x)");
  const std::string before = bytes_of(from);
  const BackupReport report = db.restore_from(from);
  EXPECT_EQ(report.bytes, fs::file_size(from));
  EXPECT_EQ(dump_of(file), dump_of(from));
  EXPECT_EQ(bytes_of(from), before);
  EXPECT_EQ(contents_of(sources.path()).size(), 1U) << "nothing was made beside it";
  EXPECT_EQ(db.query_one<std::string>("PRAGMA integrity_check"), "ok");
}

TEST_F(RestoreFrom, LeavesTheDatabaseInWalMode) {
  db.restore_from(from);
  EXPECT_EQ(ForeignConnection(file).ask("PRAGMA journal_mode"), "wal");
  db.execute("INSERT INTO note (title) VALUES ('after')");
  db.close();
  EXPECT_EQ(ForeignConnection(file).ask("PRAGMA journal_mode"), "wal");
  EXPECT_EQ(ForeignConnection(file).ask("SELECT count(*) FROM note"), "2001");
}

TEST_F(RestoreFrom, ShowsTheNewSchemaToStatementsThatWerePreparedBefore) {
  db.execute("ALTER TABLE note ADD COLUMN extra TEXT DEFAULT 'x'");
  const auto columns = [&] { return db.query_one<int>("SELECT count(*) FROM pragma_table_info('note')"); };
  const auto add = [&] { db.execute("INSERT INTO note (title, body) VALUES (?, ?)", "more", "text"); };
  EXPECT_EQ(columns(), 4);
  add();
  EXPECT_EQ(title(db), "more");
  db.restore_from(from);
  EXPECT_EQ(columns(), 3);
  EXPECT_EQ(title(db), "restored");
  add();
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 2001);
  EXPECT_THROW(static_cast<void>(db.query<std::string>("SELECT extra FROM note")), SchemaError);
}

// restore                       readers
// (begun before)                snapshot: own
// a step  ------------------->  a new read: own
// …
// returns ------------------->  a new read: restored; the snapshot: own still
TEST_F(RestoreFrom, ShowsReadersTheStateBeforeOrAfter) {
  const Snapshot old = db.snapshot();
  int reads = 0;
  db.restore_from(from, {.on_progress = [&](const BackupProgress& progress) {
                    const bool is_done = !progress.is_verifying && progress.copied_bytes == progress.total_bytes;
                    elsewhere([&] { EXPECT_EQ(title(db), is_done ? "restored" : "own"); });
                    ++reads;
                  }});
  EXPECT_GT(reads, 10);
  EXPECT_EQ(title(db), "restored");
  EXPECT_EQ(old.query_one<std::string>("SELECT min(title) FROM note"), "own");
}

// Nobody writes between its first page and its last; who waits comes after it.
TEST_F(RestoreFrom, HoldsTheLane) {
  std::jthread writer;
  bool was_held = false;
  db.restore_from(from, {.on_progress = [&](const BackupProgress& progress) {
                    if (progress.is_verifying || writer.joinable()) return;
                    const std::optional<LaneHolder> holder = db.lane_holder();
                    was_held = holder && holder->sql == "restore";
                    writer = std::jthread([&] { db.execute("INSERT INTO note (title) VALUES ('later')"); });
                  }});
  writer.join();
  EXPECT_TRUE(was_held);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note WHERE title = 'later'"), 1);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 2001);
}

// What was checked is what is copied, whatever the source's writer does.
TEST_F(RestoreFrom, TakesOneStateOfADatabaseThatSomebodyWrites) {
  Database source = Database::open(from);
  const std::string state = dump_of(from);
  std::stop_source stop;  // or it would go on for ever if it started over
  int told = 0;
  const auto write = [&] {
    source.execute("UPDATE note SET title = 'newer', body = randomblob(800) WHERE id % 50 = 0");
  };
  db.restore_from(from, {.on_progress =
                             [&](const BackupProgress&) {
                               if (++told > 500) stop.request_stop();
                               elsewhere(write);
                             },
                         .stop = stop.get_token()});
  EXPECT_EQ(dump_of(file), state);
  EXPECT_EQ(source.query_one<int>("SELECT count(*) FROM note WHERE title = 'newer'"), 40);
}

TEST_F(RestoreFrom, ReadsALogThatIsBesideTheSource) {
  ForeignConnection writer(from);
  writer.ask("PRAGMA journal_mode=WAL");
  writer.ask("PRAGMA wal_autocheckpoint=0");
  writer.ask("INSERT INTO note (title) VALUES ('in the log')");
  ASSERT_GT(fs::file_size(beside(from, "-wal")), 0U);
  db.restore_from(from);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note WHERE title = 'in the log'"), 1);
}

// As after a crash: a database and its log, which nobody has open.
TEST_F(RestoreFrom, ReadsALogThatACrashHasLeftAndChangesNeither) {
  {
    ForeignConnection writer(from);
    writer.ask("PRAGMA journal_mode=WAL");
    writer.ask("PRAGMA wal_autocheckpoint=0");
    writer.ask("INSERT INTO note (title) VALUES ('in the log')");
    fs::copy_file(from, sources / "crashed.db");
    fs::copy_file(beside(from, "-wal"), sources / "crashed.db-wal");
  }
  const std::string bytes = bytes_of(sources / "crashed.db");
  const std::string log = bytes_of(sources / "crashed.db-wal");
  db.restore_from(sources / "crashed.db");
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note WHERE title = 'in the log'"), 1);
  EXPECT_EQ(bytes_of(sources / "crashed.db"), bytes);
  EXPECT_EQ(bytes_of(sources / "crashed.db-wal"), log);
}

TEST_F(RestoreFrom, LeavesNothingBesideASourceInWalMode) {
  ForeignConnection(from).ask("PRAGMA journal_mode=WAL");
  const auto before = contents_of(sources.path());
  db.restore_from(from);
  EXPECT_EQ(contents_of(sources.path()), before);
}

TEST_F(RestoreFrom, TakesASourceThatThisProcessHasOpen) {
  for (const Locking locking : {Locking::shared, Locking::exclusive}) {
    const Database source = Database::open(from, {.locking = locking});
    db.restore_from(from);
    EXPECT_EQ(title(db), "restored");
    EXPECT_EQ(title(source), "restored");
    db.execute("UPDATE note SET title = 'own'");
  }
}

TEST_F(RestoreFrom, WorksWhereTheFileIsThisProcesssAlone) {
  db.close();
  Database own = Database::open(file, {.locking = Locking::exclusive});
  own.restore_from(from);
  EXPECT_EQ(title(own), "restored");
  own.execute("UPDATE note SET title = 'written'");
  EXPECT_TRUE(testing::is_locked_out(testing::run_in_shell(file, "SELECT 1 FROM note")));
  own.close();
  EXPECT_EQ(ForeignConnection(file).ask("SELECT min(title) FROM note"), "written");
}

TEST_F(RestoreFrom, RefusesTheDatabaseItself) {
  EXPECT_THROW(db.restore_from(file), UsageError);
  EXPECT_THROW(db.restore_from(folder / "." / "app.db"), UsageError);
  fs::create_hard_link(file, folder / "same.db");
  const auto error = error_of<OpenError>([&] { db.restore_from(folder / "same.db"); });
  EXPECT_TRUE(mentions(error, "hard links")) << error.what();
  fs::remove(folder / "same.db");
  expect_unchanged();
}

TEST_F(RestoreFrom, RefusesPagesOfAnotherSizeAndNamesBoth) {
  {
    ForeignConnection other(sources / "large.db");
    other.ask("PRAGMA page_size=8192");
    other.ask("CREATE TABLE note (title TEXT)");
  }
  const auto error = error_of<OpenError>([&] { db.restore_from(sources / "large.db"); });
  EXPECT_TRUE(mentions(error, "8192")) << error.what();
  EXPECT_TRUE(mentions(error, "4096")) << error.what();
  expect_unchanged();
}

TEST_F(RestoreFrom, RefusesWhatIsNoDatabase) {
  write_bytes(sources / "empty", "");
  write_bytes(sources / "text", std::string(5000, 'x'));
  fs::create_symlink(from, sources / "link");
  const std::vector<std::pair<fs::path, std::string>> places{
      {sources / "missing", "No such file"},    {sources / "empty", "is empty"}, {sources / "text", "not a database"},
      {sources / "link", "symbolic link"},      {sources.path(), "directory"},   {"", "empty"},
      {fs::path(std::string("a\0b", 3)), "NUL"}};
  const auto before = contents_of(sources.path());
  for (const auto& [place, reason] : places) {
    const auto error = error_of<OpenError>([&, &at = place] { db.restore_from(at); });
    EXPECT_TRUE(mentions(error, reason)) << place << ": " << error.what();
  }
  EXPECT_EQ(contents_of(sources.path()), before);
  expect_unchanged();
}

TEST_F(RestoreFrom, RefusesADamagedSourceUnlessToldNotToLook) {
  std::string bytes = bytes_of(from);
  std::fill(bytes.begin() + 200'000, bytes.begin() + 220'000, '\x5a');
  write_bytes(from, bytes);
  const auto error = error_of<CorruptError>([&] { db.restore_from(from); });
  EXPECT_TRUE(mentions(error, from.string())) << error.what();
  expect_unchanged();
  EXPECT_NO_THROW(db.restore_from(from, {.verification = BackupOptions::Verification::none}));
  EXPECT_NE(db.query_one<std::string>("SELECT integrity_check FROM pragma_integrity_check"), "ok");
}

TEST_F(RestoreFrom, RefusesASourceThatIsCutOff) {
  fs::resize_file(from, fs::file_size(from) / 2);
  EXPECT_THROW(db.restore_from(from), CorruptError);
  EXPECT_THROW(db.restore_from(from, {.verification = BackupOptions::Verification::none}), CorruptError);
  expect_unchanged();
}

TEST_F(RestoreFrom, ChangesNothingWhenItIsStopped) {
  for (const int steps : {0, 1, 2, 20}) {
    std::stop_source stop;
    if (steps == 0) stop.request_stop();
    int told = 0;
    EXPECT_THROW(db.restore_from(from, {.on_progress =
                                            [&](const BackupProgress&) {
                                              if (++told == steps) stop.request_stop();
                                            },
                                        .stop = stop.get_token()}),
                 InterruptedError);
    EXPECT_EQ(told, steps);
    expect_unchanged();
  }
}

TEST_F(RestoreFrom, IsDoneWhenItIsStoppedTooLate) {
  std::stop_source stop;
  EXPECT_NO_THROW(db.restore_from(from, {.on_progress =
                                             [&](const BackupProgress& progress) {
                                               if (progress.copied_bytes == progress.total_bytes) stop.request_stop();
                                             },
                                         .stop = stop.get_token()}));
  EXPECT_EQ(title(db), "restored");
}

TEST_F(RestoreFrom, IsInterruptedByADrainThatGivesUp) {
  std::vector<LeaseReport> overstaying;
  EXPECT_THROW(db.restore_from(from, {.on_progress =
                                          [&](const BackupProgress& progress) {
                                            if (progress.is_verifying || !overstaying.empty()) return;
                                            elsewhere([&] { overstaying = db.drain(0ms); });
                                          }}),
               InterruptedError);
  ASSERT_EQ(overstaying.size(), 1U);
  EXPECT_EQ(overstaying.front().activity, "restore");
  db.close();
  EXPECT_EQ(ForeignConnection(file).ask("SELECT count(*) FROM note"), "20");
}

TEST_F(RestoreFrom, WaitsForTheLaneOnlyAsLongAsACallDoes) {
  db.close();
  Database impatient = Database::open(file, {.acquire_timeout = 0ms});
  Transaction holder = impatient.begin();
  elsewhere([&] { EXPECT_THROW(impatient.restore_from(from), TimeoutError); });
  EXPECT_THROW(impatient.restore_from(from), UsageError) << "this thread has the lane itself";
  holder.rollback();
  EXPECT_NO_THROW(impatient.restore_from(from));
}

TEST_F(RestoreFrom, GivesUpWhenAnotherProgramWrites) {
  db.close();
  Database impatient = Database::open(file, {.busy_timeout = 0ms});
  ForeignConnection other(file);
  other.ask("BEGIN IMMEDIATE");
  EXPECT_THROW(impatient.restore_from(from), BusyError);
  other.ask("ROLLBACK");
  EXPECT_EQ(title(impatient), "own");
  EXPECT_NO_THROW(impatient.restore_from(from));
}

TEST_F(RestoreFrom, IsAWrite) {
  const Database reading = Database::open(file, {.mode = OpenMode::read_only});
  Database& only_reads = const_cast<Database&>(reading);
  EXPECT_THROW(only_reads.restore_from(from), ReadOnlyError);
  db.write([&](Transaction&) { EXPECT_THROW(db.restore_from(from), UsageError); });
  expect_unchanged();
}

TEST_F(RestoreFrom, TellsWhenTheFileWasTakenAway) {
  fs::rename(file, folder / "moved.db");
  EXPECT_THROW(db.restore_from(from), IoError);
}

TEST_F(RestoreFrom, FillsAMemoryDatabase) {
  Database memory = Database::in_memory();
  memory.restore_from(from);
  EXPECT_EQ(memory.query_one<int>("SELECT count(*) FROM note"), 2000);
  EXPECT_EQ(memory.query_one<std::string>("PRAGMA integrity_check"), "ok");
  memory.execute("DELETE FROM note");
  EXPECT_EQ(memory.query_one<int>("SELECT count(*) FROM note"), 0);
}

TEST_F(RestoreFrom, LeavesAMemoryDatabaseThatHasNoRoomAsItWas) {
  // For the database itself there is room, or not even that; never for the log of so much at once.
  for (const std::size_t limit : {std::size_t{6} << 20U, std::size_t{1} << 20U}) {
    Database memory = Database::in_memory({.memory_limit = limit});
    fill_with_notes(memory, 20, "own");
    EXPECT_THROW(memory.restore_from(from), DiskFullError);
    EXPECT_EQ(title(memory), "own");
    EXPECT_NO_THROW(fill_with_notes(memory, 20, "own"));
    EXPECT_EQ(memory.query_one<std::string>("PRAGMA integrity_check"), "ok");
  }
  Database roomy = Database::in_memory({.memory_limit = std::size_t{32} << 20U});
  EXPECT_NO_THROW(roomy.restore_from(from));
  EXPECT_EQ(roomy.query_one<int>("SELECT count(*) FROM note"), 2000);
}

// Changed pages beyond the page cache go to the log.
TEST_F(RestoreFrom, KeepsFarLessThanTheDatabaseInMemory) {
  {
    Database source = Database::open(from);
    fill_with_notes(source, 20'000, "restored");
  }
  db.close();
  Database small = Database::open(file, {.page_cache = 1U << 20U});
  sqlite3_memory_highwater(1);
  const sqlite3_int64 before = sqlite3_memory_used();
  const BackupReport report = small.restore_from(from);
  const sqlite3_int64 most = sqlite3_memory_highwater(1) - before;
  EXPECT_GT(report.bytes, 20U << 20U);
  EXPECT_LT(most, 8 << 20);
  EXPECT_EQ(small.query_one<int>("SELECT count(*) FROM note"), 22'000);
  EXPECT_EQ(small.query_one<std::string>("PRAGMA integrity_check"), "ok");
}

// Else the log would stay as large as the database, up to the next checkpoint.
TEST_F(RestoreFrom, CopiesTheLogBackRightAway) {
  db.close();
  Database own = Database::open(file, {.checkpoint_pages = 100});
  const std::uint64_t checkpoints = own.stats().checkpoints;
  own.restore_from(from);
  EXPECT_EQ(own.stats().checkpoints, checkpoints + 1);
  const std::uintmax_t log = own.stats().wal_bytes;
  own.execute("INSERT INTO note (title) VALUES ('after')");
  EXPECT_EQ(own.stats().wal_bytes, log) << "the log starts over";
  EXPECT_EQ(own.query_one<int>("SELECT count(*) FROM note"), 2001);
}

TEST_F(RestoreFrom, LeavesAConnectionThatDoesNotSpillToTheNextWriter) {
  for (int i = 0; i < 3; ++i) {
    db.restore_from(from);
    db.write([&](Transaction& tx) {
      {
        const Savepoint undone = tx.savepoint();
        tx.execute("DELETE FROM note");
      }
      tx.execute("INSERT INTO note (title) VALUES ('kept')");
    });
    EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 2001);
  }
}

// Killed at each of several steps: the state before, always.
TEST_F(RestoreFrom, OfAKilledProgramHasNotHappened) {
  db.close();
  for (const int steps : {1, 2, 10, 20}) {
    testing::ChildProcess child([&](const testing::LinePipe&, const testing::LinePipe&) {
      Database own = Database::open(file, {.page_cache = 64U << 10U});
      int told = 0;
      own.restore_from(from, {.on_progress = [&](const BackupProgress&) {
                         if (++told == steps) ::kill(::getpid(), SIGKILL);
                       }});
    });
    EXPECT_EQ(child.join(), -1);
    Database after = Database::open(file);
    EXPECT_EQ(title(after), "own");
    EXPECT_EQ(after.query_one<std::string>("PRAGMA integrity_check"), "ok");
  }
}

TEST_F(RestoreFrom, ThatHasReturnedOutlivesAKilledProgram) {
  db.close();
  testing::ChildProcess child([&](const testing::LinePipe&, const testing::LinePipe&) {
    Database own = Database::open(file, {.checkpoint_pages = 1'000'000});
    own.restore_from(from);
    ::kill(::getpid(), SIGKILL);
  });
  EXPECT_EQ(child.join(), -1);
  Database after = Database::open(file);
  EXPECT_EQ(after.query_one<int>("SELECT count(*) FROM note"), 2000);
  EXPECT_EQ(after.query_one<std::string>("PRAGMA integrity_check"), "ok");
}

// There and back.
TEST_F(RestoreFrom, TakesWhatBackupToHasMade) {
  const std::string before = dump_of(file);
  db.backup_to(sources / "backup.db");
  db.execute("DROP TABLE note");
  db.restore_from(sources / "backup.db");
  EXPECT_EQ(dump_of(file), before);
}

}  // namespace
}  // namespace sqlane
