#include "vfs/wal_index.hpp"

#include "base/sanitizers.hpp"

namespace sqlane::detail {

void WalIndex::attach() noexcept {
  const MutexLock lock(mutex_);
  ++attached_;
}

void WalIndex::detach(Leaving leaving) noexcept {
  const MutexLock lock(mutex_);
  if (--attached_ == 0 && leaving == Leaving::nothing) regions_.clear();
}

void* WalIndex::region(std::size_t index, Missing missing) {
  const MutexLock lock(mutex_);
  if (index >= regions_.size() && missing == Missing::left_out) return nullptr;
  while (index >= regions_.size()) regions_.push_back(std::make_unique<Region>());
  return regions_[index]->bytes.data();
}

bool WalIndex::try_share(int first, int count, unsigned connection) noexcept {
  for (int i = first; i < first + count; ++i) {
    if (locks_[static_cast<std::size_t>(i)].try_share(connection)) continue;
    release_shared(first, i - first, connection);
    return false;
  }
  return true;
}

void WalIndex::release_shared(int first, int count, unsigned connection) noexcept {
  for (int i = first; i < first + count; ++i) locks_[static_cast<std::size_t>(i)].release_shared(connection);
}

bool WalIndex::try_lock(int first, int count) noexcept {
  for (int i = first; i < first + count; ++i) {
    if (locks_[static_cast<std::size_t>(i)].try_lock()) continue;
    unlock(first, i - first);
    return false;
  }
  return true;
}

void WalIndex::unlock(int first, int count) noexcept {
  for (int i = first; i < first + count; ++i) locks_[static_cast<std::size_t>(i)].unlock();
}

// The thread sanitizer knows no fences. An exchange of one variable orders the
// same, at the price of a cache line that all connections want.
void WalIndex::barrier() noexcept {
  if constexpr (kHasThreadSanitizer) {
    barriers_.fetch_add(1, std::memory_order_acq_rel);
  } else {
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
}

}  // namespace sqlane::detail
