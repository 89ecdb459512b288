#include "cli/write_probe.hpp"

#include <algorithm>
#include <fstream>
#include <sqlane/sqlane.hpp>
#include <string>
#include <string_view>
#include <system_error>

namespace sqlane::cli {

// https://sqlite.org/fileformat2.html#the_database_header
void make_empty_database(const std::filesystem::path& path, std::uint64_t page_size) {
  constexpr std::string_view kFirstBytes{"SQLite format 3\0", 16};
  constexpr std::size_t kFirstPageContent = 100;
  std::string page(page_size, '\0');
  const auto put = [&](std::size_t at, std::size_t bytes, std::uint64_t number) {
    for (std::size_t i = bytes; i-- > 0; number >>= 8U) page[at + i] = static_cast<char>(number & 0xffU);
  };
  std::copy(kFirstBytes.begin(), kFirstBytes.end(), page.begin());
  put(16, 2, page_size == 65536 ? 1 : page_size);
  put(18, 2, 0x0101);    // not in WAL mode yet
  put(21, 3, 0x402020);  // fractions of a page for payload, fixed by the format
  put(24, 4, 1);         // change counter
  put(28, 4, 1);         // pages
  put(44, 4, 4);         // schema format
  put(56, 4, 1);         // UTF-8
  put(92, 4, 1);         // the number of pages is valid for this change counter
  put(96, 4, 3'037'002);
  put(kFirstPageContent, 1, 13);                                      // a leaf of a table: the schema
  put(kFirstPageContent + 5, 2, page_size == 65536 ? 0 : page_size);  // cells begin at the end
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(page.data(), static_cast<std::streamsize>(page.size()));
  if (!file.flush()) {
    throw std::filesystem::filesystem_error("cannot make a database for measuring", path,
                                            std::make_error_code(std::errc::io_error));
  }
}

WriteMeasurement measure_writes(const std::filesystem::path& path, const WritePlan& plan, const Measuring& measuring) {
  Database db = Database::open(path, {.mode = OpenMode::existing,
                                      .durability = plan.durability,
                                      .locking = plan.locking,
                                      .checkpoint_pages = plan.checkpoint_pages});
  db.execute("DROP TABLE IF EXISTS sqlane_bench");
  db.execute("CREATE TABLE sqlane_bench (id INTEGER PRIMARY KEY, thread INTEGER NOT NULL, text TEXT NOT NULL)");
  const std::string text(90, 'x');
  const Timed timed = time_steps(measuring, plan.threads, [&](std::size_t thread) {
    return [&, thread] {
      db.write([&](Transaction& tx) {
        for (std::size_t row = 0; row < plan.rows; ++row) {
          tx.execute("INSERT INTO sqlane_bench (thread, text) VALUES (?, ?)", thread, text);
        }
      });
    };
  });
  db.close();
  return {.durability = plan.durability,
          .rows = plan.rows,
          .threads = plan.threads,
          .locking = plan.locking,
          .checkpoint_pages = plan.checkpoint_pages,
          .rows_per_second = timed.per_second() * static_cast<double>(plan.rows),
          .latency = latency_of(timed.histogram)};
}

}  // namespace sqlane::cli
