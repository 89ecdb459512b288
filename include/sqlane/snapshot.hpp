#pragma once

#include "sqlane/call_site.hpp"
#include "sqlane/detail/lease.hpp"
#include "sqlane/detail/queries.hpp"

namespace sqlane {

// One committed state of the database, read through a connection that nobody
// else uses meanwhile. A long-lived snapshot, or snapshots that overlap on one
// thread without a gap, keep the write-ahead log from starting over, so the log
// grows: hold them briefly.
// Has no way to write: execute() does not exist here.
// Use from the thread that began it.
class Snapshot : public detail::Queries<Snapshot, Access::read> {
 public:
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot();

 private:
  friend class detail::Queries<Snapshot, Access::read>;
  friend class Database;

  enum class Pin : unsigned char { at_once, at_first_query };

  Snapshot(detail::Lease lease, Pin pin);

  [[nodiscard]] detail::Connection& connection() const;  // throws when SQLite has ended the read transaction

  detail::Lease lease_;
};

}  // namespace sqlane
