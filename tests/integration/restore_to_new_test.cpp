#include <filesystem>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <sys/stat.h>

#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/folder_entries.hpp"
#include "support/foreign_connection.hpp"
#include "support/sample_notes.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using testing::bytes_of;
using testing::Contents;
using testing::dump_of;
using testing::Entries;
using testing::entries_of;
using testing::error_of;
using testing::expect_same_entries;
using testing::fill_with_notes;
using testing::ForeignConnection;
using testing::mentions;
using testing::TemporaryFolder;
using testing::write_bytes;

enum class Destination : std::uint8_t { missing, empty };

// copy.db has notes; app.db is not there, or empty.
class RestoreToNew : public ::testing::TestWithParam<Destination> {
 protected:
  RestoreToNew() {
    Database source = Database::open(copy, {.durability = Durability::normal, .page_size = 1024});
    fill_with_notes(source, 300, "restored");
    source.close();
    if (GetParam() == Destination::empty) write_bytes(file, "");
  }

  TemporaryFolder folder;
  fs::path file = folder / "app.db";
  fs::path copy = folder / "copy.db";
};

INSTANTIATE_TEST_SUITE_P(Of, RestoreToNew, ::testing::Values(Destination::missing, Destination::empty),
                         [](const ::testing::TestParamInfo<Destination>& tested) {
                           return std::string(tested.param == Destination::missing ? "AMissingFile" : "AnEmptyFile");
                         });

TEST_P(RestoreToNew, MakesADatabaseWithThePagesOfTheCopy) {
  const BackupReport report = restore_to_new(file, copy);
  EXPECT_EQ(report.bytes, fs::file_size(file));
  EXPECT_EQ(dump_of(file), dump_of(copy));
  EXPECT_FALSE(fs::exists(testing::beside(file, "-journal")));
  Database db = Database::open(file);
  EXPECT_EQ(db.query_one<int>("PRAGMA page_size"), 1024);
  db.execute("INSERT INTO note (title) VALUES ('after')");
}

TEST_P(RestoreToNew, LeavesAllAsItWasWhenItIsStopped) {
  const Entries before = entries_of(folder.path(), Contents::read);
  for (int steps = 0; steps < 5; ++steps) {
    std::stop_source stop;
    int told = 0;
    const auto on_progress = [&](const BackupProgress&) {
      if (told++ == steps) stop.request_stop();
    };
    EXPECT_THROW(restore_to_new(file, copy, {.on_progress = on_progress, .stop = stop.get_token()}), InterruptedError);
    expect_same_entries(entries_of(folder.path(), Contents::read), before);
    EXPECT_EQ(told, steps + 1);
  }
}

TEST_P(RestoreToNew, LeavesAllAsItWasWhereTheCopyIsOfNoUse) {
  std::string damaged = bytes_of(copy);
  std::fill(damaged.begin() + 20 * 1024, damaged.begin() + 40 * 1024, '\x5a');
  for (const std::string& content : {damaged, std::string(), std::string(5000, 'x')}) {
    write_bytes(copy, content);
    const Entries before = entries_of(folder.path(), Contents::read);
    EXPECT_THROW(restore_to_new(file, copy), Error);
    expect_same_entries(entries_of(folder.path(), Contents::read), before);
  }
}

TEST(RestoreToNewElsewhere, KeepsTheEmptyFileWithItsMode) {
  const TemporaryFolder folder;
  ForeignConnection(folder / "copy.db").run("CREATE TABLE t (a); INSERT INTO t VALUES (7)");
  write_bytes(folder / "app.db", "");
  ASSERT_EQ(::chmod((folder / "app.db").c_str(), 0640), 0);
  struct stat before {};
  ASSERT_EQ(::stat((folder / "app.db").c_str(), &before), 0);
  restore_to_new(folder / "app.db", folder / "copy.db");
  struct stat after {};
  ASSERT_EQ(::stat((folder / "app.db").c_str(), &after), 0);
  EXPECT_EQ(after.st_ino, before.st_ino);
  EXPECT_EQ(after.st_mode, before.st_mode);
}

