#include "sqlane/database_cache.hpp"

#include <algorithm>
#include <exception>
#include <list>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/fork.hpp"
#include "base/mutex.hpp"
#include "sqlane/error.hpp"

namespace sqlane {
namespace detail {
namespace {

// A key that somebody asked for, from then until its database is closed.
struct Entry : std::enable_shared_from_this<Entry> {
  enum class State : std::uint8_t { claimed, opening, in_use, idle, closing, gone };

  explicit Entry(std::string_view of) : key(of) {}

  const std::string key;

  // Under CachedDatabases::mutex_.
  State state = State::claimed;
  std::size_t handles = 0;
  CallSite site;            // who opens it, has it, or closes it;
  Clock::time_point since;  // and since when
  std::thread::id opener;
  std::list<Entry*>::iterator place;
  Condition changed;  // away from claimed, opening, closing

  // Of whoever opens or closes it. While it is in use or idle it stays the same.
  std::unique_ptr<Database> database;
};

using EntryPointer = std::shared_ptr<Entry>;

}  // namespace

// The life of an entry (Entry::State)
//
//            a slot             opened              last handle dropped
//   claimed ────────► opening ──────────► in_use ───────────────────────► idle
//      │                 │                │ ▲  ◄───────────────────────    │
//      │                 │                │ │           get()              │
//      │         dropped while somebody   │ │ close() failed, and          │
//      │         waits, or when closed;   │ │ somebody has it              │ room is wanted;
//      │ failed  │ failed        close()  ▼ │                              │ close_idle(), close()
//      └─────────┴──────► gone ◄──────── closing ◄─────────────────────────┘
//
// Whoever moves an entry to claimed, opening or closing works on its database
// alone, without the mutex, and moves it on.
//
// Invariants, under mutex_
//  1. A key has at most one entry, which is in entries_ unless it is gone. Those
//     who ask for it while somebody opens or closes it wait for that one.
//  2. A slot belongs to each entry that is opening, in_use, idle or closing;
//     except that one being closed to make room has passed its slot to the one it
//     makes room for, which opens nothing before. open_ counts slots, and is never
//     more than max_open: so many databases are open at most.
//  3. While somebody is in line_ for a slot, none is free and no entry is idle:
//     whoever frees a slot, or drops the last handle, gives it to the first in
//     line. After close() nobody is given anything.
//  4. idle_ lists the idle entries, unused for longest first; busy_ all others,
//     those in use in the order of their beginning.
//  5. Databases are opened, closed and destroyed, and the user's functions called,
//     without the mutex. A database is destroyed before its entry is gone; where
//     close() took it from those who have it, with their last handle.
class CachedDatabases : public std::enable_shared_from_this<CachedDatabases> {
 public:
  [[nodiscard]] static std::shared_ptr<CachedDatabases> make(DatabaseCacheOptions options, Clock& clock) {
    return {new CachedDatabases(std::move(options), clock), [](CachedDatabases* databases) {
              // In a child of fork, threads that are not there may wait for its conditions.
              if (!databases->is_of_another_process()) delete databases;
            }};
  }

  [[nodiscard]] std::shared_ptr<Database> get(std::string_view key, const CallSite& site) SQLANE_EXCLUDES(mutex_);
  void close_idle(const CallSite& site) SQLANE_EXCLUDES(mutex_);
  void close(const CallSite& site) SQLANE_EXCLUDES(mutex_);
  // close() without waiting for anybody.
  void abandon() noexcept SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] DatabaseCacheStatistics stats() SQLANE_EXCLUDES(mutex_);

 private:
  using State = Entry::State;

  // One call of get().
  struct Asking {
    std::string_view key;
    CallSite site;
    Clock::time_point deadline;
    std::uint64_t number = 0;  // counts the calls
  };

  // In line for a slot. Lives on the waiting thread's stack.
  struct Waiter {
    Entry& entry;
    const CallSite& site;
    Condition wake;
    bool has_slot = false;
    EntryPointer evicted;  // that has to be closed first
  };

  struct Found {
    EntryPointer entry;
    bool is_claimed = false;  // by the caller, which opens it
  };

  enum class Slot : std::uint8_t { freed, passed_on };

  CachedDatabases(DatabaseCacheOptions options, Clock& clock) : options_(std::move(options)), clock_(clock) {}
  ~CachedDatabases() = default;

