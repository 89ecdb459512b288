#include "sqlite/integrity.hpp"

#include "database/core.hpp"
#include "database/core_access.hpp"
#include "sqlane/integrity.hpp"

namespace sqlane {

IntegrityReport check_integrity(const Database& database, IntegrityDepth depth) {
  const detail::Lease reader = detail::CoreAccess::core(database).lend_reader({}, CallSite::current());
  reader.connection().begin_snapshot();
  return detail::check_integrity(reader.connection(), depth);
}

}  // namespace sqlane
