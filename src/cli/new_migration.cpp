#include "cli/new_migration.hpp"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <fstream>
#include <sqlane/sqlane.hpp>

namespace sqlane::cli {
namespace {

namespace fs = std::filesystem;

// "Add index" becomes "add_index".
std::string as_file_name(const std::string& name) {
  std::string file;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 && byte < 0x80) {
      file += static_cast<char>(std::tolower(byte));
    } else if (c == ' ' || c == '_' || c == '-') {
      file += '_';
    } else {
      throw UsageError(
          fmt::format("a migration's name has letters, digits and underscores, as in add_index, not '{}'", c));
    }
  }
  if (file.empty()) throw UsageError("a migration needs a name, as in add_index");
  return file;
}

void write(const fs::path& path, const std::string& text) {
  if (fs::exists(path)) throw OpenError(path.string() + " is there already");
  std::ofstream file(path);
  file << text;
  if (!file.flush()) throw IoError("cannot write " + path.string());
}

}  // namespace

std::vector<fs::path> make_migration(const fs::path& folder, const std::string& name, WithDown down) {
  const std::string file_name = as_file_name(name);
  fs::create_directories(folder);
  // Numbers alone count here: the one before may be a draft that says nothing yet.
  int newest = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string other = entry.path().filename().string();
    const auto digits = static_cast<std::size_t>(
        std::ranges::find_if_not(other, [](unsigned char c) { return std::isdigit(c) != 0; }) - other.begin());
    if (digits > 0 && digits < 10 && other.ends_with(".sql"))
      newest = std::max(newest, std::stoi(other.substr(0, digits)));
  }
  const std::string stem = fmt::format("{:04}_{}", newest + 1, file_name);
  std::vector<fs::path> made{folder / (stem + ".sql")};
  write(made[0],
        "-- sqlane: draft\n"
        "-- Any number of statements. They run in one transaction, with foreign keys off, which are\n"
        "-- checked before the commit. Once released, a migration is never changed: write another.\n");
  if (down == WithDown::yes) {
    made.push_back(folder / (stem + ".down.sql"));
    write(made[1], fmt::format("-- sqlane: draft\n-- Undoes {}.sql.\n", stem));
  }
  return made;
}

}  // namespace sqlane::cli
