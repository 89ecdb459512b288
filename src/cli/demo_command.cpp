#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>

#include "cli/demo.hpp"
#include "cli/format.hpp"
#include "cli/interruption.hpp"
#include "cli/no_nan.hpp"
#include "cli/report.hpp"
#include "cli/subcommand.hpp"

namespace sqlane::cli {
namespace {

// A live line on a terminal, a line a second elsewhere, nothing when quiet.
class Narrator final : public DemoListener {
 public:
  Narrator(Console& console, bool is_quiet) : console_(console), is_quiet_(is_quiet) {}

  void say(const std::string& sentence) override {
    if (!is_quiet_) console_.out << sentence << "\n" << std::flush;
  }

  void glance(const std::string& subject, const LoadGlance& glance, std::uintmax_t wal_bytes) override {
    if (is_quiet_) return;
    const std::string line = format_glance(subject, glance, wal_bytes);
    if (console_.is_terminal) {
      if (!last_subject_.empty() && subject != last_subject_) console_.out << "\n";
      console_.out << "\r\033[K" << line.substr(0, console_.columns - 1) << std::flush;
    } else if (subject != last_subject_ || glance.elapsed >= next_line_) {
      next_line_ = std::chrono::duration<double>(std::floor(glance.elapsed.count()) + 1);
      console_.out << line << "\n" << std::flush;
    }
    last_subject_ = subject;
  }

 private:
  Console& console_;
  bool is_quiet_;
  std::string last_subject_;
  std::chrono::duration<double> next_line_{};
};

int demo(DemoOptions options, bool as_json, Console& console) {
  const Interruption interruption;
  options.stop = interruption.token();
  Narrator narrator(console, as_json);
  DemoReport report;
  try {
    report = run_demo(options, narrator);
  } catch (const InterruptedError&) {
    if (!interruption.token().stop_requested()) throw;
    console.err << (console.is_terminal ? "\n" : "") << "sqlane: interrupted\n";
    return kExitInterrupted;
  }
  if (as_json) {
    console.out << format_json(to_json(report)) << "\n";
  } else {
    console.out << (console.is_terminal ? "\n" : "") << format_report(report);
  }
  return report.is_proven() ? kExitSuccess : kExitFailure;
}

}  // namespace

void add_demo(CLI::App& app, Run& run) {
  struct Arguments {
    DemoOptions options;
    bool as_json = false;
  };
  const auto arguments = std::make_shared<Arguments>();
  DemoOptions& options = arguments->options;
  options.proj = find_proj_database();
  CLI::App* const command = app.add_subcommand(
      "demo", "Puts a database under load through sqlane and through a connection per thread, and compares them.");
  command->footer("Example: sqlane demo --threads 50 --seconds 2");
  command->add_option("FILE", options.file,
                      "The database, made if missing; by default a private copy of PROJ's. Visits are added to it.");
  command->add_option("--seconds", options.seconds, "How long each of the two loads lasts")
      ->check(CLI::Range(0.05, 3600.0))
      ->check(no_nan())
      ->capture_default_str();
  command->add_option("--threads", options.threads, "How many threads")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--writes", options.writes_percent, "Percentage of write transactions")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  command->add_flag("--json", arguments->as_json, "JSON alone on standard output");
  command->callback([arguments, &run] {
    run = [arguments](Console& console) { return demo(arguments->options, arguments->as_json, console); };
  });
}

}  // namespace sqlane::cli