  [[nodiscard]] bool is_of_another_process() const noexcept { return generation_ != ForkGeneration::now(); }
  void expect_own_process() const;

  [[nodiscard]] Found find_or_claim(Asking& asking) SQLANE_EXCLUDES(mutex_);
  void open(Entry& entry, const Asking& asking) SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] EntryPointer take_slot(Entry& entry, const Asking& asking) SQLANE_EXCLUDES(mutex_);
  void announce(Entry& entry, const CallSite& site) SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] std::shared_ptr<Database> handle_of(EntryPointer entry);
  void release(Entry& entry) noexcept SQLANE_EXCLUDES(mutex_);

  [[nodiscard]] std::exception_ptr close_database(Entry& entry, const CallSite& site, Slot slot) noexcept
      SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] std::exception_ptr close_all(const std::vector<EntryPointer>& entries, const CallSite& site) noexcept
      SQLANE_EXCLUDES(mutex_);
  void forget(Entry& entry, Slot slot) noexcept SQLANE_EXCLUDES(mutex_);

  [[nodiscard]] EntryPointer claim(const Asking& asking) SQLANE_REQUIRES(mutex_);
  void lend(Entry& entry, const CallSite& site) noexcept SQLANE_REQUIRES(mutex_);
  void begin(State work, Entry& entry, const CallSite& site) noexcept SQLANE_REQUIRES(mutex_);
  [[nodiscard]] EntryPointer evict(Entry& entry, const CallSite& site) noexcept SQLANE_REQUIRES(mutex_);
  void give_slot(Entry* evicted) noexcept SQLANE_REQUIRES(mutex_);
  void shut() noexcept SQLANE_REQUIRES(mutex_);
  [[nodiscard]] const Entry* under_way() const noexcept SQLANE_REQUIRES(mutex_);

  [[nodiscard]] std::string describe(const Entry& entry) SQLANE_REQUIRES(mutex_);
  [[nodiscard]] std::string describe_use() SQLANE_REQUIRES(mutex_);

  // Constant after construction.
  const std::uint32_t generation_ = ForkGeneration::watch();
  const DatabaseCacheOptions options_;
  Clock& clock_;

  Mutex mutex_;
  std::map<std::string, EntryPointer, std::less<>> entries_ SQLANE_GUARDED_BY(mutex_);
  std::list<Entry*> busy_ SQLANE_GUARDED_BY(mutex_);
  std::list<Entry*> idle_ SQLANE_GUARDED_BY(mutex_);
  std::map<std::uint64_t, Waiter*> line_ SQLANE_GUARDED_BY(mutex_);  // by Asking::number
  std::size_t open_ SQLANE_GUARDED_BY(mutex_) = 0;
  Condition ended_;  // an opening or a closing
  bool is_closed_ SQLANE_GUARDED_BY(mutex_) = false;

  std::uint64_t asked_ SQLANE_GUARDED_BY(mutex_) = 0;
  std::size_t waiting_ SQLANE_GUARDED_BY(mutex_) = 0;
  std::uint64_t hits_ SQLANE_GUARDED_BY(mutex_) = 0;
  std::uint64_t opened_ SQLANE_GUARDED_BY(mutex_) = 0;
  std::uint64_t evicted_ SQLANE_GUARDED_BY(mutex_) = 0;
  std::uint64_t timeouts_ SQLANE_GUARDED_BY(mutex_) = 0;
  std::uint64_t failed_closings_ SQLANE_GUARDED_BY(mutex_) = 0;
  std::exception_ptr last_failed_closing_ SQLANE_GUARDED_BY(mutex_);
};

namespace {

[[noreturn]] void throw_closed() { throw ClosedError("the cache of databases has been closed"); }

std::string in_quotes(std::string_view key) { return "\"" + std::string(key) + "\""; }

}  // namespace

void CachedDatabases::expect_own_process() const {
  if (!is_of_another_process()) return;
  throw UsageError("the cache of databases was made before this process was forked; a child makes its own");
}

std::shared_ptr<Database> CachedDatabases::get(std::string_view key, const CallSite& site) {
  expect_own_process();
  Asking asking{.key = key, .site = site, .deadline = clock_.deadline(options_.acquire_timeout)};
  Found found = find_or_claim(asking);
  if (found.is_claimed) open(*found.entry, asking);
  return handle_of(std::move(found.entry));
}

