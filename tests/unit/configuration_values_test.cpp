#include <chrono>
#include <cstdint>
#include <limits>
#include <string>

#include "support/configuration_sources.hpp"
#include "support/expect_error.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::from;
using testing::mentions;
using testing::refusal;

TEST(ConfiguredNumbers, AreRefusedUnlessTheyAreDigitsThatFit) {
  EXPECT_EQ(from("readers", "0").readers, 0U);
  EXPECT_EQ(from("readers", "007").readers, 7U);
  EXPECT_EQ(from("readers", "18446744073709551615").readers, std::numeric_limits<std::size_t>::max());
  EXPECT_EQ(from("max_errors", "18446744073709551615").upkeep.max_errors, std::numeric_limits<std::uint64_t>::max());
  for (const char* const text :
       {"", " 1", "1 ", "-1", "-0", "+1", "1.0", "1e3", "0x10", "1k", "1\n", "eight", "1,000", "none"}) {
    EXPECT_TRUE(mentions(refusal("readers", text), "readers must be a whole number from 0 to 18446744073709551615"))
        << text;
  }
  EXPECT_THROW(from("readers", std::string("1\0", 2)), UsageError);
  EXPECT_TRUE(mentions(refusal("readers", "18446744073709551616"), "too large"));
  EXPECT_TRUE(mentions(refusal("max_uses", "x"), "or \"none\""));
}

