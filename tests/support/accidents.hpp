#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "support/files.hpp"
#include "support/foreign_connection.hpp"

namespace sqlane::testing {

// What can happen to the files of a database that is open.
struct Accident {
  std::string name;
  std::function<void(const std::filesystem::path& path)> happen;
  bool takes_database = false;  // not the log alone
  std::string said;             // a part of the error
};

inline std::ostream& operator<<(std::ostream& out, const Accident& accident) { return out << accident.name; }

inline std::filesystem::path elsewhere(const std::filesystem::path& path) {
  return path.parent_path() / "elsewhere.db";
}

// Another database with a table `note`, complete without a log.
inline std::filesystem::path another_database(const std::filesystem::path& path) {
  const std::filesystem::path other = path.parent_path() / "other.db";
  ForeignConnection(other).run("CREATE TABLE note (title TEXT); INSERT INTO note VALUES ('of another file')");
  return other;
}

// What cp does: the file stays the one that it was.
inline void copy_over(const std::filesystem::path& from, const std::filesystem::path& path) {
  const auto before = std::filesystem::last_write_time(path);
  write_bytes(path, testing::bytes_of(from));
  std::filesystem::last_write_time(path, before + std::chrono::seconds(2));  // some clocks are coarse
}

inline void cut(const std::filesystem::path& file, std::uintmax_t size) { std::filesystem::resize_file(file, size); }

inline std::vector<Accident> accidents() {
  return {
      {"DatabaseDeleted", [](const std::filesystem::path& path) { std::filesystem::remove(path); }, true,
       "was moved or deleted"},
      {"DatabaseMoved", [](const std::filesystem::path& path) { std::filesystem::rename(path, elsewhere(path)); }, true,
       "was moved or deleted"},
      {"FolderMoved",
       [](const std::filesystem::path& path) {
         std::filesystem::rename(path.parent_path(), path.parent_path().string() + ".moved");
         std::filesystem::create_directory(path.parent_path());
       },
       true, "was moved or deleted"},
      {"DatabaseReplaced",
       [](const std::filesystem::path& path) { std::filesystem::rename(another_database(path), path); }, true,
       "was replaced by another one"},
      {"DatabaseReplacedByAnEmptyFile",
       [](const std::filesystem::path& path) {
         write_bytes(path.parent_path() / "empty", "");
         std::filesystem::rename(path.parent_path() / "empty", path);
       },
       true, "was replaced by another one"},
      {"DatabaseCopiedOver", [](const std::filesystem::path& path) { copy_over(another_database(path), path); }, true,
       "was written over by another program"},
      {"DatabaseEmptied", [](const std::filesystem::path& path) { cut(path, 0); }, true,
       "was written over by another program"},
      {"AllDeleted",
       [](const std::filesystem::path& path) {
         for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(beside(path, suffix));
       },
       true, "was moved or deleted"},
      {"LogDeleted", [](const std::filesystem::path& path) { std::filesystem::remove(beside(path, "-wal")); }, false,
       "was moved or deleted"},
      {"LogMoved",
       [](const std::filesystem::path& path) { std::filesystem::rename(beside(path, "-wal"), elsewhere(path)); }, false,
       "was moved or deleted"},
      {"LogReplaced",
       [](const std::filesystem::path& path) {
         write_bytes(path.parent_path() / "empty", "");
         std::filesystem::rename(path.parent_path() / "empty", beside(path, "-wal"));
       },
       false, "was replaced by another file"},
      {"LogEmptied", [](const std::filesystem::path& path) { cut(beside(path, "-wal"), 0); }, false, "was cut short"},
      // As where a commit goes on at the end of a log that was cut meanwhile.
      {"LogHollowed",
       [](const std::filesystem::path& path) {
         const auto size = std::filesystem::file_size(beside(path, "-wal"));
         cut(beside(path, "-wal"), 0);
         cut(beside(path, "-wal"), size);
       },
       false, "was cut short"},
      {"LogCut",
       [](const std::filesystem::path& path) {
         cut(beside(path, "-wal"), std::filesystem::file_size(beside(path, "-wal")) - 1);
       },
       false, "was cut short"},
  };
}

}  // namespace sqlane::testing
