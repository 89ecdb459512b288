#include "sqlane/database.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/clock.hpp"
#include "base/mutex.hpp"
#include "care/checkpoint_governor.hpp"
#include "lane/job.hpp"
#include "lane/writer_lane.hpp"
#include "pool/pool.hpp"
#include "sqlite/connection.hpp"
#include "sqlite/database_file.hpp"

namespace sqlane {
namespace detail {

// One open database: wires the rooms, and owns the order of starting and
// stopping. Shared by the Databases of one named memory database and by the
// guards that are alive.
//
// Start: the writer first (it makes the file a WAL database), readers on demand.
// Stop: no new work; readers; checkpointer; the writer last, whose closing
// copies the log into the file and deletes it.
class Core {
 public:
  Core(Options options, ConnectionSettings settings)
      : options_(std::move(options)),
        settings_(std::move(settings)),
        lane_({.open_writer = [this] { return open_writer(); },
               .before = [this] { governor_.expect_sound(); },
               .needs_care = [this](Connection& writer) { return !settings_.is_memory() && governor_.is_due(writer); },
               .care = [this](Connection& writer) { governor_.checkpoint(writer); }},
              {.batch = options_.batch, .linger = linger()}, clock_),
        governor_(
            static_cast<int>(options_.checkpoint_pages), [this] { return open(Role::checkpointer); },
            [this](Clock::time_point deadline) { return readers_.wait_for_turnover(deadline); }, clock_),
        readers_(
            options_.readers, [this] { return open(Role::reader); }, [](Connection& reader) { return reader.tidy(); },
            clock_) {
    // Opens the writer now: whoever cannot open the file hears it here.
    Lease(lend_writer({}, CallSite::current())).give_back();
  }

  void run(Job& job) { lane_.run(job, deadline(job.options->timeout)); }

  [[nodiscard]] Lease lend_writer(const WriteOptions& options, CallSite site) {
    Waiter waiter;
    waiter.site = site;
    waiter.priority = options.priority;
    Connection& writer = lane_.acquire(waiter, deadline(options.timeout), options.stop);
    Lease lease(
        writer, [](void* lane, void*) noexcept { static_cast<WriterLane*>(lane)->release(); }, &lane_, nullptr);
    limit(writer, options.statement_timeout, options.stop);
    return lease;
  }

  [[nodiscard]] Lease lend_reader(const ReadOptions& options, CallSite site) {
    if (settings_.is_memory()) {
      return lend_writer(
          {.timeout = options.timeout, .statement_timeout = options.statement_timeout, .stop = options.stop}, site);
    }
    Readers::Slot& slot = readers_.acquire(deadline(options.timeout), site, options.stop);
    Lease lease(
        slot.resource(),
        [](void* readers, void* loan) noexcept {
          static_cast<Readers*>(readers)->release(*static_cast<Readers::Slot*>(loan));
        },
        &readers_, &slot);
    limit(slot.resource(), options.statement_timeout, options.stop);
    return lease;
  }

  void shut() noexcept {
    lane_.shut();
    readers_.shut();
  }

  // Throws UsageError when the calling thread holds the lane or a reader, which close() would wait for.
  void expect_closable(const CallSite& site) {
    lane_.expect_foreign_holder(site);
    readers_.expect_foreign_holders(site);
  }

  void close() {
    shut();
    const MutexLock lock(closing_);
    const Clock::time_point end = deadline({});
    readers_.close(end);
    lane_.drain(end);
    governor_.close();
    lane_.close();
  }

  // Counts the Databases in front of it. False when the last one has left already.
  [[nodiscard]] bool join() noexcept {
    int databases = databases_;
    while (databases != 0 && !databases_.compare_exchange_weak(databases, databases + 1)) {
    }
    return databases != 0;
  }
  // True for the last one.
  [[nodiscard]] bool leave() noexcept { return --databases_ == 0; }
  [[nodiscard]] bool is_abandoned() const noexcept { return databases_ == 0; }

  [[nodiscard]] const Options& options() const noexcept { return options_; }
  [[nodiscard]] std::optional<LaneHolder> lane_holder() { return lane_.holder(); }

 private:
  using Readers = Pool<Connection>;

  [[nodiscard]] Clock::time_point deadline(std::optional<std::chrono::milliseconds> timeout) const {
    return clock_.deadline(timeout.value_or(options_.acquire_timeout));
  }

  // For as long as it is lent out.
  static void limit(Connection& connection, std::optional<std::chrono::milliseconds> statement_timeout,
                    const std::stop_token& stop) {
    if (statement_timeout || stop.stop_possible()) connection.set_limits(statement_timeout, stop);
  }

  [[nodiscard]] std::unique_ptr<Connection> open(Role role) {
    ConnectionSettings settings = settings_;
    settings.role = role;
    return std::make_unique<Connection>(std::move(settings), clock_);
  }

  [[nodiscard]] std::unique_ptr<Connection> open_writer() {
    if (settings_.is_memory() && std::exchange(is_memory_filled_, true)) {
      throw Error("the memory database is lost: its only connection failed", {.database = settings_.database});
    }
    return open(Role::writer);
  }

  // A commit that is synced costs so much that waiting for company pays.
  [[nodiscard]] Clock::duration linger() const {
    const bool syncs = options_.durability == Durability::full && !settings_.is_memory();
    return std::chrono::microseconds(syncs ? 200 : 0);
  }

