#pragma once

// For the tests of those who use sqlane: link sqlane::testing. The fixture for
// GoogleTest is in testing/fixture.hpp.

#include <filesystem>

#include "sqlane/database.hpp"
#include "sqlane/options.hpp"
#include "sqlane/testing/failures.hpp"
#include "sqlane/testing/manual_clock.hpp"
#include "sqlane/testing/recording.hpp"
#include "sqlane/testing/stand_ins.hpp"

namespace sqlane::testing {

// A memory database of its own with all that `original` has committed.
[[nodiscard]] Database clone(const Database& original, Options options = {});

// Writes what `original` has committed to a new file. Throws OpenError when
// there is one already.
void save(const Database& original, const std::filesystem::path& file);

// A memory database with the contents of a file, which is only read.
[[nodiscard]] Database load(const std::filesystem::path& file, Options options = {});

}  // namespace sqlane::testing
