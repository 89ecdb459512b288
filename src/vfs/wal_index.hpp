#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/mutex.hpp"

namespace sqlane::detail {

// The index of a write-ahead log in memory of the process, and the eight locks
// over it, as SQLite's xShmMap, xShmLock and xShmBarrier ask for them.
// https://sqlite.org/walformat.html#the_wal_index_file_format
//
// What lies in the regions is SQLite's own. It reads and writes them with plain
// loads and stores, ordered by barrier() and by the locks; a header that changes
// meanwhile is recognised by its two copies and its checksum, and read again. So
// all that the regions need here is an address that stays.
//
// The index goes with its log: one that outlived it would be believed, whatever
// has become of the database. As long as the log is there it stays, with nobody
// attached as well: made anew from the log, it would bring back a commit that
// failed when all of it had been written.
//
// A lock is either free, exclusive, or shared by any number of connections. No
// wait: whoever cannot have it is told so.
//
//  1. Shared is one atomic addition, to a counter on a cache line that few
//     connections share, and one look at is_exclusive_.
//  2. Exclusive is one exchange of is_exclusive_, and a look at all counters.
//  3. Each side first says what it wants and then looks at the other, all
//     sequentially consistent (the store-buffering pattern: both looks cannot
//     miss). So at least one of two that meet gives up, and takes back what it
//     said. Both may: SQLite tries a shared lock again, and does without an
//     exclusive one (a checkpoint copies less, the log does not start over) or
//     calls the busy handler, as it would with locks of files.
//  4. Giving a lock back is a release, and seeing that it is free an acquire: what
//     was done under an exclusive lock is seen under the next, and likewise what a
//     shared one read is read before the next exclusive one writes.
//
// Which pages a reader may take from the log is published by the header, not by
// a lock: the writer puts the pages into the log, writes the second copy of the
// header, calls barrier(), and writes the first copy; a reader reads the first,
// calls barrier(), and reads the second. A value written behind one fence and
// read before the other: from its fence on, the reader sees what the writer had
// done before its own ([atomics.fences], were the header atomic). The order of
// the copies is SQLite's: walIndexWriteHdr() and walIndexTryHdr() in wal.c.
//
// Safe to use from any thread.
class WalIndex {
 public:
  static constexpr std::size_t kRegion = 32768;  // bytes; SQLite asks for no other size
  static constexpr int kLocks = 8;

  // A connection is attached while it has regions. The last one can leave none of
  // them behind, where the log is about to be removed.
  enum class Leaving : std::uint8_t { regions, nothing };
  void attach() noexcept SQLANE_EXCLUDES(mutex_);
  void detach(Leaving leaving) noexcept SQLANE_EXCLUDES(mutex_);

  // Null where there is none yet and none is to be made. Throws std::bad_alloc.
  enum class Missing : std::uint8_t { left_out, made };
  [[nodiscard]] void* region(std::size_t index, Missing missing) SQLANE_EXCLUDES(mutex_);

  // For `count` locks from `first` on: all or none. `connection`: any number that
  // tells connections apart, as far as that is cheap; the same for the release.
  [[nodiscard]] bool try_share(int first, int count, unsigned connection) noexcept;
  void release_shared(int first, int count, unsigned connection) noexcept;
  [[nodiscard]] bool try_lock(int first, int count) noexcept;
  void unlock(int first, int count) noexcept;

  void barrier() noexcept;

 private:
  static constexpr std::size_t kCounters = 8;
  static constexpr std::size_t kCacheLine = 64;

  struct alignas(kCacheLine) Counter {
    std::atomic<std::uint32_t> holders = 0;
  };
  class Lock {
   public:
    [[nodiscard]] bool try_share(unsigned connection) noexcept {
      counters_[connection % kCounters].holders.fetch_add(1, std::memory_order_seq_cst);
      if (!is_exclusive_.load(std::memory_order_seq_cst)) return true;
      release_shared(connection);
      return false;
    }
    void release_shared(unsigned connection) noexcept {
      counters_[connection % kCounters].holders.fetch_sub(1, std::memory_order_release);
    }
    [[nodiscard]] bool try_lock() noexcept {
      if (is_exclusive_.exchange(true, std::memory_order_seq_cst)) return false;
      for (const Counter& counter : counters_) {
        if (counter.holders.load(std::memory_order_seq_cst) == 0) continue;
        unlock();
        return false;
      }
      return true;
    }
    void unlock() noexcept { is_exclusive_.store(false, std::memory_order_release); }

   private:
    alignas(kCacheLine) std::atomic<bool> is_exclusive_ = false;
    std::array<Counter, kCounters> counters_;
  };
  struct alignas(kCacheLine) Region {
    std::array<std::byte, kRegion> bytes{};
  };

  std::array<Lock, kLocks> locks_;
  std::atomic<std::uint32_t> barriers_ = 0;

  Mutex mutex_;
  unsigned attached_ SQLANE_GUARDED_BY(mutex_) = 0;
  std::vector<std::unique_ptr<Region>> regions_ SQLANE_GUARDED_BY(mutex_);
};

}  // namespace sqlane::detail
