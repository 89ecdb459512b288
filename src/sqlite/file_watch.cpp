#include "sqlite/file_watch.hpp"

#include <cerrno>
#include <ctime>
#include <new>
#include <sqlite3.h>
#include <system_error>
#include <utility>

#include "sqlane/error.hpp"
#include "sqlite/free_name.hpp"

namespace sqlane::detail {
namespace {

constexpr std::int64_t kNanoseconds = 1'000'000'000;
constexpr int kTries = 3;  // of comparing a log with its index, both of which another process can change

// What a change of a file from now on would be stamped with, or less.
std::int64_t time_of_stamps() noexcept {
#if defined(CLOCK_REALTIME_COARSE)
  struct timespec now {};
  if (::clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0) return now.tv_sec * kNanoseconds + now.tv_nsec;
#endif
  return 0;
}

std::string quoted(const std::filesystem::path& path) { return "\"" + path.string() + "\""; }

std::string unreachable(const std::string& file, int error) {
  return "the file " + file + " cannot be reached any more (" + std::generic_category().message(error) +
         "): is its disk still there?";
}

std::string written_over(const std::string& file) {
  return "the file " + file + " was written over by another program while it was open";
}

bool is_missing(const FileState& state) { return state.error == ENOENT || state.error == ENOTDIR; }

}  // namespace

FileWatch::FileWatch(std::filesystem::path database)
    : database_(std::move(database)),
      log_name_(database_.string() + "-wal"),
      index_name_(database_.string() + "-shm"),
      has_exact_times_(time_stamps_at(database_).are_exact),
      identity_(database_now()) {
  if (identity_.error == 0) return;
  throw OpenError("cannot open " + quoted(database_) + ": " + std::generic_category().message(identity_.error),
                  {.database = database_.string()});
}

FileState FileWatch::database_now() const noexcept { return state_of(database_, Times::asked); }

FileState FileWatch::log_now() const noexcept { return state_of(log_name_, Times::left_out); }

void FileWatch::close_handles() noexcept {
  database_handle_.close();
  log_handle_.close();
  found_.reset();
}

void FileWatch::expect_openable() {
  const MutexLock lock(mutex_);
  expect_no_new_beginning();
  conclude(look_at_names());
}

void FileWatch::join(sqlite3* connection, Logs logs) {
  const MutexLock lock(mutex_);
  expect_no_new_beginning();
  if (open_ == 0 && loss() == Loss::none) {
    forget_side_files();
    known_.reset();
    lasting_.reset();
  }
  learn_side_files(log_now());
  // SQLite compares what it has open with what is there: so the names tell of this connection too.
  int moved = 0;
  const int code = sqlite3_file_control(connection, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  Verdict verdict = look_at_names();
  if (verdict.loss == Loss::none && code == SQLITE_OK && moved != 0) {
    verdict = {Loss::database,
               "the file " + quoted(database_) + " was replaced by another one while it was being opened"};
  }
  if (verdict.loss != Loss::none) sqlite3_db_config(connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  conclude(verdict);
  if (logs == Logs::written && !known_) {
    const std::optional<LogPosition> position = log_position(connection);
    const FileState now = database_now();
    known_ = {.log = position, .size = now.size, .changed = now.changed};
  }
  if (!database_handle_.is_open()) database_handle_.open(database_, identity_.identity);
  ++open_;
}

void FileWatch::leave(sqlite3* connection) noexcept {
  const MutexLock lock(mutex_);
  bool is_lost = true;
  try {
    is_lost = (known_ ? look(connection) : look_at_names()).loss != Loss::none;
  } catch (const std::bad_alloc&) {  // for a reason: better a log too many than one too few
  }
  if (--open_ == 0) close_handles();
  if (is_lost) sqlite3_db_config(connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

void FileWatch::expect_reachable(sqlite3* connection) {
  const MutexLock lock(mutex_);
  conclude(look(connection));
}

void FileWatch::expect_readable() {
  if (loss() != Loss::database) return;
  const MutexLock lock(mutex_);
  if (loss() != Loss::database) return;
  const FileState now = database_now();
  Verdict verdict = look_at_database(now);
  if (verdict.loss == Loss::none && lasting_) verdict = *lasting_;
  conclude(verdict);
}

bool FileWatch::has_whole_log(sqlite3* connection) noexcept {
  const MutexLock lock(mutex_);
  for (int i = 0; i < kTries; ++i) {
    const std::optional<LogPosition> position = log_position(connection);
    const std::optional<std::uint64_t> size = log_size(connection);
    if (!position || !size || *size >= position->bytes()) {
      before_commit_ = position;
      return true;
    }
    if (log_position(connection) != position) continue;  // another process has emptied it meanwhile
    try {
      lasting_ = cut(*position);
    } catch (const std::bad_alloc&) {
      lasting_ = Verdict{Loss::log, {}};
    }
    loss_ = Loss::log;
    return false;
  }
  return true;
}

// SQLite asks a file for its times as well.
std::optional<std::uint64_t> FileWatch::log_size(sqlite3* connection) const noexcept {
  if (log_handle_.is_open()) {
    if (const FileState log = log_handle_.state(Times::left_out); log.error == 0) return log.size;
  }
  return size_of_log(connection);
}

void FileWatch::learn_content(sqlite3* connection) noexcept {
  const MutexLock lock(mutex_);
  if (loss() != Loss::none) return;
  const std::optional<LogPosition> position = log_position(connection);
  const FileState now = database_now();
  known_ = {.log = position, .size = now.size, .changed = now.changed};
}

FileState FileWatch::find_database() noexcept {
  if (found_ && log_) {
    const FileState now = database_handle_.state(Times::asked);
    if (now.error == 0 && now.names == 1 && now.touched == found_->touched) return *found_;
  }
  const std::int64_t before = time_of_stamps();
  const FileState now = database_now();
  found_.reset();
  if (database_handle_.is_open() && now.is_same_file(identity_) && now.touched < before) found_ = now;
  return now;
}

void FileWatch::learn_side_files(const FileState& log) {
  if (log_ || log.error != 0) return;
  log_ = log;
  log_handle_.open(log_name_, log.identity);
  if (const FileState index = state_of(index_name_, Times::left_out); index.error == 0) index_ = index;
}

void FileWatch::forget_side_files() {
  log_.reset();
  log_handle_.close();
  index_.reset();
}

bool FileWatch::has_side_files_here() noexcept {
  const MutexLock lock(mutex_);
  return open_ > 0 && ((log_ && log_->is_same_file(log_now())) ||
                       (index_ && index_->is_same_file(state_of(index_name_, Times::left_out))));
}

FileWatch::Verdict FileWatch::look_at_database(const FileState& now) const {
  if (now.is_same_file(identity_)) return {};
  const std::string file = quoted(database_);
  if (is_missing(now)) return {Loss::database, "the file " + file + " was moved or deleted while it was open"};
  if (now.error != 0) return {Loss::database, unreachable(file, now.error)};
  if (now.identity == identity_.identity) {
    return {Loss::database, "the file system of " + file + " was taken away and mounted again while it was open"};
  }
  return {Loss::database, "the file " + file + " was replaced by another one while it was open"};
}

FileWatch::Verdict FileWatch::look_at_log(const FileState& now) const {
  if (!log_ || now.is_same_file(*log_)) return {};
  const std::string file = quoted(log_name_);
  if (is_missing(now)) return {Loss::log, "the write-ahead log " + file + " was moved or deleted while it was open"};
  if (now.error != 0) return {Loss::log, unreachable(file, now.error)};
  return {Loss::log, "the write-ahead log " + file + " was replaced by another file while it was open"};
}

FileWatch::Verdict FileWatch::look_at_names() const {
  Verdict verdict = look_at_database(database_now());
  if (open_ == 0 && loss() == Loss::none) return verdict;
  if (verdict.loss == Loss::none) verdict = look_at_log(log_now());
  if (verdict.loss == Loss::none && lasting_) return *lasting_;
  return verdict;
}

FileWatch::Verdict FileWatch::look(sqlite3* connection) {
  // The index before the files: what it says is in them by then.
  std::optional<LogPosition> position = log_position(connection);
  FileState now = find_database();
  Verdict verdict = look_at_database(now);
  if (verdict.loss != Loss::none) return verdict;
  FileState log = log_now();
  learn_side_files(log);  // SQLite makes those of a new database with its first commit
  verdict = look_at_log(log);
  if (verdict.loss != Loss::none) return look_at_names();  // with the database's name, what holds both can be gone
  if (lasting_) return *lasting_;
  for (int i = 1; position && log_ && log.size < position->bytes() && i < kTries; ++i) {
    const std::optional<LogPosition> later = log_position(connection);
    if (later == position) {
      lasting_ = cut(*position);
      return *lasting_;
    }
    position = later;
    now = find_database();
    log = log_now();
  }
  if (position && is_hollow(connection, *position, log) && log_position(connection) == position) {
    lasting_ = cut(*position);
    return *lasting_;
  }
  if (known_ && !explains(position, now)) {
    // A checkpoint of another process can have begun since the index was read.
    const std::optional<LogPosition> later = log_position(connection);
    if (later == position) {
      lasting_ = {Loss::database, written_over(quoted(database_))};
      return *lasting_;
    }
    position = later;
  }
  if (known_) known_ = {.log = position, .size = now.size, .changed = now.changed};
  return {};
}

// Copying can have made holes of pages that hold nothing.
bool FileWatch::is_hollow(sqlite3* connection, const LogPosition& position, const FileState& log) const {
  if (log.room >= log.size || !before_commit_ || before_commit_->salt != position.salt) return false;
  return !has_newest_frame(connection, *before_commit_);
}

FileWatch::Verdict FileWatch::cut(const LogPosition& position) {
  if (known_) known_->log = position;
  return {Loss::log, "the write-ahead log " + quoted(log_name_) + " was cut short while it was open"};
}

// Whether checkpoints alone can have changed the database since the last look.
bool FileWatch::explains(const std::optional<LogPosition>& position, const FileState& now) const {
  if (!has_exact_times_ || (now.size == known_->size && now.changed == known_->changed)) return true;
  if (!position || !known_->log || position->is_copying() || known_->log->is_copying()) return true;
  return position->salt != known_->log->salt || position->copied != known_->log->copied ||
         position->copying != known_->log->copying;
}

void FileWatch::conclude(const Verdict& verdict) {
  loss_ = verdict.loss;
  if (verdict.loss != Loss::none) refuse(verdict.reason);
}

void FileWatch::expect_no_new_beginning() const {
  if (!begins_anew_) return;
  throw IoError("the file " + quoted(database_) + " is being opened anew by reopen(); try again",
                {.extended_code = SQLITE_READONLY_DBMOVED, .database = database_.string(), .retryable = true});
}

// reopen()

bool FileWatch::has_lost_anything(sqlite3* connection) {
  const MutexLock lock(mutex_);
  const Verdict verdict = connection != nullptr ? look(connection) : look_at_names();
  loss_ = verdict.loss;
  return verdict.loss != Loss::none;
}

void FileWatch::begin_anew() {
  const MutexLock lock(mutex_);
  if (is_missing(database_now())) {
    throw IoError("there is no file " + quoted(database_) + " to go on with: put one there, or close the Database",
                  {.extended_code = SQLITE_READONLY_DBMOVED, .database = database_.string()});
  }
  begins_anew_ = true;
}

void FileWatch::give_up_anew() noexcept {
  const MutexLock lock(mutex_);
  begins_anew_ = false;
}

// One in its place that holds something is in use by others, who know nothing of this one. A connection that was being
// opened at the moment of the accident leaves an empty one.
bool FileWatch::has_whole_log_without_a_name(sqlite3* connection) {
  const MutexLock lock(mutex_);
  if (lasting_ || !database_now().is_same_file(identity_)) return false;
  const FileState log = log_now();
  if (!is_missing(log) && (log.error != 0 || log.size != 0)) return false;
  const std::optional<LogPosition> position = log_position(connection);
  const std::optional<std::uint64_t> size = size_of_log(connection);
  return known_ && position && size && *size >= position->bytes() && explains(position, database_now());
}

void FileWatch::make_room() {
  const MutexLock lock(mutex_);
  if (open_ != 0) {
    throw TimeoutError("the file " + quoted(database_) + " is still open; try again",
                       {.database = database_.string(), .retryable = true});
  }
  const FileState now = database_now();
  const bool is_another = !now.is_same_file(identity_) || (lasting_ && lasting_->loss == Loss::database);
  if (is_another || is_log_outdated()) set_log_aside();
}

// Whether a log that was cut has less left than was copied: its pages would hide newer ones of the database.
bool FileWatch::is_log_outdated() const {
  if (!lasting_ || lasting_->loss != Loss::log || !known_ || !known_->log || known_->log->is_copying()) return false;
  LogPosition copied = *known_->log;
  copied.frames = copied.copied;
  return log_now().error == 0 && !has_frame(log_name_, copied);
}

void FileWatch::set_log_aside() {
  if (log_ && log_->is_same_file(log_now())) {
    const std::string lost = log_name_.string() + ".lost";
    int error = take_free_name(log_name_, lost);
    for (int i = 2; error == EEXIST; ++i) error = take_free_name(log_name_, lost + "." + std::to_string(i));
    if (error != 0) {
      throw IoError("cannot rename " + quoted(log_name_) + ", the log of the file that was lost: " +
                        std::generic_category().message(error) + "; move it away, and call reopen() again",
                    {.database = database_.string()});
    }
  }
  std::error_code error;
  if (index_ && index_->is_same_file(state_of(index_name_, Times::left_out)))
    std::filesystem::remove(index_name_, error);
}

void FileWatch::start_anew(const FileIdentity& expected) {
  const MutexLock lock(mutex_);
  const FileState now = database_now();
  if (now.error != 0) refuse(unreachable(quoted(database_), now.error));
  if (now.identity != expected) refuse("the file " + quoted(database_) + " was replaced once more");
  close_handles();
  identity_ = now;
  has_exact_times_ = time_stamps_at(database_).are_exact;
  forget_side_files();
  before_commit_.reset();
  known_.reset();
  lasting_.reset();
  loss_ = Loss::none;
  begins_anew_ = false;
}

void FileWatch::refuse(const std::string& reason) const {
  throw IoError(reason + (reason.ends_with('?') ? " Call" : "; call") + " reopen() to go on with what is there now",
                {.extended_code = SQLITE_READONLY_DBMOVED, .database = database_.string()});
}

}  // namespace sqlane::detail
