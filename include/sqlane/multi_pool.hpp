#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sqlane/error.hpp"
#include "sqlane/pool.hpp"

namespace sqlane {

enum class Choice : std::uint8_t {
  round_robin,
  least_busy,  // the fewest resources in use and calls that wait
};

// Several pools of the same thing, such as replicas of one database. acquire()
// takes from the chosen pool, or from the next one that has something to give at
// once; when none has, it waits for the chosen one. Unhealthy pools are passed
// over as long as there is a healthy one. Safe to use from any thread.
template <class T>
class MultiPool {
 public:
  using Lease = typename Pool<T>::Lease;

  struct Member {
    std::string name;
    std::unique_ptr<Pool<T>> pool;
  };

  // Throws UsageError when there is none, or two of one name.
  MultiPool(Choice choice, std::vector<Member> members) : choice_(choice), members_(std::move(members)) {
    if (members_.empty()) throw UsageError("a MultiPool needs at least one pool");
    for (const Member& member : members_) {
      if (member.pool == nullptr) throw UsageError("there is no pool \"" + member.name + "\"");
      if (std::ranges::count(members_, member.name, &Member::name) > 1) {
        throw UsageError("there are two pools \"" + member.name + "\"");
      }
    }
  }

  // Throws what Pool::acquire() throws, of the chosen pool; or, when making fails
  // in all of them, what it threw in the last.
  [[nodiscard]] Lease acquire(CallSite site = CallSite::current()) { return acquire({}, site); }
  [[nodiscard]] Lease acquire(const AcquireOptions& options, CallSite site = CallSite::current()) {
    const std::vector<Pool<T>*> pools = in_order();
    std::exception_ptr failure;
    Pool<T>* chosen = nullptr;
    for (Pool<T>* const pool : pools) {
      try {
        if (std::optional<Lease> lease = pool->try_acquire(site)) return *std::move(lease);
        if (chosen == nullptr) chosen = pool;
      } catch (const UsageError&) {
        throw;
      } catch (...) {
        failure = std::current_exception();
      }
    }
    if (chosen == nullptr) std::rethrow_exception(failure);
    return chosen->acquire(options, site);
  }

  // From that one, whatever its condition. Throws UsageError when there is none of this name.
  [[nodiscard]] Lease acquire_from(std::string_view name, const AcquireOptions& options = {},
                                   CallSite site = CallSite::current()) {
    return pool(name).acquire(options, site);
  }

  [[nodiscard]] Pool<T>& pool(std::string_view name) {
    const auto found = std::ranges::find(members_, name, &Member::name);
    if (found == members_.end()) throw UsageError("there is no pool \"" + std::string(name) + "\"");
    return *found->pool;
  }

  [[nodiscard]] const std::vector<Member>& members() const noexcept { return members_; }

 private:
  // The chosen one first; the unhealthy ones only when all are.
  [[nodiscard]] std::vector<Pool<T>*> in_order() {
    std::vector<Pool<T>*> pools;
    const std::size_t first = next_.fetch_add(1, std::memory_order_relaxed);
    for (std::size_t i = 0; i < members_.size(); ++i) {
      pools.push_back(members_[(first + i) % members_.size()].pool.get());
    }
    const auto is_healthy = [](Pool<T>* pool) { return pool->is_healthy(); };
    const auto unhealthy = std::stable_partition(pools.begin(), pools.end(), is_healthy);
    if (unhealthy != pools.begin()) pools.erase(unhealthy, pools.end());
    if (choice_ == Choice::least_busy) {
      std::vector<std::pair<std::size_t, Pool<T>*>> by_load;  // asked once each, since it changes meanwhile
      for (Pool<T>* const pool : pools) by_load.emplace_back(pool->load(), pool);
      std::stable_sort(by_load.begin(), by_load.end(),
                       [](const auto& left, const auto& right) { return left.first < right.first; });
      std::transform(by_load.begin(), by_load.end(), pools.begin(), [](const auto& one) { return one.second; });
    }
    return pools;
  }

  // Constant after construction.
  const Choice choice_;
  const std::vector<Member> members_;

  std::atomic<std::size_t> next_ = 0;
};

}  // namespace sqlane
