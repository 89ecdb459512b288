#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sqlane/sqlane.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "sqlane/testing/fixture.hpp"

namespace sqlane {
namespace {

using testing::DatabaseTest;

int prepared = 0;

void prepare(Database& db) {
  ++prepared;
  db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT)");
  db.execute("INSERT INTO note (title) VALUES ('first')");
}

class PreparedNotes : public DatabaseTest<prepare> {};

TEST_F(PreparedNotes, AreThereWhenTheTestBegins) {
  EXPECT_EQ(db.query<std::string>("SELECT title FROM note"), std::vector<std::string>{"first"});
}

TEST_F(PreparedNotes, HaveARecordingSinceTheTestBegan) {
  EXPECT_TRUE(recording.statements().empty());
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 1);
  EXPECT_EQ(recording.sql_of_caller(), std::vector<std::string>{"SELECT count(*) FROM note"});
}

// Of another test in the same program.
class OtherTest : public DatabaseTest<prepare> {
 public:
  using DatabaseTest::db;

 private:
  void TestBody() override {}
};

TEST_F(PreparedNotes, AreThereWithoutThoseOfAnotherTest) {
  db.execute("INSERT INTO note (title) VALUES ('of this test')");
  OtherTest other;
  EXPECT_EQ(other.db.query<std::string>("SELECT title FROM note"), std::vector<std::string>{"first"});
  other.db.execute("DELETE FROM note");
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 2);
  EXPECT_EQ(prepared, 1);
}

// What fails is run in a process of its own, which alone has these tests

constexpr const char* kVariable = "SQLANE_TESTS_THAT_FAIL";

template <auto preparation>
class Unprepared : public DatabaseTest<preparation> {
  void TestBody() override { std::puts("the body runs"); }
};

void prepare_in_vain(Database&) {
  std::puts("it is tried");
  throw std::runtime_error("there is no file notes.sql");
}

void prepare_strangely(Database&) { throw 7; }

void prepare_with_an_expectation(Database& db) { EXPECT_EQ(db.query_one<int>("SELECT 1"), 2); }

template <auto preparation>
void add_two_tests(const char* suite) {
  for (const char* name : {"First", "Second"}) {
    ::testing::RegisterTest(suite, name, nullptr, nullptr, __FILE__, __LINE__,
                            []() -> DatabaseTest<preparation>* { return new Unprepared<preparation>; });
  }
}

[[maybe_unused]] const bool kIsSuchAProcess = [] {
  if (std::getenv(kVariable) == nullptr) return false;
  add_two_tests<prepare_in_vain>("InVain");
  add_two_tests<prepare_strangely>("Strangely");
  add_two_tests<prepare_with_an_expectation>("WithAnExpectation");
  return true;
}();

// What it prints.
std::string output_of(const std::string& suite) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string command = (std::ostringstream() << kVariable << "=1 '" << program
                                                    << "' --gtest_color=no '--gtest_filter=" << suite << ".*' 2>&1")
                                  .str();
  std::FILE* const process = ::popen(command.c_str(), "r");
  if (process == nullptr) throw std::runtime_error("cannot run " + command);
  std::string output;
  std::array<char, 4096> part{};
  while (const std::size_t length = std::fread(part.data(), 1, part.size(), process))
    output.append(part.data(), length);
  EXPECT_NE(::pclose(process), 0) << "it is to fail";
  return output;
}

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(PreparationThatFails, FailsEachTestWithItsReason) {
  const std::string output = output_of("InVain");
  EXPECT_EQ(count(output, "could not be prepared: there is no file notes.sql"), 2U) << output;
  EXPECT_EQ(count(output, "it is tried"), 1U);
  EXPECT_EQ(count(output, "the body runs"), 0U);
  EXPECT_EQ(count(output, "2 FAILED TESTS"), 1U);
}

TEST(PreparationThatFails, MayThrowAnything) {
  const std::string output = output_of("Strangely");
  EXPECT_EQ(count(output, "could not be prepared: it threw something that is no std::exception"), 2U) << output;
  EXPECT_EQ(count(output, "the body runs"), 0U);
}

TEST(PreparationThatFails, MayDoSoByAnExpectation) {
  const std::string output = output_of("WithAnExpectation");
  EXPECT_EQ(count(output, "could not be prepared: it failed an expectation"), 2U) << output;
  EXPECT_EQ(count(output, "the body runs"), 0U);
}

}  // namespace
}  // namespace sqlane
