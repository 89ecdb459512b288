#include <chrono>
#include <cstddef>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sqlane/sqlane.hpp>
#include <system_error>
#include <thread>

#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::error_of;
using testing::mentions;
using testing::TemporaryFolder;

// While it lives, no thread can be started: there is no memory for a stack of this size.
class NoThreads {
 public:
  NoThreads() {
    pthread_getattr_default_np(&before_);
    pthread_attr_t huge;
    pthread_attr_init(&huge);
    pthread_attr_setstacksize(&huge, std::size_t{1} << 46U);
    pthread_setattr_default_np(&huge);
    pthread_attr_destroy(&huge);
  }
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;
  ~NoThreads() {
    pthread_setattr_default_np(&before_);
    pthread_attr_destroy(&before_);
  }

  [[nodiscard]] static bool hold() {
    try {
      std::thread([] {}).join();
      return false;
    } catch (const std::system_error&) {
      return true;
    }
  }

 private:
  pthread_attr_t before_{};
};

class WithoutThreads : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!NoThreads::hold()) GTEST_SKIP() << "this system starts them all the same";
  }
  [[nodiscard]] Database open(const Options& options) { return Database::open(folder / "app.db", options); }

  TemporaryFolder folder;
  NoThreads none;
};

TEST_F(WithoutThreads, AnAsynchronousWriteIsRefused) {
  Database db = open({});
  db.execute("CREATE TABLE note (title TEXT)");
  const Error error = error_of<Error>([&] {
    static_cast<void>(db.write_async([](Transaction& tx) { tx.execute("INSERT INTO note VALUES ('lost')"); }));
  });
  EXPECT_TRUE(mentions(error, "no thread can be started", "asynchronous writes")) << error.what();
  EXPECT_TRUE(error.is_retryable());
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 0);
  EXPECT_NO_THROW(db.close());
}

TEST_F(WithoutThreads, ADatabaseWithAWatchdogIsNotOpened) {
  const Error error =
      error_of<Error>([&] { static_cast<void>(open({.on_slow_write = {.callback = [](const LaneHolder&) {}}})); });
  EXPECT_TRUE(mentions(error, "no thread can be started", "Options::on_slow_write")) << error.what();
  EXPECT_NO_THROW(static_cast<void>(open({})));
}

TEST_F(WithoutThreads, ADatabaseWithHealthChecksIsNotOpened) {
  const Error error = error_of<Error>([&] { static_cast<void>(open({.health_interval = 1h})); });
  EXPECT_TRUE(mentions(error, "no thread can be started", "health checks")) << error.what();
  EXPECT_NO_THROW(static_cast<void>(open({})));
}

}  // namespace
}  // namespace sqlane
