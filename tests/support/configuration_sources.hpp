#pragma once

#include <cstdlib>
#include <sqlane/sqlane.hpp>
#include <string>
#include <string_view>

#include "support/expect_error.hpp"

namespace sqlane::testing {

// What the variables of these tests begin with.
inline constexpr std::string_view kPrefix = "SQLANE_TEST_";

inline Options from(const std::string& key, const std::string& value) { return Options::from_map({{key, value}}); }

inline std::string refusal(const std::string& key, const std::string& value) {
  return error_of<UsageError>([&] { static_cast<void>(from(key, value)); }).what();
}

inline std::string refusal_of_uri(std::string_view uri) {
  return error_of<UsageError>([&] { static_cast<void>(Options::from_uri(uri)); }).what();
}

inline std::string path_of(std::string_view uri) { return Options::from_uri(uri).path.native(); }

// A variable that is gone with it. The name is behind the prefix.
class Variable {
 public:
  Variable(std::string_view name, const std::string& value) : name_(std::string(kPrefix).append(name)) {
    ::setenv(name_.c_str(), value.c_str(), 1);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { ::unsetenv(name_.c_str()); }

 private:
  std::string name_;
};

inline std::string refusal_of_environment() {
  return error_of<UsageError>([] { static_cast<void>(Options::from_environment(kPrefix)); }).what();
}

}  // namespace sqlane::testing
