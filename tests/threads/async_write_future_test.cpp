#include <latch>
#include <string>

#include "support/async_writes.hpp"
#include "support/expect_error.hpp"

namespace sqlane {
namespace {

using testing::AsyncWrite;
using testing::error_of;
using testing::kHere;
using testing::kThere;
using testing::mentions;

// Waiting for the future.

TEST_F(AsyncWrite, CannotBeAwaitedInsideAWrite) {
  Database db = open();
  db.write([&](Transaction&) {
    auto future = db.write_async(add_one, kHere);
    for (const std::string& message : {std::string(error_of<UsageError>([&] { future.get(kThere); }).what()),
                                       std::string(error_of<UsageError>([&] { future.wait(kThere); }).what())}) {
      EXPECT_TRUE(mentions(message, "notes.cpp:12 (save_note)")) << message;
      EXPECT_TRUE(mentions(message, "index.cpp:7 (rebuild)")) << message;
    }
  });
  db.close();
  EXPECT_EQ(count(), 1);
}

TEST_F(AsyncWrite, CannotBeAwaitedInsideAnAsynchronousWrite) {
  Database db = open();
  auto future = db.write_async([&](Transaction&) { db.write_async(add_one).get(); });
  future.wait();
  db.close();
  EXPECT_THROW(future.get(), UsageError);
}

TEST_F(AsyncWrite, CannotBeAwaitedByWhoHasAGuard) {
  Database db = open();
  Transaction tx = db.begin();
  auto future = db.write_async(add_one);
  EXPECT_THROW(future.get(), UsageError);
  EXPECT_TRUE(future.valid());
  tx.commit();
  EXPECT_NO_THROW(future.get());
}

TEST_F(AsyncWrite, CanBeAwaitedInsideAWriteWhenItIsOver) {
  Database db = open();
  auto future = db.write_async([](Transaction&) { return 7; });
  future.wait();
  db.write([&](Transaction&) {
    EXPECT_NO_THROW(future.wait());
    EXPECT_EQ(future.get(), 7);
  });
}

TEST_F(AsyncWrite, CanBeAwaitedInsideAWriteToAnotherDatabase) {
  Database db = open();
  Database other = Database::in_memory();
  other.write([&](Transaction&) { db.write_async(add_one).get(); });
  EXPECT_EQ(count(), 1);
}

// Two that await each other's would wait for ever: there is no deadline for a future.
TEST_F(AsyncWrite, CannotBeAwaitedInARing) {
  Database one = open();
  Database two = Database::in_memory();
  std::latch both_inside(2);
  const auto job = [&](Database& other) {
    return [&](Transaction&) {
      both_inside.arrive_and_wait();
      other.write_async([](Transaction&) {}).get();
    };
  };
  auto first = one.write_async(job(two));
  auto second = two.write_async(job(one));
  int refused = 0;
  for (auto* future : {&first, &second}) {
    try {
      future->get();
    } catch (const UsageError&) {
      ++refused;
    }
  }
  EXPECT_EQ(refused, 1);
}

}  // namespace
}  // namespace sqlane
