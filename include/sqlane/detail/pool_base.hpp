#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "sqlane/call_site.hpp"
#include "sqlane/pool_options.hpp"
#include "sqlane/statistics.hpp"

namespace sqlane {

struct AcquireOptions {
  // Waiting at most; unset means PoolOptions::acquire_timeout.
  std::optional<std::chrono::milliseconds> timeout{};

  // Ends the waiting with InterruptedError.
  std::stop_token stop{};
};

// What was found when a resource came back.
enum class Cleaning : std::uint8_t {
  nothing_to_do,
  cleaned,  // something had been left open; it is as new again
  broken,   // it cannot be used any more
};

// One resource of a pool.
struct ResourceReport {
  std::uint64_t id = 0;  // unique in its pool, from 1 on
  ResourceState state = ResourceState::idle;
  std::chrono::milliseconds age{};
  // 0 while in use. Since its return; or since it was acquired, unless an option needs to know better.
  std::chrono::milliseconds idle{};
  std::uint64_t uses = 0;
  std::uint64_t errors = 0;
};

namespace detail {

class Clock;
class PoolCore;
class PoolSlot;

// What the pool's core asks of its kind of resource.
class ResourceKind {
 public:
  ResourceKind() = default;
  ResourceKind(const ResourceKind&) = delete;
  ResourceKind& operator=(const ResourceKind&) = delete;
  virtual ~ResourceKind() = default;

  [[nodiscard]] virtual void* make() = 0;
  virtual void destroy(void* resource, CloseReason reason) noexcept = 0;
  [[nodiscard]] virtual bool is_valid(void* resource) = 0;
  [[nodiscard]] virtual bool has_cleaning() const noexcept = 0;
  [[nodiscard]] virtual Cleaning clean(void* resource) noexcept = 0;
  virtual void warm_up(void* resource) = 0;
  virtual bool interrupt(void* resource) noexcept = 0;  // false when it cannot be done
  virtual void resume(void* resource) noexcept = 0;     // takes it back
  [[nodiscard]] virtual std::string activity(void* resource) noexcept = 0;
};

// A resource on loan; of nothing when `slot` is null.
struct Loan {
  PoolCore* core = nullptr;
  PoolSlot* slot = nullptr;
  std::uint64_t ticket = 0;
  void* resource = nullptr;
  const std::atomic<std::uint64_t>* word = nullptr;  // of the slot (src/pool/pool_core.hpp)

  static constexpr std::uint64_t kMarked = 4;
  static constexpr std::uint64_t kOneTicket = 8;

  void give_back() noexcept;
  void count_error() noexcept;
  void retire() noexcept;
  void unbind() noexcept;
  [[nodiscard]] bool is_live() const noexcept {
    const std::uint64_t lent = ticket * kOneTicket | static_cast<std::uint64_t>(ResourceState::in_use);
    return slot != nullptr && (word->load(std::memory_order_relaxed) & ~kMarked) == lent;
  }
};

// A pool of whatever. Destroying it closes it; what is lent is closed when it comes back.
class PoolBase {
 public:
  PoolBase(const PoolOptions& options, std::unique_ptr<ResourceKind> kind, Clock* clock);
  PoolBase(const PoolBase&) = delete;
  PoolBase& operator=(const PoolBase&) = delete;
  ~PoolBase();

  [[nodiscard]] Loan acquire(const AcquireOptions& options, const CallSite& site);
  [[nodiscard]] Loan try_acquire(const CallSite& site);
  void count_fallback() noexcept;

  void maintain_now();
  std::size_t prune();
  [[nodiscard]] std::vector<LeaseReport> drain(std::chrono::milliseconds timeout);
  void close(std::chrono::milliseconds timeout);

  [[nodiscard]] PoolStatistics statistics() const;
  [[nodiscard]] PoolState state() const noexcept;
  [[nodiscard]] std::size_t load() const noexcept;
  [[nodiscard]] bool is_healthy() const;
  [[nodiscard]] std::vector<ResourceReport> resources() const;

  [[nodiscard]] PoolCore& core() const noexcept { return *core_; }

 private:
  PoolCore* const core_;  // destroys itself, once it is closed and nothing is lent
};

}  // namespace detail
}  // namespace sqlane
