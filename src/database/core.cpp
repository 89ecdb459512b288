#include "database/core.hpp"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <iterator>
#include <utility>

#include "database/open_databases.hpp"
#include "sqlane/detail/statement.hpp"
#include "sqlane/error.hpp"
#include "sqlite/database_file.hpp"

namespace sqlane::detail {
namespace {

// Of the log's size between two checkpoints; beyond, something keeps it from starting over.
constexpr std::uint64_t kLargeLog = 16;

std::vector<HealthChecker::Listener> health_listeners(const Options& options) {
  std::vector<HealthChecker::Listener> listeners;
  if (options.on_health_change) listeners.push_back(options.on_health_change);
  if (options.metrics != nullptr) {
    listeners.emplace_back([metrics = options.metrics](const Health& health) { metrics->on_health(health); });
  }
  return listeners;
}

void limit(Connection& connection, std::optional<std::chrono::milliseconds> statement_timeout,
           const std::stop_token& stop) {
  if (statement_timeout || stop.stop_possible()) connection.set_limits(statement_timeout, stop);
}

}  // namespace

PoolOptions reader_pool_options(const Options& options) {
  return {.name = "a reader",
          .max = options.readers,
          .max_overflow = options.overflow_readers,
          .acquire_timeout = options.acquire_timeout,
          .upkeep = options.upkeep};
}

std::shared_ptr<Core> Core::open(Options options, ConnectionSettings settings, std::shared_ptr<void> registration) {
  return {new Core(std::move(options), std::move(settings), std::move(registration)), [](Core* core) {
            if (!core->is_of_another_process()) delete core;
          }};
}

Core::Core(Options options, ConnectionSettings settings, std::shared_ptr<void> registration)
    : registration_(std::move(registration)),
      options_(std::move(options)),
      settings_(std::move(settings)),
      durability_(options_.durability),
      lane_(hooks(),
            {.database = settings_.database,
             .batch = options_.batch,
             .linger = linger(),
             .posted = options_.async_queue,
             .sample_every = options_.on_write_sample.callback ? options_.on_write_sample.every : 0},
            clock_),
      governor_(
          checkpoint_pages(), [this] { return open(Role::checkpointer); },
          [this](Clock::time_point deadline) { return wait_for_readers(deadline); }, clock_),
      health_([this](std::vector<Finding>& findings) { check(findings); }, health_listeners(options_)) {
  // Opens the writer now: whoever cannot open the file hears it here.
  if (options_.mode != OpenMode::read_only) lend_writer({}, CallSite::current()).give_back();
  if (options_.mode == OpenMode::read_only) sweep_.emplace(settings_.database);
  // The lock that keeps other processes out ends with the last connection; so a
  // writer that has to be replaced must not be that, nor a reader.
  if (settings_.is_alone) {
    keeper_ = open_reader(settings_);
  } else if (settings_.locking == Locking::exclusive) {
    governor_.open();
  }
  PoolOptions pool = reader_pool_options(options_);
  if (options_.metrics != nullptr) {
    pool.upkeep.on_leak = [this](const LeaseReport& report) {
      options_.metrics->on_overstaying(report);
      if (options_.upkeep.on_leak) options_.upkeep.on_leak(report);
    };
  }
  readers_.emplace([this] { return open_reader(settings_); }, pool, reader_hooks(), &clock_);
  if (!options_.fallback.empty()) {
    pool.upkeep = {.breaker = options_.upkeep.breaker};  // nothing is opened before it is needed
    fallback_.emplace([this] { return open_fallback(); }, pool, reader_hooks(), &clock_);
  }
  if (options_.mode == OpenMode::read_only) lend_from(*readers_, {}, CallSite::current()).give_back();
  if (options_.on_slow_write.callback) watchdog_.emplace(lane_, options_.on_slow_write);
  if (options_.health_interval) health_.start(*options_.health_interval);
}

LaneHooks Core::hooks() {
  return {.open_writer = [this] { return open_writer(); },
          .before = [this] { governor_.expect_sound(); },
          .needs_care = [this](Connection& writer) { return governor_.is_due(writer); },
          .care = [this](Connection& writer) { governor_.checkpoint(writer); },
          .sampled = [this](const WriteTrace& trace) { options_.on_write_sample.callback(trace); }};
}

// A log of limited size is copied back long before it is full.
int Core::checkpoint_pages() const {
  constexpr std::size_t kParts = 4;
  std::size_t pages = options_.checkpoint_pages;
  if (settings_.is_memory() && settings_.memory->log_limit() != 0) {
    pages = std::clamp<std::size_t>(settings_.memory->log_limit() / kParts / MemoryFile::kChunk, 1, pages);
  }
  return static_cast<int>(pages);
}

// A commit that is synced costs so much that waiting for company pays; but not
// by a clock that may never go on.
Clock::duration Core::linger() const {
  const bool syncs = options_.durability == Durability::full && !settings_.is_memory();
  return std::chrono::microseconds(syncs && options_.clock == nullptr ? 200 : 0);
}

// For a checkpoint's sake; likewise.
bool Core::wait_for_readers(Clock::time_point deadline) {
  return readers_->base().core().wait_for_turnover(options_.clock == nullptr ? deadline : clock_.now());
}

void Core::post(std::unique_ptr<PostedJob> job) {
  const Clock::time_point end = deadline(job->options->timeout);
  job->alive = shared_from_this();
  lane_.post(std::move(job), end);
}

Lease Core::lend_writer(const WriteOptions& options, CallSite site) {
  Waiter waiter;
  waiter.site = site;
  waiter.priority = options.priority;
  Connection& writer = lane_.acquire(waiter, deadline(options.timeout), options.stop);
  Lease lease(
      writer,
      [](void* self, Connection&, Loan&) noexcept {
        auto& core = *static_cast<Core*>(self);
        if (!core.is_of_another_process()) core.lane_.release();
      },
      this);
  limit(writer, options.statement_timeout, options.stop);
  return lease;
}

Lease Core::lend_writer_to_guard(const WriteOptions& options, CallSite site) {
  Lease lease = lend_writer(options, site);
  lane_.count_guard();
  return lease;
}

Lease Core::lend_reader(const ReadOptions& options, CallSite site) {
  std::exception_ptr why;
  try {
    if (settings_.files != nullptr) settings_.files->expect_readable();
    return lend_from(*readers_, options, site);
  } catch (const ClosedError&) {
    throw;
  } catch (const InterruptedError&) {
    throw;
  } catch (const TimeoutError&) {
    if (options_.metrics != nullptr) options_.metrics->on_acquire_timeout(site);
    if (!fallback_) throw;
    why = std::current_exception();
  } catch (const Error&) {  // none can be opened
    if (!fallback_) throw;
    why = std::current_exception();
  }
  try {
    Lease lease = lend_from(*fallback_, options, site);
    readers_->base().count_fallback();
    return lease;
  } catch (const ClosedError&) {
    throw;
  } catch (const InterruptedError&) {
    throw;
  } catch (const Error&) {
    std::rethrow_exception(why);  // what is wrong with the database itself says more
  }
}

Lease Core::lend_own_reader(const ReadOptions& options, CallSite site) { return lend_from(*readers_, options, site); }

void Core::care_for(Connection& writer) {
  if (governor_.is_due(writer)) governor_.checkpoint(writer);
}

Lease Core::lend_from(Readers& readers, const ReadOptions& options, CallSite site) {
  const Loan loan = readers.base().acquire({options.timeout, options.stop}, site);
  auto& reader = *static_cast<Connection*>(loan.resource);
  Lease lease(
      reader,
      [](void*, Connection& connection, Loan& lent) noexcept {
        if (connection.is_of_another_process()) return;
        for (int faults = connection.take_faults(); faults > 0; --faults) lent.count_error();
        lent.give_back();
      },
      nullptr, loan);
  limit(reader, options.statement_timeout, options.stop);
  return lease;
}

void Core::expect_writable(CallSite site) {
  if (options_.mode == OpenMode::read_only) lend_writer({}, site).give_back();
}

void Core::reopen_writer(CallSite site) noexcept {
  try {
    using std::chrono::milliseconds;
    lend_writer({.timeout = milliseconds(0)}, site).give_back();  // whoever has it has opened it
  } catch (const std::exception&) {                               // the outcome of the work is what counts
  }
}

void Core::reopen(CallSite site) {
  if (settings_.files == nullptr) return;  // memory cannot be lost
  expect_closable(site);
  const Clock::time_point end = deadline({});
  Waiter waiter;
  waiter.site = site;
  lane_.hold(waiter, end);
  FileWatch& files = *settings_.files;
  struct Release {
    WriterLane& lane;
    FileWatch& files;
    PoolCore& readers;
    ~Release() {
      files.give_up_anew();
      readers.forget_failures();  // they belong to the old file: the next read tries again
      lane.release();
    }
  } const release{lane_, files, readers_->base().core()};
  Writer& writer = lane_.writer();
  const bool has_writer = writer.is_open();
  if (has_writer ? !writer.get().has_lost_anything() : !files.has_lost_anything(nullptr)) return;
  files.begin_anew();
  readers_->base().core().renew(end);
  if (has_writer) writer.get().save_log_without_a_name();
  governor_.forget_log();
  writer.retire();
  keeper_.reset();
  if (sweep_) sweep_->dismiss();
  files.make_room();
  const bool writes = has_writer || options_.mode != OpenMode::read_only;
  static_cast<void>(
      prepare_database_file(settings_.database, writes ? OpenMode::existing : OpenMode::read_only, settings_.locking));
  const FileIdentity identity = identity_of(settings_.database);
  std::shared_ptr<void> registration = registration_;
  if (identity != files.identity()) {
    registration = OpenDatabases::of_this_process().adopt(shared_from_this(), identity, settings_.database,
                                                          settings_.files, settings_.locking);
  }
  files.start_anew(identity);
  registration_ = std::move(registration);
  if (sweep_) sweep_.emplace(settings_.database);
  writer_record_->failed_commits = 0;
  if (writes) static_cast<void>(writer.get());
  if (settings_.is_alone && !writer.is_open()) {
    keeper_ = open_reader(settings_);
  } else if (settings_.locking == Locking::exclusive) {
    governor_.open();
  }
}

void Core::raise_durability(Durability durability, CallSite site) {
  if (durability == durability_ || durability != Durability::full) return;
  const Lease lease = lend_writer({}, site);
  lease.connection().set_durability(durability);
  durability_ = durability;
}

std::unique_ptr<Connection> Core::open(Role role) {
  ConnectionSettings settings = settings_;
  settings.role = role;
  settings.durability = durability_;
  settings.record = role == Role::writer ? writer_record_ : records_.take();
  return std::make_unique<Connection>(std::move(settings), clock_);
}

std::unique_ptr<Connection> Core::open_reader(ConnectionSettings settings) {
  settings.role = Role::reader;
  settings.record = records_.take();
  auto reader = std::make_unique<Connection>(std::move(settings), clock_);
  if (options_.metrics != nullptr) options_.metrics->on_connection_opened();
  return reader;
}

// The file can be another Database's as well.
std::unique_ptr<Connection> Core::open_fallback() {
  OpenDatabases::Use use = OpenDatabases::of_this_process().use(identity_of(options_.fallback));
  ConnectionSettings settings = settings_;
  settings.database = options_.fallback.string();
  settings.files = nullptr;
  settings.page_size = 0;
  settings.locking = use.locking;
  settings.is_alone = use.locking == Locking::exclusive;
  settings.registration = std::move(use.registration);
  return open_reader(std::move(settings));
}

PoolHooks<Connection> Core::reader_hooks() {
  PoolHooks<Connection> hooks{.is_valid = [this](Connection& reader) { return reader.ping() && is_at_its_path(); },
                              .clean = [](Connection& reader) { return reader.tidy(); },
                              .warm_up = [this](Connection& reader) { warm_up(reader); },
                              .interrupt = [](Connection& reader) { reader.record().is_interrupted = true; },
                              .resume = [](Connection& reader) { reader.record().is_interrupted = false; },
                              .activity = [](Connection& reader) { return reader.record().running.text(); }};
  if (options_.metrics != nullptr) {
    hooks.closed = [this](CloseReason reason) { options_.metrics->on_connection_closed(reason); };
  }
  return hooks;
}

bool Core::is_at_its_path() const noexcept {
  try {
    if (settings_.files != nullptr) settings_.files->expect_openable();
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

void Core::warm_up(Connection& reader) const {
  if (options_.warm_up_query.empty()) {
    static_cast<void>(reader.ping());
    return;
  }
  const SqlFor<Access::read> sql = runtime_sql(options_.warm_up_query);
  Statement statement(reader, sql.text());
  while (statement.step()) {
  }
}

std::unique_ptr<Connection> Core::open_writer() {
  earlier_faults_ = writer_record_->faults.value();
  std::unique_ptr<Connection> writer = open(Role::writer);
  if (keeper_ != nullptr) {  // it would keep the log from being emptied at the end
    governor_.open();
    keeper_.reset();
  }
  return writer;
}

bool Core::share_memory(MemoryStore& empty) {
  if (!settings_.is_memory()) return false;
  const Lease writer = lend_writer({}, CallSite::current());
  if (!governor_.copy(writer.connection())) return false;
  if (!empty.share(*settings_.memory)) {
    throw DiskFullError("the memory limit is below what " + settings_.database + " has", {.database = ":memory:"});
  }
  return true;
}

void Core::maintain_now() {
  readers_->maintain_now();
  if (fallback_) fallback_->maintain_now();
}

// Health

void Core::check(std::vector<Finding>& findings) {
  if (readers_->state() != PoolState::active) {
    findings.push_back({Verdict::unhealthy, "it is closed, or being drained"});
    return;
  }
  try {
    if (settings_.files != nullptr) settings_.files->expect_openable();
  } catch (const IoError& error) {
    findings.push_back({Verdict::unhealthy, "its files are no longer those that were opened", error.what()});
    return;
  }
  check_lane(findings);
  check_readers(findings);
}

void Core::check_lane(std::vector<Finding>& findings) {
  if (!governor_.is_sound()) {
    findings.push_back({Verdict::unhealthy, "a checkpoint found the write-ahead log contradicting itself"});
  }
  if (options_.mode == OpenMode::read_only && !lane_.connection()) return;  // nobody writes
  if (const std::uint64_t failed = writer_record_->failed_commits; failed > 0) {
    findings.push_back({Verdict::unhealthy, "commits fail, the newest " + std::to_string(failed) + " of them"});
  }
  if (const std::optional<LaneHolder> holder = lane_.holder()) {
    if (holder->held < options_.acquire_timeout) return;
    const auto held = std::chrono::duration_cast<std::chrono::milliseconds>(holder->held);
    findings.push_back({Verdict::degraded, "the writer lane has been held by " + holder->site.to_string() + " for " +
                                               std::to_string(held.count()) + " ms"});
    return;
  }
  try {
    const Lease lease =
        lend_writer({.priority = Priority::background, .timeout = std::chrono::milliseconds(0)}, CallSite::current());
    if (!lease.connection().ping()) {
      lease.connection().retire();
      findings.push_back({Verdict::unhealthy, "the writer cannot read the database, and is opened anew"});
    }
    lease.connection().expect_reachable();
  } catch (const TimeoutError&) {  // somebody writes
  } catch (const std::exception& error) {
    findings.push_back({Verdict::unhealthy, "writing fails", error.what()});
  }
}

void Core::check_readers(std::vector<Finding>& findings) {
  const PoolStatistics readers = readers_->statistics();
  if (readers.waiting > 0 && readers.idle == 0) {
    findings.push_back({Verdict::degraded, "all " + std::to_string(readers.in_use) + " readers are in use, and " +
                                               std::to_string(readers.waiting) + " calls wait"});
  }
  if (const std::uint64_t pages = writer_record_->wal_pages; pages > kLargeLog * options_.checkpoint_pages) {
    findings.push_back({Verdict::degraded, "the write-ahead log has grown to " + std::to_string(pages) +
                                               " pages: somebody keeps it from starting over"});
  }
  try {
    Loan loan = readers_->base().try_acquire(CallSite::current());
    if (loan.slot == nullptr) return;
    const bool answers = static_cast<Connection*>(loan.resource)->ping();
    if (!answers) loan.retire();
    loan.give_back();
    if (!answers) findings.push_back({Verdict::unhealthy, "a reader did not answer, and was replaced"});
  } catch (const std::exception& error) {
    findings.push_back({Verdict::unhealthy, "readers cannot be opened", error.what()});
  }
}

// Statistics

std::uint64_t Core::log_bytes() const {
  if (settings_.is_memory()) {
    const std::shared_ptr<MemoryFile> log = settings_.memory->find(FileKind::log);
    return log == nullptr ? 0 : log->size();
  }
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(settings_.database + "-wal", error);
  return error ? 0 : bytes;
}

DatabaseStatistics Core::statistics() {
  DatabaseStatistics now{.database = settings_.database,
                         .readers = readers_->statistics(),
                         .lane = lane_.statistics(),
                         .checkpoints = governor_.checkpoints(),
                         .wal_bytes = log_bytes()};
  now.fallback_reads = now.readers.fallbacks;
  records_.for_each([&](const ConnectionRecord& record) {
    now.statements.hits += record.statement_hits.value();
    now.statements.prepared += record.statements_prepared.value();
    now.busy_waits += record.locks_met.value();
    now.errors += record.errors.value();
  });
  return now;
}

std::vector<ResourceReport> Core::connections() {
  std::vector<ResourceReport> all = readers_->resources();
  if (std::optional<ResourceReport> writer = lane_.connection()) {
    writer->errors = writer_record_->faults.value() - earlier_faults_;
    all.insert(all.begin(), *writer);
  }
  return all;
}

// Shutdown

std::vector<LeaseReport> Core::drain(std::chrono::milliseconds timeout) {
  const Clock::time_point end = clock_.deadline(timeout);
  lane_.shut();
  std::vector<LeaseReport> overstaying = readers_->base().core().drain(end);
  if (fallback_) std::ranges::move(fallback_->base().core().drain(end), std::back_inserter(overstaying));
  try {
    lane_.drain(end);
  } catch (const TimeoutError&) {
    writer_record_->is_interrupted = true;
    if (const std::optional<LaneHolder> holder = lane_.holder()) {
      overstaying.push_back({.site = holder->site,
                             .held = std::chrono::duration_cast<std::chrono::milliseconds>(holder->held),
                             .activity = holder->sql});
    }
  }
  return overstaying;
}

void Core::shut() noexcept {
  health_.stop();
  lane_.shut();
  shut_readers();
  lane_.settle_posted(deadline({}), WriterLane::Guards::not_waited_for);
}

void Core::expect_closable(const CallSite& site) {
  lane_.expect_foreign_holder(site);
  if (lane_.is_mine()) {
    throw UsageError("closing at " + site.to_string() + ", in a callback of an asynchronous write, would wait for it");
  }
  readers_->base().core().expect_foreign_holders(site);
  if (fallback_) fallback_->base().core().expect_foreign_holders(site);
}

void Core::shut_readers() noexcept {
  readers_->base().core().shut(PoolState::closed);
  if (fallback_) fallback_->base().core().shut(PoolState::closed);
}

void Core::close() {
  health_.stop();
  lane_.shut();
  shut_readers();
  const MutexLock lock(closing_);
  const Clock::time_point end = deadline({});
  lane_.settle_posted(end, WriterLane::Guards::waited_for);
  readers_->base().core().close(end);
  if (fallback_) fallback_->base().core().close(end);
  lane_.drain(end);
  governor_.close();
  lane_.close();
  keeper_.reset();
  sweep_.reset();
  registration_.reset();
}

bool Core::join() noexcept {
  int databases = databases_;
  while (databases != 0 && !databases_.compare_exchange_weak(databases, databases + 1)) {
  }
  return databases != 0;
}

}  // namespace sqlane::detail
