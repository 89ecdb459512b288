#include <chrono>
#include <cmath>
#include <string>

#include "support/configuration_sources.hpp"
#include "support/expect_error.hpp"
#include "support/option_fields.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::error_of;
using testing::mentions;
using testing::path_of;
using testing::refusal_of_uri;
using testing::shown;

TEST(Uri, HoldsAPath) {
  EXPECT_EQ(path_of("file:app.db"), "app.db");
  EXPECT_EQ(path_of("file:folder/app.db"), "folder/app.db");
  EXPECT_EQ(path_of("file:/a/b"), "/a/b");
  EXPECT_EQ(path_of("file:///a/b"), "/a/b");
  EXPECT_EQ(path_of("file://localhost/a/b"), "/a/b");
  EXPECT_EQ(path_of("file:////a/b"), "//a/b");
  EXPECT_EQ(path_of("file:a:b"), "a:b");
  EXPECT_EQ(path_of("file:a//b"), "a//b");
  EXPECT_EQ(path_of("file:"), "");
  EXPECT_EQ(path_of("file://"), "");
  EXPECT_EQ(path_of("file:a+b"), "a+b");
  EXPECT_EQ(path_of("file:a%3fb%3F%25%20%c3%BC%0a"), "a?b?% \xc3\xbc\n");
  EXPECT_EQ(path_of("file:%2F%2Fhost/a"), "//host/a");
  EXPECT_EQ(path_of("file:a&b=c"), "a&b=c");
}

TEST(Uri, HoldsKeysAndValues) {
  const Options options = Options::from_uri("file:app.db?%72eaders=%38&fallback=a+b%26c?d=e/%2525&durability=normal");
  EXPECT_EQ(options.readers, 8U);
  EXPECT_EQ(options.fallback, "a+b&c?d=e/%25");
  EXPECT_EQ(options.durability, Durability::normal);
}

TEST(Uri, RefusesWhatIsNone) {
  struct Case {
    std::string uri;
    std::string message;
  };
  const Case kCases[] = {
      {"", "begin with \"file:\""},
      {"app.db", "begin with \"file:\""},
      {"FILE:app.db", "begin with \"file:\""},
      {" file:app.db", "begin with \"file:\""},
      {"http://a/b", "begin with \"file:\""},
      {"file://server/a", "no host but localhost"},
      {"file://app.db", "no host but localhost"},
      {"file://localhost.example/a", "no host but localhost"},
      {"file://localhost:80/a", "no host but localhost"},
      {"file:a#b", "fragment"},
      {"file:a?readers=1#b", "fragment"},
      {"file:a%", "path in a URI: \"%\" must be followed by two hexadecimal digits"},
      {"file:a%2", "path in a URI: \"%\" must be"},
      {"file:a%2g", "path in a URI: \"%\" must be"},
      {"file:a%g2", "path in a URI: \"%\" must be"},
      {"file:a%+2", "path in a URI: \"%\" must be"},
      {"file:a%%41", "path in a URI: \"%\" must be"},
      {"file:a?readers=%", "readers in a URI: \"%\" must be"},
      {"file:a?readers%=1", "a key in a URI: \"%\" must be"},
      {"file:a%00b", "path in a URI must not hold a NUL byte"},
      {std::string("file:a\0b", 8), "path in a URI must not hold a NUL byte"},
      {"file:a?fallback=b%00", "fallback in a URI must not hold a NUL byte"},
      {"file:a?readers%00=1", "a key in a URI must not hold a NUL byte"},
      {"file:a?", "a key in a URI must be followed by \"=\" and a value"},
      {"file:a?readers", "readers in a URI must be followed by \"=\""},
      {"file:a?readers=1&", "a key in a URI must be followed by"},
      {"file:a?&readers=1", "a key in a URI must be followed by"},
      {"file:a?readers=1&&async_queue=1", "a key in a URI must be followed by"},
      {"file:a?=1", "a key in a URI is missing before \"=\""},
      {"file:a?readers=1&readers=1", "readers is given twice"},
      {"file:a?readers=1&%72eaders=2", "readers is given twice"},
      {"file:a?path=b", "path cannot be set behind \"?\""},
      {"file:?path=b", "path cannot be set behind \"?\""},
      {"file:a?%70ath=b", "path cannot be set behind \"?\""},
      {"file:a?colour=blue", "there is no key \"colour\". Allowed are mode, readers, "},
      {"file:a?colour=%", "there is no key \"colour\""},
      {"file:a?readers=+1", "readers must be a whole number"},
  };
  for (const Case& one : kCases) {
    const std::string message = refusal_of_uri(one.uri);
    EXPECT_TRUE(mentions(message, one.message)) << one.uri << ": " << message;
  }
}

