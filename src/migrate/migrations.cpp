#include <algorithm>
#include <fstream>
#include <ios>
#include <iterator>
#include <map>
#include <system_error>
#include <utility>

#include "migrate/file_name.hpp"
#include "migrate/script.hpp"
#include "migrate/sha256.hpp"
#include "sqlane/migration.hpp"

namespace sqlane {
namespace {

using detail::MigrationFileName;

constexpr auto kMalformed = MigrationProblem::malformed;

[[noreturn]] void refuse_twins(const std::string& one, const std::string& other) {
  throw MigrationError(MigrationProblem::duplicate, "",
                       one + " and " + other + " have one number: give the one that was not released another");
}

bool is_empty(const MigrationBody& body) {
  const auto* const text = std::get_if<std::string>(&body);
  return text == nullptr ? !std::get<1>(body) : text->empty();
}

// SQL text is taken apart here once, so that a malformed one is refused before anything runs.
void make_ready(MigrationBody& body, const std::string& file) {
  auto* const text = std::get_if<std::string>(&body);
  if (text == nullptr) return;
  *text = detail::normalize_text(*text);
  static_cast<void>(detail::parse_migration(*text, file));
}

struct NamedText {
  std::string file;
  std::string text;
};

// The up and the down file of one number.
struct FilePair {
  const NamedText* up = nullptr;
  const NamedText* down = nullptr;
  std::string name;
  std::string down_name;
};

// Those that are no migrations have been left out.
Migrations pair_up(const std::vector<std::pair<MigrationFileName, NamedText>>& files) {
  std::map<std::int32_t, FilePair> pairs;
  for (const auto& [name, file] : files) {
    FilePair& pair = pairs[name.version];
    const bool is_up = name.direction == MigrationDirection::up;
    const NamedText*& place = is_up ? pair.up : pair.down;
    if (place != nullptr) refuse_twins(std::min(place->file, file.file), std::max(place->file, file.file));
    place = &file;
    (is_up ? pair.name : pair.down_name) = name.name;
  }
  Migrations result;
  for (const auto& [version, pair] : pairs) {
    if (pair.up == nullptr) {
      throw MigrationError(kMalformed, pair.down->file,
                           "there is no migration " + std::to_string(version) +
                               " that it could undo: add that file, or remove this one");
    }
    if (pair.down != nullptr && pair.down_name != pair.name) {
      throw MigrationError(kMalformed, pair.down->file,
                           "it has the number of " + pair.up->file + ", but another name: rename one of them");
    }
    Migration migration{.version = version, .name = pair.name, .up = pair.up->text, .file = pair.up->file};
    if (pair.down != nullptr) {
      migration.down = pair.down->text;
      make_ready(*migration.down, pair.down->file);
    }
    result.add(std::move(migration));
  }
  return result;
}

std::string bytes_of(const std::filesystem::path& path) {
  // Opening a pipe would wait for its writer.
  if (!std::filesystem::is_regular_file(path)) throw OpenError(path.string() + " is not a file that could be read");
  std::ifstream stream(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  if (!stream.is_open() || stream.bad()) throw OpenError("cannot read the migration " + path.string());
  return bytes;
}

}  // namespace

Migrations Migrations::from_folder(const std::filesystem::path& folder) {
  std::vector<std::pair<MigrationFileName, NamedText>> files;
  try {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.is_directory()) continue;
      const std::string file = entry.path().filename().string();
      if (auto name = detail::parse_file_name(file)) {
        files.emplace_back(std::move(*name), NamedText{file, bytes_of(entry.path())});
      }
    }
  } catch (const std::filesystem::filesystem_error& error) {
    throw OpenError("cannot read the migrations in " + folder.string() + ": " + error.code().message());
  }
  return pair_up(files);
}

Migrations Migrations::from_files(std::span<const MigrationFile> files) {
  std::vector<std::pair<MigrationFileName, NamedText>> named;
  for (const MigrationFile& file : files) {
    if (auto name = detail::parse_file_name(file.name)) {
      named.emplace_back(std::move(*name), NamedText{std::string(file.name), std::string(file.text)});
    }
  }
  return pair_up(named);
}

Migrations& Migrations::add(Migration migration) {
  if (migration.file.empty()) {
    migration.file = detail::file_name_of(migration.version, migration.name);
    constexpr std::string_view kSuffix = ".sql";
    if (!std::holds_alternative<std::string>(migration.up))
      migration.file.resize(migration.file.size() - kSuffix.size());
  }
  const auto refuse = [&](const std::string& message) { throw MigrationError(kMalformed, migration.file, message); };
  if (migration.version < 1) {
    refuse("its number is " + std::to_string(migration.version) + ": numbers begin with 1");
  }
  if (migration.name.empty()) refuse("it has no name: give it one, as in \"create_visit\"");
  if (is_empty(migration.up)) refuse("it does nothing: give it SQL text or a function");
  if (migration.down && is_empty(*migration.down)) {
    refuse("what undoes it does nothing: give it SQL text or a function, or leave it unset");
  }
  make_ready(migration.up, migration.file);
  if (migration.down) make_ready(*migration.down, detail::down_file_of(migration.file));

  const auto place =
      std::lower_bound(migrations_.begin(), migrations_.end(), migration.version,
                       [](const Migration& other, std::int32_t version) { return other.version < version; });
  if (place != migrations_.end() && place->version == migration.version) refuse_twins(place->file, migration.file);
  migrations_.insert(place, std::move(migration));
  return *this;
}

// Of SQL: of its text, normalized. Of a function, whose code nobody can see: of a
// prefix that keeps it apart from any SQL, its name, a NUL byte, and its revision,
// but not its number, so that one that was given another number is found out.
std::string checksum(const Migration& migration) {
  if (const auto* const text = std::get_if<std::string>(&migration.up)) {
    return detail::sha256_hex(detail::normalize_text(*text));
  }
  std::string identity("\0sqlane function\0", 17);
  identity.append(migration.name).append(1, '\0').append(migration.revision);
  return detail::sha256_hex(identity);
}

}  // namespace sqlane
