#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <random>
#include <sqlite3.h>
#include <string>
#include <utility>
#include <vector>

#include "support/effort.hpp"
#include "support/temporary_folder.hpp"
#include "vfs/memory_store.hpp"

// A memory database does what a file does, down to each result code: SQLite
// itself is driven with the same operations over both.

namespace sqlane {
namespace {

using detail::FileKind;
using detail::MemoryFile;
using detail::MemoryStore;

constexpr std::size_t kConnections = 4;

// One database with some connections, and all that SQLite answers as text.
class Subject {
 public:
  Subject(std::string path, const char* vfs) : path_(std::move(path)), vfs_(vfs) {
    for (std::size_t i = 0; i < kConnections; ++i) open(i);
  }
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;
  ~Subject() {
    for (std::size_t i = 0; i < kConnections; ++i) close(i);
  }

  std::string run(std::size_t index, const std::string& sql) {
    Connection& connection = connections_[index];
    sqlite3_stmt* statement = nullptr;
    int code = sqlite3_prepare_v2(connection.handle, sql.c_str(), -1, &statement, nullptr);
    std::string answer;
    while (code == SQLITE_OK || code == SQLITE_ROW) {
      code = sqlite3_step(statement);
      if (code == SQLITE_ROW) answer += row_of(statement);
    }
    answer += describe(connection.handle, code);
    sqlite3_finalize(statement);
    return answer;
  }

  // Reads some rows of a query that stays open, so that its snapshot does.
  std::string read_on(std::size_t index, int rows) {
    Connection& connection = connections_[index];
    std::string answer;
    int code = SQLITE_OK;
    if (connection.cursor == nullptr) {
      code = sqlite3_prepare_v2(connection.handle, "SELECT a, b FROM t ORDER BY b, a", -1, &connection.cursor, nullptr);
    }
    for (int i = 0; i < rows && (code == SQLITE_OK || code == SQLITE_ROW); ++i) {
      code = sqlite3_step(connection.cursor);
      if (code == SQLITE_ROW) answer += row_of(connection.cursor);
    }
    answer += describe(connection.handle, code);
    if (code != SQLITE_ROW) stop_reading(index);
    return answer;
  }

  std::string stop_reading(std::size_t index) {
    return std::to_string(sqlite3_finalize(std::exchange(connections_[index].cursor, nullptr)));
  }

  std::string checkpoint(std::size_t index, int mode) {
    int log = -2;
    int copied = -2;
    sqlite3* const handle = connections_[index].handle;
    const int code = sqlite3_wal_checkpoint_v2(handle, "main", mode, &log, &copied);
    return describe(handle, code) + " log " + std::to_string(log) + " copied " + std::to_string(copied);
  }

  std::string reopen(std::size_t index) {
    close(index);
    return open(index);
  }

  std::string state(std::size_t index) const {
    return "autocommit " + std::to_string(sqlite3_get_autocommit(connections_[index].handle)) + " changes " +
           std::to_string(sqlite3_total_changes(connections_[index].handle));
  }

 private:
  struct Connection {
    sqlite3* handle = nullptr;
    sqlite3_stmt* cursor = nullptr;
  };

  static std::string describe(sqlite3* handle, int code) {
    return " code " + std::to_string(code) + " " + std::to_string(sqlite3_extended_errcode(handle)) + " " +
           sqlite3_errmsg(handle);
  }

  static std::string row_of(sqlite3_stmt* statement) {
    std::string row;
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      const unsigned char* const text = sqlite3_column_text(statement, i);
      row += text == nullptr ? "NULL" : reinterpret_cast<const char*>(text);
      row += '|';
    }
    return row + '\n';
  }

  std::string open(std::size_t index) {
    sqlite3*& handle = connections_[index].handle;
    const int code = sqlite3_open_v2(path_.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs_);
    sqlite3_extended_result_codes(handle, 1);
    return describe(handle, code) + run(index, "PRAGMA journal_mode = WAL") + run(index, "PRAGMA synchronous = OFF") +
           run(index, "PRAGMA wal_autocheckpoint = 0") + run(index, "PRAGMA cache_size = 20");
  }

  void close(std::size_t index) {
    stop_reading(index);
    sqlite3_close(std::exchange(connections_[index].handle, nullptr));
  }

  const std::string path_;
  const char* const vfs_;
  std::array<Connection, kConnections> connections_{};
};

std::vector<char> bytes_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<char> bytes_of(MemoryStore& store) {
  const std::shared_ptr<MemoryFile> file = store.find(FileKind::database);
  std::vector<char> bytes(file->size());
  MemoryFile::Reader reader(*file);
  EXPECT_EQ(reader.read(reinterpret_cast<std::byte*>(bytes.data()), bytes.size(), 0), bytes.size());
  return bytes;
}

// The next operation, drawn once for both.
class Operations {
 public:
  explicit Operations(unsigned seed) : random_(seed) {}

  // Does it to one of them, and shows it in `shown`.
  std::string apply(Subject& subject, std::string& shown) const {
    shown = "connection " + std::to_string(connection_) + ": " + shown_;
    return do_(subject) + " " + subject.state(connection_);
  }

