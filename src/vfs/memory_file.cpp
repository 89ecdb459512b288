#include "vfs/memory_file.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace sqlane::detail {
namespace {

constexpr std::size_t kSmallestTable = 64;  // chunks

constexpr std::size_t chunks_for(std::uint64_t bytes) {
  return static_cast<std::size_t>((bytes + MemoryFile::kChunk - 1) / MemoryFile::kChunk);
}

}  // namespace

MemoryFile::Reader::Reader(MemoryFile& file) : file_(file) {
  const MutexLock lock(file.mutex_);
  file.readers_.push_back(this);
}

MemoryFile::Reader::~Reader() {
  const MutexLock lock(file_.mutex_);
  std::erase(file_.readers_, this);
}

std::size_t MemoryFile::Reader::read(std::byte* to, std::size_t bytes, std::uint64_t offset) noexcept {
  is_reading_.store(true, std::memory_order_seq_cst);
  const std::uint64_t size = file_.size();
  const std::size_t there =
      offset >= size ? 0 : static_cast<std::size_t>(std::min<std::uint64_t>(bytes, size - offset));
  if (there > 0) {
    const Table& table = *file_.newest_table_.load(std::memory_order_seq_cst);
    for (std::size_t done = 0; done < there;) {
      const auto index = static_cast<std::size_t>((offset + done) / kChunk);
      const auto from = static_cast<std::size_t>((offset + done) % kChunk);
      const std::size_t part = std::min(there - done, kChunk - from);
      const Chunk* const chunk = table[index].load(std::memory_order_seq_cst);
      if (chunk != nullptr) {
        std::memcpy(to + done, chunk->bytes.data() + from, part);
      } else {
        std::memset(to + done, 0, part);  // a hole
      }
      done += part;
    }
  }
  is_reading_.store(false, std::memory_order_release);
  if (there < bytes) std::memset(to + there, 0, bytes - there);
  return there;
}

MemoryFile::MemoryFile(std::shared_ptr<MemoryBudget> budget) : budget_(std::move(budget)) {}

MemoryFile::~MemoryFile() {
  const MutexLock lock(mutex_);
  for (Chunk* chunk : retired_) let_go(chunk);
  if (tables_.empty()) return;
  for (const std::atomic<Chunk*>& entry : table()) {
    if (Chunk* const chunk = entry.load(std::memory_order_relaxed)) {
      let_go(chunk);
      budget_->give_back(kChunk);
    }
  }
}

bool MemoryFile::write(const std::byte* from, std::size_t bytes, std::uint64_t offset) {
  const MutexLock lock(mutex_);
  if (!retired_.empty()) free_retired();  // a reader was in the way the last time
  if (!put(from, bytes, offset)) {
    static_cast<void>(cut_off(size()));  // what it had taken already
    return false;
  }
  if (offset + bytes > size()) size_.store(offset + bytes, std::memory_order_release);
  return true;
}

