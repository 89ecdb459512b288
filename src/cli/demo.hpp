#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "cli/load.hpp"
#include "cli/sample_database.hpp"

namespace sqlane::cli {

struct DemoOptions {
  std::filesystem::path file;  // empty: a private copy in a temporary folder
  std::filesystem::path proj;  // where PROJ's database is; empty when not installed
  double seconds = 5;
  std::size_t threads = 100;
  int writes_percent = 10;
  std::stop_token stop{};  // ends it with InterruptedError; the private copy is gone
};

struct DemoReport {
  DemoOptions options;
  std::string engine;  // SQLite's version
  SampleOrigin origin = SampleOrigin::given;
  std::string database;
  std::int64_t coordinate_systems = 0;
  int migrations_applied = 0;
  LoadResult sqlane;
  LoadResult peer;
  // The proof, read back after closing and opening again.
  std::uint64_t acknowledged = 0;
  std::uint64_t missing = 0;
  std::string integrity;

  [[nodiscard]] bool is_proven() const { return missing == 0 && integrity == "ok" && sqlane.other_errors == 0; }
};

// Told what is going on, on the thread that runs the demo.
class DemoListener {
 public:
  virtual ~DemoListener() = default;
  virtual void say(const std::string& sentence) = 0;
  virtual void glance(const std::string& subject, const LoadGlance& glance, std::uintmax_t wal_bytes) = 0;
};

// How many of the visits that `load` got acknowledged in this run are not there.
[[nodiscard]] std::uint64_t count_missing(Database& db, std::int64_t run, const LoadResult& load);

// The story of `sqlane demo`. Throws sqlane::Error when the file is not one
// that it can work on.
[[nodiscard]] DemoReport run_demo(const DemoOptions& options, DemoListener& listener);

}  // namespace sqlane::cli
