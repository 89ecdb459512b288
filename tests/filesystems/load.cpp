#include "load.hpp"

#include <algorithm>
#include <sqlane/sqlane.hpp>

#include "folder.hpp"

namespace sqlane::filesystems {

Load::Load(Database& db, int threads, std::int64_t first_id)
    : db_(db), is_failing_(static_cast<std::size_t>(threads), false) {
  for (std::size_t i = 0; i < is_failing_.size(); ++i) {
    threads_.emplace_back([this, i, first_id] { run(i, first_id + static_cast<std::int64_t>(i) * kIdsOfThread); });
  }
}

Load::~Load() {
  try {
    stop();
  } catch (...) {  // NOLINT(bugprone-empty-catch): another exception is on its way already
  }
}

Load::Tally Load::tally() const {
  return {.acknowledged = acknowledged_.size(),
          .failed = failed_,
          .threads_failing = static_cast<std::size_t>(std::count(is_failing_.begin(), is_failing_.end(), true))};
}

bool Load::wait_until(const std::function<bool(const Tally&)>& reached, std::chrono::seconds limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [&] { return reached(tally()); });
}

void Load::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  if (!wrong_.empty()) throw Wrong(wrong_);
}

void Load::write(std::int64_t id) {
  db_.execute("INSERT INTO ack (id, body) VALUES (?, ?)", id, std::string(100, 'x'));
}

void Load::run(std::size_t thread, std::int64_t id) {
  for (;; ++id) {
    std::string failure;
    std::string wrong;
    try {
      write(id);
    } catch (const std::exception& error) {
      try {
        failure = described(error);
      } catch (const Wrong& found) {
        failure = wrong = found.what();
      }
    }
    if (failure.empty() && id % 16 == 0) {
      try {
        if (db_.query_one<std::int64_t>("SELECT count(*) FROM ack WHERE id = ?", id) != 1) {
          wrong = "row " + std::to_string(id) + " was acknowledged, and a read does not find it";
        }
      } catch (const Error&) {  // NOLINT(bugprone-empty-catch): reads may fail where writes do
      }
    }
    std::unique_lock lock(mutex_);
    is_failing_[thread] = !failure.empty();
    if (failure.empty()) {
      acknowledged_.push_back(id);
    } else {
      ++failed_;
      ++errors_[failure];
    }
    if (!wrong.empty() && wrong_.empty()) wrong_ = wrong;
    changed_.notify_all();
    if (!failure.empty()) changed_.wait_for(lock, std::chrono::milliseconds(5), [&] { return stopping_; });
    if (stopping_) return;
  }
}

}  // namespace sqlane::filesystems
