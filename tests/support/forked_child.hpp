#pragma once

#include <cstdio>
#include <exception>
#include <functional>
#include <gtest/gtest.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

// A child of fork, in which a test goes on. In the child, what it expects in vain
// makes it end with a failure, which the parent sees.

namespace sqlane::testing {

// 0 in the child, which the kernel ends when it hangs.
inline pid_t fork_with_deadline() {
  constexpr unsigned kDeadline = 60;  // seconds
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("no process");
  if (child == 0) ::alarm(kDeadline);
  return child;
}

[[noreturn]] inline void end_child() {
  std::fflush(nullptr);
  ::_exit(::testing::Test::HasFailure() ? 1 : 0);
}

inline void expect_good_end(pid_t child) {
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_FALSE(WIFSIGNALED(status)) << "the child was ended by signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// Expects that the child comes to its end, and all that it expects itself.
inline void in_child(const std::function<void()>& body) {
  const pid_t child = fork_with_deadline();
  if (child > 0) return expect_good_end(child);
  try {
    body();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "in the child: " << error.what();
  }
  end_child();
}

}  // namespace sqlane::testing