TEST(Uri, IsWrittenShortAndInOrder) {
  EXPECT_EQ(Options().to_uri(), "file:");
  Options options;
  options.path = "/srv/my notes.db";
  EXPECT_EQ(options.to_uri(), "file:/srv/my%20notes.db");
  options.fallback = "/srv/r&d.db";
  options.readers = 8;
  options.busy_timeout = 90s;
  options.page_cache = 1U << 20U;
  options.batch.bytes = 1000;
  options.statement_cache = 0;
  options.batch.run_time = 0us;
  options.health_interval = 7200s;
  options.upkeep.breaker.reset();
  options.upkeep.adaptive_size.emplace();
  options.upkeep.lifetime_jitter = 0.25;
  EXPECT_EQ(
      options.to_uri(),
      "file:/srv/"
      "my%20notes.db?readers=8&busy_timeout=90s&statement_cache=0&page_cache=1MiB&batch_run_time=0ms&batch_bytes=1000&"
      "lifetime_jitter=0.25&breaker=off&adaptive_size=on&fallback=%2Fsrv%2Fr%26d.db&health_interval=2h");
}

TEST(Uri, HoldsNoBytesWithoutAUnit) {
  Options options;
  options.page_cache = 0;
  EXPECT_EQ(options.to_uri(), "file:?page_cache=0");
}

TEST(Uri, HoldsEveryPath) {
  for (const std::string path : {"",       "a", "/",  "//",  "///", "//host/a",    "//localhost/a", "/a//b/",   "a:b/c",
                                 "file:a", "?", "#",  "%41", "a b", "\n",          "\xc3\xbc",      "\xff\xfe", "a=b&c",
                                 "+",      "~", "\\", "..",  "./a", "a?readers=8", "\x01\x7f"}) {
    Options options;
    options.path = path;
    options.fallback = path;
    const std::string uri = options.to_uri();
    EXPECT_EQ(shown(Options::from_uri(uri)), shown(options)) << uri;
    EXPECT_EQ(uri.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%/:?&="),
              std::string::npos)
        << uri;
  }
}

TEST(Uri, IsRefusedToOptionsThatTextCannotHold) {
  const auto refusal_of = [](const auto& change) -> std::string {
    Options options;
    change(options);
    return error_of<UsageError>([&] { static_cast<void>(options.to_uri()); }).what();
  };
  EXPECT_TRUE(
      mentions(refusal_of([](Options& o) { o.acquire_timeout = -5s; }), ": acquire_timeout must be a duration"));
  EXPECT_TRUE(mentions(refusal_of([](Options& o) { o.batch.run_time = std::chrono::microseconds::min(); }),
                       ": batch_run_time must be"));
  EXPECT_TRUE(mentions(refusal_of([](Options& o) { o.health_interval = -1ms; }), ": health_interval must be"));
  EXPECT_TRUE(mentions(refusal_of([](Options& o) { o.upkeep.lifetime_jitter = std::nan(""); }), ": lifetime_jitter"));
  EXPECT_TRUE(mentions(refusal_of([](Options& o) { o.upkeep.lifetime_jitter = 1.5; }), ": lifetime_jitter must be"));
  EXPECT_TRUE(mentions(refusal_of([](Options& o) { o.durability = static_cast<Durability>(9); }), ": durability must"));
  EXPECT_TRUE(mentions(refusal_of([](Options& o) { o.path = std::string("a\0b", 3); }), ": path must be"));
}

TEST(LongUris, AreReadOrRefused) {
  const std::string long_text(1U << 20U, 'a');
  EXPECT_EQ(path_of("file:" + long_text), long_text);
  EXPECT_LT(refusal_of_uri("file:a?" + long_text + "=1").size(), 2000U);
  EXPECT_LT(refusal_of_uri("file:a?readers=" + std::string(1U << 20U, '9')).size(), 200U);
}

}  // namespace
}  // namespace sqlane
