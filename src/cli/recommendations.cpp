#include "cli/recommendations.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <optional>

#include "cli/format.hpp"

namespace sqlane::cli {
namespace {

using std::chrono::microseconds;

constexpr microseconds kNoDisk{30};    // no disk that keeps what it is given answers sooner
constexpr double kCheap = 1.5;         // full costs less than that: nothing to think about
constexpr double kWorthIt = 1.2;       // a setting that brings less is left alone
constexpr double kEnoughOfBest = 0.8;  // of the best rate: larger transactions only make others wait
constexpr double kLikeBest = 0.9;      // within the noise
constexpr std::uint64_t kMiB = 1U << 20U;

const WriteMeasurement* find_batch(const BenchMeasurements& found, Durability durability, std::size_t rows) {
  const auto at = std::find_if(found.batches.begin(), found.batches.end(), [&](const WriteMeasurement& batch) {
    return batch.durability == durability && batch.rows == rows;
  });
  return at == found.batches.end() ? nullptr : &*at;
}

const ReadMeasurement* find_read(const BenchMeasurements& found, ReadMode mode, std::size_t threads) {
  const auto at = std::find_if(found.reads.begin(), found.reads.end(), [&](const ReadMeasurement& read) {
    return read.mode == mode && read.threads == threads;
  });
  return at == found.reads.end() ? nullptr : &*at;
}

// 0 where there is nothing to compare with.
double ratio(double a, double b) { return b > 0 ? a / b : 0; }

// "45.6 k rows/s"
std::string rate_of(std::string_view what, double per_second) {
  std::string text = format_rate(per_second);
  const std::size_t slash = text.find('/');
  return text.insert(slash, " " + std::string(what));
}

std::string times(double factor) {
  return factor < 10 ? fmt::format("{:.1f} times", factor) : fmt::format("{:.0f} times", factor);
}

std::optional<Recommendation> recommend_durability(const BenchMeasurements& found) {
  const WriteMeasurement* const full = find_batch(found, Durability::full, 1);
  const WriteMeasurement* const normal = find_batch(found, Durability::normal, 1);
  if (full == nullptr || normal == nullptr) return std::nullopt;
  const double gain = ratio(normal->rows_per_second, full->rows_per_second);
  Recommendation advice{.setting = "durability", .advice = "full", .reason = {}};
  if (found.sync.append.count > 0 && found.sync.append.median < kNoDisk) {
    advice.reason = fmt::format(
        "A sync takes {} here, which no disk can do: the folder is in memory, or something below acknowledges what it "
        "has not kept. full costs little, and what a power loss takes is not for SQLite to say.",
        format_duration(found.sync.append.median));
  } else if (gain < kCheap) {
    advice.reason =
        fmt::format("It costs next to nothing here: {} of one row against {} with normal (a sync takes {}).",
                    rate_of("commits", full->rows_per_second), rate_of("commits", normal->rows_per_second),
                    format_duration(found.sync.append.median));
  } else {
    advice.reason = fmt::format(
        "A commit of one row takes {}, of which a sync is {}; with normal it takes {}, {} as many commits ({} against "
        "{}). Choose normal only where the last commits before a power loss may be lost.",
        format_duration(full->latency.median), format_duration(found.sync.append.median),
        format_duration(normal->latency.median), times(gain), format_rate(normal->rows_per_second),
        format_rate(full->rows_per_second));
  }
  return advice;
}

std::optional<Recommendation> recommend_batch(const BenchMeasurements& found) {
  std::vector<const WriteMeasurement*> batches;
  for (const WriteMeasurement& batch : found.batches) {
    if (batch.durability == Durability::full) batches.push_back(&batch);
  }
  if (batches.size() < 2) return std::nullopt;
  const auto by_rate = [](const WriteMeasurement* a, const WriteMeasurement* b) {
    return a->rows_per_second < b->rows_per_second;
  };
  const WriteMeasurement& best = **std::max_element(batches.begin(), batches.end(), by_rate);
  const WriteMeasurement& enough = **std::find_if(batches.begin(), batches.end(), [&](const WriteMeasurement* batch) {
    return batch->rows_per_second >= kEnoughOfBest * best.rows_per_second;
  });
  const WriteMeasurement& single = *batches.front();
  return Recommendation{
      .setting = "rows of a transaction",
      .advice = fmt::format("{}", enough.rows),
      .reason = enough.rows == single.rows
                    ? fmt::format("One row a transaction is about as fast as any more: {}.",
                                  rate_of("rows", single.rows_per_second))
                    : fmt::format("{} with {} in a transaction against {} with {}, {} as many; such a transaction "
                                  "holds the lane for {}.{}",
                                  rate_of("rows", enough.rows_per_second), enough.rows,
                                  rate_of("rows", single.rows_per_second), single.rows,
                                  times(ratio(enough.rows_per_second, single.rows_per_second)),
                                  format_duration(enough.latency.median),
                                  &enough == &best ? "" : " Larger ones bring little more, and make others wait.")};
}

std::optional<Recommendation> recommend_writers(const BenchMeasurements& found) {
  if (found.writers.size() < 2) return std::nullopt;
  const WriteMeasurement& one = found.writers.front();
  const WriteMeasurement& many = found.writers.back();
  const double gain = ratio(many.rows_per_second, one.rows_per_second);
  if (gain < kWorthIt) {
    return Recommendation{.setting = "writing threads",
                          .advice = "one is enough",
                          .reason = fmt::format("{} threads commit {}, one {}: sharing a COMMIT brings nothing where "
                                                "a sync is that cheap.",
                                                many.threads, rate_of("rows", many.rows_per_second),
                                                rate_of("rows", one.rows_per_second))};
  }
  return Recommendation{
      .setting = "writing threads",
      .advice = "as many as there are",
      .reason = fmt::format("{} threads that each commit one row share syncs: {} against {} from one thread, {} as "
                            "many, each at most {} late (p99). No batching by hand is needed there.",
                            many.threads, rate_of("rows", many.rows_per_second), rate_of("rows", one.rows_per_second),
                            times(gain), format_duration(many.latency.p99))};
}

std::optional<Recommendation> recommend_page_cache(const BenchMeasurements& found) {
  Recommendation advice{
      .setting = "page_cache", .advice = fmt::format("{}MiB", found.default_page_cache / kMiB), .reason = {}};
  if (found.page_cache_for_all <= found.default_page_cache) {
    advice.reason = fmt::format("The default holds the whole file ({}).", format_bytes(found.file_bytes));
    return advice;
  }
  if (found.cache_reads.size() < 2) return std::nullopt;
  const ReadMeasurement& small = found.cache_reads.front();
  const ReadMeasurement& large = found.cache_reads.back();
  const double gain = ratio(large.per_second, small.per_second);
  if (gain < kWorthIt) {
    advice.reason = fmt::format(
        "A cache for the whole file ({} MiB for each connection) brings {} instead of {}: "
        "the operating system keeps the rest at hand.",
        large.page_cache / kMiB, rate_of("reads", large.per_second), rate_of("reads", small.per_second));
    return advice;
  }
  advice.advice = fmt::format("{}MiB", large.page_cache / kMiB);
  advice.reason = fmt::format(
      "It holds the whole file, and reads all over it are {} as fast: {} against {} with {} MiB. "
      "Each connection has a cache of its own; {} readers may take {}.",
      times(gain), format_rate(large.per_second), format_rate(small.per_second), small.page_cache / kMiB,
      std::max<std::size_t>(4, found.cores), format_bytes(std::max<std::size_t>(4, found.cores) * large.page_cache));
  return advice;
}

std::optional<Recommendation> recommend_readers(const BenchMeasurements& found) {
  const ReadMeasurement* const one = find_read(found, ReadMode::autocommit, 1);
  const ReadMeasurement* const all = find_read(found, ReadMode::autocommit, found.cores);
  if (one == nullptr || all == nullptr || found.cores < 2) return std::nullopt;
  const double gain = ratio(all->per_second, one->per_second);
  return Recommendation{
      .setting = "readers",
      .advice = gain >= kWorthIt ? fmt::format("{} (the default)", std::max<std::size_t>(4, found.cores))
                                 : std::string("few"),
      .reason = fmt::format("{} threads do {}, one {}: {}.", found.cores, rate_of("reads", all->per_second),
                            rate_of("reads", one->per_second),
                            gain >= kWorthIt ? times(gain) + " as many on " + std::to_string(found.cores) + " cores"
                                             : "more at once bring no more here")};
}

std::optional<Recommendation> recommend_snapshots(const BenchMeasurements& found) {
  const ReadMeasurement* const single = find_read(found, ReadMode::autocommit, 1);
  const ReadMeasurement* const together = find_read(found, ReadMode::snapshot, 1);
  if (single == nullptr || together == nullptr) return std::nullopt;
  const double gain = ratio(together->per_second, single->per_second);
  if (gain < kWorthIt) return std::nullopt;
  return Recommendation{.setting = "several reads",
                        .advice = "in one db.read()",
                        .reason = fmt::format("Inside one snapshot a read takes {}, by itself {}: {} as fast.",
                                              format_duration(together->latency.median),
                                              format_duration(single->latency.median), times(gain))};
}

std::optional<Recommendation> recommend_locking(const BenchMeasurements& found) {
  if (found.locking.size() != 2) return std::nullopt;
  const double writes = ratio(found.locking[1].rows_per_second, found.locking[0].rows_per_second);
  const bool has_reads = found.locking_reads.size() == 2;
  const double reads = has_reads ? ratio(found.locking_reads[1].per_second, found.locking_reads[0].per_second) : 0;
  std::string figures =
      fmt::format("commits of one row (normal) {} against {}", format_rate(found.locking[1].rows_per_second),
                  format_rate(found.locking[0].rows_per_second));
  if (has_reads) {
    figures += fmt::format(", reads {} against {}", format_rate(found.locking_reads[1].per_second),
                           format_rate(found.locking_reads[0].per_second));
  }
  if (std::max(writes, reads) < kWorthIt) {
    return Recommendation{
        .setting = "locking", .advice = "shared", .reason = "exclusive would bring little: " + figures + "."};
  }
  return Recommendation{.setting = "locking",
                        .advice = "exclusive, if no other process needs the file",
                        .reason = "It is faster: " + figures + " with shared. Other programs find the file locked."};
}

std::optional<Recommendation> recommend_checkpoints(const BenchMeasurements& found) {
  if (found.checkpoints.empty()) return std::nullopt;
  const auto by_rate = [](const WriteMeasurement& a, const WriteMeasurement& b) {
    return a.rows_per_second < b.rows_per_second;
  };
  const WriteMeasurement& best = *std::max_element(found.checkpoints.begin(), found.checkpoints.end(), by_rate);
  const auto is_like_best = [&](const WriteMeasurement& one) {
    return one.rows_per_second >= kLikeBest * best.rows_per_second;
  };
  const auto usual = std::find_if(found.checkpoints.begin(), found.checkpoints.end(), [&](const WriteMeasurement& one) {
    return one.checkpoint_pages == found.default_checkpoint_pages;
  });
  if (usual != found.checkpoints.end() && is_like_best(*usual)) {
    return Recommendation{.setting = "checkpoint_pages",
                          .advice = fmt::format("{} (the default)", usual->checkpoint_pages),
                          .reason = fmt::format("{}, within a tenth of the best of {} settings.",
                                                rate_of("rows", usual->rows_per_second), found.checkpoints.size())};
  }
  const WriteMeasurement& least = *std::find_if(found.checkpoints.begin(), found.checkpoints.end(), is_like_best);
  const std::string instead =
      usual == found.checkpoints.end()
          ? ""
          : fmt::format(" against {} with {}", rate_of("rows", usual->rows_per_second), usual->checkpoint_pages);
  return Recommendation{
      .setting = "checkpoint_pages",
      .advice = fmt::format("{}", least.checkpoint_pages),
      .reason = fmt::format("{}{}; the log takes up to {} beside the file, and more while a snapshot lives.",
                            rate_of("rows", least.rows_per_second), instead,
                            format_bytes(least.checkpoint_pages * found.page_size))};
}

}  // namespace

std::vector<Recommendation> recommend(const BenchMeasurements& found) {
  std::vector<Recommendation> all;
  for (const auto decide : {recommend_durability, recommend_batch, recommend_writers, recommend_page_cache,
                            recommend_readers, recommend_snapshots, recommend_locking, recommend_checkpoints}) {
    if (auto one = decide(found)) all.push_back(*std::move(one));
  }
  return all;
}

}  // namespace sqlane::cli
