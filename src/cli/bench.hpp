#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

#include "cli/measurements.hpp"

namespace sqlane::cli {

struct BenchOptions {
  std::filesystem::path file;
  std::chrono::nanoseconds length = std::chrono::milliseconds(500);  // of each measurement
  std::uint64_t seed = 0;
  // What is free beside the file; by default what its file system says.
  std::function<std::uintmax_t(const std::filesystem::path& folder)> free_space{};
  // Called before each measurement, and while the file is copied.
  std::function<void(double fraction, const std::string& what)> on_progress{};
  std::stop_token stop{};
};

// Whether a copy of the file, and what is written to that, have room beside it.
[[nodiscard]] bool has_room_for_copy(std::uintmax_t file_bytes, std::uintmax_t free_bytes);

// Measures the file's reads on the file itself, which is only read, and writes on
// a copy in a private folder beside it, gone when this returns or throws. Throws
// sqlane::Error when the file cannot be opened, InterruptedError when stopped.
[[nodiscard]] BenchMeasurements run_bench(const BenchOptions& options);

}  // namespace sqlane::cli
