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

// As "Class: message"; empty when it was acknowledged.
std::string Load::error_of_write(std::int64_t id, std::string& wrong) {
  try {
    db_.execute("INSERT INTO ack (id, body) VALUES (?, ?)", id, std::string(100, 'x'));
    return {};
  } catch (const std::exception& error) {
    try {
      return described(error);
    } catch (const Wrong& found) {
      return wrong = found.what();
    }
  }
}

bool Load::is_read_back(std::int64_t id) {
  try {
    return db_.query_one<std::int64_t>("SELECT count(*) FROM ack WHERE id = ?", id) == 1;
  } catch (const Error&) {
    return true;  // reads may fail where writes do
  }
}

void Load::run(std::size_t thread, std::int64_t id) {
  for (;; ++id) {
    std::string wrong;
    const std::string failure = error_of_write(id, wrong);
    const bool is_lost = failure.empty() && id % 16 == 0 && !is_read_back(id);
    std::unique_lock lock(mutex_);
    is_failing_[thread] = !failure.empty();
    if (failure.empty()) {
      acknowledged_.push_back(id);
    } else {
      ++failed_;
      ++errors_[failure];
    }
    not_read_back_ += is_lost ? 1 : 0;
    if (!wrong.empty() && wrong_.empty()) wrong_ = wrong;
    changed_.notify_all();
    if (!failure.empty()) changed_.wait_for(lock, std::chrono::milliseconds(5), [&] { return stopping_; });
    if (stopping_) return;
  }
}

}  // namespace sqlane::filesystems