CachedDatabases::Found CachedDatabases::find_or_claim(Asking& asking) {
  EntryPointer entry;  // goes after the lock
  MutexLock lock(mutex_);
  asking.number = ++asked_;
  while (true) {
    if (is_closed_) throw_closed();
    const auto found = entries_.find(asking.key);
    if (found == entries_.end()) return {.entry = claim(asking), .is_claimed = true};
    entry = found->second;
    if (entry->state == State::in_use || entry->state == State::idle) {
      ++hits_;
      lend(*entry, asking.site);
      return {.entry = std::move(entry)};
    }
    if (entry->state != State::closing && entry->opener == std::this_thread::get_id()) {
      throw UsageError("getting the database " + in_quotes(asking.key) + " at " + asking.site.to_string() +
                       " would wait for this thread itself, which opens it at " + entry->site.to_string());
    }
    if (clock_.now() >= asking.deadline) {
      ++timeouts_;
      throw TimeoutError("another thread was not done in time for " + asking.site.to_string() + " with " +
                             (entry->state == State::closing ? "closing" : "opening") + " the database " +
                             describe(*entry),
                         {.retryable = true});
    }
    ++waiting_;
    clock_.wait_until(entry->changed, lock, asking.deadline);
    --waiting_;
  }
}

EntryPointer CachedDatabases::claim(const Asking& asking) {
  auto entry = std::make_shared<Entry>(asking.key);
  std::list<Entry*> node{entry.get()};
  entries_.emplace(entry->key, entry);
  entry->place = node.begin();
  busy_.splice(busy_.end(), node);
  entry->opener = std::this_thread::get_id();
  begin(State::claimed, *entry, asking.site);
  return entry;
}

void CachedDatabases::open(Entry& entry, const Asking& asking) {
  try {
    Options options = options_.options_for(entry.key);
    if (const EntryPointer evicted = take_slot(entry, asking)) {
      // Its failure is none of this caller's.
      static_cast<void>(close_database(*evicted, asking.site, Slot::passed_on));
    }
    entry.database = std::make_unique<Database>(Database::open(std::move(options), asking.site));
    if (options_.prepare) options_.prepare(entry.key, *entry.database);
    announce(entry, asking.site);
  } catch (...) {
    entry.database.reset();
    forget(entry, Slot::freed);
    throw;
  }
}

// Returns what has to be closed before the slot is used; or null.
EntryPointer CachedDatabases::take_slot(Entry& entry, const Asking& asking) {
  Waiter self{.entry = entry, .site = asking.site, .wake = {}, .evicted = {}};
  MutexLock lock(mutex_);
  if (is_closed_) throw_closed();
  if (open_ < options_.max_open) {
    ++open_;
    begin(State::opening, entry, asking.site);
    return nullptr;
  }
  if (!idle_.empty()) {
    begin(State::opening, entry, asking.site);
    return evict(*idle_.front(), asking.site);
  }
  line_.emplace(asking.number, &self);
  ++waiting_;
  while (!self.has_slot && !is_closed_ && clock_.now() < asking.deadline) {
    clock_.wait_until(self.wake, lock, asking.deadline);
  }
  --waiting_;
  if (self.has_slot) return std::move(self.evicted);
  line_.erase(asking.number);
  if (is_closed_) throw_closed();
  ++timeouts_;
  throw TimeoutError("no room came free in time to open the database " + in_quotes(asking.key) + " at " +
                         asking.site.to_string() + ": " + describe_use(),
                     {.retryable = true});
}

void CachedDatabases::announce(Entry& entry, const CallSite& site) {
  const MutexLock lock(mutex_);
  if (is_closed_) throw_closed();
  ++opened_;
  lend(entry, site);
  entry.changed.notify_all();
}

std::shared_ptr<Database> CachedDatabases::handle_of(EntryPointer entry) {
  Database* const database = entry->database.get();
  return {database, [cache = shared_from_this(), entry = std::move(entry)](Database*) { cache->release(*entry); }};
}

