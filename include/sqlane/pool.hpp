#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "sqlane/call_site.hpp"
#include "sqlane/detail/pool_base.hpp"
#include "sqlane/error.hpp"
#include "sqlane/pool_options.hpp"
#include "sqlane/statistics.hpp"

namespace sqlane {

// A resource that says goodbye before it is destroyed.
template <class T>
concept Closeable = requires(T& resource) {
  resource.close();
};

namespace detail {

template <class T>
concept HasPing = requires(T& resource) {
  { resource.ping() } -> std::convertible_to<bool>;
};

template <class T>
concept HasIsValid = requires(const T& resource) {
  { resource.is_valid() } -> std::convertible_to<bool>;
};

}  // namespace detail

// A resource that can be asked whether it still works.
template <class T>
concept Pingable = detail::HasPing<T> || detail::HasIsValid<T>;

// What a pool does with its resources besides lending them. All may be empty.
template <class T>
struct PoolHooks {
  // By default ping() or is_valid() of a Pingable, else always true. An exception counts as false.
  std::function<bool(T&)> is_valid{};
  // Before it goes back, on the holder's thread.
  std::function<Cleaning(T&)> clean{};
  // After it was made at the start, or to keep min_idle ready.
  std::function<void(T&)> warm_up{};
  // Ends what its holder does with it; from another thread, while it is lent.
  std::function<void(T&)> interrupt{};
  // Takes that back, when its holder has returned it, before anybody else gets it.
  std::function<void(T&)> resume{};
  // What its holder does with it; from another thread, while it is lent.
  std::function<std::string(T&)> activity{};
  // By default close() of a Closeable. Then it is destroyed. An exception is swallowed.
  std::function<void(T&)> close{};
  // After that.
  std::function<void(CloseReason)> closed{};
};

// Resources that are costly to make, lent to one holder at a time. acquire()
// gives, in this order: the one that this thread had last, if it is idle; any
// idle one; a new one, up to PoolOptions::max (one is made at a time); one more,
// up to max_overflow, closed when it comes back; or else it waits.
//
// Making, closing and validating happen outside all locks. Safe to use from any
// thread. Leases may outlive the pool; what comes back then is closed.
template <class T>
class Pool {
 public:
  using Make = std::function<std::unique_ptr<T>()>;

  // A resource, until the end of its scope. It belongs to the thread that
  // acquired it: when that ends, what it still holds is reported and goes back,
  // and the lease is void. unbind() it before another thread takes it over.
  // Use from one thread at a time.
  class Lease {
   public:
    Lease(Lease&& other) noexcept : loan_(std::exchange(other.loan_, {})) {}
    Lease& operator=(Lease&& other) noexcept {
      if (this != &other) {
        give_back();
        loan_ = std::exchange(other.loan_, {});
      }
      return *this;
    }
    ~Lease() { loan_.give_back(); }

    // Throw UsageError when it is void, or has been given back.
    [[nodiscard]] T& get() const {
      if (!loan_.is_live()) throw UsageError("the lease is over: it was given back, or its thread has ended");
      return *static_cast<T*>(loan_.resource);
    }
    [[nodiscard]] T& operator*() const { return get(); }
    [[nodiscard]] T* operator->() const { return &get(); }

    void give_back() noexcept {
      loan_.give_back();
      loan_ = {};
    }

    // One of Upkeep::max_errors.
    void count_error() noexcept { loan_.count_error(); }
    // It will be closed instead of lent again.
    void retire() noexcept { loan_.retire(); }
    // It does not belong to a thread any more.
    void unbind() noexcept { loan_.unbind(); }

   private:
    friend class Pool;
    explicit Lease(detail::Loan loan) noexcept : loan_(loan) {}

    detail::Loan loan_;
  };

  // Throws UsageError when the options make no sense, or what `make` throws where
  // WarmUp::at_start asks for it.
  explicit Pool(Make make, PoolOptions options = {}, PoolHooks<T> hooks = {})
      : Pool(std::move(make), std::move(options), std::move(hooks), nullptr) {}

  // With another clock, which must outlive the pool.
  Pool(Make make, PoolOptions options, PoolHooks<T> hooks, detail::Clock* clock)
      : base_(options, std::make_unique<Kind>(std::move(make), std::move(hooks)), clock) {}

  // Throws TimeoutError naming who holds what and since when; ClosedError;
  // InterruptedError; what `make` throws; OpenError while that has failed too
  // often (Upkeep::breaker); UsageError when waiting could never end.
  [[nodiscard]] Lease acquire(CallSite site = CallSite::current()) { return Lease(base_.acquire({}, site)); }
  [[nodiscard]] Lease acquire(const AcquireOptions& options, CallSite site = CallSite::current()) {
    return Lease(base_.acquire(options, site));
  }

  // Nothing when it would have to wait.
  [[nodiscard]] std::optional<Lease> try_acquire(CallSite site = CallSite::current()) {
    const detail::Loan loan = base_.try_acquire(site);
    if (loan.slot == nullptr) return std::nullopt;
    return Lease(loan);
  }

  // A lease from somewhere else, `fallback()`, when none comes free in time or
  // none can be made. Not when the pool is closed, or a stop was requested.
  template <std::invocable Fallback>
  requires std::convertible_to<std::invoke_result_t<Fallback&>, Lease>
  [[nodiscard]] Lease acquire_or(Fallback&& fallback, const AcquireOptions& options = {},
                                 CallSite site = CallSite::current()) {
    try {
      return acquire(options, site);
    } catch (const ClosedError&) {
      throw;
    } catch (const InterruptedError&) {
      throw;
    } catch (const std::runtime_error&) {
      base_.count_fallback();
      return std::invoke(fallback);
    }
  }

