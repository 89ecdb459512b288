#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <gtest/gtest.h>
#include <set>
#include <sqlane/sqlane.hpp>
#include <string>
#include <string_view>
#include <system_error>

#include "support/open_files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::testing {

// One file for each key, in a folder of its own. Nobody waits for anything.
class CacheOfDatabases : public ::testing::Test {
 protected:
  using Keys = std::set<std::string>;

  [[nodiscard]] std::filesystem::path path_of(std::string_view key) const {
    return folder / (std::string(key) + ".db");
  }

  [[nodiscard]] DatabaseCacheOptions with_room_for(std::size_t max_open) {
    return {.options_for =
                [this](std::string_view key) {
                  ++asked;
                  return Options{.path = path_of(key),
                                 .readers = 1,
                                 .durability = Durability::normal,
                                 .acquire_timeout = std::chrono::milliseconds(0),
                                 .page_cache = 64U << 10U};
                },
            .max_open = max_open,
            .acquire_timeout = std::chrono::milliseconds(0)};
  }

  // As the system sees it.
  [[nodiscard]] Keys open_keys() const {
    Keys keys;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      const std::filesystem::path file = std::filesystem::read_symlink(entry.path(), gone);
      if (file.parent_path() == folder.path() && file.extension() == ".db") keys.insert(file.stem());
    }
    return keys;
  }

  static void use(DatabaseCache& cache, std::string_view key) { static_cast<void>(cache.get(key)); }

  TemporaryFolder folder;
  std::size_t files_before = count_open_files();
  int asked = 0;
};

}  // namespace sqlane::testing
