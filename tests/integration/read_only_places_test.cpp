#include <filesystem>
#include <sqlite3.h>
#include <string>
#include <sys/stat.h>

#include "sqlane/detail/queries.hpp"
#include "sqlite/connection.hpp"
#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/permissions.hpp"
#include "support/temporary_folder.hpp"
#include "support/write_ahead_log.hpp"

// Reading where one cannot write: on read-only media, in write-protected folders.
namespace sqlane {
namespace {

namespace fs = std::filesystem;
using detail::Connection;
using detail::Medium;
using detail::Role;
using testing::beside;
using testing::contents_of;
using testing::error_of;
using testing::ForeignConnection;
using testing::mentions;
using testing::OrdinaryUser;
using testing::TemporaryFolder;

class ReadOnlyPlaces : public ::testing::Test {
 protected:
  ReadOnlyPlaces() { fs::create_directory(place_); }
  ~ReadOnlyPlaces() override { protect(0700); }

  // A database that was closed properly, in WAL mode; the file alone.
  void leave_closed(const fs::path& path) const {
    ForeignConnection made(path);
    made.run("PRAGMA journal_mode=WAL");
    made.run("CREATE TABLE in_the_log (x)");
  }
  // A database with a log of `commits`, and no index.
  void leave_log(const fs::path& path, int commits) const { testing::leave_log(folder_ / "work.db", path, commits); }
  // A database with a journal that has to be played back first.
  void leave_journal(const fs::path& path) const {
    const fs::path work = folder_ / "work.db";
    ForeignConnection writer(work);
    writer.run("PRAGMA cache_size=1; CREATE TABLE in_the_log (x); INSERT INTO in_the_log VALUES (zeroblob(100000))");
    writer.run("BEGIN; UPDATE in_the_log SET x = zeroblob(100001)");
    fs::copy_file(work, path);
    fs::copy_file(beside(work, "-journal"), beside(path, "-journal"));
  }

  void protect(mode_t mode) const {
    ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
    for (const auto& entry : fs::directory_iterator(place_)) {
      ASSERT_EQ(::chmod(entry.path().c_str(), 0666), 0);
    }
    ASSERT_EQ(::chmod(place_.c_str(), mode), 0);
  }

  [[nodiscard]] static Connection read_from_fixed_medium(const fs::path& path) {
    return Connection({.database = path.string(), .medium = Medium::fixed, .role = Role::reader});
  }
  [[nodiscard]] static int rows_on_fixed_medium(const fs::path& path) {
    Connection reader = read_from_fixed_medium(path);
    const auto sql = runtime_sql("SELECT count(*) FROM in_the_log");
    return detail::fetch_one<int>(reader, detail::SqlFor<Access::read>(sql).text());
  }

  TemporaryFolder folder_;
  const fs::path place_ = folder_ / "place";
  const fs::path file_ = place_ / "app.db";
};

// Media that nobody can write to

TEST_F(ReadOnlyPlaces, AFileWithoutALogIsReadAsItIs) {
  const fs::path odd = place_ / "what is 100% #1?&mode=rwc.db";
  leave_closed(odd);
  const auto before = contents_of(place_);
  EXPECT_EQ(rows_on_fixed_medium(odd), 0);
  EXPECT_EQ(contents_of(place_), before);
}

TEST_F(ReadOnlyPlaces, ALogIsReadWithoutFilesBesideIt) {
  leave_log(file_, 3);
  const auto before = contents_of(place_);
  EXPECT_EQ(rows_on_fixed_medium(file_), 3);
  EXPECT_EQ(contents_of(place_), before);
}

TEST_F(ReadOnlyPlaces, AnEmptyLogIsNone) {
  leave_closed(file_);
  testing::write_bytes(beside(file_, "-wal"), "");
  const auto before = contents_of(place_);
  EXPECT_EQ(rows_on_fixed_medium(file_), 0);
  EXPECT_EQ(contents_of(place_), before);
}

TEST_F(ReadOnlyPlaces, AJournalIsNotPassedOver) {
  leave_journal(file_);
  const auto before = contents_of(place_);
  const auto error = error_of<OpenError>([&] { static_cast<void>(read_from_fixed_medium(file_)); });
  EXPECT_TRUE(mentions(error, "-journal", "copy both files")) << error.what();
  EXPECT_EQ(contents_of(place_), before);
}

// Folders in which no file can be made

TEST_F(ReadOnlyPlaces, AFileWithoutALogIsRefusedWithAWayToShipIt) {
  leave_closed(file_);
  protect(0555);
  const OrdinaryUser user;
  for (const Locking locking : {Locking::shared, Locking::exclusive}) {
    const auto error = error_of<OpenError>(
        [&] { static_cast<void>(Database::open(file_, {.mode = OpenMode::read_only, .locking = locking})); });
    EXPECT_TRUE(mentions(error, "folder is write-protected", "backup_to")) << error.what();
  }
}

TEST_F(ReadOnlyPlaces, ALogWithoutAnIndexIsReadByOneProcessAlone) {
  leave_log(file_, 3);
  protect(0555);
  const auto before = contents_of(place_);
  {
    const OrdinaryUser user;
    const auto error =
        error_of<OpenError>([&] { static_cast<void>(Database::open(file_, {.mode = OpenMode::read_only})); });
    EXPECT_TRUE(mentions(error, "app.db-shm", "write-protected", "Locking::exclusive")) << error.what();
    const Database db = Database::open(file_, {.mode = OpenMode::read_only, .locking = Locking::exclusive});
    EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM in_the_log"), 3);
  }
  EXPECT_EQ(contents_of(place_), before);
}

TEST_F(ReadOnlyPlaces, AFileThatCannotBeWrittenIsNotKeptFromOthers) {
  leave_log(file_, 3);
  protect(0555);
  ASSERT_EQ(::chmod(file_.c_str(), 0444), 0);
  const OrdinaryUser user;
  const auto error = error_of<OpenError>(
      [&] { static_cast<void>(Database::open(file_, {.mode = OpenMode::read_only, .locking = Locking::exclusive})); });
  EXPECT_TRUE(mentions(error, "only where it can be written", "Permission denied")) << error.what();
}

TEST_F(ReadOnlyPlaces, AJournalIsLeftToThoseWhoWrite) {
  leave_journal(file_);
  const auto before = contents_of(place_);
  for (const Locking locking : {Locking::shared, Locking::exclusive}) {
    const auto error = error_of<OpenError>(
        [&] { static_cast<void>(Database::open(file_, {.mode = OpenMode::read_only, .locking = locking})); });
    EXPECT_TRUE(mentions(error, "-journal", "open it for writing once")) << error.what();
    EXPECT_EQ(error.extended_code(), SQLITE_READONLY_ROLLBACK);
    EXPECT_EQ(contents_of(place_), before);
  }
  const Database db = Database::open(file_, {.mode = OpenMode::existing});
  EXPECT_EQ(db.query_one<int>("SELECT length(x) FROM in_the_log"), 100000);
}

}  // namespace
}  // namespace sqlane
