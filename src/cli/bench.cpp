#include "cli/bench.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <sqlane/sqlane.hpp>
#include <thread>
#include <unistd.h>

#include "cli/file_stats.hpp"
#include "cli/format.hpp"
#include "cli/private_folder.hpp"
#include "cli/read_probe.hpp"
#include "cli/sync_probe.hpp"
#include "cli/write_probe.hpp"

namespace sqlane::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::size_t, 4> kBatches{1, 10, 100, 1000};
constexpr std::array<std::size_t, 3> kWriters{1, 8, 64};
constexpr std::array<std::size_t, 4> kCheckpointPages{250, 1000, 4000, 16000};
constexpr std::chrono::seconds kSizesLimit{30};
constexpr std::chrono::milliseconds kBusyTimeout{1000};

std::uintmax_t free_space_of(const fs::path& folder) { return fs::space(folder).available; }

std::uint64_t memory_of_machine() {
  return static_cast<std::uint64_t>(std::max(::sysconf(_SC_PHYS_PAGES), 0L)) *
         static_cast<std::uint64_t>(std::max(::sysconf(_SC_PAGESIZE), 0L));
}

class Bench {
 public:
  explicit Bench(const BenchOptions& options)
      : options_(options), measuring_{.length = options.length, .stop = options.stop} {}

  BenchMeasurements run() {
    look_at_file();
    const fs::path folder = fs::absolute(options_.file).parent_path();
    const PrivateFolder beside(folder, ".sqlane-bench");
    begin("syncs of the disk", 2);
    found_.sync = measure_syncs(beside.path(), measuring_);
    sample_keys();
    if (!keys_.keys.empty()) measure_file_reads();
    provide_copy(folder, beside.path() / "copy.db");
    measure_copy(beside.path() / "copy.db");
    return std::move(found_);
  }

 private:
  void look_at_file() {
    begin("what is in the file", 0);
    stats_ = read_file_stats(options_.file, kSizesLimit);
    const Options defaults;
    found_.path = options_.file;
    found_.engine = stats_.engine;
    found_.seed = options_.seed;
    found_.cores = std::max(1U, std::thread::hardware_concurrency());
    found_.seconds = std::chrono::duration<double>(options_.length).count();
    found_.page_size = stats_.page_size;
    found_.file_bytes = stats_.page_count * stats_.page_size;
    found_.page_cache_for_all = stats_.page_cache_for_all;
    found_.default_page_cache = defaults.page_cache;
    found_.default_checkpoint_pages = defaults.checkpoint_pages;
    found_.journal_mode = stats_.journal_mode;
  }

  [[nodiscard]] Database open_file(std::size_t page_cache) const {
    return open_to_read(
        options_.file,
        {.readers = std::max<std::size_t>(4, found_.cores), .busy_timeout = kBusyTimeout, .page_cache = page_cache},
        Sharing::usual);
  }

  void sample_keys() {
    begin("keys to read by", 0);
    const Database db = open_file(found_.default_page_cache);
    keys_ = sample_rows(db, stats_, options_.seed);
    found_.tables = keys_.tables;
    found_.keys = keys_.keys.size();
  }

  void measure_file_reads() {
    {
      const Database db = open_file(found_.default_page_cache);
      for (const ReadMode mode : {ReadMode::autocommit, ReadMode::snapshot}) {
        for (std::size_t threads = 1;; threads = std::min(threads * 2, found_.cores)) {
          begin(fmt::format("reads, {}, {} thread{}", name_of(mode), threads, threads == 1 ? "" : "s"), 1);
          found_.reads.push_back(measure_reads(db, keys_, {.mode = mode, .threads = threads}, measuring_));
          if (threads == found_.cores) break;
        }
      }
    }
    found_.cache_reads.push_back(found_.reads.front());
    const bool is_larger = found_.page_cache_for_all > found_.default_page_cache;
    if (!is_larger || found_.page_cache_for_all > memory_of_machine() / 4) return;
    begin(fmt::format("reads with page_cache={}MiB", found_.page_cache_for_all >> 20U), 1);
    const Database db = open_file(found_.page_cache_for_all);
    found_.cache_reads.push_back(measure_reads(db, keys_, {}, measuring_));
  }

