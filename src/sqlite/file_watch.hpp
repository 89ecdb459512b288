#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/mutex.hpp"
#include "sqlite/database_file.hpp"
#include "sqlite/file_state.hpp"
#include "sqlite/log_position.hpp"

struct sqlite3;

namespace sqlane::detail {

// Whether the files of an open database are still those that their names lead to.
//
// SQLite has a database and its write-ahead log by descriptors. These follow a
// file that is moved, and keep one that was deleted, so that a commit succeeds
// which nobody can find. All others, and SQLite itself at the next opening, find
// the files by their names. So the names are looked at
//
//   before a connection is opened    SQLite would take files that do not belong together for a database and its log,
//                                    and reset the index that the connections before are using
//   after that, before its first use  the files can have changed in between
//   after each COMMIT that wrote      before it is acknowledged
//   before each checkpoint            which must not write into a file of somebody else
//   before it is closed               the last one deletes the log by its name
//
// Invariants
//  1. The database's identity is known before the first connection, and is one
//     until start_anew(), which needs that no connection has it open.
//  2. The log's identity holds as long as one connection has it open: SQLite
//     deletes a log with its last connection alone, of all processes. open_ counts
//     those that are between join() and leave(); so a connection that is still
//     being opened, or is about to be closed, keeps no log alive for others. One
//     that was found lost is lost until reopen(), or until it is back.
//  3. A log is never shorter than what its index says. It is asked in SQLite's
//     commit hook, which still can refuse: frames are written behind a hole else,
//     and nothing behind a hole is found after a crash. Where it was cut after
//     that, the log has holes after the COMMIT, and the frame is gone that was the
//     newest one in the hook.
//  4. The database's content changes by checkpoints alone. One that runs, or has
//     run, is seen in the index; known_ is the state that the last look explained.
//  5. A name is looked up from the root, which costs three times what a FileHandle
//     does. So the database is asked by one first, where the file system touches
//     a file that is renamed or deleted: as long as it was not touched after the
//     last look by its name, that look stands. A file touched within the tick of
//     the clock of that look is looked up again. Directories above it are seen by
//     the log, which is looked up each time.
//
// What is left: a file that is exchanged twice within a few microseconds; another
// one that is mounted over the database alone; a log that loses less than a block
// and a frame between the hook and the writing of a commit; a content that is
// written over while a checkpoint runs, or within one tick of the file system's
// clock. File systems whose times are not known to be exact are not asked for
// changes of the content.
//
// The steps of Core::reopen(), which says what a failure of one leaves.
//
//   begin_anew()   no connection is opened from now on
//                  (all that are open are closed)
//   make_room()    a log and an index of the file that was lost give their names to those of the file that is there
//   start_anew()   the file that is there is the database
//   give_up_anew() instead: what was lost is lost still
//
// For any thread.
class FileWatch {
 public:
  // What was lost: a database takes its log with it.
  enum class Loss : std::uint8_t { none, log, database };

  // Of the file that is there now. Throws OpenError.
  explicit FileWatch(std::filesystem::path database);
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;
  ~FileWatch() = default;

  [[nodiscard]] FileIdentity identity() SQLANE_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return identity_.identity;
  }

  // Whether the log or the index that are at the path belong to this database, whatever the database there is.
  [[nodiscard]] bool has_side_files_here() noexcept SQLANE_EXCLUDES(mutex_);

  // Around a connection's life, where it can be acted upon: before it is opened,
  // before its first use, and before it is closed. All but leave() throw IoError.
  enum class Logs : std::uint8_t { unknown, written };  // whether the connection is one that writes to a log
  void expect_openable() SQLANE_EXCLUDES(mutex_);
  void join(sqlite3* connection, Logs logs) SQLANE_EXCLUDES(mutex_);
  void leave(sqlite3* connection) noexcept SQLANE_EXCLUDES(mutex_);

  // Throws IoError unless what a connection that writes has committed can be found.
  void expect_reachable(sqlite3* connection) SQLANE_EXCLUDES(mutex_);
  // The same, where there is a reason to ask: an earlier look found something lost.
  void expect_not_lost(sqlite3* connection) {
    if (loss() != Loss::none) expect_reachable(connection);
  }
  // Throws IoError where the newest look has found that the database is another.
  void expect_readable() SQLANE_EXCLUDES(mutex_);
  // In SQLite's commit hook.
  [[nodiscard]] bool has_whole_log(sqlite3* connection) noexcept SQLANE_EXCLUDES(mutex_);
  // After a checkpoint of this process has changed the database.
  void learn_content(sqlite3* connection) noexcept SQLANE_EXCLUDES(mutex_);

