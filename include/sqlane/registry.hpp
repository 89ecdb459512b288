#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sqlane/call_site.hpp"
#include "sqlane/database.hpp"
#include "sqlane/health.hpp"
#include "sqlane/options.hpp"

namespace sqlane {

namespace detail {
class NamedDatabases;
}

// The databases of a program by name, each with its own options, opened when
// they are first asked for. For many of a kind, see DatabaseCache.
// Safe to use from any thread. In a child of fork each call is a UsageError.
class Registry {
 public:
  Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;
  // What somebody has is closed when the last one lets it go.
  ~Registry();

  // Opens nothing. Throws UsageError when the name is empty or taken, ClosedError
  // after close().
  void add(std::string name, Options options);

  // Opens it the first time; those who ask meanwhile for the same one wait for
  // that, others do not. When that fails, each who waited tries by itself. One
  // that was closed through its pointer is opened anew, once that is over.
  // Throws UsageError for an unknown name, ClosedError after close(), and what
  // Database::open() throws.
  [[nodiscard]] std::shared_ptr<Database> get(std::string_view name, CallSite site = CallSite::current());

  // Throws UsageError for an unknown name.
  [[nodiscard]] bool is_open(std::string_view name) const;

  [[nodiscard]] std::vector<std::string> names() const;  // sorted

  // Forgets it. It is closed at once when nobody has it, else when the last one
  // lets it go. Throws UsageError for an unknown name.
  void remove(std::string_view name);

  // Of all in one call; nothing for those that are not open, which stay so.
  [[nodiscard]] std::map<std::string, std::optional<Health>, std::less<>> health() const;

  // Closes all that are open, whoever has them, as Database::close() does, one
  // after the other. Tries each one, then throws the first error; closing again
  // tries again what failed. The names stay.
  void close(CallSite site = CallSite::current());

 private:
  std::shared_ptr<detail::NamedDatabases> databases_;
};

}  // namespace sqlane
