#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/folder_entries.hpp"
#include "support/foreign_connection.hpp"
#include "support/open_files.hpp"
#include "support/permissions.hpp"
#include "support/temporary_folder.hpp"

// What cannot be opened is left as it was: each file of its folder, and no other is there.
namespace sqlane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::beside;
using testing::bytes_of;
using testing::Contents;
using testing::Entries;
using testing::entries_of;
using testing::expect_same_entries;
using testing::ForeignConnection;
using testing::mentions;
using testing::OrdinaryUser;
using testing::TemporaryFolder;
using testing::write_bytes;

void make_rollback_database(const fs::path& path) {
  ForeignConnection(path).run(
      "PRAGMA synchronous=OFF; BEGIN; CREATE TABLE note (title TEXT); INSERT INTO note VALUES ('first'); "
      "CREATE VIEW listed AS SELECT max(1, 2 ) FROM note; COMMIT");
}

// One as a crash leaves it, whose log holds what `sql` did last.
void make_database_with_log(const fs::path& path, const std::string& sql = "UPDATE note SET title = 'in the log'") {
  const TemporaryFolder elsewhere;
  make_rollback_database(elsewhere / "live.db");
  ForeignConnection live(elsewhere / "live.db");
  live.run("PRAGMA synchronous=OFF; PRAGMA journal_mode=WAL");
  live.run(sql);
  for (const char* part : {"", "-wal"}) fs::copy_file(beside(elsewhere / "live.db", part), beside(path, part));
}

// One as a crash leaves it in the middle of a transaction.
void make_hot_journal(const fs::path& path) {
  const TemporaryFolder elsewhere;
  make_rollback_database(elsewhere / "live.db");
  ForeignConnection live(elsewhere / "live.db");
  live.run("PRAGMA synchronous=OFF; PRAGMA cache_size=1; BEGIN; INSERT INTO note SELECT hex(zeroblob(100000))");
  for (const char* part : {"", "-journal"}) fs::copy_file(beside(elsewhere / "live.db", part), beside(path, part));
}

void overwrite(const fs::path& path, std::size_t at, std::string_view bytes) {
  std::string content = bytes_of(path);
  content.replace(at, bytes.size(), bytes);
  write_bytes(path, content);
}

constexpr std::size_t kWriteVersion = 18;  // of the header, and the version to read with after it

const char* const kBreakSchema =
    "PRAGMA writable_schema=ON; UPDATE sqlite_master SET sql = 'CREATE VIEW listed AS SELECT max 1,, 2 FROM note' "
    "WHERE name = 'listed'";

struct Refusal {
  const char* name;
  std::function<void(const fs::path& path)> make;
  std::string_view reason;
  Options options = {};
};

std::ostream& operator<<(std::ostream& out, const Refusal& refusal) { return out << refusal.name; }

class FailedOpen : public ::testing::TestWithParam<Refusal> {};

TEST_P(FailedOpen, LeavesAllAsItWas) {
  const TemporaryFolder folder;
  const fs::path path = folder / "app.db";
  GetParam().make(path);
  const Entries before = entries_of(folder.path(), Contents::read);
  const std::size_t open_files = testing::count_open_files();
  Options options = GetParam().options;
  options.path = path;
  options.busy_timeout = 0ms;
  try {
    const Database db = Database::open(options);
    ADD_FAILURE() << "it was opened";
  } catch (const OpenError& error) {
    EXPECT_TRUE(mentions(error, GetParam().reason, path.string())) << error.what();
    EXPECT_FALSE(error.is_retryable()) << error.what();
  }
  expect_same_entries(entries_of(folder.path(), Contents::read), before);
  EXPECT_EQ(testing::count_open_files(), open_files);
}

std::function<void(const fs::path&)> with_side(const char* suffix, const std::function<void(const fs::path&)>& make) {
  return [=](const fs::path& path) {
    make_rollback_database(path);
    write_bytes(path.parent_path() / "elsewhere", "content of another file");
    make(beside(path, suffix));
  };
}

void make_link(const fs::path& file) { fs::create_symlink("elsewhere", file); }
void make_folder(const fs::path& file) { fs::create_directory(file); }
void make_pipe(const fs::path& file) { ::mkfifo(file.c_str(), 0600); }
void make_second_name(const fs::path& file) { fs::create_hard_link(file.parent_path() / "elsewhere", file); }

void lose(const fs::path& path) { write_bytes(path, ""); }

