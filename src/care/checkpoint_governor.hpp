#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>

#include "base/clock.hpp"
#include "sqlite/connection.hpp"
#include "sqlite/connection_record.hpp"

namespace sqlane::detail {

// When to copy the write-ahead log back, and whether to make sure that the log
// can start over. Pure.
enum class CheckpointStep : unsigned char {
  none,
  copy,   // what can be copied without waiting
  reset,  // also wait briefly for readers, so that the next commit starts the log over
};

struct CheckpointHistory {
  int pages_at_last_copy = 0;   // log size then; 0 after the log started over
  int pages_at_last_reset = 0;  // log size when a reset was last tried in vain
};

[[nodiscard]] CheckpointStep decide_checkpoint(int wal_pages, int every, const CheckpointHistory& history) noexcept;

// Checkpoints on the writer lane, after a commit and before the lane is passed
// on, so never beside a commit of this process; and while the writer holds the
// database's write lock, so not beside one of another process either. SQLite
// before 3.51.3 can lose a checkpoint's place when the two meet
// (https://sqlite.org/wal.html#walresetbug).
//
// Readers that overlap without a gap would keep the log from ever starting
// over. Once all of it has been copied, though, new readers read the database
// file alone; so it is enough to wait for those who hold a reader at that moment.
//
// Used by whoever holds the lane.
class CheckpointGovernor {
 public:
  using OpenCheckpointer = std::function<std::unique_ptr<Connection>()>;
  using WaitForReaders = std::function<bool(Clock::time_point deadline)>;

  // `every`: pages of log growth between two checkpoints.
  CheckpointGovernor(int every, OpenCheckpointer open_checkpointer, WaitForReaders wait_for_readers, Clock& clock);

  // Opens the connection that checkpoints now, instead of with the first
  // checkpoint. Throws what opening throws.
  void open() { checkpointer_ = open_checkpointer_(); }

  // To be asked after each commit.
  [[nodiscard]] bool is_due(Connection& writer) noexcept;
  // Never throws: the commit has succeeded. What goes wrong is tried again later.
  void checkpoint(Connection& writer) noexcept;

  // Throws CorruptError once a checkpoint found the log contradicting itself.
  void expect_sound() const;

  // For any thread.
  [[nodiscard]] bool is_sound() const noexcept { return is_sound_; }
  [[nodiscard]] std::uint64_t checkpoints() const noexcept { return checkpoints_.value(); }

  void close() noexcept { checkpointer_.reset(); }
  // Closes the checkpointer, and forgets what it knows of a log that is not used any more.
  void forget_log() noexcept;

  // Copies what nobody needs in the log any more. True when that was all of it:
  // the database file alone has everything then, until the next commit.
  [[nodiscard]] bool copy(Connection& writer);

 private:
  [[nodiscard]] bool has_started_over(const Connection& writer, int pages) const noexcept;
  [[nodiscard]] bool wait_for_readers();

  // Constant after construction.
  const int every_;
  const OpenCheckpointer open_checkpointer_;
  const WaitForReaders wait_for_readers_;
  Clock& clock_;

  // Of the lane's holder.
  std::unique_ptr<Connection> checkpointer_;  // opened when first needed
  CheckpointHistory history_;
  std::uint32_t written_at_last_copy_ = 0;  // pages that the writer had written to the log by then
  bool lacks_room_ = false;
  std::exception_ptr corruption_;

  std::atomic<bool> is_sound_ = true;
  OwnCounter checkpoints_;
};

}  // namespace sqlane::detail
