// The main() of every program of tests.
//
// The tests of one process follow each other in it, except those of SQLANE_APART_FILES, which leave a process changed
// or take it down: ctest gives each of them a process of its own. Two filters tell them apart:
//
//   --gtest_filter=@together    all but those, as shards run them (GTEST_TOTAL_SHARDS, GTEST_SHARD_INDEX)
//   --gtest_filter=@apart       those
//
// Every other filter is GoogleTest's own.

#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <string_view>

namespace {

// The name of the file between colons is in the list, which has a colon at each end.
bool is_apart(const ::testing::TestInfo& test) {
  constexpr std::string_view kFiles = ":" SQLANE_APART_FILES ":";
  const std::string_view path = test.file();
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return kFiles.find(":" + std::string(name) + ":") != std::string_view::npos;
}

// A filter of full names; one that matches nothing where there is no such test.
std::string filter_of(const std::function<bool(const ::testing::TestInfo&)>& is_wanted) {
  std::string filter = "@";
  const ::testing::UnitTest& program = *::testing::UnitTest::GetInstance();
  for (int i = 0; i < program.total_test_suite_count(); ++i) {
    const ::testing::TestSuite& suite = *program.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); ++j) {
      const ::testing::TestInfo& test = *suite.GetTestInfo(j);
      if (is_wanted(test)) filter.append(":").append(suite.name()).append(".").append(test.name());
    }
  }
  return filter;
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const std::string filter = GTEST_FLAG_GET(filter);
  if (filter == "@together") GTEST_FLAG_SET(filter, filter_of(std::not_fn(is_apart)));
  if (filter == "@apart") GTEST_FLAG_SET(filter, filter_of(is_apart));
  return RUN_ALL_TESTS();
}
