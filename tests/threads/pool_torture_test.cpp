#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <latch>
#include <mutex>
#include <numeric>
#include <optional>
#include <random>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "sqlane/error.hpp"
#include "sqlane/pool.hpp"
#include "support/manual_clock.hpp"
#include "support/workshop.hpp"

// A hundred threads do whatever can be done with a pool of four. How much they
// do is fixed; SQLANE_TESTS_SECONDS makes it as much as they can in that time:
//
//   SQLANE_TESTS_SECONDS=60 sqlane_threads_tests --gtest_filter='*PoolTorture*'

namespace sqlane {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::SteppedClock;
using testing::Tool;
using testing::Workshop;

using ToolPool = Pool<Tool>;
using Lease = ToolPool::Lease;

constexpr std::size_t kTorturers = 100;
constexpr std::size_t kTools = 4;
constexpr int kOperationsOfATorturer = 400;  // of each thread

// How long a run goes on; zero: until each thread has done its operations.
std::chrono::seconds run_time() {
  const char* const seconds = std::getenv("SQLANE_TESTS_SECONDS");
  return std::chrono::seconds(seconds == nullptr ? 0 : std::atoi(seconds));
}

// What the factory throws.
struct CannotMake : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What a user of a tool throws.
struct Mishap {};

struct Counts {
  std::int64_t operations = 0;
  std::int64_t acquires = 0;
  std::int64_t timeouts = 0;  // of the calls that would not wait for long
  std::int64_t late = 0;      // of the others
  std::int64_t stopped = 0;
  std::int64_t rings = 0;
  std::int64_t refused = 0;
  std::int64_t not_made = 0;
  std::int64_t recovered = 0;
  std::int64_t void_but_usable = 0;
  std::int64_t other_errors = 0;

  Counts& operator+=(const Counts& other) {
    for (const auto member :
         {&Counts::operations, &Counts::acquires, &Counts::timeouts, &Counts::late, &Counts::stopped, &Counts::rings,
          &Counts::refused, &Counts::not_made, &Counts::recovered, &Counts::void_but_usable, &Counts::other_errors}) {
      this->*member += other.*member;
    }
    return *this;
  }
};

// A thread that does something with whatever it is given.
template <class Item>
class Colleague {
 public:
  explicit Colleague(std::function<void(Item)> work) : work_(std::move(work)), thread_([this] { run(); }) {}
  Colleague(const Colleague&) = delete;
  Colleague& operator=(const Colleague&) = delete;
  ~Colleague() {
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    given_.notify_one();
    thread_.join();
  }

  void give(Item item) {
    {
      const std::lock_guard lock(mutex_);
      items_.push_back(std::move(item));
    }
    given_.notify_one();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      given_.wait(lock, [this] { return is_over_ || !items_.empty(); });
      if (items_.empty()) return;
      std::vector<Item> items = std::exchange(items_, {});
      lock.unlock();
      for (Item& item : items) work_(std::move(item));
      items.clear();
      lock.lock();
    }
  }

  const std::function<void(Item)> work_;
  std::mutex mutex_;
  std::condition_variable given_;
  std::vector<Item> items_;
  bool is_over_ = false;
  std::thread thread_;
};

struct Colleagues {
  Colleague<Lease> returns{[](Lease lease) { lease.give_back(); }};
  Colleague<std::stop_source> stops{[](std::stop_source source) { source.request_stop(); }};
};

class Worker {
 public:
  Worker(ToolPool& pool, Colleagues& colleagues, std::size_t seed)
      : pool_(pool), colleagues_(colleagues), random_(static_cast<std::mt19937::result_type>(seed)) {}

  Counts run() {
    const steady_clock::time_point end = steady_clock::now() + run_time();
    const auto goes_on = [&] {
      return run_time().count() == 0 ? counts_.operations < kOperationsOfATorturer : steady_clock::now() < end;
    };
    while (goes_on()) {
      ++counts_.operations;
      try {
        operate();
      } catch (const std::exception& error) {
        if (counts_.other_errors++ == 0) std::fprintf(stderr, "a worker: %s\n", error.what());
      }
    }
    return counts_;
  }

 private:
  [[nodiscard]] int below(int end) { return std::uniform_int_distribution(0, end - 1)(random_); }
  [[nodiscard]] bool is_one_in(int many) { return below(many) == 0; }

  void operate() {
    constexpr int kParts = 200;
    const int part = below(kParts);
    if (part < 70) {
      use(ask([&] { return pool_.acquire(); }));
    } else if (part < 110) {
      try_to_use();
    } else if (part < 125) {
      fail_inside();
    } else if (part < 145) {
      use(ask([&] { return pool_.acquire({.timeout = milliseconds(below(3))}); }, &Counts::timeouts));
    } else if (part < 160) {
      use_unless_stopped();
    } else if (part < 170) {
      count_errors();
    } else if (part < 174) {
      retire();
    } else if (part < 182) {
      move_around();
    } else if (part < 192) {
      let_a_colleague_return_it();
    } else if (part < 198) {
      use_two();
    } else if (part < 199) {
      let_a_thread_end_with_it();
    } else if (!void_.empty()) {
      void_.pop_back();
    }
  }

