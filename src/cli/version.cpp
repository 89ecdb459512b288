#include "cli/version.hpp"

#include <fmt/format.h>
#include <sqlane/database.hpp>
#include <sstream>

namespace sqlane::cli {
namespace {

std::string engine() { return Database::in_memory().query_one<std::string>("SELECT sqlite_version()"); }

}  // namespace

std::string version() { return SQLANE_VERSION; }

std::string version_line() { return "sqlane " + version() + ", SQLite " + engine(); }

std::uint32_t engine_version() {
  std::istringstream text(engine());
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  std::uint32_t patch = 0;
  char dot = 0;
  text >> major >> dot >> minor >> dot >> patch;
  return major * 1'000'000 + minor * 1'000 + patch;
}

std::string format_engine_version(std::uint32_t version) {
  return fmt::format("{}.{}.{}", version / 1'000'000, version / 1'000 % 1'000, version % 1'000);
}

}  // namespace sqlane::cli
