#include "sqlite/statement_cache.hpp"

#include <cstdint>
#include <sqlite3.h>

#include "sqlite/running_statement.hpp"

namespace sqlane::detail {

CachedStatement::~CachedStatement() {
  if (running != nullptr) running->wait_for_lookers();
  sqlite3_finalize(handle);
}

std::size_t StatementCache::slot_of(const char* address) noexcept {
  constexpr std::uint64_t kGoldenRatio = 0x9e37'79b9'7f4a'7c15;  // Fibonacci hashing
  return static_cast<std::size_t>((reinterpret_cast<std::uintptr_t>(address) * kGoldenRatio) >> (64 - kAddressBits));
}

CachedStatement* StatementCache::check_out(std::string_view text, bool is_literal) {
  CachedStatement* found = nullptr;
  CachedStatement** slot = is_literal ? &by_address_[slot_of(text.data())] : nullptr;
  if (slot != nullptr && *slot != nullptr && (*slot)->text == text) {
    found = *slot;
  } else if (const auto it = by_text_.find(text); it != by_text_.end()) {
    found = it->second;
    if (slot != nullptr) *slot = found;
  }
  if (found == nullptr || found->holder != nullptr) return nullptr;
  in_use_.splice(in_use_.begin(), idle_, found->position);
  return found;
}

CachedStatement& StatementCache::add() {
  CachedStatement& added = in_use_.emplace_front();
  added.position = in_use_.begin();
  return added;
}

void StatementCache::list(CachedStatement& statement) {
  statement.is_listed = by_text_.try_emplace(statement.text, &statement).second;
}

void StatementCache::check_in(CachedStatement& statement) noexcept {
  statement.holder = nullptr;
  if (!statement.is_listed) {
    discard(statement);
    return;
  }
  idle_.splice(idle_.begin(), in_use_, statement.position);
  while (idle_.size() > capacity_) {
    forget(idle_.back());
    idle_.pop_back();
  }
}

CachedStatement* StatementCache::find_idle(std::string_view text) noexcept {
  const auto it = by_text_.find(text);
  return it == by_text_.end() || it->second->holder != nullptr ? nullptr : it->second;
}

CachedStatement* StatementCache::find_in_use(Which which) noexcept {
  for (CachedStatement& statement : in_use_) {
    if (which == Which::all || !statement.is_read_only) return &statement;
  }
  return nullptr;
}

void StatementCache::drop_idle() noexcept {
  for (CachedStatement& statement : idle_) forget(statement);
  idle_.clear();
}

void StatementCache::forget(CachedStatement& statement) noexcept {
  by_text_.erase(statement.text);
  for (CachedStatement*& slot : by_address_) {
    if (slot == &statement) slot = nullptr;
  }
}

}  // namespace sqlane::detail
