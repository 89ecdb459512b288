#pragma once

#include <cstdlib>
#include <stdexcept>
#include <sys/stat.h>
#include <unistd.h>

namespace sqlane::testing {

// Files made meanwhile get what the mask leaves of their mode.
class Umask {
 public:
  explicit Umask(mode_t mask) : before_(::umask(mask)) {}
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;
  ~Umask() { ::umask(before_); }

 private:
  mode_t before_;
};

// Permissions do not bind root: acts as another user meanwhile.
class OrdinaryUser {
 public:
  OrdinaryUser() : before_(::geteuid()) {
    if (before_ == 0 && ::seteuid(kNobody) != 0) throw std::runtime_error("cannot become another user");
  }
  OrdinaryUser(const OrdinaryUser&) = delete;
  OrdinaryUser& operator=(const OrdinaryUser&) = delete;
  ~OrdinaryUser() {
    if (::geteuid() != before_ && ::seteuid(before_) != 0) std::abort();
  }

 private:
  static constexpr uid_t kNobody = 65534;

  uid_t before_;
};

}  // namespace sqlane::testing