TEST(RestoreToNewElsewhere, RefusesAFileThatHoldsSomething) {
  const TemporaryFolder folder;
  ForeignConnection(folder / "copy.db").run("CREATE TABLE t (a)");
  ForeignConnection(folder / "app.db").run("CREATE TABLE own (a)");
  const std::string before = bytes_of(folder / "app.db");
  const auto error = error_of<OpenError>([&] { restore_to_new(folder / "app.db", folder / "copy.db"); });
  EXPECT_TRUE(mentions(error, "there is a file already")) << error.what();
  EXPECT_EQ(bytes_of(folder / "app.db"), before);
}

TEST(RestoreToNewElsewhere, WaitsForNoProgramThatHasTheEmptyFileLocked) {
  const TemporaryFolder folder;
  ForeignConnection(folder / "copy.db").run("CREATE TABLE t (a)");
  ForeignConnection other(folder / "app.db");
  other.run("BEGIN EXCLUSIVE");
  EXPECT_THROW(restore_to_new(folder / "app.db", folder / "copy.db"), BusyError);
  other.run("CREATE TABLE own (a); COMMIT");
  EXPECT_EQ(other.ask("SELECT count(*) FROM own"), "0");
}

// Databases in DELETE mode, which are left in it.
class CheckedRestore : public ::testing::Test {
 protected:
  CheckedRestore() { ForeignConnection(file).run("CREATE TABLE note (title); INSERT INTO note VALUES ('own')"); }

  void expect_refused(std::string_view reason, const BackupOptions& options = {}) const {
    const Entries before = entries_of(folder.path(), Contents::read);
    {
      const Database db = Database::open(file, {.mode = OpenMode::read_only});
      try {
        check_restore(db, copy, options);
        ADD_FAILURE() << "not refused";
      } catch (const Error& error) {
        EXPECT_TRUE(mentions(error, reason)) << error.what();
      }
    }
    expect_same_entries(entries_of(folder.path(), Contents::read), before);
  }

  TemporaryFolder folder;
  fs::path file = folder / "app.db";
  fs::path copy = folder / "copy.db";
};

TEST_F(CheckedRestore, RefusesWhatRestoringWouldRefuse) {
  expect_refused("No such file");
  write_bytes(copy, "");
  expect_refused("it is empty");
  ForeignConnection(copy).run("PRAGMA page_size=1024; CREATE TABLE t (a)");
  expect_refused("it has pages of 1024 bytes");
  fs::remove(copy);
  ForeignConnection(copy).run("PRAGMA encoding='UTF-16le'; CREATE TABLE t (a)");
  expect_refused("its texts are in UTF-16le");
  fs::remove(copy);
  ForeignConnection(copy).run(
      "CREATE TABLE t (a); INSERT INTO t VALUES (NULL); PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = "
      "'CREATE TABLE t (a NOT NULL)'");
  expect_refused("NULL value in t.a");
}

TEST_F(CheckedRestore, ChangesNothingWhereRestoringWouldWork) {
  ForeignConnection(copy).run("CREATE TABLE note (title); INSERT INTO note VALUES ('restored')");
  const Entries before = entries_of(folder.path(), Contents::read);
  EXPECT_NO_THROW(check_restore(Database::open(file, {.mode = OpenMode::read_only}), copy));
  expect_same_entries(entries_of(folder.path(), Contents::read), before);
  Database db = Database::open(file);
  check_restore(db, copy);
  EXPECT_EQ(db.query_one<std::string>("SELECT title FROM note"), "own");
  db.restore_from(copy);
  EXPECT_EQ(db.query_one<std::string>("SELECT title FROM note"), "restored");
}

}  // namespace
}  // namespace sqlane
