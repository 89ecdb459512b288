#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/migration_properties.hpp"
#include "support/files.hpp"

namespace sqlane::testing {
namespace {

std::vector<std::string> corpus() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(SQLANE_FUZZ_CORPUS)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<std::string> texts;
  for (const auto& file : files) texts.push_back(bytes_of(file));
  return texts;
}

// Changes texts as a fuzzer would, with the words that matter to the parser.
class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  std::string next(const std::vector<std::string>& texts) {
    std::string text = one_of(texts);
    for (std::size_t changes = 1 + below(5); changes > 0; --changes) change(text, texts);
    return text;
  }

 private:
  std::size_t below(std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(random_); }

  template <class Things>
  auto one_of(const Things& things) -> decltype(things[0]) {
    return things[below(std::size(things))];
  }

  void change(std::string& text, const std::vector<std::string>& texts) {
    using std::string_view_literals::operator""sv;
    static constexpr std::string_view kPieces[] = {";"sv,
                                                   "; "sv,
                                                   ";\n"sv,
                                                   "'"sv,
                                                   "\""sv,
                                                   "`"sv,
                                                   "["sv,
                                                   "]"sv,
                                                   "--"sv,
                                                   "-- "sv,
                                                   "\n"sv,
                                                   "\r\n"sv,
                                                   "\r"sv,
                                                   "/*"sv,
                                                   "*/"sv,
                                                   "("sv,
                                                   ")"sv,
                                                   "?"sv,
                                                   ":a"sv,
                                                   "$"sv,
                                                   "::"sv,
                                                   "\0"sv,
                                                   "\v"sv,
                                                   "\f"sv,
                                                   "\xef\xbb\xbf"sv,
                                                   "\xc3\xbc"sv,
                                                   "\xff"sv,
                                                   " CREATE TRIGGER "sv,
                                                   " TEMP "sv,
                                                   " EXPLAIN "sv,
                                                   " QUERY PLAN "sv,
                                                   " BEGIN "sv,
                                                   " END"sv,
                                                   "; END;"sv,
                                                   " CASE "sv,
                                                   " COMMIT"sv,
                                                   " VACUUM"sv,
                                                   " PRAGMA "sv,
                                                   " user_version"sv,
                                                   " = "sv,
                                                   "-- sqlane: no-transaction\n"sv,
                                                   "-- sqlane: no-key-check\n"sv,
                                                   "-- sqlane: check-keys a, b\n"sv,
                                                   "-- sqlane: draft\n"sv,
                                                   "-- sqlane: x"sv,
                                                   " SELECT 1"sv,
                                                   "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END;"sv};
    const std::size_t at = below(text.size() + 1);
    const std::size_t length = std::min(below(8), text.size() - at);
    switch (below(6)) {
      case 0: text.insert(at, one_of(kPieces)); break;
      case 1: text.replace(at, length, one_of(kPieces)); break;
      case 2: text.erase(at, length); break;
      case 3: text.resize(at); break;
      case 4: text.insert(at, one_of(texts).substr(0, 200)); break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
    }
  }

  std::mt19937 random_;
};

TEST(MigrationScripts, OfTheCorpusHaveTheStatementsThatSqliteSees) {
  const auto texts = corpus();
  ASSERT_GE(texts.size(), 20U);
  Comparison comparison;
  for (const std::string& text : texts) {
    const auto fault = fault_with_migration(text, comparison);
    EXPECT_FALSE(fault) << *fault << "\nof:\n" << text;
  }
  EXPECT_GT(comparison.refused, 5);
  EXPECT_GT(comparison.prepared, 20) << "of " << comparison.statements;
}

TEST(MigrationScripts, AreRefusedOrTakenApartRightHoweverTheyAreChanged) {
  const unsigned seed = std::random_device()();
  std::cout << "seed " << seed << '\n';
  const auto texts = corpus();
  Mutator mutator(seed);
  Comparison comparison;
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = mutator.next(texts);
    const auto fault = fault_with_migration(text, comparison);
    ASSERT_FALSE(fault) << *fault << "\nof:\n" << text << "\nseed " << seed;
  }
  EXPECT_GT(comparison.refused, 1000);
  EXPECT_GT(comparison.prepared, 1000) << "of " << comparison.statements;
}

}  // namespace
}  // namespace sqlane::testing