  void draw() {
    connection_ = below(kConnections);
    const std::size_t kind = below(100);
    if (kind < 12) {
      sql(std::array{"BEGIN", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"}[below(3)]);
    } else if (kind < 24) {
      sql(below(4) == 0 ? "ROLLBACK" : "COMMIT");
    } else if (kind < 30) {
      sql(std::array{"SAVEPOINT s", "RELEASE s", "ROLLBACK TO s"}[below(3)]);
    } else if (kind < 48) {
      const std::string key = std::to_string(below(400));
      sql("INSERT OR REPLACE INTO t VALUES (" + key + ", 'text " + std::to_string(below(1000)) + "', zeroblob(" +
          std::to_string(below(50) == 0 ? 20000 : below(300)) + "))");
    } else if (kind < 54) {
      sql("UPDATE t SET b = b || a, c = zeroblob(a % 500) WHERE a % 7 = " + std::to_string(below(7)));
    } else if (kind < 60) {
      sql("DELETE FROM t WHERE a > " + std::to_string(below(400)) + " AND a % 3 = 0");
    } else if (kind < 72) {
      sql("SELECT count(*), sum(a), min(b), sum(length(c)) FROM t");
    } else if (kind < 78) {
      sql("SELECT a, b, length(c) FROM t WHERE a = " + std::to_string(below(400)));
    } else if (kind < 84) {
      const int rows = static_cast<int>(below(20));
      take("read " + std::to_string(rows) + " rows", [this, rows](Subject& s) { return s.read_on(connection_, rows); });
    } else if (kind < 88) {
      take("stop reading", [this](Subject& s) { return s.stop_reading(connection_); });
    } else if (kind < 96) {
      const int mode = std::array{SQLITE_CHECKPOINT_PASSIVE, SQLITE_CHECKPOINT_FULL, SQLITE_CHECKPOINT_RESTART,
                                  SQLITE_CHECKPOINT_TRUNCATE}[below(4)];
      take("checkpoint " + std::to_string(mode), [this, mode](Subject& s) { return s.checkpoint(connection_, mode); });
    } else if (kind < 98) {
      take("reopen", [this](Subject& s) { return s.reopen(connection_); });
    } else {
      sql(std::array{"VACUUM", "PRAGMA integrity_check", "CREATE TABLE IF NOT EXISTS u (x)", "DROP TABLE IF EXISTS u",
                     "REINDEX", "PRAGMA schema_version"}[below(6)]);
    }
  }

 private:
  std::size_t below(std::size_t limit) { return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_); }

  void sql(const std::string& text) {
    take(text, [this, text](Subject& s) { return s.run(connection_, text); });
  }
  void take(std::string shown, std::function<std::string(Subject&)> operation) {
    shown_ = std::move(shown);
    do_ = std::move(operation);
  }

  std::mt19937 random_;
  std::size_t connection_ = 0;
  std::string shown_;
  std::function<std::string(Subject&)> do_;
};

TEST(MemoryLikeFile, AnswersTheSameToTheSameOperations) {
  const int operation_count = testing::with_effort(20'000);
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  const testing::TemporaryFolder folder;
  const std::filesystem::path path = folder / "app.db";
  const std::shared_ptr<MemoryStore> store = MemoryStore::make(0);
  {
    Subject file(path.string(), nullptr);
    Subject memory(store->path(), MemoryStore::kVfs);
    for (Subject* subject : {&file, &memory}) {
      subject->run(0, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c BLOB)");
      subject->run(0, "CREATE INDEX i ON t (b)");
    }
    Operations operations(seed);
    std::vector<std::string> history;
    int refused = 0;
    int committed = 0;
    for (int i = 0; i < operation_count; ++i) {
      operations.draw();
      std::string shown;
      const std::string expected = operations.apply(file, shown);
      const std::string actual = operations.apply(memory, shown);
      history.push_back(shown);
      if (expected.find(" code 5") != std::string::npos) ++refused;
      if (shown.ends_with("COMMIT") && expected.find(" code 101") != std::string::npos) ++committed;
      if (expected == actual) continue;
      std::string newest;
      for (std::size_t n = history.size() - std::min<std::size_t>(history.size(), 40); n < history.size(); ++n) {
        newest += "  " + history[n] + '\n';
      }
      FAIL() << "operation " << i << "\nfile:   " << expected << "\nmemory: " << actual << "\nafter\n" << newest;
    }
    // There was something to compare.
    EXPECT_GT(refused, operation_count / 100);
    EXPECT_GT(committed, operation_count / 100);
    std::printf("%d operations, %d commits, %d refused\n", operation_count, committed, refused);
    EXPECT_EQ(file.run(0, "SELECT a, b, hex(c) FROM t ORDER BY a"),
              memory.run(0, "SELECT a, b, hex(c) FROM t ORDER BY a"));
  }
  EXPECT_EQ(bytes_of(path), bytes_of(*store));
}

}  // namespace
}  // namespace sqlane
