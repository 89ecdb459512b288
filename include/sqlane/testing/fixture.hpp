#pragma once

// Needs GoogleTest, which the rest of sqlane::testing does not.

#include <concepts>
#include <exception>
#include <functional>
#include <gtest/gtest.h>
#include <optional>
#include <string>

#include "sqlane/testing.hpp"

namespace sqlane::testing {

// Each test begins with a database of its own: a copy of one in memory that
// `prepare(Database&)` fills once in a program. Where that throws, or fails an
// expectation, each test fails and says so, and does not run.
//
//   void prepare(sqlane::Database& db) { db.execute("CREATE TABLE note (title TEXT)"); }
//   using Notes = sqlane::testing::DatabaseTest<prepare>;
//   TEST_F(Notes, AreNoneAtFirst) { EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 0); }
template <auto prepare>
requires std::invocable<decltype(prepare), Database&>
class DatabaseTest : public ::testing::Test {
 protected:
  DatabaseTest() { recording.clear(); }

  StatementRecording recording;  // of `db`, since the test began
  Database db = copy_of_template();

 private:
  struct Template {
    Template() {
      try {
        std::invoke(prepare, database);
        if (HasFailure()) failure = "it failed an expectation, in the first test that needed it";
      } catch (const std::exception& error) {
        failure = error.what();
      } catch (...) {
        failure = "it threw something that is no std::exception";
      }
    }

    Database database = Database::in_memory();
    std::optional<std::string> failure;
  };

  [[nodiscard]] Database copy_of_template() const {
    static const Template prepared;
    if (!prepared.failure) return clone(prepared.database, recording.into());
    report(*prepared.failure);
    return Database::in_memory();
  }

  // A fatal failure before its body begins keeps a test from running.
  static void report(const std::string& failure) {
    GTEST_FAIL() << "the database of these tests could not be prepared: " << failure;
  }
};

}  // namespace sqlane::testing
