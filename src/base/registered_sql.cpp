#include "sqlane/registered_sql.hpp"

#include <algorithm>
#include <atomic>

namespace sqlane {
namespace {

constinit std::atomic<const detail::SqlRegistration*> newest_registration{nullptr};

}  // namespace

detail::SqlRegistration::SqlRegistration(std::string_view text) noexcept
    : text_(text), next_(newest_registration.load(std::memory_order_relaxed)) {
  while (
      !newest_registration.compare_exchange_weak(next_, this, std::memory_order_release, std::memory_order_relaxed)) {
  }
}

std::vector<std::string_view> registered_sql() {
  std::vector<std::string_view> texts;
  for (const auto* one = newest_registration.load(std::memory_order_acquire); one != nullptr; one = one->next_) {
    texts.push_back(one->text_);
  }
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  return texts;
}

}  // namespace sqlane
