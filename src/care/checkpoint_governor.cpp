#include "care/checkpoint_governor.hpp"

#include <algorithm>
#include <utility>

#include "sqlane/error.hpp"

namespace sqlane::detail {
namespace {

// The log may grow to this many times its usual size before readers are waited for.
constexpr int kResetFactor = 4;
constexpr std::chrono::milliseconds kReaderPatience{20};

}  // namespace

CheckpointStep decide_checkpoint(int wal_pages, int every, const CheckpointHistory& history) noexcept {
  if (wal_pages - history.pages_at_last_copy < every) return CheckpointStep::none;
  // Waiting in vain is not repeated before the log has doubled.
  const int reset_at = std::max(kResetFactor * every, 2 * history.pages_at_last_reset);
  return wal_pages >= reset_at ? CheckpointStep::reset : CheckpointStep::copy;
}

CheckpointGovernor::CheckpointGovernor(int every, OpenCheckpointer open_checkpointer, WaitForReaders wait_for_readers,
                                       Clock& clock)
    : every_(every),
      open_checkpointer_(std::move(open_checkpointer)),
      wait_for_readers_(std::move(wait_for_readers)),
      clock_(clock) {}

bool CheckpointGovernor::is_due(Connection& writer) noexcept {
  const int pages = writer.wal_pages();
  if (has_started_over(writer, pages)) history_ = {};
  if (writer.take_lack_of_room() && pages > 0) lacks_room_ = true;
  return lacks_room_ || decide_checkpoint(pages, every_, history_) != CheckpointStep::none;
}

// Also where it is as large again as it was, or larger.
bool CheckpointGovernor::has_started_over(const Connection& writer, int pages) const noexcept {
  if (pages < history_.pages_at_last_copy) return true;
  return pages >= every_ && static_cast<std::uint32_t>(pages) == writer.pages_written() - written_at_last_copy_;
}

void CheckpointGovernor::checkpoint(Connection& writer) noexcept {
  const int pages = writer.wal_pages();
  const CheckpointStep step =
      std::exchange(lacks_room_, false) ? CheckpointStep::reset : decide_checkpoint(pages, every_, history_);
  history_.pages_at_last_copy = pages;
  written_at_last_copy_ = writer.pages_written();
  try {
    if (step == CheckpointStep::copy) {
      static_cast<void>(copy(writer));
      return;
    }
    // First those who still need older pages of the log, then those who read its last ones.
    const bool is_free = wait_for_readers() && copy(writer) && wait_for_readers();
    history_.pages_at_last_reset = is_free ? 0 : pages;
  } catch (const CorruptError&) {
    corruption_ = std::current_exception();
    is_sound_ = false;
  } catch (const std::exception&) {
    // Another process checkpoints or writes, or the disk is full: the log keeps
    // every commit, and the next attempt comes when it has grown.
  }
}

bool CheckpointGovernor::copy(Connection& writer) {
  if (checkpointer_ == nullptr) checkpointer_ = open_checkpointer_();
  if (!writer.try_begin()) return false;  // another process writes
  try {
    const Connection::Checkpoint done = checkpointer_->checkpoint_passive();
    writer.rollback();
    checkpoints_.add();
    return done.copied_pages == done.log_pages;
  } catch (...) {
    writer.rollback();
    throw;
  }
}

void CheckpointGovernor::forget_log() noexcept {
  close();
  history_ = {};
  written_at_last_copy_ = 0;
  lacks_room_ = false;
  corruption_ = nullptr;
  is_sound_ = true;
}

bool CheckpointGovernor::wait_for_readers() { return wait_for_readers_(clock_.now() + kReaderPatience); }

void CheckpointGovernor::expect_sound() const {
  if (corruption_ != nullptr) std::rethrow_exception(corruption_);
}

}  // namespace sqlane::detail
