#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/mutex.hpp"

namespace sqlane::detail {

// What the files of one database may take together. Safe to use from any thread.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t limit) : limit_(limit) {}

  // False when so many bytes more would be beyond the limit.
  [[nodiscard]] bool take(std::size_t bytes) noexcept {
    std::size_t used = used_.load(std::memory_order_relaxed);
    do {
      if (limit_ != 0 && (used > limit_ || bytes > limit_ - used)) return false;
    } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
    return true;
  }
  void give_back(std::size_t bytes) noexcept { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
  [[nodiscard]] std::size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }

 private:
  const std::size_t limit_;  // bytes; 0: none
  std::atomic<std::size_t> used_ = 0;
};

// A file in memory: chunks of the size of a database page, in a table that
// grows. Copies share their chunks until one of them writes.
//
// Reading takes no lock and never waits for a file that grows, or is copied.
// Which bytes may be read while others are written is not decided here but by
// SQLite's locks; all that has to hold here is that the structure stays whole:
//
//  1. mutex_ is held by whoever changes anything: bytes, size, or which chunks
//     there are. So a copy never sees half a write.
//  2. size_ is published after the chunks that it covers (release), and read
//     before them (acquire): what lies below the size that a reader has seen is
//     in the table that it then gets.
//  3. A chunk that other files have as well is never written. It is replaced by
//     a copy; a reader of that moment has either one, with the same bytes in
//     all places that it may look at.
//  4. A chunk that was replaced or cut off may still be in somebody's hands. A
//     reader says is_reading before it takes a chunk from the table; the writer
//     takes the chunk out of the table before it asks is_reading of every
//     reader. Both pairs are sequentially consistent, so one of the two sees
//     the other: either the reader gets the new chunk, or the writer keeps the
//     old one for the time being. What readers have seen before is_reading
//     turned false (release) happens before it is freed (acquire).
//  5. Tables that were outgrown are kept to the end: together they are no larger
//     than the newest one.
//
// https://sqlite.org/c3ref/io_methods.html
// Safe to use from any thread.
class MemoryFile {
 public:
  static constexpr std::size_t kChunk = 4096;  // bytes

  // One for each handle; used by one thread at a time. On a cache line of its own.
  class alignas(64) Reader {
   public:
    explicit Reader(MemoryFile& file);
    ~Reader();
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    // How many bytes there were; the others are set to zero.
    std::size_t read(std::byte* to, std::size_t bytes, std::uint64_t offset) noexcept;

   private:
    friend class MemoryFile;
    std::atomic<bool> is_reading_ = false;
    MemoryFile& file_;
  };

  explicit MemoryFile(std::shared_ptr<MemoryBudget> budget);
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile();

  // False when the budget, or memory itself, is used up. A part may have been
  // written then; the file is no larger than before.
  [[nodiscard]] bool write(const std::byte* from, std::size_t bytes, std::uint64_t offset) SQLANE_EXCLUDES(mutex_);
  // Cuts off what is behind `size`; a file that is smaller stays as it is. False when memory is used up.
  [[nodiscard]] bool truncate(std::uint64_t size) SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] std::uint64_t size() const noexcept { return size_.load(std::memory_order_acquire); }

  // Takes over the contents of another file, sharing its chunks. False when they
  // are beyond the budget, or memory is used up; it is empty then. Requires: this one is empty, and
  // nobody has it yet.
  [[nodiscard]] bool share(MemoryFile& original) SQLANE_EXCLUDES(mutex_);

 private:
  struct Chunk {
    std::atomic<std::uint32_t> files = 1;  // that have it
    std::array<std::byte, kChunk> bytes{};
  };
  using Table = std::vector<std::atomic<Chunk*>>;

  [[nodiscard]] bool put(const std::byte* from, std::size_t bytes, std::uint64_t offset) SQLANE_REQUIRES(mutex_);
  [[nodiscard]] bool take_over(MemoryFile& original) SQLANE_REQUIRES(mutex_) SQLANE_REQUIRES(original.mutex_);
  [[nodiscard]] Chunk* writable_chunk(std::size_t index) SQLANE_REQUIRES(mutex_);
  void clear(std::uint64_t begin, std::uint64_t end) SQLANE_REQUIRES(mutex_);
  void reserve(std::size_t chunks) SQLANE_REQUIRES(mutex_);
  [[nodiscard]] bool cut_off(std::uint64_t size) noexcept SQLANE_REQUIRES(mutex_);
  [[nodiscard]] Table& table() SQLANE_REQUIRES(mutex_) { return *tables_.back(); }
  void retire(Chunk* chunk) noexcept SQLANE_REQUIRES(mutex_);  // there is room for it in retired_
  void free_retired() noexcept SQLANE_REQUIRES(mutex_);
  static void let_go(Chunk* chunk) noexcept;

  const std::shared_ptr<MemoryBudget> budget_;
  std::atomic<std::uint64_t> size_ = 0;
  std::atomic<Table*> newest_table_ = nullptr;

  Mutex mutex_;
  std::vector<std::unique_ptr<Table>> tables_ SQLANE_GUARDED_BY(mutex_);
  std::vector<Chunk*> retired_ SQLANE_GUARDED_BY(mutex_);
  std::vector<Reader*> readers_ SQLANE_GUARDED_BY(mutex_);
};

}  // namespace sqlane::detail
