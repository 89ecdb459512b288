#include <string>
#include <vector>

#include "support/async_writes.hpp"
#include "support/expect_error.hpp"

namespace sqlane {
namespace {

using testing::AsyncWrite;
using testing::error_of;
using testing::kHere;
using testing::kThere;
using testing::mentions;

// A full queue.

TEST_F(AsyncWrite, RefusesAtOnceWhenTheQueueIsFull) {
  Database db = open({.async_queue = 2});
  std::vector<WriteFuture<void>> futures;
  {
    Transaction tx = db.begin();
    for (int i = 0; i < 2; ++i) futures.push_back(db.write_async({.when_full = WhenFull::refuse}, add_one));
    const auto error = error_of<TimeoutError>(
        [&] { static_cast<void>(db.write_async({.when_full = WhenFull::refuse}, add_one, kHere)); });
    EXPECT_TRUE(mentions(error, "notes.cpp:12 (save_note)")) << error.what();
    EXPECT_TRUE(error.is_retryable());
  }
  for (auto& future : futures) future.get();
  EXPECT_EQ(count(), 2);
}

TEST_F(AsyncWrite, HasRoomAgainWhenOneHasEnded) {
  Database db = open({.async_queue = 1});
  for (int i = 0; i < 200; ++i) static_cast<void>(db.write_async(add_one));
  db.close();
  EXPECT_EQ(count(), 200);
}

TEST_F(AsyncWrite, CannotWaitForRoomInsideAWrite) {
  Database db = open({.async_queue = 1});
  db.write(
      [&](Transaction&) {
        static_cast<void>(db.write_async(add_one));
        const auto post = [&] { static_cast<void>(db.write_async(add_one, kThere)); };
        const std::string message = error_of<UsageError>(post).what();
        EXPECT_TRUE(mentions(message, "notes.cpp:12 (save_note)")) << message;
        EXPECT_TRUE(mentions(message, "index.cpp:7 (rebuild)")) << message;
        const auto post_if_possible = [&] {
          static_cast<void>(db.write_async({.when_full = WhenFull::refuse}, add_one));
        };
        EXPECT_THROW(post_if_possible(), TimeoutError);
      },
      kHere);
  db.close();
  EXPECT_EQ(count(), 1);
}

TEST_F(AsyncWrite, CannotWaitForRoomInsideAnAsynchronousWrite) {
  Database db = open({.async_queue = 1});
  auto future = db.write_async([&](Transaction&) { static_cast<void>(db.write_async(add_one, kThere)); }, kHere);
  future.wait();
  db.close();
  const std::string message = error_of<UsageError>([&] { future.get(); }).what();
  EXPECT_TRUE(mentions(message, "notes.cpp:12 (save_note)")) << message;
  EXPECT_TRUE(mentions(message, "index.cpp:7 (rebuild)")) << message;
}

}  // namespace
}  // namespace sqlane
