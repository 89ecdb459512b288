#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

#include "cli/format.hpp"
#include "cli/interruption.hpp"
#include "cli/no_nan.hpp"
#include "cli/stats_report.hpp"
#include "cli/subcommand.hpp"
#include "cli/workload.hpp"

namespace sqlane::cli {
namespace {

constexpr std::chrono::seconds kSizesLimit{30};

struct StatsArguments {
  std::string file;
  bool is_watching = false;
  double interval = 1;
  std::uint64_t count = 0;
  std::size_t tables = 15;
  bool as_json = false;
  Sharing sharing = Sharing::usual;
};

// It may have been resized meanwhile.
ScreenSize size_now(const Console& console) {
  winsize size{};
  const bool is_ours = &console.out == &std::cout;
  if (is_ours && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
    return {.columns = size.ws_col, .rows = size.ws_row};
  }
  return {.columns = console.columns, .rows = console.rows};
}

ReportLayout layout_now(const StatsArguments& arguments, const Console& console) {
  const ScreenSize size = size_now(console);
  return {.columns = size.columns,
          .rows = size.rows,
          .tables = arguments.tables,
          .charset = console.is_terminal ? charset_of_environment() : Charset::ascii};
}

void print(Console& console, const std::vector<ScreenLine>& lines) {
  for (const ScreenLine& line : lines) console.out << paint(console, line.color, line.text) << "\n";
}

int stats(const StatsArguments& arguments, Console& console) {
  const FileStats stats = read_file_stats(arguments.file, kSizesLimit, arguments.sharing);
  if (arguments.as_json) {
    console.out << format_json(to_json(stats, arguments.tables)) << "\n";
  } else {
    print(console, stats_lines(stats, layout_now(arguments, console)));
  }
  return kExitSuccess;
}

int watch(const StatsArguments& arguments, Console& console) {
  Interruption interruption;
  const Pace pace{
      .now = [] { return std::chrono::steady_clock::now(); },
      .sleep =
          [&](std::chrono::nanoseconds duration) { return console.out.good() && interruption.pause_for(duration); }};
  const WatchOptions options{.path = arguments.file,
                             .interval = std::chrono::duration_cast<std::chrono::nanoseconds>(
                                 std::chrono::duration<double>(arguments.interval)),
                             .count = arguments.count};
  std::unique_ptr<LiveScreen> screen;
  Workload last;
  watch_workload(options, pace, [&](const Workload& workload) {
    if (arguments.as_json) {
      console.out << format_json(to_json(workload, arguments.tables), JsonLayout::one_line) << "\n" << std::flush;
    } else if (console.is_terminal) {
      if (!screen) screen = std::make_unique<LiveScreen>(console);
      const ScreenSize size = size_now(console);
      console.out << redraw(console, workload_screen(workload, layout_now(arguments, console)), size) << std::flush;
      last = workload;
    } else {
      console.out << workload_line(workload) << "\n" << std::flush;
    }
  });
  if (screen) {  // what was seen last stays
    screen.reset();
    print(console, workload_screen(last, layout_now(arguments, console)));
  }
  return kExitSuccess;
}

}  // namespace

void add_stats(CLI::App& app, Run& run) {
  const auto arguments = std::make_shared<StatsArguments>();
  CLI::App* const command =
      app.add_subcommand("stats", "Shows what is in a database file, or what other processes write to it. Only reads.");
  command->footer(
      "Example: sqlane stats app.db --watch\n\n"
      "--watch looks at the write-ahead log, so it sees the commits of all processes. Ctrl-C ends it.");
  command->add_option("FILE", arguments->file, "The database")->required();
  CLI::Option* const watching = command->add_flag("--watch", arguments->is_watching, "A live screen of its workload");
  command->add_option("--interval", arguments->interval, "Seconds between two looks")
      ->check(CLI::Range(0.05, 3600.0))
      ->check(no_nan())
      ->needs(watching)
      ->capture_default_str();
  command->add_option("--count", arguments->count, "Ends after so many intervals; 0: only by Ctrl-C")
      ->needs(watching)
      ->capture_default_str();
  command->add_option("--tables", arguments->tables, "How many tables and indexes at most, the largest first")
      ->capture_default_str();
  add_exclusive(*command, arguments->sharing)->excludes(watching);
  command->add_flag("--json", arguments->as_json, "JSON alone on standard output; with --watch an object a line");
  command->callback([arguments, &run] {
    run = [arguments](Console& console) {
      return arguments->is_watching ? watch(*arguments, console) : stats(*arguments, console);
    };
  });
}

}  // namespace sqlane::cli
