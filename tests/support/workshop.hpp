#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace sqlane::testing {

class Tool;

// Where the tools of one pool are made, and what went wrong with them.
struct Workshop {
  explicit Workshop(std::int64_t tools_at_most = 1000) : most(tools_at_most) {}

  const std::int64_t most;
  std::atomic<std::int64_t> alive = 0;
  std::atomic<std::int64_t> made = 0;
  std::atomic<int> being_made = 0;

  std::atomic<int> lent_twice = 0;
  std::atomic<int> destroyed_in_use = 0;
  std::atomic<int> beyond_the_limit = 0;
  std::atomic<int> made_at_once = 0;

  // What makes its tools; calls `before` first, which may throw.
  [[nodiscard]] std::function<std::unique_ptr<Tool>()> factory(std::function<void()> before = {});

  // Whether a factory exists still, and so the pool that it was given to, or what was left of that.
  [[nodiscard]] bool has_pool() const { return pools_.use_count() > 1; }

  void expect_no_harm() const {
    EXPECT_EQ(lent_twice, 0);
    EXPECT_EQ(destroyed_in_use, 0);
    EXPECT_EQ(beyond_the_limit, 0);
    EXPECT_EQ(made_at_once, 0);
  }

 private:
  const std::shared_ptr<const int> pools_ = std::make_shared<const int>(0);
};

// A resource that notices when it has two holders at once.
class Tool {
 public:
  explicit Tool(Workshop& workshop) : workshop_(workshop) {
    ++workshop_.made;
    if (++workshop_.alive > workshop_.most) ++workshop_.beyond_the_limit;
  }
  Tool(const Tool&) = delete;
  Tool& operator=(const Tool&) = delete;
  ~Tool() {
    if (is_in_use_) ++workshop_.destroyed_in_use;
    --workshop_.alive;
  }

  // The time between acquiring it and giving it back.
  class Use {
   public:
    explicit Use(Tool& tool) : tool_(tool) {
      if (tool_.is_in_use_.exchange(true, std::memory_order_relaxed)) ++tool_.workshop_.lent_twice;
      ++tool_.uses_;
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use() {
      ++tool_.uses_;
      if (!tool_.is_in_use_.exchange(false, std::memory_order_relaxed)) ++tool_.workshop_.lent_twice;
    }

   private:
    Tool& tool_;
  };

  // From another thread than its holder's.
  void look_at() noexcept { looked_at_.fetch_add(1, std::memory_order_relaxed); }

 private:
  Workshop& workshop_;
  std::atomic<bool> is_in_use_ = false;
  std::atomic<int> looked_at_ = 0;
  std::uint64_t uses_ = 0;  // not atomic: a hand-over that orders nothing is a data race
};

inline void use(Tool& tool) { const Tool::Use use(tool); }

inline std::function<std::unique_ptr<Tool>()> Workshop::factory(std::function<void()> before) {
  return [this, pool = pools_, before = std::move(before)] {
    struct Making {
      explicit Making(Workshop& workshop) : counter(workshop.being_made) {
        if (++counter > 1) ++workshop.made_at_once;
      }
      Making(const Making&) = delete;
      Making& operator=(const Making&) = delete;
      ~Making() { --counter; }
      std::atomic<int>& counter;
    };
    const Making making(*this);
    if (before) before();
    return std::make_unique<Tool>(*this);
  };
}

}  // namespace sqlane::testing