void CachedDatabases::release(Entry& entry) noexcept {
  if (is_of_another_process()) return;
  MutexLock lock(mutex_);
  // Whoever closes it meanwhile sees that nobody has it.
  if (--entry.handles > 0 || entry.state != State::in_use) return;
  // The latter asks the lane, whose own lock is held for moments only.
  if (is_closed_ || !entry.database->is_open()) {
    begin(State::closing, entry, entry.site);
    lock.unlock();
    entry.database.reset();
    forget(entry, Slot::freed);
  } else if (!line_.empty()) {
    give_slot(&entry);
  } else {
    entry.state = State::idle;
    idle_.splice(idle_.end(), busy_, entry.place);
  }
}

void CachedDatabases::close_idle(const CallSite& site) {
  expect_own_process();
  std::vector<EntryPointer> entries;
  {
    const MutexLock lock(mutex_);
    entries.reserve(idle_.size());
    while (!idle_.empty()) {
      entries.push_back(idle_.front()->shared_from_this());
      begin(State::closing, *entries.back(), site);
    }
  }
  if (const std::exception_ptr error = close_all(entries, site)) std::rethrow_exception(error);
}

void CachedDatabases::close(const CallSite& site) {
  expect_own_process();
  const Clock::time_point deadline = clock_.deadline(options_.acquire_timeout);
  std::vector<EntryPointer> entries;
  {
    const MutexLock lock(mutex_);
    entries.reserve(entries_.size());
    for (const auto& [key, entry] : entries_) {
      if (entry->state == State::opening && entry->opener == std::this_thread::get_id()) {
        throw UsageError("closing the cache of databases at " + site.to_string() +
                         " would wait for this thread itself, which opens the database " + in_quotes(key) + " at " +
                         entry->site.to_string());
      }
      if (entry->state == State::in_use || entry->state == State::idle) entries.push_back(entry);
    }
    shut();
    for (const EntryPointer& entry : entries) begin(State::closing, *entry, site);
  }
  const std::exception_ptr error = close_all(entries, site);
  MutexLock lock(mutex_);
  const Entry* entry = nullptr;
  while ((entry = under_way()) != nullptr && clock_.now() < deadline) clock_.wait_until(ended_, lock, deadline);
  if (error != nullptr) std::rethrow_exception(error);
  if (entry != nullptr) {
    throw TimeoutError("closed at " + site.to_string() + ", while another thread is still opening or closing " +
                       describe(*entry));
  }
}

void CachedDatabases::abandon() noexcept {
  if (is_of_another_process()) return;
  MutexLock lock(mutex_);
  shut();
  while (!idle_.empty()) {
    const EntryPointer entry = idle_.front()->shared_from_this();
    begin(State::closing, *entry, entry->site);
    lock.unlock();
    entry->database.reset();
    forget(*entry, Slot::freed);
    lock.lock();
  }
}

DatabaseCacheStatistics CachedDatabases::stats() {
  expect_own_process();
  const MutexLock lock(mutex_);
  DatabaseCacheStatistics stats{.open = open_,
                                .waiting = waiting_,
                                .hits = hits_,
                                .opened = opened_,
                                .evicted = evicted_,
                                .timeouts = timeouts_,
                                .failed_closings = failed_closings_};
  for (const Entry* entry : busy_) stats.in_use += entry->state == State::in_use ? 1 : 0;
  try {
    if (last_failed_closing_ != nullptr) std::rethrow_exception(last_failed_closing_);
  } catch (const std::exception& error) {
    stats.last_failed_closing = error.what();
  }
  return stats;
}

// Requires: closing, by the caller.
std::exception_ptr CachedDatabases::close_database(Entry& entry, const CallSite& site, Slot slot) noexcept {
  std::exception_ptr error;
  try {
    entry.database->close(site);
  } catch (...) {
    error = std::current_exception();
  }
  bool is_had = false;
  {
    const MutexLock lock(mutex_);
    is_had = entry.handles > 0;
    if (error != nullptr) {
      ++failed_closings_;
      last_failed_closing_ = error;
      if (is_had) {
        entry.state = State::in_use;
        ended_.notify_all();
        return error;
      }
    }
  }
  if (!is_had) entry.database.reset();
  forget(entry, slot);
  return error;
}

// The first error.
std::exception_ptr CachedDatabases::close_all(const std::vector<EntryPointer>& entries, const CallSite& site) noexcept {
  std::exception_ptr first;
  for (const EntryPointer& entry : entries) {
    const std::exception_ptr error = close_database(*entry, site, Slot::freed);
    if (first == nullptr) first = error;
  }
  return first;
}

