#include "support/metrics_reader.hpp"

#include <string>

#include "support/expect_error.hpp"

namespace sqlane {
namespace {

using testing::complaint_about;
using testing::mentions;

TEST(MetricsReader, RefusesWhatIsNoText) {
  const std::string good =
      "# HELP sqlane_a_total As.\n# TYPE sqlane_a_total counter\nsqlane_a_total{database=\"d\"} 1\n"
      "# HELP sqlane_b Bs.\n# TYPE sqlane_b histogram\n"
      "sqlane_b_bucket{database=\"d\",le=\"1\"} 1\nsqlane_b_bucket{database=\"d\",le=\"2\"} 2\n"
      "sqlane_b_bucket{database=\"d\",le=\"+Inf\"} 2\nsqlane_b_sum{database=\"d\"} 3\n"
      "sqlane_b_count{database=\"d\"} 2\n";
  EXPECT_EQ(complaint_about(good), "");
  struct Case {
    const char* from;
    const char* to;
    const char* complaint;
  };
  constexpr Case kCases[] = {
      {"sqlane_b_count{database=\"d\"} 2\n", "sqlane_b_count{database=\"d\"} 2", "an unfinished line"},
      {"# HELP sqlane_b", "\n# HELP sqlane_b", "an empty line"},
      {"# HELP sqlane_b Bs.\n", "", "no HELP"},
      {"sqlane_a_total As", "other_a_total As", "a foreign name"},
      {"sqlane_a_total As.", "sqlane_a_total ", "no help"},
      {"Bs.", "As.", "help for two families"},
      {"# TYPE sqlane_b ", "# TYPE sqlane_c ", "no TYPE"},
      {"counter", "summary", "an unknown type"},
      {"counter", "gauge", "a name of another type"},
      {"histogram", "counter", "a name of another type"},
      {"sqlane_a_total{database=\"d\"} 1\n", "", "a family without samples"},
      {"sqlane_a_total{", "sqlane_b_total{", "a sample of no family"},
      {"sqlane_a_total{database=\"d\"}", "sqlane_a_total", "no labels"},
      {"database=\"d\"} 1", "database=\"d\",database=\"d\"} 1", "a label that cannot be"},
      {"database=\"d\"} 1", "__name=\"d\"} 1", "a label that cannot be"},
      {"database=\"d\"} 1", "other=\"d\"} 1", "no database"},
      {"database=\"d\"} 1", "9=\"d\"} 1", "no name"},
      {"\"d\"} 1", "d} 1", "no quote"},
      {"\"d\"} 1", "\"d} 1", "no closing quote"},
      {"\"d\"} 1", "\"\\d\"} 1", "an unknown escape"},
      {"\"d\"} 1", "\"\xff\"} 1", "invalid UTF-8"},
      {"\"d\"} 1", "\"d\"}1", "no end of labels"},
      {"\"d\"} 1", "\"d\"} 1,5", "no number"},
      {"\"d\"} 1", "\"d\"} -1", "a number that nothing can have"},
      {"\"d\"} 1", "\"d\"} nan", "a number that nothing can have"},
      {"sqlane_a_total{database=\"d\"} 1\n", "sqlane_a_total{database=\"d\"} 1\nsqlane_a_total{database=\"d\"} 1\n",
       "a sample again"},
      {"# HELP sqlane_b Bs.",
       "# HELP sqlane_a_total Cs.\n# TYPE sqlane_a_total counter\nsqlane_a_total{database=\"e\"} 1\n# HELP sqlane_b "
       "Bs.",
       "a family again"},
      {"le=\"1\"", "le=\"2\"", "a sample again"},
      {"le=\"1\"", "le=\"3\"", "bounds that do not rise"},
      {"le=\"1\"} 1", "le=\"1\"} 3", "buckets that do not add up"},
      {"le=\"+Inf\"", "le=\"9\"", "an infinity elsewhere than at the end"},
      {"le=\"1\"", "ge=\"1\"", "no bound"},
      {"_sum", "_total", "no sum"},
      {"_count{database=\"d\"} 2", "_count{database=\"d\"} 3", "another count"},
  };
  for (const auto& [from, to, complaint] : kCases) {
    std::string bad = good;
    bad.replace(bad.find(from), std::string_view(from).size(), to);
    EXPECT_TRUE(mentions(complaint_about(bad), complaint)) << complaint_about(bad) << " instead of " << complaint;
  }
}

}  // namespace
}  // namespace sqlane
