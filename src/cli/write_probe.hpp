#pragma once

#include <cstdint>
#include <filesystem>

#include "cli/stopwatch.hpp"

namespace sqlane::cli {

// An empty database of that page size; the file must not exist.
void make_empty_database(const std::filesystem::path& path, std::uint64_t page_size);

struct WritePlan {
  Durability durability = Durability::full;
  std::size_t rows = 1;  // of a transaction
  std::size_t threads = 1;
  Locking locking = Locking::shared;
  std::size_t checkpoint_pages = 1000;
};

// Inserts rows of about 100 bytes into a table of its own, made anew, in the
// database at `path`, which nobody else may have open.
[[nodiscard]] WriteMeasurement measure_writes(const std::filesystem::path& path, const WritePlan& plan,
                                              const Measuring& measuring);

}  // namespace sqlane::cli
