#include <cerrno>
#include <filesystem>
#include <string>

#include "support/expect_error.hpp"
#include "support/file_faults.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/open_files.hpp"
#include "support/temporary_folder.hpp"
#include "support/write_ahead_log.hpp"

// Where files cannot be mapped into memory that processes share: some file systems
// in user space answer ENODEV. A folder where it has worked is not asked again, so
// each of these tests has a process of its own.
namespace sqlane {
namespace {

namespace fs = std::filesystem;

using testing::bytes_of;
using testing::error_of;
using testing::FileCall;
using testing::FileFaultInjection;
using testing::ForeignConnection;
using testing::mentions;
using testing::TemporaryFolder;

class UnmappableFolder : public ::testing::Test {
 protected:
  UnmappableFolder() { ForeignConnection(file_).run("CREATE TABLE note (title TEXT)"); }

  [[nodiscard]] std::size_t files() const { return testing::contents_of(folder_.path()).size(); }

  TemporaryFolder folder_;
  const fs::path file_ = folder_ / "app.db";
  const std::size_t open_files_ = testing::count_open_files();
};

TEST_F(UnmappableFolder, IsRefusedBeforeAnythingIsConverted) {
  const std::string before = bytes_of(file_);
  const auto written = fs::last_write_time(file_);
  {
    const FileFaultInjection unmappable({.call = FileCall::map, .error = ENODEV, .times = -1});
    for (const char* name : {"app.db", "new.db"}) {
      const auto error = error_of<OpenError>([&] { static_cast<void>(Database::open(folder_ / name)); });
      EXPECT_TRUE(mentions(error, "map files into memory", "Locking::exclusive")) << error.what();
      EXPECT_FALSE(error.is_retryable());
    }
    EXPECT_GT(unmappable.failures(), 0);
  }
  EXPECT_EQ(bytes_of(file_), before);
  EXPECT_EQ(fs::last_write_time(file_), written);
  EXPECT_EQ(files(), 1U);
  EXPECT_EQ(testing::count_open_files(), open_files_);
}

TEST_F(UnmappableFolder, IsGoodForOneProcessAlone) {
  const FileFaultInjection unmappable({.call = FileCall::map, .error = ENODEV, .times = -1});
  {
    Database db = Database::open(file_, {.locking = Locking::exclusive});
    db.execute("INSERT INTO note VALUES ('written')");
    EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 1);
  }
  EXPECT_EQ(unmappable.failures(), 0);
  EXPECT_EQ(files(), 1U);
}

TEST_F(UnmappableFolder, IsGoodForReadingAFileWithoutALog) {
  const FileFaultInjection unmappable({.call = FileCall::map, .error = ENODEV, .times = -1});
  const Database db = Database::open(file_, {.mode = OpenMode::read_only});
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 0);
}

TEST_F(UnmappableFolder, IsGoodForReadingALogInOneProcessAlone) {
  const fs::path copy = folder_ / "copy.db";
  testing::leave_log(file_, copy, 3);
  const auto before = testing::contents_of(folder_.path());
  {
    const FileFaultInjection unmappable({.call = FileCall::map, .error = ENODEV, .times = -1});
    const auto error =
        error_of<OpenError>([&] { static_cast<void>(Database::open(copy, {.mode = OpenMode::read_only})); });
    EXPECT_TRUE(mentions(error, "map files into memory", "Locking::exclusive")) << error.what();
    EXPECT_FALSE(error.is_retryable());
    EXPECT_EQ(testing::contents_of(folder_.path()), before);
    const Database db = Database::open(copy, {.mode = OpenMode::read_only, .locking = Locking::exclusive});
    EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM in_the_log"), 3);
  }
  EXPECT_EQ(testing::contents_of(folder_.path()), before);
}

TEST_F(UnmappableFolder, IsNotWhereMemoryWasShortOnce) {
  const FileFaultInjection short_of_memory({.call = FileCall::map, .error = ENOMEM});
  Database db = Database::open(file_);
  EXPECT_EQ(short_of_memory.failures(), 1);
  db.execute("INSERT INTO note VALUES ('written')");
}

TEST_F(UnmappableFolder, IsAskedOnce) {
  ForeignConnection(file_).run("PRAGMA journal_mode=WAL");  // SQLite itself maps the index at each opening
  const FileFaultInjection counting({.call = FileCall::map, .times = 0});
  { const Database db = Database::open(file_, {.mode = OpenMode::existing}); }
  const int first = counting.calls();
  { const Database db = Database::open(file_, {.mode = OpenMode::existing}); }
  EXPECT_EQ(counting.calls() - first, first - 1);
}

}  // namespace
}  // namespace sqlane