  // A lease, unless it ends with one of the errors that there may be.
  template <class Acquire>
  std::optional<Lease> ask(Acquire&& acquire, std::int64_t Counts::*where_late = &Counts::late) {
    try {
      std::optional<Lease> lease = acquire();
      if (lease) ++counts_.acquires;
      return lease;
    } catch (const TimeoutError&) {
      if ((counts_.*where_late)++ == 0 && where_late == &Counts::late) std::fprintf(stderr, "waited in vain\n");
    } catch (const InterruptedError&) {
      ++counts_.stopped;
    } catch (const OpenError&) {
      ++counts_.refused;
    } catch (const CannotMake&) {
      ++counts_.not_made;
    }
    return std::nullopt;
  }

  void use(Tool& tool) {
    const Tool::Use use(tool);
    if (is_one_in(8)) std::this_thread::yield();
  }
  void use(const std::optional<Lease>& lease) {
    if (lease) use(**lease);
  }

  void try_to_use() {
    use(ask([&] { return pool_.try_acquire(); }));
  }

  void fail_inside() {
    try {
      pool_.with([&](Tool& tool) {
        ++counts_.acquires;
        use(tool);
        throw Mishap();
      });
    } catch (const Mishap&) {
    } catch (const OpenError&) {
      ++counts_.refused;
    } catch (const CannotMake&) {
      ++counts_.not_made;
    }
  }

  void use_unless_stopped() {
    std::stop_source stop;
    colleagues_.stops.give(stop);
    use(ask([&] { return pool_.acquire({.stop = stop.get_token()}); }));
  }

  void count_errors() {
    std::optional<Lease> lease = ask([&] { return pool_.acquire(); });
    use(lease);
    for (int errors = below(3); lease && errors > 0; --errors) lease->count_error();
  }

  void retire() {
    std::optional<Lease> lease = ask([&] { return pool_.acquire(); });
    use(lease);
    if (lease) lease->retire();
  }

  void move_around() {
    std::vector<Lease> leases;
    {
      std::optional<Lease> first = ask([&] { return pool_.acquire(); });
      if (!first) return;
      Lease second = std::move(*first);
      leases.push_back(std::move(second));
    }
    use(*leases.front());
    std::optional<Lease> other = ask([&] { return pool_.try_acquire(); });
    use(other);
    if (other) leases.front() = *std::move(other);
    use(*leases.front());
    leases.front().give_back();
    leases.front().give_back();
  }

  void let_a_colleague_return_it() {
    std::optional<Lease> lease = ask([&] { return pool_.acquire(); });
    if (!lease) return;
    use(**lease);
    lease->unbind();
    colleagues_.returns.give(*std::move(lease));
  }

  // Others may do the same, so nobody waits long; and a ring may be found.
  void use_two() {
    const std::optional<Lease> one = ask([&] { return pool_.acquire(); });
    use(one);
    try {
      use(ask([&] { return pool_.acquire({.timeout = milliseconds(below(2))}); }, &Counts::timeouts));
    } catch (const UsageError&) {
      ++counts_.rings;
    }
  }

  void let_a_thread_end_with_it() {
    std::optional<Lease> lease;
    std::thread([&] {
      lease = ask([&] { return pool_.acquire(); });
      use(lease);
    }).join();
    if (!lease) return;
    ++counts_.recovered;
    try {
      static_cast<void>(lease->get());
      ++counts_.void_but_usable;
    } catch (const UsageError&) {
    }
    void_.push_back(*std::move(lease));
  }

  ToolPool& pool_;
  Colleagues& colleagues_;
  std::mt19937 random_;
  Counts counts_;
  std::vector<Lease> void_;
};

enum class Recycling { no, yes };

struct Load {
  const char* name;
  milliseconds patience;
  std::size_t max_overflow;
  Recycling recycling;
};

Upkeep upkeep_of(const Load& load, std::atomic<std::int64_t>& reports) {
  Upkeep upkeep{.leak_threshold = milliseconds(1),
                .overstaying = Overstaying::interrupted,
                .on_leak = [&](const LeaseReport&) { ++reports; },
                .breaker = Breaker{.failures = 2, .open_for = milliseconds(1)},
                .maintenance = Maintenance::by_hand};
  if (load.recycling == Recycling::no) return upkeep;
  upkeep.min_idle = 1;
  upkeep.idle_timeout = milliseconds(1);
  upkeep.max_lifetime = milliseconds(3);
  upkeep.max_uses = 40;
  upkeep.max_errors = 3;
  upkeep.validation_interval = milliseconds(1);
  upkeep.validate_on_acquire = ValidateOnAcquire::if_idle_longer_than;
  upkeep.validation_idle = milliseconds(0);
  upkeep.maintenance = Maintenance::in_background;
  upkeep.maintenance_interval = milliseconds(1);
  return upkeep;
}

