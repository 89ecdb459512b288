#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <stdexcept>
#include <string>

namespace sqlane::filesystems {

// A fault that a case has found: what was seen, and what was expected.
struct Wrong : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A typed error that a case may end with, as "OpenError: …".
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A case that means nothing here, and why.
struct Skipped : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void expect(bool condition, const std::string& what);

// As "DiskFullError: message". Throws Wrong for a plain Error, and for what is no error of sqlane.
[[nodiscard]] std::string described(const std::exception& error);

// The files of a folder by name, with what is in them.
[[nodiscard]] std::map<std::string, std::string> contents_of(const std::filesystem::path& folder);

// How a folder differs from what it was, as "a.db has changed, b.db is new"; empty where it does not.
[[nodiscard]] std::string changes_since(const std::map<std::string, std::string>& before,
                                        const std::filesystem::path& folder);

// The names in `folder` that are not `expected`, joined; empty when there are none.
[[nodiscard]] std::string strangers_in(const std::filesystem::path& folder, const std::set<std::string>& expected);

// Runs `open`, which may refuse with a typed error: then `folder` has to be as it was.
template <class Open>
auto open_or_refuse(const std::filesystem::path& folder, Open&& open) {
  const auto before = contents_of(folder);
  std::string refusal;
  try {
    return open();
  } catch (const std::exception& error) {
    refusal = described(error);
  }
  const std::string changes = changes_since(before, folder);
  if (!changes.empty()) throw Wrong("refused, but " + changes + "; " + refusal);
  throw Refused(refusal);
}

}  // namespace sqlane::filesystems
