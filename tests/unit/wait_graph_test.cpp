#include "base/wait_graph.hpp"

#include <atomic>
#include <latch>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "sqlane/error.hpp"
#include "support/expect_error.hpp"

namespace sqlane::detail {
namespace {

using testing::error_of;
using testing::mentions;

constexpr CallSite kHere{"notes.cpp", 12, "save_note"};
constexpr CallSite kThere{"index.cpp", 7, "rebuild"};
constexpr CallSite kElsewhere{"report.cpp", 3, "print"};

// Has the holders that a test says.
class Thing final : public Waitable {
 public:
  explicit Thing(std::string name) : name_(std::move(name)) {}

  [[nodiscard]] std::vector<Holder> holders() override { return held_by; }
  [[nodiscard]] std::string name() const override { return name_; }

  std::vector<Holder> held_by;

 private:
  const std::string name_;
};

// Another thread, which waits for nothing until it is told.
class OtherThread {
 public:
  ~OtherThread() { go_on(); }

  [[nodiscard]] ThreadNumber number() const { return number_; }

  void wait_for(Thing& thing, const CallSite& site) {
    thing_ = &thing;
    site_ = site;
    told_.count_down();
    waits_.wait();
  }
  void become_over() { is_over_ = true; }
  void go_on() {
    if (!thread_.joinable()) return;
    if (thing_ == nullptr) told_.count_down();
    goes_on_.count_down();
    thread_.join();
  }

 private:
  Thing* thing_ = nullptr;
  CallSite site_;
  std::atomic<bool> is_over_ = false;
  std::latch told_{1};
  std::latch waits_{1};
  std::latch goes_on_{1};
  const ThreadNumber number_ = next_thread_number();
  std::jthread thread_{[this] {
    own_thread_number = number_;
    told_.wait();
    if (thing_ == nullptr) return;
    const WaitEdge edge(*thing_, site_, is_over_);
    waits_.count_down();
    goes_on_.wait();
  }};
};

class WaitGraph : public ::testing::Test {
 protected:
  void wait_here(Thing& thing) { const WaitEdge edge(thing, kHere, never_over_); }
  [[nodiscard]] Waitable::Holder myself() const { return {this_thread_number(), kElsewhere}; }

  std::atomic<bool> never_over_ = false;
  Thing lane_{"the lane"};
  Thing reader_{"a reader"};
  OtherThread other_;
  OtherThread third_;
};

TEST_F(WaitGraph, SeesNoRingAtWhatIsFree) { EXPECT_NO_THROW(wait_here(lane_)); }

TEST_F(WaitGraph, SeesNoRingWhileTheHolderRuns) {
  lane_.held_by = {{other_.number(), kThere}};
  EXPECT_NO_THROW(wait_here(lane_));
}

TEST_F(WaitGraph, SeesAThreadThatWaitsForItself) {
  lane_.held_by = {myself()};
  const std::string message = error_of<UsageError>([&] { wait_here(lane_); }).what();
  EXPECT_TRUE(mentions(message, "notes.cpp:12 (save_note)")) << message;
  EXPECT_TRUE(mentions(message, "report.cpp:3 (print)")) << message;
}

TEST_F(WaitGraph, SeesARingOfTwoAndNamesAllPlaces) {
  // main                      other
  // holds the reader          holds the lane
  //                           waits for the reader
  // asks for the lane: never
  lane_.held_by = {{other_.number(), kThere}};
  reader_.held_by = {myself()};
  other_.wait_for(reader_, {"other.cpp", 1, "ask"});
  const std::string message = error_of<UsageError>([&] { wait_here(lane_); }).what();
  for (const char* const part :
       {"notes.cpp:12 (save_note)", "the lane", "index.cpp:7 (rebuild)", "other.cpp:1 (ask)", "report.cpp:3 (print)"}) {
    EXPECT_TRUE(mentions(message, part)) << part << " is not in: " << message;
  }
}

TEST_F(WaitGraph, SeesARingOfThree) {
  Thing file("a file");
  lane_.held_by = {{other_.number(), kThere}};
  reader_.held_by = {{third_.number(), kThere}};
  file.held_by = {myself()};
  other_.wait_for(reader_, kThere);
  third_.wait_for(file, kThere);
  EXPECT_THROW(wait_here(lane_), UsageError);
}

TEST_F(WaitGraph, SeesNoRingWhereItsEndIsFree) {
  lane_.held_by = {{other_.number(), kThere}};
  other_.wait_for(reader_, kThere);
  EXPECT_NO_THROW(wait_here(lane_));
}

TEST_F(WaitGraph, SeesNoRingWhileOneOfTwoHoldersRuns) {
  for (const bool runner_is_first : {true, false}) {
    Thing readers("a reader");
    OtherThread waits;
    OtherThread runs;
    readers.held_by = {{waits.number(), kThere}, {runs.number(), kThere}};
    if (runner_is_first) std::swap(readers.held_by[0], readers.held_by[1]);
    lane_.held_by = {myself()};
    waits.wait_for(lane_, kThere);
    EXPECT_NO_THROW(wait_here(readers));
  }
}

TEST_F(WaitGraph, SeesARingWhenBothOfTwoHoldersWait) {
  reader_.held_by = {{other_.number(), kThere}, {third_.number(), kElsewhere}};
  lane_.held_by = {myself()};
  other_.wait_for(lane_, kThere);
  third_.wait_for(lane_, kThere);
  const std::string message = error_of<UsageError>([&] { wait_here(reader_); }).what();
  EXPECT_TRUE(mentions(message, "index.cpp:7 (rebuild)")) << message;
  EXPECT_TRUE(mentions(message, "report.cpp:3 (print)")) << message;
}

TEST_F(WaitGraph, SeesNoRingAroundOneWhoseTurnHasCome) {
  lane_.held_by = {{other_.number(), kThere}};
  reader_.held_by = {myself()};
  other_.wait_for(reader_, kThere);
  other_.become_over();  // awake or not
  EXPECT_NO_THROW(wait_here(lane_));
}

TEST_F(WaitGraph, SeesNoRingAroundOneWhoHasGoneOn) {
  lane_.held_by = {{other_.number(), kThere}};
  reader_.held_by = {myself()};
  other_.wait_for(reader_, kThere);
  const ThreadNumber ended = other_.number();
  other_.go_on();
  lane_.held_by = {{ended, kThere}};
  EXPECT_NO_THROW(wait_here(lane_));
}

// Otherwise whoever comes next would seem to close a ring.
TEST_F(WaitGraph, ForgetsTheEdgeThatItRefused) {
  lane_.held_by = {{other_.number(), kThere}};
  reader_.held_by = {myself()};
  other_.wait_for(reader_, kThere);
  EXPECT_THROW(wait_here(lane_), UsageError);
  third_.wait_for(lane_, kThere);  // for the other one, who waits for this thread, which runs
  EXPECT_THROW(wait_here(lane_), UsageError);
}

TEST_F(WaitGraph, SeesARingThatLeadsBackBySeveralWays) {
  Thing file("a file");
  lane_.held_by = {{other_.number(), kThere}};
  reader_.held_by = {{third_.number(), kThere}, myself()};
  file.held_by = {{other_.number(), kThere}};
  other_.wait_for(reader_, kThere);
  third_.wait_for(file, kThere);
  EXPECT_THROW(wait_here(lane_), UsageError);
}

}  // namespace
}  // namespace sqlane::detail
