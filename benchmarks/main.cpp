#include <benchmark/benchmark.h>
#include <cstdio>
#include <map>
#include <sqlane/process.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace {

// Prints what Google Benchmark prints, then for each pair "name/raw" and
// "name/sqlane" the ratio of their times: below 1, sqlane is the faster.
class RatioReporter final : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.aggregate_name != "median") continue;
      const std::string& name = run.run_name.function_name;
      const auto slash = name.rfind('/');
      if (slash == std::string::npos) continue;
      times_[name.substr(0, slash)][name.substr(slash + 1)] = run.GetAdjustedRealTime();
    }
  }

  void Finalize() override {
    ConsoleReporter::Finalize();
    std::printf("\n%-44s %12s %12s %8s\n", "median of the repetitions", "raw", "sqlane", "ratio");
    for (const auto& [name, sides] : times_) {
      if (!sides.contains("raw") || !sides.contains("sqlane")) continue;
      const double raw = sides.at("raw");
      const double sqlane = sides.at("sqlane");
      std::printf("%-44s %12.1f %12.1f %8.3f\n", name.c_str(), raw, sqlane, sqlane / raw);
    }
  }

 private:
  std::map<std::string, std::map<std::string, double>> times_;
};

}  // namespace

int main(int argc, char** argv) {
  // Interleaved, so that both sides of a pair see the machine in the same moods.
  std::vector<char*> arguments(argv, argv + argc);
  // A process has them or has not, so that takes two runs to compare.
  if (std::erase_if(arguments, [](std::string_view given) { return given == "--memory_statistics=off"; }) != 0) {
    sqlane::configure_process({.memory_statistics = sqlane::MemoryStatistics::off});
  }
  std::string repetitions = "--benchmark_repetitions=7";
  std::string interleaved = "--benchmark_enable_random_interleaving=true";
  std::string aggregates = "--benchmark_report_aggregates_only=true";
  std::string shorter = "--benchmark_min_time=0.1";
  arguments.insert(arguments.begin() + 1, {repetitions.data(), interleaved.data(), aggregates.data(), shorter.data()});
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  RatioReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::Shutdown();
}