TEST(ConfiguredBytes, HaveBinaryUnits) {
  EXPECT_EQ(from("page_cache", "0").page_cache, 0U);
  EXPECT_EQ(from("page_cache", "4096").page_cache, 4096U);
  EXPECT_EQ(from("page_cache", "3KiB").page_cache, 3072U);
  EXPECT_EQ(from("page_cache", "3MiB").page_cache, std::size_t{3} << 20U);
  EXPECT_EQ(from("batch_bytes", "3GiB").batch.bytes, std::size_t{3} << 30U);
  EXPECT_EQ(from("page_cache", "17179869183GiB").page_cache, std::size_t{17'179'869'183} << 30U);
  EXPECT_TRUE(mentions(refusal("page_cache", "17179869184GiB"), "too large"));
  for (const char* const text : {"", "KiB", "1kib", "1KB", "1M", "1 MiB", "1.5MiB", "-1", "1MiB "}) {
    EXPECT_TRUE(mentions(refusal("page_cache", text), "page_cache must be a whole number of bytes, such as")) << text;
  }
}

TEST(ConfiguredDurations, HaveAUnit) {
  EXPECT_EQ(from("acquire_timeout", "250ms").acquire_timeout, 250ms);
  EXPECT_EQ(from("acquire_timeout", "5s").acquire_timeout, 5s);
  EXPECT_EQ(from("acquire_timeout", "2min").acquire_timeout, 2min);
  EXPECT_EQ(from("acquire_timeout", "3h").acquire_timeout, 3h);
  EXPECT_EQ(from("acquire_timeout", "2000us").acquire_timeout, 2ms);
  EXPECT_EQ(from("acquire_timeout", "0").acquire_timeout, 0ms);
  EXPECT_EQ(from("acquire_timeout", "0us").acquire_timeout, 0ms);
  EXPECT_EQ(from("batch_run_time", "1500us").batch.run_time, 1500us);
  EXPECT_EQ(from("batch_run_time", "1ms").batch.run_time, 1ms);
  EXPECT_EQ(from("batch_run_time", "1h").batch.run_time, 1h);
  EXPECT_EQ(from("leak_threshold", "0").upkeep.leak_threshold, 0ms);

  EXPECT_TRUE(mentions(refusal("acquire_timeout", "5"), "; what was given has no unit"));
  EXPECT_TRUE(mentions(refusal("leak_threshold", "5"), "; what was given has no unit"));
  EXPECT_TRUE(mentions(refusal("acquire_timeout", "1500us"), "; what was given is finer"));
  for (const char* const text :
       {"", "ms", "-1ms", "+1ms", "5 s", "5s ", "5S", "5m", "1.5s", "1d", "5ns", "none", "0x"}) {
    EXPECT_TRUE(mentions(refusal("acquire_timeout", text), "acquire_timeout must be a duration in whole milliseconds"))
        << text;
  }
  EXPECT_TRUE(mentions(refusal("batch_run_time", "x"), "batch_run_time must be a duration in whole microseconds"));
}

TEST(ConfiguredDurations, AreNeverCutShort) {
  EXPECT_EQ(from("acquire_timeout", "9223372036854775807ms").acquire_timeout, std::chrono::milliseconds::max());
  EXPECT_EQ(from("acquire_timeout", "2562047788015h").acquire_timeout, 2562047788015h);
  EXPECT_EQ(from("batch_run_time", "9223372036854775807us").batch.run_time, std::chrono::microseconds::max());
  EXPECT_EQ(from("batch_run_time", "9223372036854775ms").batch.run_time, 9223372036854775ms);
  for (const char* const text : {"9223372036854775808ms", "2562047788016h", "99999999999999999999ms"}) {
    EXPECT_TRUE(mentions(refusal("acquire_timeout", text), "; what was given is too large")) << text;
  }
  EXPECT_TRUE(mentions(refusal("batch_run_time", "9223372036854776ms"), "; what was given is too large"));
}

TEST(ConfiguredShares, AreFromZeroToOne) {
  EXPECT_EQ(from("lifetime_jitter", "0").upkeep.lifetime_jitter, 0);
  EXPECT_EQ(from("lifetime_jitter", "1").upkeep.lifetime_jitter, 1);
  EXPECT_EQ(from("lifetime_jitter", "2.5e-1").upkeep.lifetime_jitter, 0.25);
  EXPECT_EQ(from("adaptive_grow_above", "0.9").upkeep.adaptive_size->grow_above, 0.9);
  for (const char* const text :
       {"", "1.0000001", "-0.1", "nan", "inf", "1e400", "0,5", " 0.5", "0.5 ", "50%", "0x1p-1", "+0.5"}) {
    EXPECT_TRUE(mentions(refusal("lifetime_jitter", text), "lifetime_jitter must be a number from 0 to 1")) << text;
  }
}

TEST(ConfiguredChoices, AreNamedAsInTheHeader) {
  EXPECT_EQ(from("durability", "normal").durability, Durability::normal);
  EXPECT_EQ(from("locking", "exclusive").locking, Locking::exclusive);
  EXPECT_EQ(from("locking", "shared").locking, Locking::shared);
  EXPECT_EQ(from("warm_up", "at_start").upkeep.warm_up, WarmUp::at_start);
  EXPECT_EQ(from("validate_on_acquire", "if_idle_longer_than").upkeep.validate_on_acquire,
            ValidateOnAcquire::if_idle_longer_than);
  EXPECT_EQ(from("validate_on_acquire", "always").upkeep.validate_on_acquire, ValidateOnAcquire::always);
  EXPECT_EQ(from("validate_on_release", "yes").upkeep.validate_on_release, ValidateOnRelease::yes);
  EXPECT_EQ(from("overstaying", "interrupted").upkeep.overstaying, Overstaying::interrupted);
  EXPECT_EQ(from("maintenance", "by_hand").upkeep.maintenance, Maintenance::by_hand);
  EXPECT_EQ(refusal("durability", "Full"), "durability must be full or normal");
  EXPECT_EQ(refusal("locking", "Exclusive"), "locking must be shared or exclusive");
  EXPECT_EQ(refusal("validate_on_acquire", ""), "validate_on_acquire must be never, if_idle_longer_than or always");
  EXPECT_EQ(refusal("breaker", "true"), "breaker must be on or off");
}

TEST(ConfiguredPaths, HoldNoNulByte) {
  EXPECT_EQ(from("path", "file:a?b=c").path, "file:a?b=c");
  EXPECT_EQ(refusal("path", std::string("a\0b", 3)), "path must be a path without NUL bytes");
}

}  // namespace
}  // namespace sqlane
