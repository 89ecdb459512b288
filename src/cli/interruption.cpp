#include "cli/interruption.hpp"

#include <ctime>

namespace sqlane::cli {
namespace {

sigset_t ending_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&set, signal);
  return set;
}

}  // namespace

Interruption::Interruption() {
  sigset_t blocked = ending_signals();
  ::sigaddset(&blocked, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before_);
  listener_ = std::jthread([this](const std::stop_token& end) {
    constexpr timespec kWait{.tv_sec = 0, .tv_nsec = 50'000'000};
    const sigset_t signals = ending_signals();
    while (!end.stop_requested()) {
      if (::sigtimedwait(&signals, nullptr, &kWait) > 0) source_.request_stop();
    }
  });
}

Interruption::~Interruption() {
  listener_.request_stop();
  listener_.join();
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

bool Interruption::pause_for(std::chrono::nanoseconds duration) {
  std::unique_lock lock(mutex_);
  nothing_.wait_for(lock, source_.get_token(), duration, [] { return false; });
  return !source_.stop_requested();
}

}  // namespace sqlane::cli