  // Returns what `use(T&)` returns.
  template <std::invocable<T&> Use>
  auto with(Use&& use, CallSite site = CallSite::current()) {
    const Lease lease = acquire(site);
    return std::invoke(std::forward<Use>(use), lease.get());
  }
  template <std::invocable<T&> Use>
  auto with(const AcquireOptions& options, Use&& use, CallSite site = CallSite::current()) {
    const Lease lease = acquire(options, site);
    return std::invoke(std::forward<Use>(use), lease.get());
  }

  // A callable that acquires for each call: `adapt(f)(a, b)` is `f(resource, a, b)`.
  // The pool must outlive it.
  template <class Use>
  [[nodiscard]] auto adapt(Use use, CallSite site = CallSite::current()) {
    return [this, use = std::move(use), site]<class... Args>(Args&&... args) mutable -> decltype(auto) {
      const Lease lease = acquire(site);
      return std::invoke(use, lease.get(), std::forward<Args>(args)...);
    };
  }

  // What maintenance does: closes what is due, refills, validates, reports, resizes.
  void maintain_now() { base_.maintain_now(); }
  // Closes everything idle beyond min_idle. Returns how many.
  std::size_t prune() { return base_.prune(); }

  // Refuses new calls, fails those that wait with ClosedError, and lets current
  // holders finish. Those who still hold something after `timeout` are interrupted
  // and reported; close() waits for them.
  [[nodiscard]] std::vector<LeaseReport> drain(std::chrono::milliseconds timeout) { return base_.drain(timeout); }

  // drain() without interrupting. Throws TimeoutError naming those who hold
  // something; what they hold is closed when it comes back.
  void close(std::chrono::milliseconds timeout = std::chrono::milliseconds(5000)) { base_.close(timeout); }

  // Take no lock that acquiring takes.
  [[nodiscard]] PoolStatistics statistics() const { return base_.statistics(); }
  [[nodiscard]] PoolState state() const noexcept { return base_.state(); }
  // Resources in use, and calls that wait.
  [[nodiscard]] std::size_t load() const noexcept { return base_.load(); }
  // Active, and not between two tries of making something (Upkeep::breaker).
  [[nodiscard]] bool is_healthy() const { return base_.is_healthy(); }

  [[nodiscard]] std::vector<ResourceReport> resources() const { return base_.resources(); }

  [[nodiscard]] detail::PoolBase& base() noexcept { return base_; }

 private:
  class Kind final : public detail::ResourceKind {
   public:
    Kind(Make make, PoolHooks<T> hooks) : make_(std::move(make)), hooks_(std::move(hooks)) {
      if constexpr (detail::HasPing<T>) {
        if (!hooks_.is_valid) hooks_.is_valid = [](T& resource) -> bool { return resource.ping(); };
      } else if constexpr (Pingable<T>) {
        if (!hooks_.is_valid) hooks_.is_valid = [](T& resource) -> bool { return resource.is_valid(); };
      }
      if constexpr (Closeable<T>) {
        if (!hooks_.close) hooks_.close = [](T& resource) { resource.close(); };
      }
    }

    void* make() override {
      std::unique_ptr<T> resource = make_();
      if (resource == nullptr) throw UsageError("a pool's factory returned null");
      return resource.release();
    }
    void destroy(void* resource, CloseReason reason) noexcept override {
      std::unique_ptr<T> owner(static_cast<T*>(resource));
      try {
        if (hooks_.close) hooks_.close(*owner);
      } catch (...) {  // it is gone in any case
      }
      owner.reset();
      try {
        if (hooks_.closed) hooks_.closed(reason);
      } catch (...) {  // likewise
      }
    }
    bool is_valid(void* resource) override {
      try {
        return !hooks_.is_valid || hooks_.is_valid(*static_cast<T*>(resource));
      } catch (...) {
        return false;
      }
    }
    bool has_cleaning() const noexcept override { return static_cast<bool>(hooks_.clean); }
    Cleaning clean(void* resource) noexcept override {
      try {
        return hooks_.clean(*static_cast<T*>(resource));
      } catch (...) {
        return Cleaning::broken;
      }
    }
    void warm_up(void* resource) override {
      if (hooks_.warm_up) hooks_.warm_up(*static_cast<T*>(resource));
    }
    bool interrupt(void* resource) noexcept override {
      try {
        if (hooks_.interrupt) hooks_.interrupt(*static_cast<T*>(resource));
        return static_cast<bool>(hooks_.interrupt);
      } catch (...) {  // it goes on, then
        return false;
      }
    }
    void resume(void* resource) noexcept override {
      try {
        if (hooks_.resume) hooks_.resume(*static_cast<T*>(resource));
      } catch (...) {  // its next holder is interrupted, then
      }
    }
    std::string activity(void* resource) noexcept override {
      try {
        return hooks_.activity ? hooks_.activity(*static_cast<T*>(resource)) : std::string();
      } catch (...) {  // it is only told to people
        return {};
      }
    }

   private:
    const Make make_;
    PoolHooks<T> hooks_;
  };

  detail::PoolBase base_;
};

}  // namespace sqlane
