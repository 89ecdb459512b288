#include "cli/interruption.hpp"

#include <csignal>
#include <gtest/gtest.h>
#include <unistd.h>

namespace sqlane::cli {
namespace {

using namespace std::chrono_literals;

sigset_t blocked_signals() {
  sigset_t set;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &set);
  return set;
}

TEST(InterruptionOfACommand, EndsASleepAndAsksTheTokenInsteadOfKilling) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    Interruption interruption;
    EXPECT_FALSE(interruption.token().stop_requested());
    ::kill(::getpid(), signal);
    EXPECT_FALSE(interruption.pause_for(1h));
    EXPECT_TRUE(interruption.token().stop_requested());
  }
}

TEST(InterruptionOfACommand, LeavesSignalsAsTheyWere) {
  {
    const Interruption interruption;
    const sigset_t set = blocked_signals();
    EXPECT_EQ(::sigismember(&set, SIGINT), 1);
  }
  const sigset_t set = blocked_signals();
  EXPECT_EQ(::sigismember(&set, SIGINT), 0);
}

TEST(InterruptionOfACommand, LetsASleepEndByItself) {
  Interruption interruption;
  EXPECT_TRUE(interruption.pause_for(1ns));
}

}  // namespace
}  // namespace sqlane::cli
