#include "database/core.hpp"

#include <utility>

#include "sqlane/error.hpp"

namespace sqlane::detail {
namespace {

void limit(Connection& connection, std::optional<std::chrono::milliseconds> statement_timeout,
           const std::stop_token& stop) {
  if (statement_timeout || stop.stop_possible()) connection.set_limits(statement_timeout, stop);
}

}  // namespace

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
          static_cast<int>(options_.checkpoint_pages), [this] { return open(Role::checkpointer); },
          [this](Clock::time_point deadline) { return readers_.wait_for_turnover(deadline); }, clock_),
      readers_(
          options_.readers, [this] { return open(Role::reader); }, [](Connection& reader) { return reader.tidy(); },
          clock_) {
  // Opens the writer now: whoever cannot open the file hears it here.
  lend_writer({}, CallSite::current()).give_back();
  if (options_.on_slow_write.callback) watchdog_.emplace(lane_, options_.on_slow_write);
}

LaneHooks Core::hooks() {
  return {.open_writer = [this] { return open_writer(); },
          .before = [this] { governor_.expect_sound(); },
          .needs_care = [this](Connection& writer) { return !settings_.is_memory() && governor_.is_due(writer); },
          .care = [this](Connection& writer) { governor_.checkpoint(writer); },
          .sampled = [this](const WriteTrace& trace) { options_.on_write_sample.callback(trace); }};
}

// A commit that is synced costs so much that waiting for company pays.
Clock::duration Core::linger() const {
  const bool syncs = options_.durability == Durability::full && !settings_.is_memory();
  return std::chrono::microseconds(syncs ? 200 : 0);
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
      [](void* self, void*) noexcept {
        auto& core = *static_cast<Core*>(self);
        if (!core.is_of_another_process()) core.lane_.release();
      },
      this, nullptr);
  limit(writer, options.statement_timeout, options.stop);
  return lease;
}

Lease Core::lend_reader(const ReadOptions& options, CallSite site) {
  if (settings_.is_memory()) {
    return lend_writer(
        {.timeout = options.timeout, .statement_timeout = options.statement_timeout, .stop = options.stop}, site);
  }
  Readers::Slot& slot = readers_.acquire(deadline(options.timeout), site, options.stop);
  Lease lease(
      slot.resource(),
      [](void* self, void* loan) noexcept {
        auto& core = *static_cast<Core*>(self);
        if (!core.is_of_another_process()) core.readers_.release(*static_cast<Readers::Slot*>(loan));
      },
      this, &slot);
  limit(slot.resource(), options.statement_timeout, options.stop);
  return lease;
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
  return std::make_unique<Connection>(std::move(settings), clock_);
}

std::unique_ptr<Connection> Core::open_writer() {
  if (settings_.is_memory() && std::exchange(is_memory_filled_, true)) {
    throw Error("the memory database is lost: its only connection failed", {.database = settings_.database});
  }
  return open(Role::writer);
}

void Core::shut() noexcept {
  lane_.shut();
  readers_.shut();
  lane_.settle_posted(deadline({}), WriterLane::Guards::not_waited_for);
}

void Core::expect_closable(const CallSite& site) {
  lane_.expect_foreign_holder(site);
  if (lane_.is_mine()) {
    throw UsageError("closing at " + site.to_string() + ", in a callback of an asynchronous write, would wait for it");
  }
  readers_.expect_foreign_holders(site);
}

void Core::close() {
  lane_.shut();
  readers_.shut();
  const MutexLock lock(closing_);
  const Clock::time_point end = deadline({});
  lane_.settle_posted(end, WriterLane::Guards::waited_for);
  readers_.close(end);
  lane_.drain(end);
  governor_.close();
  lane_.close();
}

bool Core::join() noexcept {
  int databases = databases_;
  while (databases != 0 && !databases_.compare_exchange_weak(databases, databases + 1)) {
  }
  return databases != 0;
}

}  // namespace sqlane::detail
