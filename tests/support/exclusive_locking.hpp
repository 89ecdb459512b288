#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <gtest/gtest.h>
#include <sqlane/sqlane.hpp>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/open_files.hpp"
#include "support/sqlite_shell.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::testing {

// Locking::exclusive keeps the file for one process. What other processes get
// to see is asked of the stock sqlite3 shell.
class ExclusiveLocking : public ::testing::Test {
 protected:
  // All that it has open is closed again.
  ~ExclusiveLocking() override { EXPECT_EQ(count_open_files(), files_before); }

  [[nodiscard]] static Options exclusive() {
    return {.readers = 4,
            .durability = Durability::normal,
            .locking = Locking::exclusive,
            .acquire_timeout = std::chrono::hours(1),
            .busy_timeout = std::chrono::milliseconds(0)};
  }
  [[nodiscard]] static Options shared() {
    Options options = exclusive();
    options.locking = Locking::shared;
    return options;
  }
  [[nodiscard]] Database open() const { return open(exclusive()); }
  [[nodiscard]] Database open(const Options& options) const { return Database::open(path, options); }
  [[nodiscard]] OpenError refusal(const Options& options) const {
    return error_of<OpenError>([&] { static_cast<void>(open(options)); });
  }

  [[nodiscard]] ShellResult shell(const std::string& sql) const { return run_in_shell(path, sql); }
  // A write-protected file, or one of another format, would be refused as well.
  [[nodiscard]] bool keeps_the_shell_out() const {
    return is_locked_out(shell("SELECT count(*) FROM note")) && is_locked_out(shell("INSERT INTO note VALUES (-1)"));
  }
  [[nodiscard]] ShellResult ids_in_shell() const {
    return shell("PRAGMA integrity_check; SELECT group_concat(id) FROM (SELECT id FROM note ORDER BY id)");
  }
  static ShellResult whole(const std::string& ids) { return success("ok\n" + ids); }

  static void create(Database& db) { db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, filler BLOB)"); }
  static void add(Database& db, int id) { db.execute("INSERT INTO note (id) VALUES (?)", id); }
  static std::vector<int> ids(const Database& db) { return db.query<int>("SELECT id FROM note ORDER BY id"); }

  [[nodiscard]] bool has_index_file() const { return std::filesystem::exists(beside(path, "-shm")); }
  [[nodiscard]] bool has_log() const { return std::filesystem::exists(beside(path, "-wal")); }

  std::size_t files_before = count_open_files();
  TemporaryFolder folder;
  std::filesystem::path path = folder / "app.db";
};

}  // namespace sqlane::testing
