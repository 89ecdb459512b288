#include "sqlite/statement_limits.hpp"

#include <sqlite3.h>
#include <utility>

namespace sqlane::detail {
namespace {

constexpr int kInstructions = 1000;  // of SQLite's virtual machine, between two questions: some 10 µs

}  // namespace

void StatementLimits::install(sqlite3* connection) noexcept {
  sqlite3_progress_handler(connection, kInstructions, &StatementLimits::ask, this);
}

void StatementLimits::set(std::optional<std::chrono::milliseconds> timeout, std::stop_token stop) {
  timeout_ = timeout;
  stop_ = std::move(stop);
  is_set_ = true;
  begin_statement();
}

void StatementLimits::clear() noexcept {
  if (!std::exchange(is_set_, false)) return;
  timeout_.reset();
  stop_ = {};
}

void StatementLimits::begin_statement() noexcept {
  cause_ = Cause::none;
  if (timeout_) deadline_ = clock_.deadline(*timeout_);
}

int StatementLimits::ask(void* self) noexcept {
  auto& limits = *static_cast<StatementLimits*>(self);
  if (limits.is_paused_) return 0;
  limits.cause_ = Cause::none;
  if (limits.tick_ && !limits.tick_()) {
    limits.cause_ = Cause::stop;
  } else if (limits.is_interrupted()) {
    limits.cause_ = Cause::interruption;
  } else if (limits.stop_.stop_requested()) {
    limits.cause_ = Cause::stop;
  } else if (limits.timeout_ && limits.clock_.now() >= limits.deadline_) {
    limits.cause_ = Cause::timeout;
  }
  return limits.cause_ == Cause::none ? 0 : 1;
}

}  // namespace sqlane::detail
