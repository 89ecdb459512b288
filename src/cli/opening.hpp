#pragma once

#include <filesystem>
#include <sqlane/database.hpp>
#include <sqlane/options.hpp>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace sqlane::cli {

// Who else may have a database while a command has it open.
enum class Sharing : unsigned char {
  shared,  // other processes
  usual,   // for writing: other processes; for reading: as well, but none where it can be read only so
  alone,   // nobody, as Locking::exclusive
};

// Adds --exclusive to `command`, which sets `sharing`; that has to live as long as `command`.
CLI::Option* add_exclusive(CLI::App& command, Sharing& sharing);

// Open a database as Database::open() does, with `options` but for their mode or locking, and throw what that throws,
// with what the command's user can do about it.
[[nodiscard]] Database open_to_read(const std::filesystem::path& file, Options options, Sharing sharing);
[[nodiscard]] Database open_to_write(const std::filesystem::path& file, Options options, Sharing sharing);

}  // namespace sqlane::cli
