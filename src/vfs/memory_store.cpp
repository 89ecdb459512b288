#include "vfs/memory_store.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "base/fork.hpp"
#include "vfs/memory_vfs.hpp"

namespace sqlane::detail {
namespace {

constexpr std::string_view kLog = "-wal";
constexpr std::string_view kJournal = "-journal";

// Under ForkGeneration::mutex(), so that a child can have stores of its own.
std::map<std::string, std::weak_ptr<MemoryStore>, std::less<>>& stores() {
  static std::map<std::string, std::weak_ptr<MemoryStore>, std::less<>> stores;
  return stores;
}

}  // namespace

std::shared_ptr<MemoryStore> MemoryStore::make(std::size_t limit, FileSeam seam) {
  static_cast<void>(ForkGeneration::watch());
  register_memory_vfs();
  static std::atomic<std::uint64_t> made = 0;
  const std::string path = "memory:" + std::to_string(++made);
  const std::shared_ptr<MemoryStore> store(new MemoryStore(path, limit, std::move(seam)));
  const MutexLock lock(ForkGeneration::mutex());
  stores().emplace(path, store);
  return store;
}

MemoryStore::MemoryStore(std::string path, std::size_t limit, FileSeam seam)
    : path_(std::move(path)),
      seam_(std::move(seam)),
      log_budget_(std::make_shared<MemoryBudget>(limit == 0 ? 0 : std::max<std::size_t>(limit / 4, 1))),
      database_budget_(std::make_shared<MemoryBudget>(limit == 0 ? 0 : std::max<std::size_t>(limit - limit / 4, 1))) {}

MemoryStore::~MemoryStore() {
  const MutexLock lock(ForkGeneration::mutex());
  stores().erase(path_);
}

std::shared_ptr<MemoryStore> MemoryStore::find_by_name(std::string_view name, FileKind& kind) {
  kind = FileKind::database;
  if (name.ends_with(kLog)) {
    kind = FileKind::log;
    name.remove_suffix(kLog.size());
  } else if (name.ends_with(kJournal)) {
    kind = FileKind::journal;
    name.remove_suffix(kJournal.size());
  }
  const MutexLock lock(ForkGeneration::mutex());
  const auto found = stores().find(name);
  return found == stores().end() ? nullptr : found->second.lock();
}

std::shared_ptr<MemoryFile> MemoryStore::find(FileKind kind) {
  const MutexLock lock(mutex_);
  return files_[static_cast<std::size_t>(kind)];
}

std::shared_ptr<MemoryFile> MemoryStore::find_or_make(FileKind kind) {
  const MutexLock lock(mutex_);
  std::shared_ptr<MemoryFile>& file = files_[static_cast<std::size_t>(kind)];
  if (file == nullptr) file = std::make_shared<MemoryFile>(kind == FileKind::database ? database_budget_ : log_budget_);
  return file;
}

void MemoryStore::remove(FileKind kind) noexcept {
  const MutexLock lock(mutex_);
  files_[static_cast<std::size_t>(kind)] = nullptr;
}

bool MemoryStore::share(MemoryStore& original) {
  const std::shared_ptr<MemoryFile> from = original.find(FileKind::database);
  return from == nullptr || find_or_make(FileKind::database)->share(*from);
}

}  // namespace sqlane::detail