  // Constant after construction.
  Clock& clock_ = Clock::steady();
  const Options options_;
  const ConnectionSettings settings_;

  bool is_memory_filled_ = false;  // of the lane's holder
  std::atomic<int> databases_ = 1;

  // Destroyed from the bottom up: readers before the writer.
  WriterLane lane_;
  CheckpointGovernor governor_;
  Readers readers_;

  Mutex closing_;  // one close() at a time
};

namespace {

constexpr const char* kMemory = ":memory:";

Options complete(Options options) {
  constexpr std::size_t kMostReaders = 1000;
  constexpr std::size_t kMostPages = std::numeric_limits<int>::max() / 8;
  if (options.readers == 0) options.readers = std::max<std::size_t>(4, std::thread::hardware_concurrency());
  if (options.readers > kMostReaders) {
    throw UsageError("Options::readers must be at most " + std::to_string(kMostReaders));
  }
  if (options.acquire_timeout.count() < 0) throw UsageError("Options::acquire_timeout must not be negative");
  if (options.busy_timeout.count() < 0) throw UsageError("Options::busy_timeout must not be negative");
  if (options.checkpoint_pages == 0 || options.checkpoint_pages > kMostPages) {
    throw UsageError("Options::checkpoint_pages must be from 1 to " + std::to_string(kMostPages));
  }
  if (options.page_cache / 1024 > kMostPages) throw UsageError("Options::page_cache is too large");
  return options;
}

ConnectionSettings settings_for(const Options& options, std::string database) {
  return {.database = std::move(database),
          .durability = options.durability,
          .busy_timeout = options.busy_timeout,
          .statement_cache = options.statement_cache,
          .page_cache = options.page_cache};
}

std::shared_ptr<Core> make_memory(Options options) {
  options = complete(std::move(options));
  const ConnectionSettings settings = settings_for(options, kMemory);
  return std::make_shared<Core>(std::move(options), settings);
}

// Memory databases by name, for as long as somebody holds them.
class MemoryDatabases {
 public:
  std::shared_ptr<Core> find_or_make(std::string_view name, Options options) {
    const MutexLock lock(mutex_);
    std::erase_if(by_name_, [](const auto& entry) { return entry.second.expired(); });
    std::weak_ptr<Core>& entry = by_name_[std::string(name)];
    std::shared_ptr<Core> core = entry.lock();
    if (core == nullptr || !core->join()) entry = core = make_memory(std::move(options));
    return core;
  }

  static MemoryDatabases& of_this_process() {
    static MemoryDatabases databases;
    return databases;
  }

 private:
  Mutex mutex_;
  std::map<std::string, std::weak_ptr<Core>> by_name_ SQLANE_GUARDED_BY(mutex_);
};

}  // namespace
}  // namespace detail

Database Database::open(const std::filesystem::path& path, Options options) {
  options.path = path;
  return open(std::move(options));
}

Database Database::open(Options options) {
  options = detail::complete(std::move(options));
  const detail::ConnectionSettings settings =
      detail::settings_for(options, detail::prepare_database_file(options.path).string());
  return Database(std::make_shared<detail::Core>(std::move(options), settings));
}

Database Database::in_memory(Options options) { return Database(detail::make_memory(std::move(options))); }

Database Database::in_memory(std::string_view name, Options options) {
  if (name.empty()) throw UsageError("a shared memory database needs a name");
  return Database(detail::MemoryDatabases::of_this_process().find_or_make(name, std::move(options)));
}

Database::Database(std::shared_ptr<detail::Core> core) : core_(std::move(core)) {}

Database::Database(Database&& other) noexcept
    : core_(std::move(other.core_)), is_closed_(other.is_closed_.exchange(true)) {}

Database& Database::operator=(Database&& other) noexcept {
  if (this == &other) return *this;
  leave();
  core_ = std::move(other.core_);
  is_closed_ = other.is_closed_.exchange(true);
  return *this;
}

Database::~Database() { leave(); }

void Database::leave() noexcept {
  if (!is_closed_.exchange(true) && core_->leave()) core_->shut();
}

void Database::close(CallSite site) {
  if (core_ != nullptr) core_->expect_closable(site);
  if (!is_closed_.exchange(true)) static_cast<void>(core_->leave());
  if (core_ != nullptr && core_->is_abandoned()) core_->close();
}

const Options& Database::options() const { return core_ == nullptr ? core().options() : core_->options(); }

std::optional<LaneHolder> Database::lane_holder() const { return core().lane_holder(); }

detail::Core& Database::core() const {
  if (is_closed_.load(std::memory_order_relaxed)) throw ClosedError("the database has been closed");
  return *core_;
}

detail::Lease Database::lend_writer(const WriteOptions& options, CallSite site) {
  return core().lend_writer(options, site);
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
  core().run(job);
}

Transaction Database::begin(Behavior behavior, CallSite site) { return begin({}, behavior, site); }

Transaction Database::begin(const WriteOptions& options, Behavior behavior, CallSite site) {
  detail::Lease lease = lend_writer(options, site);
  lease.keep_alive(core_);
  return {std::move(lease), behavior};
}

Snapshot Database::snapshot(CallSite site) const { return snapshot({}, site); }

Snapshot Database::snapshot(const ReadOptions& options, CallSite site) const {
  detail::Lease lease = lend_reader(options, site);
  lease.keep_alive(core_);
  return {std::move(lease), Snapshot::Pin::at_once};
}

}  // namespace sqlane
