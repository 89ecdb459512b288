#pragma once

#include <filesystem>

#include "cli/stopwatch.hpp"

namespace sqlane::cli {

// What it costs to write 4 KiB and have the disk keep it (fdatasync), in a file
// of its own in `folder`. Throws std::filesystem::filesystem_error.
[[nodiscard]] SyncMeasurement measure_syncs(const std::filesystem::path& folder, const Measuring& measuring);

}  // namespace sqlane::cli
