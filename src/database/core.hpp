#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "base/clock.hpp"
#include "base/fork.hpp"
#include "base/mutex.hpp"
#include "care/checkpoint_governor.hpp"
#include "care/health_checker.hpp"
#include "lane/job.hpp"
#include "lane/watchdog.hpp"
#include "lane/writer_lane.hpp"
#include "pool/pool_core.hpp"
#include "sqlane/detail/lease.hpp"
#include "sqlane/options.hpp"
#include "sqlane/pool.hpp"
#include "sqlite/connection.hpp"
#include "sqlite/log_sweep.hpp"

namespace sqlane::detail {

// How a database's readers are kept, as its options say it.
[[nodiscard]] PoolOptions reader_pool_options(const Options& options);

// One open database: wires the rooms, and owns the order of starting and
// stopping. Shared by the Databases of one file (or of one named memory
// database) in this process, and by the guards that are alive.
//
// Start: the writer first (it makes the file a WAL database), readers on demand.
// Stop: no new work; readers; checkpointer; the writer last, whose closing
// copies the log into the file and deletes it.
// In the child of a fork: refused, and never destroyed.
//
// Safe to use from any thread.
class Core : public std::enable_shared_from_this<Core> {
 public:
  // Throws OpenError. `registration` lives as long as the database is open.
  [[nodiscard]] static std::shared_ptr<Core> open(Options options, ConnectionSettings settings,
                                                  std::shared_ptr<void> registration = nullptr);

  void run(Job& job) { lane_.run(job, deadline(job.options->timeout)); }
  void post(std::unique_ptr<PostedJob> job);
  [[nodiscard]] Lease lend_writer(const WriteOptions& options, CallSite site);
  // The same, counted as a transaction by begin().
  [[nodiscard]] Lease lend_writer_to_guard(const WriteOptions& options, CallSite site);
  [[nodiscard]] Lease lend_reader(const ReadOptions& options, CallSite site);
  // Never one of Options::fallback.
  [[nodiscard]] Lease lend_own_reader(const ReadOptions& options, CallSite site);

  // Opens the writer where that has been left out for those who only read. Throws OpenError.
  void expect_writable(CallSite site);

  // Checkpoints, where that is due, before its time on the lane. By the lane's holder, in no transaction.
  void care_for(Connection& writer);

  // Opens the writer unless it is open; what keeps it from being opened is told by the next write.
  void reopen_writer(CallSite site) noexcept;

  // Goes on with the file that is at the path, where the one that was opened is lost. Nothing is changed if it throws
  // before that is closed; after that, what was lost is lost still, and another call tries again.
  void reopen(CallSite site);

  // The stronger durability holds for all who share it.
  void raise_durability(Durability durability, CallSite site);

  // Refuses new calls, and waits for those that run; at the deadline it interrupts
  // and reports who holds something still.
  [[nodiscard]] std::vector<LeaseReport> drain(std::chrono::milliseconds timeout);

  // The part of close() that does not wait for those who hold something.
  void shut() noexcept;
  // Throws UsageError when the calling thread holds the lane or a reader, which close() would wait for.
  void expect_closable(const CallSite& site);
  void close();

  // Counts the Databases in front of it. False when the last one has left already.
  [[nodiscard]] bool join() noexcept;
  // True for the last one.
  [[nodiscard]] bool leave() noexcept { return --databases_ == 0; }
  [[nodiscard]] bool is_abandoned() const noexcept { return databases_ == 0; }

  [[nodiscard]] bool is_of_another_process() const noexcept { return generation_ != ForkGeneration::now(); }

