#include "cli/workload.hpp"

#include <algorithm>
#include <sqlane/error.hpp>
#include <system_error>
#include <utility>

#include "cli/log_files.hpp"

namespace sqlane::cli {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr std::size_t kHistory = 500;
constexpr std::chrono::milliseconds kSizesLimit{500};
constexpr nanoseconds kTablesEvery = std::chrono::seconds(5);
constexpr nanoseconds kShortestStep = std::chrono::milliseconds(2);
constexpr nanoseconds kLongestStep = std::chrono::milliseconds(100);
constexpr double kFramesOfALook = 200;  // wanted: a log often starts over at 1000
constexpr int kShareOfTables = 20;      // looking at them may take one part of so many of the time

class Watch {
 public:
  Watch(const WatchOptions& options, const Pace& pace) : options_(options), pace_(pace), start_(pace.now()) {
    workload_.path = options.path;
    workload_.interval = options.interval;
    look_at_tables();
    look_at_log();  // what was there before
    seen_ = {};
    checkpoints_ = 0;
    first_bytes_ = database_bytes_;
    begin_ = pace.now();
  }

  // False when it was ended before.
  bool run_interval() {
    const auto end = begin_ + options_.interval;
    for (auto now = pace_.now(); now < end; now = pace_.now()) {
      if (!pace_.sleep(std::min<nanoseconds>(step_, end - now))) return false;
      look_at_log();
    }
    expect_file();
    finish_interval();
    return true;
  }

  [[nodiscard]] const Workload& workload() const { return workload_; }

 private:
  // Nothing would come any more, and that would look like rest.
  void expect_file() const {
    std::error_code error;
    if (std::filesystem::exists(options_.path, error)) return;
    throw OpenError("\"" + options_.path.string() + "\" is not there any more");
  }

  void look_at_log() {
    const LogFile file(options_.path);
    const LogAdvance advance = reader_.advance(file.reader());
    seen_ += advance;
    log_bytes_ = file.size();
    if (advance.page_count != 0 && reader_.header()) {
      database_bytes_ = std::uint64_t{advance.page_count} * reader_.header()->page_size;
    }
    look_at_checkpoints(advance.restarts);
    step_ = next_step(step_, advance.frames);
  }

  void look_at_checkpoints(std::uint32_t restarts) {
    if (restarts > 0) {  // each time after all of the log was copied back, seen or not
      checkpoints_ += restarts - (index_.frames > 0 && index_.checkpointed == index_.frames ? 1 : 0);
      index_ = {};
    }
    const std::optional<LogIndexHead> index = read_log_index(options_.path);
    checkpointed_frames_.reset();
    if (!index || !reader_.header() || index->salt != reader_.header()->salt) return;
    checkpointed_frames_ = index->checkpointed;
    if (index->checkpointed > index_.checkpointed) ++checkpoints_;
    index_ = *index;
  }

  void finish_interval() {
    const auto now = pace_.now();
    WorkloadInterval& last = workload_.last;
    last = {.elapsed = now - start_,
            .length = now - begin_,
            .log = std::exchange(seen_, {}),
            .checkpoints = std::exchange(checkpoints_, 0),
            .log_bytes = log_bytes_,
            .log_frames = reader_.frames(),
            .checkpointed_frames = checkpointed_frames_,
            .database_bytes = database_bytes_,
            .growth = static_cast<std::int64_t>(database_bytes_) - static_cast<std::int64_t>(first_bytes_)};
    begin_ = now;
    workload_.total += last.log;
    workload_.checkpoints += last.checkpoints;
    workload_.commits_per_second.push_back(last.per_second(last.log.commits));
    if (workload_.commits_per_second.size() > kHistory) workload_.commits_per_second.pop_front();
    commits_since_tables_ += last.log.commits;
    if (commits_since_tables_ > 0 && now >= next_tables_) look_at_tables();
  }

  void look_at_tables() {
    const auto begin = pace_.now();
    try {
      FileStats stats = read_file_stats(options_.path, kSizesLimit, Sharing::shared);
      if (!is_found_) database_bytes_ = stats.page_count * stats.page_size;
      workload_.tables = std::move(stats);
      workload_.tables_note.clear();
    } catch (const OpenError& error) {
      if (!is_found_ && !has_log()) throw;  // not a database at all
      workload_.tables_note = error.what();
    } catch (const BusyError& error) {
      workload_.tables_note = error.what();
    }
    is_found_ = true;
    const auto end = pace_.now();
    next_tables_ = end + std::max<nanoseconds>(kTablesEvery, (end - begin) * kShareOfTables);
    commits_since_tables_ = 0;
  }

  // Of a database that a process keeps to itself nothing but the log can be seen.
  [[nodiscard]] bool has_log() const {
    const LogFile file(options_.path);
    LogReader reader;
    reader.advance(file.reader());
    return reader.header().has_value();
  }

  const WatchOptions& options_;
  const Pace& pace_;
  LogReader reader_;
  LogIndexHead index_;  // of the log that reader_ is in
  nanoseconds step_ = kLongestStep;
  LogAdvance seen_;
  std::uint64_t checkpoints_ = 0;
  std::uint64_t log_bytes_ = 0;
  std::optional<std::uint64_t> checkpointed_frames_;
  std::uint64_t database_bytes_ = 0;
  std::uint64_t first_bytes_ = 0;
  std::uint64_t commits_since_tables_ = 0;
  bool is_found_ = false;
  steady_clock::time_point start_;
  steady_clock::time_point begin_;
  steady_clock::time_point next_tables_;
  Workload workload_;
};

}  // namespace

std::chrono::nanoseconds next_step(std::chrono::nanoseconds step, std::uint64_t frames) {
  const double factor = std::clamp(kFramesOfALook / static_cast<double>(std::max<std::uint64_t>(frames, 1)), 0.1, 2.0);
  return std::clamp(std::chrono::duration_cast<nanoseconds>(step * factor), kShortestStep, kLongestStep);
}

void watch_workload(const WatchOptions& options, const Pace& pace, const std::function<void(const Workload&)>& show) {
  Watch watch(options, pace);
  for (std::uint64_t i = 0; options.count == 0 || i < options.count; ++i) {
    if (!watch.run_interval()) return;
    show(watch.workload());
  }
}

}  // namespace sqlane::cli
