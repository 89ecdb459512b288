#include "sqlane/registry.hpp"

#include <cstdint>
#include <exception>
#include <utility>

#include "base/fork.hpp"
#include "base/mutex.hpp"
#include "sqlane/error.hpp"

namespace sqlane {
namespace detail {
namespace {

[[noreturn]] void throw_closed() { throw ClosedError("the registry has been closed"); }

// One database, open or not. Outlives its name while somebody opens or closes it.
//
// opening_ is held throughout an opening and a closing, so there is one of either
// at a time; mutex_ for a moment, so who only looks never waits for those.
class NamedDatabase {
 public:
  explicit NamedDatabase(Options options) : options_(std::move(options)) {}

  [[nodiscard]] std::shared_ptr<Database> get(const CallSite& site) SQLANE_EXCLUDES(opening_, mutex_) {
    if (std::shared_ptr<Database> database = if_open()) return database;
    const MutexLock opening(opening_);
    if (is_shut_) throw_closed();
    std::shared_ptr<Database> database = last();
    if (database != nullptr) {
      if (database->is_open()) return database;
      database->close(site);  // waits for the one who does so
    }
    database = std::make_shared<Database>(Database::open(options_, site));
    const MutexLock lock(mutex_);
    database_ = database;
    return database;
  }

  // Null when it is not open.
  [[nodiscard]] std::shared_ptr<Database> if_open() const SQLANE_EXCLUDES(mutex_) {
    std::shared_ptr<Database> database = last();
    if (database != nullptr && !database->is_open()) database.reset();
    return database;
  }

  // It is not opened any more afterwards.
  void close(const CallSite& site) SQLANE_EXCLUDES(opening_, mutex_) {
    const MutexLock opening(opening_);
    is_shut_ = true;
    if (const std::shared_ptr<Database> database = last()) database->close(site);
  }

 private:
  [[nodiscard]] std::shared_ptr<Database> last() const SQLANE_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return database_;
  }

  const Options options_;
  Mutex opening_;  // before mutex_
  bool is_shut_ SQLANE_GUARDED_BY(opening_) = false;
  mutable Mutex mutex_;
  std::shared_ptr<Database> database_ SQLANE_GUARDED_BY(mutex_);
};

}  // namespace

// Opens, closes and asks databases without the lock. Left as it is in a child of
// fork, where another thread of the parent may have been at work on it.
class NamedDatabases {
 public:
  using Named = std::shared_ptr<NamedDatabase>;

  [[nodiscard]] static std::shared_ptr<NamedDatabases> make() {
    return {new NamedDatabases, [](NamedDatabases* databases) {
              if (!databases->is_of_another_process()) delete databases;
            }};
  }

  void add(std::string name, Options options) SQLANE_EXCLUDES(mutex_) {
    expect_own_process();
    if (name.empty()) throw UsageError("a database of a registry needs a name");
    const Named database = std::make_shared<NamedDatabase>(std::move(options));
    const MutexLock lock(mutex_);
    if (is_closed_) throw_closed();
    const auto [entry, is_new] = databases_.try_emplace(std::move(name), database);
    if (!is_new) throw UsageError("the registry has a database named \"" + entry->first + "\" already");
  }

  [[nodiscard]] Named find_to_open(std::string_view name) SQLANE_EXCLUDES(mutex_) {
    expect_own_process();
    const MutexLock lock(mutex_);
    if (is_closed_) throw_closed();
    return position_of(name)->second;
  }

  [[nodiscard]] Named find(std::string_view name) SQLANE_EXCLUDES(mutex_) {
    expect_own_process();
    const MutexLock lock(mutex_);
    return position_of(name)->second;
  }

  void remove(std::string_view name) SQLANE_EXCLUDES(mutex_) {
    expect_own_process();
    Named removed;  // goes after the lock
    const MutexLock lock(mutex_);
    const auto position = position_of(name);
    removed = std::move(position->second);
    databases_.erase(position);
  }

  [[nodiscard]] std::vector<std::pair<std::string, Named>> all() SQLANE_EXCLUDES(mutex_) {
    expect_own_process();
    const MutexLock lock(mutex_);
    return {databases_.begin(), databases_.end()};
  }

  void shut() SQLANE_EXCLUDES(mutex_) {
    expect_own_process();
    const MutexLock lock(mutex_);
    is_closed_ = true;
  }

 private:
  using Map = std::map<std::string, Named, std::less<>>;

  NamedDatabases() = default;
  ~NamedDatabases() = default;

  [[nodiscard]] bool is_of_another_process() const noexcept { return generation_ != ForkGeneration::now(); }
  void expect_own_process() const {
    if (!is_of_another_process()) return;
    throw UsageError("the registry was made before this process was forked; a child makes its own");
  }

  [[nodiscard]] Map::iterator position_of(std::string_view name) SQLANE_REQUIRES(mutex_) {
    const auto position = databases_.find(name);
    if (position != databases_.end()) return position;
    std::string known;
    for (const auto& [other, database] : databases_) known += (known.empty() ? "\"" : ", \"") + other + "\"";
    throw UsageError("the registry has no database named \"" + std::string(name) + "\"; it has " +
                     (known.empty() ? "none" : known));
  }

  const std::uint32_t generation_ = ForkGeneration::watch();
  Mutex mutex_;
  Map databases_ SQLANE_GUARDED_BY(mutex_);
  bool is_closed_ SQLANE_GUARDED_BY(mutex_) = false;
};

}  // namespace detail

Registry::Registry() : databases_(detail::NamedDatabases::make()) {}

Registry::~Registry() = default;

void Registry::add(std::string name, Options options) { databases_->add(std::move(name), std::move(options)); }

std::shared_ptr<Database> Registry::get(std::string_view name, CallSite site) {
  return databases_->find_to_open(name)->get(site);
}

bool Registry::is_open(std::string_view name) const { return databases_->find(name)->if_open() != nullptr; }

std::vector<std::string> Registry::names() const {
  std::vector<std::string> names;
  for (auto& [name, database] : databases_->all()) names.push_back(name);
  return names;
}

void Registry::remove(std::string_view name) { databases_->remove(name); }

std::map<std::string, std::optional<Health>, std::less<>> Registry::health() const {
  std::map<std::string, std::optional<Health>, std::less<>> all;
  for (const auto& [name, named] : databases_->all()) {
    std::optional<Health>& health = all[name];
    try {
      if (const std::shared_ptr<Database> database = named->if_open()) health = database->health();
    } catch (const ClosedError&) {
      // Since it was looked up.
    }
  }
  return all;
}

void Registry::close(CallSite site) {
  databases_->shut();
  std::exception_ptr first;
  for (const auto& [name, database] : databases_->all()) {
    try {
      database->close(site);
    } catch (...) {
      if (first == nullptr) first = std::current_exception();
    }
  }
  if (first != nullptr) std::rethrow_exception(first);
}

}  // namespace sqlane