  void provide_copy(const fs::path& folder, const fs::path& copy) {
    const std::uintmax_t free = options_.free_space ? options_.free_space(folder) : free_space_of(folder);
    if (!has_room_for_copy(found_.file_bytes, free)) {
      found_.is_copy = false;
      found_.write_note = fmt::format(
          "only {} are free beside the file, so it was not copied: writes were measured "
          "on an empty database of the same page size",
          format_bytes(free));
      make_empty_database(copy, found_.page_size);
      return;
    }
    begin("a copy of the file", 0);
    const Database db = open_file(found_.default_page_cache);
    db.backup_to(copy, {.verification = BackupOptions::Verification::none, .on_progress = {}, .stop = options_.stop});
  }

  void measure_copy(const fs::path& copy) {
    const auto measure = [&](std::vector<WriteMeasurement>& into, const WritePlan& plan, const std::string& what) {
      begin(what, 1);
      into.push_back(measure_writes(copy, plan, measuring_));
    };
    for (const Durability durability : {Durability::full, Durability::normal}) {
      for (const std::size_t rows : kBatches) {
        measure(found_.batches, {.durability = durability, .rows = rows},
                fmt::format("{} row{} a transaction, durability {}", rows, rows == 1 ? "" : "s", name_of(durability)));
      }
    }
    for (const std::size_t threads : kWriters) {
      measure(found_.writers, {.threads = threads},
              fmt::format("{} writer{} at once", threads, threads == 1 ? "" : "s"));
    }
    for (const Locking locking : {Locking::shared, Locking::exclusive}) {
      const std::string name(name_of(locking));
      measure(found_.locking, {.durability = Durability::normal, .locking = locking}, "writes, locking " + name);
      if (keys_.keys.empty() || !found_.is_copy) continue;
      begin("reads, locking " + name, 1);
      const Database db = Database::open(copy, {.mode = OpenMode::existing, .locking = locking});
      found_.locking_reads.push_back(measure_reads(db, keys_, {}, measuring_));
    }
    for (const std::size_t pages : kCheckpointPages) {
      measure(found_.checkpoints, {.durability = Durability::normal, .rows = 10, .checkpoint_pages = pages},
              fmt::format("checkpoint_pages={}", pages));
    }
  }

  // What comes next, and how many measurements that is.
  void begin(const std::string& what, int measurements) {
    measuring_.expect_going_on();
    const auto all = static_cast<double>(count_measurements());
    if (options_.on_progress) options_.on_progress(std::min(1.0, begun_ / all), what);
    begun_ += measurements;
  }

  [[nodiscard]] std::size_t count_measurements() const {
    std::size_t reads_of_a_mode = 1;
    for (std::size_t threads = 1; threads < found_.cores; threads *= 2) ++reads_of_a_mode;
    const std::size_t cache = found_.page_cache_for_all > found_.default_page_cache ? 1 : 0;
    return 2 + 2 * reads_of_a_mode + cache + 2 * kBatches.size() + kWriters.size() + 4 + kCheckpointPages.size();
  }

  const BenchOptions& options_;
  Measuring measuring_;
  FileStats stats_;
  RowKeys keys_;
  double begun_ = 0;
  BenchMeasurements found_;
};

}  // namespace

bool has_room_for_copy(std::uintmax_t file_bytes, std::uintmax_t free_bytes) {
  constexpr double kTimesTheFile = 2.2;
  constexpr std::uintmax_t kForWrites = 256U << 20U;  // what the measurements add
  return static_cast<double>(free_bytes) >= kTimesTheFile * static_cast<double>(file_bytes) &&
         free_bytes - file_bytes >= kForWrites;
}

BenchMeasurements run_bench(const BenchOptions& options) { return Bench(options).run(); }

}  // namespace sqlane::cli