INSTANTIATE_TEST_SUITE_P(
    Of, FailedOpen,
    ::testing::Values(
        Refusal{"ALetter", [](const fs::path& path) { write_bytes(path, std::string(5000, 'x')); }, "not a database"},
        Refusal{"AFolder", make_folder, "directory"},  //
        Refusal{"APipe", make_pipe, "not a regular file"},
        Refusal{"ALink",
                [](const fs::path& path) {
                  make_rollback_database(path.parent_path() / "real.db");
                  fs::create_symlink("real.db", path);
                },
                "/real.db"},
        Refusal{"ASecondName",
                [](const fs::path& path) {
                  make_rollback_database(path);
                  fs::create_hard_link(path, path.parent_path() / "other.db");
                },
                "hard links"},
        Refusal{"AMissingFile", [](const fs::path&) {}, "No such file", {.mode = OpenMode::existing}},
        Refusal{"AMissingFileToRead", [](const fs::path&) {}, "No such file", {.mode = OpenMode::read_only}},
        Refusal{"ATornFile",
                [](const fs::path& path) {
                  make_rollback_database(path);
                  fs::resize_file(path, 4096);
                },
                "malformed"},
        Refusal{"ANewerFormat",
                [](const fs::path& path) {
                  make_rollback_database(path);
                  overwrite(path, kWriteVersion, "\3\3");
                },
                "not a database"},
        Refusal{"ANewerFormatToWrite",
                [](const fs::path& path) {
                  make_rollback_database(path);
                  overwrite(path, kWriteVersion, "\3");
                },
                "only read"},
        Refusal{"AnotherEngineWithALog",
                [](const fs::path& path) {
                  make_database_with_log(path);
                  overwrite(path, kWriteVersion, "\xff\xff");
                },
                "another engine"},
        Refusal{"ANewerFormatToWriteWithALog",
                [](const fs::path& path) {
                  make_database_with_log(path);
                  overwrite(path, kWriteVersion, "\3");
                },
                "only read"},
        Refusal{"ABrokenSchema",
                [](const fs::path& path) {
                  make_rollback_database(path);
                  ForeignConnection(path).run(std::string("PRAGMA synchronous=OFF; ") + kBreakSchema);
                },
                "malformed database schema"},
        Refusal{"ABrokenSchemaInTheLog", [](const fs::path& path) { make_database_with_log(path, kBreakSchema); },
                "malformed database schema"},
        Refusal{"ABrokenSchemaOfAFileWithAnEmptyLog",
                [](const fs::path& path) {
                  make_rollback_database(path);
                  ForeignConnection other(path);
                  other.run("PRAGMA synchronous=OFF; PRAGMA journal_mode=WAL");
                  other.run(kBreakSchema);
                },
                "malformed database schema"},
        Refusal{"ABrokenSchemaForThisProcessAlone",
                [](const fs::path& path) { make_database_with_log(path, kBreakSchema); },
                "malformed database schema",
                {.locking = Locking::exclusive}},
        Refusal{"ABrokenSchemaToRead",
                [](const fs::path& path) { make_database_with_log(path, kBreakSchema); },
                "malformed database schema",
                {.mode = OpenMode::read_only}},
        Refusal{"AnotherPageSize", [](const fs::path& path) { make_database_with_log(path); }, "pages of 4096 bytes",
                {.page_size = 8192}},
        Refusal{"ALaterLog",
                [](const fs::path& path) {
                  make_database_with_log(path);
                  overwrite(beside(path, "-wal"), 4, std::string_view("\0\x2d\xe2\x19", 4));
                },
                "does not know"},
        Refusal{"ADatabaseInPlaceOfTheLog",
                [](const fs::path& path) {
                  make_rollback_database(path);
                  fs::copy_file(path, beside(path, "-wal"));
                },
                "is a database"},
        Refusal{"ALostFile",
                [](const fs::path& path) {
                  make_database_with_log(path);
                  lose(path);
                },
                "it is empty"},
        Refusal{"ALostFileToRead",
                [](const fs::path& path) {
                  make_database_with_log(path);
                  lose(path);
                },
                "it is empty",
                {.mode = OpenMode::read_only}},
        Refusal{"ALostFileForThisProcessAlone",
                [](const fs::path& path) {
                  make_database_with_log(path);
                  lose(path);
                },
                "it is empty",
                {.locking = Locking::exclusive}},
        Refusal{"AFileThatIsGone",
                [](const fs::path& path) {
                  make_database_with_log(path);
                  fs::remove(path);
                },
                "it is not there"},
        Refusal{"AFileThatIsGoneWhereItMustExist",
                [](const fs::path& path) {
                  make_database_with_log(path);
                  fs::remove(path);
                },
                "it is not there",
                {.mode = OpenMode::existing}},
        Refusal{"ALostFileBesideItsJournal",
                [](const fs::path& path) {
                  make_hot_journal(path);
                  lose(path);
                },
                "it is empty"},
        Refusal{"AFileThatIsGoneBesideItsJournal",
                [](const fs::path& path) {
                  make_hot_journal(path);
                  fs::remove(path);
                },
                "it is not there"},
        Refusal{"ALinkedLog", with_side("-wal", make_link), "symbolic link"},
        Refusal{"ALinkedIndex", with_side("-shm", make_link), "symbolic link"},
        Refusal{"ALinkedJournal", with_side("-journal", make_link), "symbolic link"},
        Refusal{"AFolderForALog", with_side("-wal", make_folder), "not a regular file"},
        Refusal{"AFolderForAnIndex", with_side("-shm", make_folder), "not a regular file"},
        Refusal{"AFolderForAJournal", with_side("-journal", make_folder), "not a regular file"},
        Refusal{"APipeForALog", with_side("-wal", make_pipe), "not a regular file"},
        Refusal{"ALogWithASecondName", with_side("-wal", make_second_name), "second name"},
        Refusal{"AnIndexWithASecondName", with_side("-shm", make_second_name), "second name"},
        Refusal{"AJournalWithASecondName", with_side("-journal", make_second_name), "second name"}),
    [](const ::testing::TestParamInfo<Refusal>& tested) { return std::string(tested.param.name); });

