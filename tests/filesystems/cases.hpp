#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace sqlane::filesystems {

// Where a case runs: an empty folder of its own, and what the script can do to the file system below it.
struct Place {
  std::filesystem::path folder{};
  std::string lose{};                // a shell command: the device is gone; empty where there is none
  std::string bring_back{};          // and is there again
  std::filesystem::path switches{};  // of the file system faulty_fs; empty elsewhere

  [[nodiscard]] std::filesystem::path file(std::string_view name = "app.db") const { return folder / name; }
};

struct Case {
  std::string_view name;
  // Returns what is worth a remark. Throws Wrong, Refused or Skipped, or a typed error of sqlane, which counts as
  // Refused.
  std::string (*run)(const Place&);
};

[[nodiscard]] std::vector<Case> usual_cases();
[[nodiscard]] std::vector<Case> process_cases();  // two processes, kill -9
[[nodiscard]] std::vector<Case> failing_cases();  // full, gone, failing and hanging disks

// Accidents under load, `rounds` of each kind, as lines to print.
int run_accidents(const std::filesystem::path& folder, int rounds, unsigned seed, std::string_view only);

}  // namespace sqlane::filesystems
