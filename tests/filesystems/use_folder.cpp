// Runs sqlane in a folder, for scripts/filesystems:
//
//   sqlane_use_folder list                              the names of the cases
//   sqlane_use_folder run FOLDER CASE [LOSE BRING_BACK [SWITCHES]]
//       one line: ok, refused: …, skipped: …, or WRONG: … (and 1). LOSE and BRING_BACK are shell commands that take the
//       device away and bring it back; SWITCHES is that file of the file system faulty_fs.
//   sqlane_use_folder accidents FOLDER ROUNDS SEED [ACCIDENT]
//       a line for each kind of accident; 1 where an acknowledged write was lost
//   sqlane_use_folder prepare FOLDER                    three databases, for a file system that is read only
//   sqlane_use_folder read FOLDER                       reads these three
#include <cstdio>
#include <exception>
#include <sqlane/sqlane.hpp>
#include <string>

#include "cases.hpp"
#include "folder.hpp"
#include "plain_sqlite.hpp"

namespace sqlane::filesystems {
namespace {

std::vector<Case> all_cases() {
  std::vector<Case> all = usual_cases();
  for (const auto& more : {process_cases(), failing_cases()}) all.insert(all.end(), more.begin(), more.end());
  return all;
}

// The result of `run` as a line.
template <class Run>
std::string line_of(Run&& run) {
  try {
    try {
      const std::string remark = run();
      return remark.empty() ? "ok" : "ok: " + remark;
    } catch (const Skipped& skipped) {
      return std::string("skipped: ") + skipped.what();
    } catch (const std::exception& error) {
      return "refused: " + described(error);
    }
  } catch (const Wrong& wrong) {
    return std::string("WRONG: ") + wrong.what();
  }
}

int print(const std::string& line) {
  std::puts(line.c_str());
  return line.starts_with("WRONG") ? 1 : 0;
}

int run_case(const Case& chosen, const Place& place) {
  std::filesystem::create_directory(place.folder);
  std::string line = line_of([&] { return chosen.run(place); });
  const std::string strangers = strangers_in(place.folder, {"app.db", "copy.db"});
  // A case that has failed may end before it has closed its database.
  if (!strangers.empty() && chosen.name != "read_only_log" && !line.starts_with("WRONG")) {
    line = "WRONG: left behind: " + strangers + " (" + line + ")";
  }
  std::error_code ignored;
  std::filesystem::remove_all(place.folder, ignored);
  return print(line);
}

struct Shipped {
  const char* name;
  Left left;
};
constexpr Shipped kShipped[] = {
    {"closed.db", Left::wal_mode}, {"rollback.db", Left::rollback_mode}, {"log.db", Left::with_log}};

int read_shipped(const std::filesystem::path& folder) {
  int status = 0;
  for (const Shipped& shipped : kShipped) {
    const std::string line = line_of([&]() -> std::string {
      const Database db =
          open_or_refuse(folder, [&] { return Database::open(folder / shipped.name, {.mode = OpenMode::read_only}); });
      expect(db.query_one<std::int64_t>("SELECT count(*) FROM ack") == 500, "rows are missing");
      return {};
    });
    status |= print(std::string(shipped.name) + " " + line);
    status |= line.starts_with("WRONG") ? 1 : 0;
  }
  return status;
}

int run(const std::vector<std::string>& arguments) {
  const auto argument = [&](std::size_t i) { return i < arguments.size() ? arguments[i] : std::string(); };
  const std::string what = argument(0);
  const std::filesystem::path folder = argument(1);
  if (what == "list") {
    for (const Case& each : all_cases()) std::puts(std::string(each.name).c_str());
    return 0;
  }
  if (what == "run") {
    for (const Case& each : all_cases()) {
      if (each.name != argument(2)) continue;
      return run_case(each, {folder / each.name, argument(3), argument(4), argument(5)});
    }
  }
  if (what == "prepare") {
    for (const Shipped& each : kShipped) prepare(folder / each.name, each.left, 500);
    return 0;
  }
  if (what == "read") return read_shipped(folder);
  if (what == "accidents" && arguments.size() >= 4) {
    return run_accidents(folder, std::stoi(argument(2)), static_cast<unsigned>(std::stoul(argument(3))), argument(4));
  }
  std::fputs("sqlane_use_folder: see the top of its source\n", stderr);
  return 2;
}

}  // namespace
}  // namespace sqlane::filesystems

int main(int count, char** arguments) {
  try {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    return sqlane::filesystems::run({arguments + 1, arguments + count});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sqlane_use_folder: %s\n", error.what());
    return 2;
  }
}
