#include <atomic>
#include <chrono>
#include <latch>
#include <stop_token>
#include <thread>
#include <utility>

#include "support/expect_error.hpp"
#include "support/lane_queue.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::await_waiting;
using testing::LaneQueue;
using testing::TemporaryFolder;

class PostedAndWaiting : public ::testing::Test {
 protected:
  PostedAndWaiting() { db.execute("CREATE TABLE note (title TEXT)"); }

  TemporaryFolder folder;
  Database db = Database::open(folder / "app.db", {.acquire_timeout = 5s});
};

// Tells of its end without synchronizing with anybody, so that it hides no race.
class EndsSilently {
 public:
  explicit EndsSilently(std::atomic<bool>& ended) : ended_(&ended) {}
  EndsSilently(EndsSilently&& other) noexcept : ended_(std::exchange(other.ended_, nullptr)) {}
  ~EndsSilently() {
    if (ended_ != nullptr) ended_->store(true, std::memory_order_relaxed);
  }

 private:
  std::atomic<bool>* ended_;
};

// main                        the lane's own thread
// holds the lane, posts
// passes it on -------------> runs the job, and destroys it
// touches it no more
TEST_F(PostedAndWaiting, OnesAreLeftAloneByWhoeverPassedTheLaneOn) {
  for (int i = 0; i < 100; ++i) {
    std::atomic<bool> ended = false;
    WriteFuture<void> posted;
    db.write({.grouping = Grouping::alone},
             [&](Transaction&) { posted = db.write_async([end = EndsSilently(ended)](Transaction&) {}); });
    while (!ended.load(std::memory_order_relaxed)) std::this_thread::yield();
    posted.get();
  }
}

// the lane's own thread       guard         writer
// calls back (lane free)
// ---- called back ---------> begins
//                             a job is posted
//                                           waits behind it
//                             ends
//                                           runs, though that thread is busy
// hears of it, returns
TEST_F(PostedAndWaiting, OnesBehindAPostedOneRunWhileTheLanesOwnThreadCallsBack) {
  std::latch is_called_back(1);
  std::latch has_written(1);
  WriteFuture<void> first = db.write_async([&](Transaction& tx) {
    tx.on_commit([&]() noexcept {
      is_called_back.count_down();
      has_written.wait();
    });
  });
  is_called_back.wait();
  LaneQueue queue(db);
  WriteFuture<void> second = db.write_async([](Transaction&) {});
  await_waiting(db, 1);
  std::jthread writer([&] {
    EXPECT_NO_THROW(db.execute("INSERT INTO note VALUES ('a')"));
    has_written.count_down();
  });
  await_waiting(db, 2);
  queue.open();
  writer.join();
  first.get();
  second.get();
}

TEST_F(PostedAndWaiting, OneThatIsStoppedInTheQueueDoesNotRun) {
  std::stop_source stop;
  std::atomic<bool> has_run = false;
  WriteFuture<void> posted;
  {
    const Transaction tx = db.begin();
    posted = db.write_async({.stop = stop.get_token()}, [&](Transaction&) { has_run = true; });
    stop.request_stop();
  }
  EXPECT_THROW(posted.get(), InterruptedError);
  EXPECT_FALSE(has_run);
}

TEST_F(PostedAndWaiting, OneThatWasStoppedBeforeItWasAskedForDoesNotRun) {
  std::stop_source stop;
  stop.request_stop();
  std::atomic<bool> has_run = false;
  EXPECT_THROW(db.write_async({.stop = stop.get_token()}, [&](Transaction&) { has_run = true; }).get(),
               InterruptedError);
  EXPECT_FALSE(has_run);
}

}  // namespace
}  // namespace sqlane