// Each comes once in a while.
struct Mishaps {
  std::atomic<bool> are_over = false;
  std::atomic<unsigned> tries_to_make = 0;
  std::atomic<unsigned> validations = 0;
  std::atomic<unsigned> returns = 0;

  // Two in a row, so that the breaker opens.
  void before_making() {
    if (tries_to_make++ % 29 < 2 && !are_over) throw CannotMake("no material");
  }
  [[nodiscard]] bool is_valid() { return validations++ % 31 != 0 || are_over; }
  [[nodiscard]] Cleaning clean() {
    const unsigned turn = returns++ % 500;
    return turn == 0 ? Cleaning::broken : turn < 10 ? Cleaning::cleaned : Cleaning::nothing_to_do;
  }
};

PoolHooks<Tool> hooks_of(const Load& load, Mishaps& mishaps) {
  PoolHooks<Tool> hooks{.interrupt = [](Tool& tool) { tool.look_at(); },
                        .activity =
                            [](Tool& tool) {
                              tool.look_at();
                              return std::string("at work");
                            }};
  if (load.recycling == Recycling::no) return hooks;
  hooks.is_valid = [&](Tool& tool) {
    const Tool::Use use(tool);
    return mishaps.is_valid();
  };
  hooks.clean = [&](Tool& tool) {
    const Tool::Use use(tool);
    return mishaps.clean();
  };
  hooks.warm_up = [](Tool& tool) { const Tool::Use use(tool); };
  return hooks;
}

// Until `is_over`.
void look_after(ToolPool& pool, std::size_t most, const std::atomic<bool>& is_over) {
  for (int turn = 0; !is_over; ++turn) {
    pool.maintain_now();
    if (turn % 16 == 0) static_cast<void>(pool.prune());
    const PoolStatistics now = pool.statistics();
    EXPECT_LE(now.total, most);
    EXPECT_LE(now.idle + now.in_use, now.total);
    EXPECT_LE(now.waiting, kTorturers);
    const std::vector<ResourceReport> resources = pool.resources();
    EXPECT_LE(resources.size(), most);
    std::set<std::uint64_t> ids;
    for (const ResourceReport& one : resources) EXPECT_TRUE(ids.insert(one.id).second) << one.id << " is there twice";
    std::this_thread::yield();
  }
}

void report(const Load& load, const Counts& counts, const PoolStatistics& statistics) {
  const auto closed = std::accumulate(statistics.closed.begin(), statistics.closed.end(), std::uint64_t{0});
  std::printf(
      "%s: %lld operations, %llu leases, %llu waits, %lld timeouts, %lld stopped, %lld rings, %llu recovered, "
      "%llu made, %llu closed, %llu not made, %lld refused, %llu overstayed, longest wait %.1f ms\n",
      load.name, static_cast<long long>(counts.operations), static_cast<unsigned long long>(statistics.acquires),
      static_cast<unsigned long long>(statistics.waits), static_cast<long long>(counts.timeouts),
      static_cast<long long>(counts.stopped), static_cast<long long>(counts.rings),
      static_cast<unsigned long long>(statistics.recovered), static_cast<unsigned long long>(statistics.created),
      static_cast<unsigned long long>(closed), static_cast<unsigned long long>(statistics.failed_creations),
      static_cast<long long>(counts.refused), static_cast<unsigned long long>(statistics.overstayed),
      std::chrono::duration<double, std::milli>(statistics.wait_times.max()).count());
}

// All at once, when nobody else is there any more.
void expect_all_can_be_acquired(ToolPool& pool) {
  std::vector<Lease> all;
  while (all.size() < kTools) {
    try {
      all.push_back(pool.acquire());
    } catch (const OpenError&) {  // not yet again
      std::this_thread::yield();
    }
  }
  for (const Lease& lease : all) const Tool::Use use(*lease);
  EXPECT_EQ(pool.statistics().in_use, kTools);
}

class PoolTortureOfLoad : public ::testing::TestWithParam<Load> {};