  [[nodiscard]] const Options& options() const noexcept { return options_; }
  [[nodiscard]] Clock& clock() const noexcept { return clock_; }
  [[nodiscard]] bool is_memory() const noexcept { return settings_.is_memory(); }
  // The absolute path; what errors call a memory database.
  [[nodiscard]] const std::string& file() const noexcept { return settings_.database; }
  // Gives an empty store what has been committed, sharing the memory. False when
  // that cannot be: for a database in a file, and while somebody reads an older
  // state. Throws DiskFullError when it is more than the store may have.
  [[nodiscard]] bool share_memory(MemoryStore& empty);
  [[nodiscard]] WriterLane& lane() noexcept { return lane_; }
  [[nodiscard]] std::optional<LaneHolder> lane_holder() { return lane_.holder(); }

  [[nodiscard]] DatabaseStatistics statistics();
  [[nodiscard]] std::vector<ResourceReport> connections();
  [[nodiscard]] Health check_health() { return health_.check(); }
  void maintain_now();

 private:
  using Readers = Pool<Connection>;

  Core(Options options, ConnectionSettings settings, std::shared_ptr<void> registration);
  ~Core() = default;

  [[nodiscard]] Clock::time_point deadline(std::optional<std::chrono::milliseconds> timeout) const {
    return clock_.deadline(timeout.value_or(options_.acquire_timeout));
  }
  [[nodiscard]] std::unique_ptr<Connection> open(Role role);
  [[nodiscard]] std::unique_ptr<Connection> open_reader(ConnectionSettings settings);
  [[nodiscard]] std::unique_ptr<Connection> open_fallback();
  [[nodiscard]] PoolHooks<Connection> reader_hooks();
  [[nodiscard]] bool is_at_its_path() const noexcept;
  void warm_up(Connection& reader) const;
  [[nodiscard]] Lease lend_from(Readers& readers, const ReadOptions& options, CallSite site);
  void check(std::vector<Finding>& findings);
  void check_lane(std::vector<Finding>& findings);
  void check_readers(std::vector<Finding>& findings);
  [[nodiscard]] std::uint64_t log_bytes() const;
  [[nodiscard]] std::unique_ptr<Connection> open_writer();
  void shut_readers() noexcept;
  [[nodiscard]] LaneHooks hooks();
  [[nodiscard]] int checkpoint_pages() const;
  [[nodiscard]] Clock::duration linger() const;
  [[nodiscard]] bool wait_for_readers(Clock::time_point deadline);

  std::shared_ptr<void> registration_;  // until all connections are closed
  std::optional<LogSweep> sweep_;       // of one that is only read; likewise

  // Constant after construction.
  const std::uint32_t generation_ = ForkGeneration::watch();
  const Options options_;
  Clock& clock_ = options_.clock == nullptr ? Clock::steady() : *options_.clock;
  const ConnectionSettings settings_;

  std::atomic<Durability> durability_;
  std::atomic<std::uint64_t> earlier_faults_ = 0;  // of writers before the present one
  std::atomic<int> databases_ = 1;
  ConnectionRecords records_;
  const std::shared_ptr<ConnectionRecord> writer_record_ = records_.take();

  // Of one that is only read, with Locking::exclusive: holds the lock until a writer does. Used by the holder of the
  // lane.
  std::unique_ptr<Connection> keeper_;

  // Destroyed from the bottom up: readers before the writer.
  WriterLane lane_;
  CheckpointGovernor governor_;
  std::optional<Readers> readers_;   // there since the writer has opened the database
  std::optional<Readers> fallback_;  // of Options::fallback
  HealthChecker health_;
  std::optional<Watchdog> watchdog_;

  Mutex closing_;  // one close() at a time
};

// For the lifetime of work that uses the writer up: opens another at the end,
// since without one nobody could empty the log when the database is closed.
class WriterReopening {
 public:
  WriterReopening(Core& core, CallSite site) noexcept : core_(core), site_(site) {}
  WriterReopening(const WriterReopening&) = delete;
  WriterReopening& operator=(const WriterReopening&) = delete;
  ~WriterReopening() { core_.reopen_writer(site_); }

 private:
  Core& core_;
  CallSite site_;
};

}  // namespace sqlane::detail
