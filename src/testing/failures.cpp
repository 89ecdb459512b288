#include "sqlane/testing/failures.hpp"

#include <cstdint>
#include <map>
#include <vector>

#include "base/mutex.hpp"
#include "sqlane/error.hpp"

namespace sqlane::testing {

struct Failures::State {
  struct ByText {
    std::string text;
    std::function<void()> fail;
  };

  [[nodiscard]] std::function<void()> next(std::string_view text) SQLANE_EXCLUDES(mutex) {
    const detail::MutexLock lock(mutex);
    ++calls;
    if (auto ordered = by_number.extract(calls)) return std::move(ordered.mapped());
    for (const ByText& one : by_text) {
      if (text.find(one.text) != std::string_view::npos) return one.fail;
    }
    return {};
  }

  detail::Mutex mutex;
  std::uint64_t calls SQLANE_GUARDED_BY(mutex) = 0;  // so far
  std::map<std::uint64_t, std::function<void()>> by_number SQLANE_GUARDED_BY(mutex);
  std::vector<ByText> by_text SQLANE_GUARDED_BY(mutex);
};

Failures::Failures() : state_(std::make_unique<State>()) {}

Failures::~Failures() = default;

void Failures::clear() {
  const detail::MutexLock lock(state_->mutex);
  state_->by_number.clear();
  state_->by_text.clear();
}

void Failures::call(std::string_view text) {
  if (const std::function<void()> fail = state_->next(text)) fail();
}

void Failures::order_nth(std::size_t n, std::function<void()> fail) {
  if (n == 0) throw UsageError("calls are counted from 1");
  const detail::MutexLock lock(state_->mutex);
  state_->by_number.insert_or_assign(state_->calls + n, std::move(fail));
}

void Failures::order_containing(std::string text, std::function<void()> fail) {
  const detail::MutexLock lock(state_->mutex);
  state_->by_text.push_back({std::move(text), std::move(fail)});
}

}  // namespace sqlane::testing