TEST_P(PoolTortureOfLoad, LosesAndDoublesNothing) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  const Load& load = GetParam();
  const std::size_t most = kTools + load.max_overflow;
  Workshop workshop(static_cast<std::int64_t>(most));
  Mishaps mishaps;
  std::atomic<std::int64_t> reports = 0;
  Counts counts;
  PoolStatistics statistics;
  {
    ToolPool pool(workshop.factory([&] { mishaps.before_making(); }),
                  {.name = "a tool",
                   .max = kTools,
                   .max_overflow = load.max_overflow,
                   .acquire_timeout = std::chrono::minutes(2),
                   .patience = load.patience,
                   .upkeep = upkeep_of(load, reports)},
                  hooks_of(load, mishaps));
    std::array<Counts, kTorturers> each;
    {
      std::atomic<bool> is_over = false;
      std::jthread keeper([&] { look_after(pool, most, is_over); });
      {
        Colleagues colleagues;
        std::latch start(kTorturers);
        std::vector<std::jthread> threads;
        for (std::size_t t = 0; t < kTorturers; ++t) {
          threads.emplace_back([&, t] {
            Worker worker(pool, colleagues, seed + t);
            start.arrive_and_wait();
            each[t] = worker.run();
          });
        }
      }
      is_over = true;
    }
    for (const Counts& one : each) counts += one;
    mishaps.are_over = true;

    EXPECT_EQ(pool.statistics().waiting, 0U);
    expect_all_can_be_acquired(pool);
    counts.acquires += std::int64_t{kTools};
    EXPECT_NO_THROW(pool.close());
    EXPECT_EQ(workshop.alive, 0);

    statistics = pool.statistics();
    report(load, counts, statistics);
    EXPECT_EQ(counts.late, 0);
    EXPECT_EQ(counts.other_errors, 0);
    EXPECT_EQ(counts.void_but_usable, 0);
    EXPECT_EQ(statistics.total, 0U);
    EXPECT_EQ(statistics.in_use, 0U);
    EXPECT_EQ(statistics.waiting, 0U);
    EXPECT_EQ(statistics.acquires, static_cast<std::uint64_t>(counts.acquires));
    EXPECT_LE(statistics.waits, statistics.acquires);
    EXPECT_EQ(statistics.timeouts, static_cast<std::uint64_t>(counts.timeouts));
    EXPECT_EQ(statistics.recovered, static_cast<std::uint64_t>(counts.recovered));
    EXPECT_GE(statistics.failed_creations, static_cast<std::uint64_t>(counts.not_made));
    EXPECT_GE(statistics.refused_creations, static_cast<std::uint64_t>(counts.refused));
    EXPECT_EQ(statistics.closed_for(CloseReason::overflow) > 0, load.max_overflow > 0);
    EXPECT_EQ(statistics.created, static_cast<std::uint64_t>(workshop.made));
    EXPECT_EQ(std::accumulate(statistics.closed.begin(), statistics.closed.end(), std::uint64_t{0}),
              statistics.created);
  }
  EXPECT_EQ(statistics.overstayed + statistics.recovered, static_cast<std::uint64_t>(reports));
  EXPECT_FALSE(workshop.has_pool());
  EXPECT_EQ(workshop.alive, 0);
  workshop.expect_no_harm();
}

INSTANTIATE_TEST_SUITE_P(All, PoolTortureOfLoad,
                         ::testing::Values(Load{"ShortPatience", milliseconds(1), 0, Recycling::no},
                                           Load{"RecycledLongPatience", milliseconds(10), 0, Recycling::yes},
                                           Load{"RecycledShortPatienceOverflow", milliseconds(1), 2, Recycling::yes},
                                           Load{"NoPatienceOverflow", milliseconds(0), 2, Recycling::no}),
                         [](const auto& one) { return one.param.name; });

// The pool and its users after the one idle tool, again and again.
TEST(PoolTorture, TakesNothingFromUnderItsHolder) {
  constexpr int kUses = 200'000;
  SteppedClock clock;
  Workshop workshop(2);
  ToolPool pool(workshop.factory(),
                {.max = 2, .upkeep = {.validation_interval = milliseconds(1), .maintenance = Maintenance::by_hand}},
                {.is_valid =
                     [](Tool& tool) {
                       const Tool::Use use(tool);
                       return true;
                     }},
                &clock);
  std::atomic<bool> is_over = false;
  std::jthread keeper([&] {
    while (!is_over) {
      clock.advance(milliseconds(1));
      pool.maintain_now();
      static_cast<void>(pool.prune());
    }
  });
  int uses = 0;
  for (int n = 0; n < kUses; ++n) {
    const std::optional<Lease> lease = pool.try_acquire();
    if (!lease) continue;
    const Tool::Use use(**lease);
    ++uses;
  }
  is_over = true;
  keeper.join();
  EXPECT_GT(uses, 0);
  EXPECT_EQ(pool.statistics().acquires, static_cast<std::uint64_t>(uses));
  EXPECT_EQ(pool.statistics().in_use, 0U);
  workshop.expect_no_harm();
}

}  // namespace
}  // namespace sqlane
