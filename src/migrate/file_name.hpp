#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sqlane/migration.hpp"

namespace sqlane::detail {

// What the name of a migration's file says.
struct MigrationFileName {
  std::int32_t version;
  MigrationDirection direction;
  std::string name;  // "create_visit"
};

// Unset for what is no migration: what does not end in ".sql", in letters of
// either case, or is hidden (begins with a dot). Pure. Throws MigrationError
// (malformed) for other names than NNNN_name.sql and NNNN_name.down.sql.
[[nodiscard]] std::optional<MigrationFileName> parse_file_name(std::string_view file);

// "0001_create_visit.sql"
[[nodiscard]] std::string file_name_of(std::int32_t version, std::string_view name);

// "0001_create_visit.down.sql" for "0001_create_visit.sql"
[[nodiscard]] std::string down_file_of(std::string_view file);

}  // namespace sqlane::detail
