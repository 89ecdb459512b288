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

// A memory database of its own with all that `original` has committed. From
// memory to memory it shares the pages until one side changes them: a copy of 10
// MB takes about 0.1 ms. Waits for a write that is under way, as a write would;
// throws DiskFullError when options.memory_limit is too small for it.
[[nodiscard]] Database clone(const Database& original, Options options = {});

// Writes what `original` has committed to a new file, which no other process
// should open before it is complete. Throws OpenError when there is one already.
void save(const Database& original, const std::filesystem::path& file);

// A memory database with the contents of a file, which is only read; what a crash
// has left in a log or journal beside it is taken as well. Requires: no process
// writes the file meanwhile. Throws OpenError when it is no database or cannot be
// read, UsageError when this process has it open (clone() copies that),
// DiskFullError when options.memory_limit is too small for it.
[[nodiscard]] Database load(const std::filesystem::path& file, Options options = {});

}  // namespace sqlane::testing