  // reopen(). has_lost_anything() looks by a connection that writes, where there is one. A log that lost its name alone
  // is whole: what it has can be brought into the database, by the one connection that is left.
  [[nodiscard]] bool has_lost_anything(sqlite3* connection) SQLANE_EXCLUDES(mutex_);
  void begin_anew() SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] bool has_whole_log_without_a_name(sqlite3* connection) SQLANE_EXCLUDES(mutex_);
  void make_room() SQLANE_EXCLUDES(mutex_);
  void start_anew(const FileIdentity& expected) SQLANE_EXCLUDES(mutex_);
  void give_up_anew() noexcept SQLANE_EXCLUDES(mutex_);

  // As of the newest look.
  [[nodiscard]] Loss loss() const noexcept { return loss_.load(std::memory_order_relaxed); }

 private:
  struct Verdict {
    Loss loss = Loss::none;
    std::string reason{};
  };
  struct Content {
    std::optional<LogPosition> log;
    std::uint64_t size = 0;
    std::int64_t changed = 0;
  };

  // By their names.
  [[nodiscard]] FileState database_now() const noexcept;
  [[nodiscard]] FileState log_now() const noexcept;

  [[nodiscard]] FileState find_database() noexcept SQLANE_REQUIRES(mutex_);
  void close_handles() noexcept SQLANE_REQUIRES(mutex_);
  [[nodiscard]] std::optional<std::uint64_t> log_size(sqlite3* connection) const noexcept SQLANE_REQUIRES(mutex_);
  void learn_side_files(const FileState& log) SQLANE_REQUIRES(mutex_);
  void forget_side_files() SQLANE_REQUIRES(mutex_);
  [[nodiscard]] Verdict look_at_database(const FileState& now) const SQLANE_REQUIRES(mutex_);
  [[nodiscard]] Verdict look_at_log(const FileState& now) const SQLANE_REQUIRES(mutex_);
  [[nodiscard]] Verdict look_at_names() const SQLANE_REQUIRES(mutex_);
  [[nodiscard]] Verdict look(sqlite3* connection) SQLANE_REQUIRES(mutex_);
  [[nodiscard]] bool is_hollow(sqlite3* connection, const LogPosition& position, const FileState& log) const
      SQLANE_REQUIRES(mutex_);
  [[nodiscard]] Verdict cut(const LogPosition& position) SQLANE_REQUIRES(mutex_);
  [[nodiscard]] bool explains(const std::optional<LogPosition>& position, const FileState& now) const
      SQLANE_REQUIRES(mutex_);
  void conclude(const Verdict& verdict) SQLANE_REQUIRES(mutex_);
  void expect_no_new_beginning() const SQLANE_REQUIRES(mutex_);
  [[nodiscard]] bool is_log_outdated() const SQLANE_REQUIRES(mutex_);
  void set_log_aside() SQLANE_REQUIRES(mutex_);
  [[noreturn]] void refuse(const std::string& reason) const;

  // Constant after construction.
  const std::filesystem::path database_;
  const std::filesystem::path log_name_;
  const std::filesystem::path index_name_;

  std::atomic<Loss> loss_ = Loss::none;  // changed under mutex_

  Mutex mutex_;
  bool has_exact_times_ SQLANE_GUARDED_BY(mutex_);
  FileState identity_ SQLANE_GUARDED_BY(mutex_);
  FileHandle database_handle_ SQLANE_GUARDED_BY(mutex_);      // while it is open
  FileHandle log_handle_ SQLANE_GUARDED_BY(mutex_);           // of log_
  std::optional<FileState> found_ SQLANE_GUARDED_BY(mutex_);  // by its name, and not touched in the same tick
  std::optional<FileState> log_ SQLANE_GUARDED_BY(mutex_);
  std::optional<FileState> index_ SQLANE_GUARDED_BY(mutex_);            // of the log; in a file for Locking::shared
  std::optional<LogPosition> before_commit_ SQLANE_GUARDED_BY(mutex_);  // as the newest commit hook found the log
  std::optional<Content> known_ SQLANE_GUARDED_BY(mutex_);
  std::optional<Verdict> lasting_ SQLANE_GUARDED_BY(mutex_);  // what the names do not tell
  int open_ SQLANE_GUARDED_BY(mutex_) = 0;
  bool begins_anew_ SQLANE_GUARDED_BY(mutex_) = false;
};

}  // namespace sqlane::detail