// The caller's pointer keeps the entry for a while yet.
void CachedDatabases::forget(Entry& entry, Slot slot) noexcept {
  const MutexLock lock(mutex_);
  const bool has_slot = entry.state != State::claimed && slot == Slot::freed;
  entry.state = State::gone;
  entry.changed.notify_all();
  ended_.notify_all();
  busy_.erase(entry.place);
  entries_.erase(entries_.find(entry.key));
  if (has_slot) give_slot(nullptr);
}

void CachedDatabases::lend(Entry& entry, const CallSite& site) noexcept {
  if (entry.state != State::in_use) begin(State::in_use, entry, site);
  ++entry.handles;
}

void CachedDatabases::begin(State state, Entry& entry, const CallSite& site) noexcept {
  busy_.splice(busy_.end(), entry.state == State::idle ? idle_ : busy_, entry.place);
  entry.state = state;
  entry.site = site;
  entry.since = clock_.now();
}

EntryPointer CachedDatabases::evict(Entry& entry, const CallSite& site) noexcept {
  ++evicted_;
  begin(State::closing, entry, site);
  return entry.shared_from_this();
}

// A slot is free, after `evicted` is closed.
void CachedDatabases::give_slot(Entry* evicted) noexcept {
  if (line_.empty() || is_closed_) {
    --open_;
    return;
  }
  Waiter& first = *line_.begin()->second;
  line_.erase(line_.begin());
  if (evicted != nullptr) first.evicted = evict(*evicted, first.site);
  begin(State::opening, first.entry, first.site);
  first.has_slot = true;
  first.wake.notify_one();
}

void CachedDatabases::shut() noexcept {
  is_closed_ = true;
  for (const auto& [number, waiter] : line_) waiter->wake.notify_one();
  for (const auto& [key, entry] : entries_) entry->changed.notify_all();
}

// What somebody opens or closes now; or null.
const Entry* CachedDatabases::under_way() const noexcept {
  const auto found = std::find_if(busy_.begin(), busy_.end(), [](const Entry* entry) {
    return entry->state == State::opening || entry->state == State::closing;
  });
  return found == busy_.end() ? nullptr : *found;
}

std::string CachedDatabases::describe(const Entry& entry) {
  const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - entry.since);
  return in_quotes(entry.key) + " at " + entry.site.to_string() + " for " + std::to_string(time.count()) + " ms";
}

std::string CachedDatabases::describe_use() {
  constexpr std::size_t kNamed = 5;
  std::string text;
  std::size_t in_use = 0;
  for (const Entry* entry : busy_) {
    if (entry->state != State::in_use || ++in_use > kNamed) continue;
    text += (text.empty() ? "" : ", ") + describe(*entry);
  }
  if (in_use > kNamed) text += ", and " + std::to_string(in_use - kNamed) + " more";
  return std::to_string(in_use) + " of " + std::to_string(options_.max_open) + " are in use" +
         (text.empty() ? "" : ": " + text);
}

}  // namespace detail

namespace {

DatabaseCacheOptions checked(DatabaseCacheOptions options) {
  if (!options.options_for) throw UsageError("DatabaseCacheOptions::options_for must be given");
  if (options.max_open == 0) throw UsageError("DatabaseCacheOptions::max_open must be at least 1");
  if (options.acquire_timeout.count() < 0) {
    throw UsageError("DatabaseCacheOptions::acquire_timeout must not be negative");
  }
  return options;
}

}  // namespace

DatabaseCache::DatabaseCache(DatabaseCacheOptions options)
    : DatabaseCache(std::move(options), detail::Clock::steady()) {}

DatabaseCache::DatabaseCache(DatabaseCacheOptions options, detail::Clock& clock)
    : databases_(detail::CachedDatabases::make(checked(std::move(options)), clock)) {}

DatabaseCache::~DatabaseCache() { databases_->abandon(); }

std::shared_ptr<Database> DatabaseCache::get(std::string_view key, CallSite site) { return databases_->get(key, site); }

void DatabaseCache::close_idle(CallSite site) { databases_->close_idle(site); }

void DatabaseCache::close(CallSite site) { databases_->close(site); }

DatabaseCacheStatistics DatabaseCache::stats() const { return databases_->stats(); }

}  // namespace sqlane
