#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <sqlane/error.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "cli/bench.hpp"
#include "cli/bench_report.hpp"
#include "cli/format.hpp"
#include "cli/interruption.hpp"
#include "cli/no_nan.hpp"
#include "cli/screen.hpp"
#include "cli/subcommand.hpp"

namespace sqlane::cli {
namespace {

struct BenchArguments {
  std::string file;
  double seconds = 0.5;
  std::optional<std::uint64_t> seed;
  std::string svg;
  bool as_json = false;
};

// Known to be possible before all is measured; an empty one does not stay.
class SvgFile {
 public:
  explicit SvgFile(std::filesystem::path path) : path_(std::move(path)), is_new_(!std::filesystem::exists(path_)) {
    if (!std::ofstream(path_, std::ios::binary | std::ios::app)) fail();
  }
  SvgFile(const SvgFile&) = delete;
  SvgFile& operator=(const SvgFile&) = delete;
  ~SvgFile() {
    std::error_code ignored;
    if (is_new_ && !is_written_) std::filesystem::remove(path_, ignored);
  }

  void write(const std::string& svg) {
    std::ofstream file(path_, std::ios::binary | std::ios::trunc);
    file << svg;
    if (!file.flush()) fail();
    is_written_ = true;
  }

 private:
  [[noreturn]] void fail() const {
    throw std::filesystem::filesystem_error("cannot write the drawing", path_,
                                            std::error_code(errno, std::generic_category()));
  }

  std::filesystem::path path_;
  bool is_new_;
  bool is_written_ = false;
};

int bench(const BenchArguments& arguments, Console& console) {
  Interruption interruption;
  BenchOptions options{
      .file = arguments.file,
      .length = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(arguments.seconds)),
      .seed = arguments.seed ? *arguments.seed : std::random_device()(),
      .stop = interruption.token()};
  std::optional<SvgFile> svg;
  if (!arguments.svg.empty()) svg.emplace(arguments.svg);
  BenchMeasurements found;
  try {
    ProgressLine progress(console);
    if (!arguments.as_json) {
      options.on_progress = [&](double fraction, const std::string& what) { progress.show(fraction, what); };
    }
    found = run_bench(options);
  } catch (const InterruptedError&) {
    console.err << "sqlane: interrupted; the file is as it was, and the copy is gone\n";
    return kExitInterrupted;
  }
  const std::vector<Recommendation> recommendations = recommend(found);
  if (svg) svg->write(draw_svg(chart_of(found)));
  if (arguments.as_json) {
    console.out << format_json(to_json(found, recommendations)) << "\n";
    return kExitSuccess;
  }
  for (const ScreenLine& line : bench_lines(found, recommendations, console.columns)) {
    console.out << paint(console, line.color, line.text) << "\n";
  }
  if (!arguments.svg.empty()) console.out << "\nThe curves are in " << printable(arguments.svg) << "\n";
  return kExitSuccess;
}

}  // namespace

void add_bench(CLI::App& app, Run& run) {
  const auto arguments = std::make_shared<BenchArguments>();
  CLI::App* const command = app.add_subcommand(
      "bench", "Measures a database file on its disk, and recommends settings. The file is only read.");
  command->footer(
      "Example: sqlane bench app.db --svg app.svg\n\n"
      "Writes go to a copy in a folder .sqlane-bench-... beside the file, which is gone at the end.");
  command->add_option("FILE", arguments->file, "The database")->required();
  command->add_option("--seconds", arguments->seconds, "How long each of some 25 measurements lasts")
      ->check(CLI::Range(0.001, 3600.0))
      ->check(no_nan())
      ->capture_default_str();
  command->add_option("--seed", arguments->seed, "For the order of reads; by default another one each time");
  command->add_option("--svg", arguments->svg, "Draws the curves into this file");
  command->add_flag("--json", arguments->as_json, "JSON alone on standard output");
  command->callback([arguments, &run] { run = [arguments](Console& console) { return bench(*arguments, console); }; });
}

}  // namespace sqlane::cli
