#include "sqlane/database.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "database/core.hpp"
#include "database/core_access.hpp"
#include "database/open_databases.hpp"
#include "lane/job.hpp"
#include "sqlite/connection.hpp"
#include "sqlite/database_file.hpp"
#include "sqlite/log_sweep.hpp"
#include "vfs/memory_store.hpp"

namespace sqlane {
namespace {

using detail::ConnectionSettings;
using detail::Core;
using detail::FileWatch;
using detail::MemoryStore;
using detail::OpenDatabases;

constexpr const char* kMemory = ":memory:";

Options complete(Options options) {
  constexpr std::size_t kMostPages = std::numeric_limits<int>::max() / 8;
  if (options.readers == 0) options.readers = std::max<std::size_t>(4, std::thread::hardware_concurrency());
  if (options.acquire_timeout.count() < 0) throw UsageError("Options::acquire_timeout must not be negative");
  if (options.busy_timeout.count() < 0) throw UsageError("Options::busy_timeout must not be negative");
  if (options.checkpoint_pages == 0 || options.checkpoint_pages > kMostPages) {
    throw UsageError("Options::checkpoint_pages must be from 1 to " + std::to_string(kMostPages));
  }
  if (options.page_cache / 1024 > kMostPages) throw UsageError("Options::page_cache is too large");
  const bool is_power_of_two = (options.page_size & (options.page_size - 1)) == 0;
  if (options.page_size != 0 && (options.page_size < 512 || options.page_size > 65536 || !is_power_of_two)) {
    throw UsageError("Options::page_size must be 0, or a power of two from 512 to 65536");
  }
  if (options.batch.jobs == 0) throw UsageError("Options::batch.jobs must be at least 1");
  if (options.async_queue == 0) throw UsageError("Options::async_queue must be at least 1");
  if (options.on_slow_write.threshold.count() <= 0) {
    throw UsageError("Options::on_slow_write.threshold must be positive");
  }
  if (options.on_write_sample.every == 0) throw UsageError("Options::on_write_sample.every must be at least 1");
  if (options.health_interval && options.health_interval->count() <= 0) {
    throw UsageError("Options::health_interval must be positive");
  }
  detail::expect_valid(detail::reader_pool_options(options));
  if (!options.fallback.empty()) options.fallback = std::filesystem::absolute(options.fallback);
  return options;
}

ConnectionSettings settings_for(const Options& options, std::string database) {
  return {.database = std::move(database),
          .locking = options.locking,
          .is_alone = options.mode == OpenMode::read_only && options.locking == Locking::exclusive,
          .durability = options.durability,
          .sql = options.sql,
          .page_size = options.page_size,
          .busy_timeout = options.busy_timeout,
          .statement_cache = options.statement_cache,
          .page_cache = options.page_cache,
          .on_statement = options.on_statement};
}

// What a statement means is not to depend on who opened the database first.
void expect_equal_sql(const Core& core, const Options& options) {
  if (core.options().sql == options.sql) return;
  throw UsageError("this process has the database open with other Options::sql: all who open it have to agree");
}

void expect_own_process(const Core& core) {
  if (!core.is_of_another_process()) return;
  throw UsageError("the database was opened before this process was forked; a child can open it only after exec");
}

std::shared_ptr<Core> open_memory(const Options& options, std::string name, std::shared_ptr<MemoryStore> store,
                                  std::shared_ptr<void> registration = nullptr) {
  if (!options.fallback.empty()) throw UsageError("Options::fallback is for a database in a file");
  if (options.mode != OpenMode::create) throw UsageError("Options::mode is for a database in a file");
  ConnectionSettings settings = settings_for(options, std::move(name));
  settings.memory = std::move(store);
  settings.locking = Locking::shared;  // nobody to keep out
  return Core::open(options, std::move(settings), std::move(registration));
}

// Where that fails, nothing stays beside the file that was not there.
std::shared_ptr<Core> open_file(const Options& options, const std::filesystem::path& file,
                                std::shared_ptr<FileWatch> files, std::shared_ptr<void> registration) {
  detail::LogSweep after_failure(file);
  ConnectionSettings settings = settings_for(options, file.string());
  settings.files = std::move(files);
  std::shared_ptr<Core> core = Core::open(options, std::move(settings), std::move(registration));
  after_failure.dismiss();
  return core;
}

}  // namespace

Database Database::open(const std::filesystem::path& path, Options options, CallSite site) {
  options.path = path;
  return open(std::move(options), site);
}

Database Database::open(Options options, CallSite site) {
  options = complete(std::move(options));
  if (options.memory_limit != 0) throw UsageError("Options::memory_limit is for a memory database");
  const std::filesystem::path file = detail::prepare_database_file(options.path, options.mode, options.locking);
  const auto open = [&](std::shared_ptr<FileWatch> files, std::shared_ptr<void> registration) {
    return open_file(options, file, std::move(files), std::move(registration));
  };
  Database database(OpenDatabases::of_this_process().file(file, options.locking, open), options.mode);
  expect_equal_sql(*database.core_, options);
  if (options.mode == OpenMode::read_only) return database;
  database.core_->expect_writable(site);
  database.core_->raise_durability(options.durability, site);
  return database;
}

Database Database::in_memory(Options options) {
  const std::size_t limit = options.memory_limit;
  return detail::CoreAccess::in_memory(std::move(options), MemoryStore::make(limit));
}

Database Database::in_memory(std::string_view name, Options options) {
  if (name.empty()) throw UsageError("a shared memory database needs a name");
  options = complete(std::move(options));
  const auto open = [&](std::shared_ptr<void> registration) {
    return open_memory(options, kMemory + std::string(name), MemoryStore::make(options.memory_limit),
                       std::move(registration));
  };
  Database database(OpenDatabases::of_this_process().memory(std::string(name), open));
  expect_equal_sql(*database.core_, options);
  return database;
}

Database detail::CoreAccess::in_memory(Options options, std::shared_ptr<MemoryStore> store) {
  return Database(open_memory(complete(std::move(options)), kMemory, std::move(store)));
}

Database::Database(std::shared_ptr<detail::Core> core, OpenMode mode) : core_(std::move(core)), mode_(mode) {}

Database::Database(Database&& other) noexcept
    : core_(std::move(other.core_)), mode_(other.mode_), is_closed_(other.is_closed_.exchange(true)) {}

Database& Database::operator=(Database&& other) noexcept {
  if (this == &other) return *this;
  leave();
  core_ = std::move(other.core_);
  mode_ = other.mode_;
  is_closed_ = other.is_closed_.exchange(true);
  return *this;
}

Database::~Database() { leave(); }

void Database::leave() noexcept {
  if (is_closed_.exchange(true) || core_->is_of_another_process()) return;
  if (core_->leave()) core_->shut();
}

void Database::close(CallSite site) {
  if (core_ != nullptr) {
    expect_own_process(*core_);
    core_->expect_closable(site);
  }
  if (!is_closed_.exchange(true)) static_cast<void>(core_->leave());
  if (core_ != nullptr && core_->is_abandoned()) core_->close();
}

void Database::reopen(CallSite site) { core().reopen(site); }

const Options& Database::options() const { return core_ == nullptr ? core().options() : core_->options(); }

std::optional<LaneHolder> Database::lane_holder() const { return core().lane_holder(); }

DatabaseStatistics Database::stats() const { return core().statistics(); }

Health Database::health() const { return core().check_health(); }

std::vector<ResourceReport> Database::connections() const { return core().connections(); }

void Database::maintain_now() const { core().maintain_now(); }

std::vector<LeaseReport> Database::drain(std::chrono::milliseconds timeout, CallSite site) {
  core().expect_closable(site);
  return core().drain(timeout);
}

detail::Core& Database::core() const {
  if (is_closed_.load(std::memory_order_relaxed)) throw ClosedError("the database has been closed");
  expect_own_process(*core_);
  return *core_;
}

detail::Core& Database::writable_core(const CallSite& site) const {
  detail::Core& core = this->core();
  if (mode_ != OpenMode::read_only) return core;
  throw ReadOnlyError("it was opened with OpenMode::read_only, so nothing can be written at " + site.to_string(),
                      {.database = core.options().path.string()});
}

detail::Lease Database::lend_writer(const WriteOptions& options, CallSite site) {
  return writable_core(site).lend_writer(options, site);
}

detail::Lease Database::lend_reader(const ReadOptions& options, CallSite site) const {
  return core().lend_reader(options, site);
}

void Database::run_write(const WriteOptions& options, CallSite site, detail::WriteJob run,
                         const detail::SqlText* statement) {
  detail::Job job(run, options);
  job.site = site;
  job.statement = statement;
  // Last, whatever the outcome: by then the lane is free, so callbacks may use the database.
  struct CallBack {
    detail::JobTransaction& transaction;
    ~CallBack() { transaction.call_back(); }
  } const call_back{job.transaction};
  writable_core(site).run(job);
}

void Database::post_write(const WriteOptions& options, CallSite site, std::unique_ptr<detail::PostedWrite> write) {
  auto job = std::make_unique<detail::PostedJob>(std::move(write), options);
  job->site = site;
  writable_core(site).post(std::move(job));
}

detail::FutureWait::FutureWait(const std::weak_ptr<Core>& core, const std::shared_ptr<std::atomic<bool>>& is_settled,
                               const CallSite& waiting, const CallSite& asked)
    : core_(core.lock()) {
  if (core_ == nullptr) return;
  expect_own_process(*core_);
  WriterLane& lane = core_->lane();
  if (lane.is_own_thread() || (lane.is_mine() && !*is_settled)) {
    throw UsageError("waiting at " + waiting.to_string() + ", inside a write or its callback, for the asynchronous " +
                     "write of " + asked.to_string() + " would never end: that comes after this one");
  }
  if (HeldHere::any() && !*is_settled) {
    edge_ = std::make_unique<WaitEdge>(lane, waiting, *is_settled);
  } else {
    core_.reset();  // only an edge needs it: waiting keeps no database open
  }
}

detail::FutureWait::~FutureWait() = default;

Transaction Database::begin(Behavior behavior, CallSite site) { return begin({}, behavior, site); }

Transaction Database::begin(const WriteOptions& options, Behavior behavior, CallSite site) {
  return detail::use_reconnecting([&] { return writable_core(site).lend_writer_to_guard(options, site); },
                                  [&](detail::Lease lease) {
                                    lease.keep_alive(core_);
                                    return Transaction(std::move(lease), behavior);
                                  });
}

Snapshot Database::snapshot(CallSite site) const { return snapshot({}, site); }

Snapshot Database::snapshot(const ReadOptions& options, CallSite site) const {
  return detail::use_reconnecting([&] { return lend_reader(options, site); },
                                  [&](detail::Lease lease) {
                                    lease.keep_alive(core_);
                                    return Snapshot(std::move(lease), Snapshot::Pin::at_once);
                                  });
}

}  // namespace sqlane
