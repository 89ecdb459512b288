#include "folder.hpp"

#include <fstream>
#include <iterator>
#include <sqlane/sqlane.hpp>

namespace sqlane::filesystems {
namespace {

template <class Kind>
bool is_a(const std::exception& error) {
  return dynamic_cast<const Kind*>(&error) != nullptr;
}

std::string class_of(const std::exception& error) {
  if (is_a<OpenError>(error)) return "OpenError";
  if (is_a<BusyError>(error)) return "BusyError";
  if (is_a<TimeoutError>(error)) return "TimeoutError";
  if (is_a<ReadOnlyError>(error)) return "ReadOnlyError";
  if (is_a<DiskFullError>(error)) return "DiskFullError";
  if (is_a<IoError>(error)) return "IoError";
  if (is_a<CorruptError>(error)) return "CorruptError";
  if (is_a<TransactionAborted>(error)) return "TransactionAborted";
  if (is_a<CommitOutcomeUnknown>(error)) return "CommitOutcomeUnknown";
  if (is_a<ClosedError>(error)) return "ClosedError";
  if (is_a<MigrationError>(error)) return "MigrationError";
  return {};  // SchemaError, ConstraintError and others would be misleading: no case has wrong SQL
}

}  // namespace

void expect(bool condition, const std::string& what) {
  if (!condition) throw Wrong(what);
}

std::string described(const std::exception& error) {
  if (is_a<Wrong>(error)) throw Wrong(error.what());
  if (is_a<Refused>(error)) return error.what();
  const std::string kind = class_of(error);
  if (kind.empty()) throw Wrong(std::string("an error of no fitting class: ") + error.what());
  return kind + ": " + error.what();
}

std::map<std::string, std::string> contents_of(const std::filesystem::path& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    all[entry.path().filename()] = {std::istreambuf_iterator<char>(file), {}};
  }
  return all;
}

std::string changes_since(const std::map<std::string, std::string>& before, const std::filesystem::path& folder) {
  const auto after = contents_of(folder);
  std::string changes;
  const auto add = [&](const std::string& name, const char* what) {
    changes += (changes.empty() ? "" : ", ") + name + what;
  };
  for (const auto& [name, content] : after) {
    const auto was = before.find(name);
    if (was == before.end()) {
      add(name, " is new");
    } else if (was->second != content) {
      add(name, " has changed");
    }
  }
  for (const auto& [name, content] : before) {
    if (!after.contains(name)) add(name, " is gone");
  }
  return changes;
}

std::string strangers_in(const std::filesystem::path& folder, const std::set<std::string>& expected) {
  std::string strangers;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (!expected.contains(name)) strangers += (strangers.empty() ? "" : ", ") + name;
  }
  return strangers;
}

}  // namespace sqlane::filesystems