TEST(FailedOpenElsewhere, OfAnothersLogLeavesAllAsItWas) {
  for (const char* suffix : {"-wal", "-shm", "-journal"}) {
    const TemporaryFolder folder;
    make_rollback_database(folder / "app.db");
    const Entries before = entries_of(folder.path(), Contents::read);
    const fs::path path = beside(folder / "app.db", suffix);
    const auto error = testing::error_of<OpenError>([&] { static_cast<void>(Database::open(path)); });
    EXPECT_TRUE(mentions(error, "a part of", "another name")) << error.what();
    expect_same_entries(entries_of(folder.path(), Contents::read), before);
  }
}

TEST(FailedOpenElsewhere, OfALockedFileLeavesAllAsItWas) {
  for (const Locking locking : {Locking::shared, Locking::exclusive}) {
    const TemporaryFolder folder;
    make_rollback_database(folder / "app.db");
    ForeignConnection other(folder / "app.db");
    other.run("BEGIN EXCLUSIVE");
    const Entries before = entries_of(folder.path(), Contents::unread);
    const auto error = testing::error_of<OpenError>(
        [&] { static_cast<void>(Database::open(folder / "app.db", {.locking = locking, .busy_timeout = 0ms})); });
    EXPECT_TRUE(mentions(error, "another process")) << error.what();
    expect_same_entries(entries_of(folder.path(), Contents::unread), before);
  }
}

TEST(FailedOpenElsewhere, WithoutPermissionLeavesAllAsItWas) {
  struct Denied {
    mode_t folder;
    mode_t file;
    std::string_view reason;
  };
  for (const Denied& denied : {Denied{0777, 0444, "cannot be written"}, Denied{0777, 0222, "cannot be read"},
                               Denied{0555, 0666, "cannot open"}}) {
    const TemporaryFolder folder;
    make_database_with_log(folder / "app.db");
    ASSERT_EQ(::chmod((folder / "app.db").c_str(), denied.file), 0);
    ASSERT_EQ(::chmod((folder / "app.db-wal").c_str(), 0666), 0);
    ASSERT_EQ(::chmod(folder.path().c_str(), denied.folder), 0);
    const Entries before = entries_of(folder.path(), Contents::read);
    {
      const OrdinaryUser nobody;
      const auto error = testing::error_of<OpenError>([&] { static_cast<void>(Database::open(folder / "app.db")); });
      EXPECT_TRUE(mentions(error, denied.reason)) << error.what();
    }
    expect_same_entries(entries_of(folder.path(), Contents::read), before);
    ASSERT_EQ(::chmod(folder.path().c_str(), 0700), 0);
  }
}

// A journal of nothing is what a kill in the first transaction of all leaves.
TEST(FailedOpenElsewhere, IsNotWhatAKillInTheFirstTransactionLeadsTo) {
  const TemporaryFolder folder;
  {
    ForeignConnection other(folder / "live.db");
    other.run(
        "PRAGMA cache_size=1; BEGIN; CREATE TABLE note (title TEXT); INSERT INTO note SELECT hex(zeroblob(9999))");
    fs::copy_file(folder / "live.db-journal", folder / "app.db-journal");
  }
  write_bytes(folder / "app.db", "");
  ASSERT_GT(fs::file_size(folder / "app.db-journal"), 0U);
  Database db = Database::open(folder / "app.db");
  db.execute("CREATE TABLE note (title TEXT)");
}

// The first to open a new file has made its log already; nobody has written.
TEST(FailedOpenElsewhere, IsNotWhatAnEmptyLogLeadsTo) {
  const TemporaryFolder folder;
  write_bytes(folder / "app.db", "");
  write_bytes(folder / "app.db-wal", "");
  Database db = Database::open(folder / "app.db");
  db.execute("CREATE TABLE note (title TEXT)");
}

TEST(FailedOpenElsewhere, IsOverWhenTheSchemaCanBeReadAgain) {
  const TemporaryFolder folder;
  make_database_with_log(folder / "app.db");
  EXPECT_THROW(static_cast<void>(Database::open(folder / "app.db", {.page_size = 8192})), OpenError);
  {
    const Database db = Database::open(folder / "app.db");
    EXPECT_EQ(db.query_one<std::string>("SELECT title FROM note"), "in the log");
  }
  EXPECT_FALSE(fs::exists(folder / "app.db-wal")) << "closing copies the log as ever";
}

}  // namespace
}  // namespace sqlane