bool MemoryFile::put(const std::byte* from, std::size_t bytes, std::uint64_t offset) {
  try {
    reserve(chunks_for(offset + bytes));
    if (offset > size()) clear(size(), offset);
    for (std::size_t done = 0; done < bytes;) {
      const auto index = static_cast<std::size_t>((offset + done) / kChunk);
      const auto at = static_cast<std::size_t>((offset + done) % kChunk);
      const std::size_t part = std::min(bytes - done, kChunk - at);
      Chunk* const chunk = writable_chunk(index);
      if (chunk == nullptr) return false;
      std::memcpy(chunk->bytes.data() + at, from + done, part);
      done += part;
    }
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

// Null when there is no room for it.
MemoryFile::Chunk* MemoryFile::writable_chunk(std::size_t index) {
  std::atomic<Chunk*>& entry = table()[index];
  Chunk* const present = entry.load(std::memory_order_relaxed);
  // Whoever had it besides has let go with a release.
  if (present != nullptr && present->files.load(std::memory_order_acquire) == 1) return present;
  if (present != nullptr) {
    retired_.reserve(retired_.size() + 1);
    auto copy = std::make_unique<Chunk>();
    copy->bytes = present->bytes;
    entry.store(copy.get(), std::memory_order_seq_cst);
    retire(present);
    return copy.release();
  }
  auto fresh = std::make_unique<Chunk>();
  if (!budget_->take(kChunk)) return nullptr;
  entry.store(fresh.get(), std::memory_order_seq_cst);
  return fresh.release();
}

// What is behind the end may hold bytes of before it was cut off.
void MemoryFile::clear(std::uint64_t begin, std::uint64_t end) {
  for (std::uint64_t at = begin; at < end;) {
    const auto from = static_cast<std::size_t>(at % kChunk);
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(end - at, kChunk - from));
    const auto index = static_cast<std::size_t>(at / kChunk);
    if (table()[index].load(std::memory_order_relaxed) != nullptr) {
      std::memset(writable_chunk(index)->bytes.data() + from, 0, part);
    }
    at += part;
  }
}

void MemoryFile::reserve(std::size_t chunks) {
  if (!tables_.empty() && chunks <= table().size()) return;
  const std::size_t present = tables_.empty() ? 0 : table().size();
  auto larger = std::make_unique<Table>(std::max({chunks, 2 * present, kSmallestTable}));
  for (std::size_t i = 0; i < present; ++i) {
    (*larger)[i].store(table()[i].load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
  tables_.push_back(std::move(larger));
  newest_table_.store(tables_.back().get(), std::memory_order_seq_cst);
}

bool MemoryFile::truncate(std::uint64_t size) {
  const MutexLock lock(mutex_);
  return size >= this->size() || cut_off(size);
}

// False when memory is used up, and then nothing has happened.
bool MemoryFile::cut_off(std::uint64_t size) noexcept {
  if (tables_.empty()) return true;
  const std::size_t kept = chunks_for(size);
  try {
    retired_.reserve(retired_.size() + table().size() - std::min(kept, table().size()));
  } catch (const std::bad_alloc&) {
    return false;
  }
  if (size < this->size()) size_.store(size, std::memory_order_release);
  for (std::size_t i = kept; i < table().size(); ++i) {
    if (Chunk* const chunk = table()[i].exchange(nullptr, std::memory_order_seq_cst)) {
      budget_->give_back(kChunk);
      retired_.push_back(chunk);
    }
  }
  free_retired();
  return true;
}

bool MemoryFile::share(MemoryFile& original) {
  const MutexLock others(original.mutex_);
  const MutexLock lock(mutex_);
  if (take_over(original)) return true;
  static_cast<void>(cut_off(0));
  return false;
}

bool MemoryFile::take_over(MemoryFile& original) {
  if (original.tables_.empty()) return true;
  const std::size_t chunks = chunks_for(original.size());
  try {
    reserve(chunks);
  } catch (const std::bad_alloc&) {
    return false;
  }
  for (std::size_t i = 0; i < chunks; ++i) {
    Chunk* const chunk = original.table()[i].load(std::memory_order_relaxed);
    if (chunk == nullptr) continue;
    if (!budget_->take(kChunk)) return false;
    chunk->files.fetch_add(1, std::memory_order_relaxed);
    table()[i].store(chunk, std::memory_order_relaxed);
  }
  size_.store(original.size(), std::memory_order_release);
  return true;
}

void MemoryFile::retire(Chunk* chunk) noexcept {
  retired_.push_back(chunk);
  free_retired();
}

void MemoryFile::free_retired() noexcept {
  for (const Reader* reader : readers_) {
    if (reader->is_reading_.load(std::memory_order_seq_cst)) return;
  }
  for (Chunk* chunk : retired_) let_go(chunk);
  retired_.clear();
}

void MemoryFile::let_go(Chunk* chunk) noexcept {
  if (chunk->files.fetch_sub(1, std::memory_order_acq_rel) == 1) delete chunk;
}

}  // namespace sqlane::detail
