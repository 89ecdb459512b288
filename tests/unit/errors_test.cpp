#include "sqlite/errors.hpp"

#include <exception>
#include <memory>
#include <ostream>
#include <sqlite3.h>
#include <string>
#include <typeinfo>
#include <vector>

#include "sqlite/connection.hpp"

namespace sqlane::detail {

void PrintTo(ErrorKind kind, std::ostream* out) { *out << "kind " << static_cast<int>(kind); }

namespace {

TEST(Errors, AreClassifiedByWhatTheCallerCanDo) {
  struct Case {
    int code;
    ErrorKind kind;
    bool is_retryable;
    Recovery recovery = Recovery::none;
  };
  constexpr Case kCases[] = {
      {SQLITE_ERROR, ErrorKind::general, false},
      {SQLITE_ERROR_MISSING_COLLSEQ, ErrorKind::schema, false},
      {SQLITE_SCHEMA, ErrorKind::schema, true, Recovery::reconnect},
      {SQLITE_BUSY, ErrorKind::busy, true, Recovery::wait},
      {SQLITE_BUSY_SNAPSHOT, ErrorKind::busy, true, Recovery::start_over},
      {SQLITE_BUSY_RECOVERY, ErrorKind::busy, true, Recovery::wait},
      {SQLITE_BUSY_TIMEOUT, ErrorKind::busy, true, Recovery::wait},
      {SQLITE_LOCKED, ErrorKind::usage, false},
      {SQLITE_LOCKED_SHAREDCACHE, ErrorKind::busy, true, Recovery::reconnect},
      {SQLITE_PROTOCOL, ErrorKind::busy, true, Recovery::reconnect},
      {SQLITE_READONLY, ErrorKind::read_only, false},
      {SQLITE_READONLY_DIRECTORY, ErrorKind::read_only, false},
      {SQLITE_READONLY_DBMOVED, ErrorKind::io, false},
      {SQLITE_IOERR, ErrorKind::io, false},
      {SQLITE_IOERR_FSYNC, ErrorKind::io, false},
      {SQLITE_IOERR_READ, ErrorKind::io, false},
      {SQLITE_IOERR_LOCK, ErrorKind::io, true, Recovery::reconnect},
      {SQLITE_IOERR_RDLOCK, ErrorKind::io, true, Recovery::reconnect},
      {SQLITE_IOERR_UNLOCK, ErrorKind::io, true, Recovery::reconnect},
      {SQLITE_IOERR_SHMOPEN, ErrorKind::io, true, Recovery::reconnect},
      {SQLITE_IOERR_SHMLOCK, ErrorKind::io, true, Recovery::reconnect},
      {SQLITE_IOERR_SHMMAP, ErrorKind::io, true, Recovery::reconnect},
      {SQLITE_CANTOPEN, ErrorKind::io, false, Recovery::reconnect},
      {SQLITE_CANTOPEN_SYMLINK, ErrorKind::io, false, Recovery::reconnect},
      {SQLITE_PERM, ErrorKind::io, false},
      {SQLITE_CORRUPT, ErrorKind::corrupt, false},
      {SQLITE_CORRUPT_INDEX, ErrorKind::corrupt, false},
      {SQLITE_NOTADB, ErrorKind::corrupt, false, Recovery::reconnect},
      {SQLITE_FULL, ErrorKind::disk_full, false},
      {SQLITE_NOMEM, ErrorKind::general, false},
      {SQLITE_INTERRUPT, ErrorKind::interrupted, true},
      {SQLITE_ABORT, ErrorKind::interrupted, false},
      {SQLITE_ABORT_ROLLBACK, ErrorKind::aborted, false},
      {SQLITE_TOOBIG, ErrorKind::type, false},
      {SQLITE_MISMATCH, ErrorKind::type, false},
      {SQLITE_CONSTRAINT, ErrorKind::constraint, false},
      {SQLITE_CONSTRAINT_UNIQUE, ErrorKind::constraint, false},
      {SQLITE_CONSTRAINT_FOREIGNKEY, ErrorKind::constraint, false},
      {SQLITE_MISUSE, ErrorKind::general, false},
      {SQLITE_INTERNAL, ErrorKind::general, false},
      {SQLITE_AUTH, ErrorKind::general, false},
      {12345, ErrorKind::general, false},
  };
  for (const Case& one : kCases) {
    const ErrorRule rule = classify(one.code);
    EXPECT_EQ(rule.kind, one.kind) << one.code;
    EXPECT_EQ(rule.retryable, one.is_retryable) << one.code;
    EXPECT_EQ(rule.recovery, one.recovery) << one.code;
  }
}

std::exception_ptr thrown_for(Failure failure) {
  try {
    throw_failure(std::move(failure));
  } catch (...) {
    return std::current_exception();
  }
}

template <class Exception>
bool is_exactly(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    return typeid(error) == typeid(Exception);
  }
}

TEST(Errors, AreThrownAsTheirOwnClass) {
  const auto thrown = [](int code) {
    return thrown_for({.extended_code = code, .message = "m", .sql = "", .database = "d"});
  };
  EXPECT_TRUE(is_exactly<BusyError>(thrown(SQLITE_BUSY_SNAPSHOT)));
  EXPECT_TRUE(is_exactly<ConstraintError>(thrown(SQLITE_CONSTRAINT_CHECK)));
  EXPECT_TRUE(is_exactly<TypeError>(thrown(SQLITE_TOOBIG)));
  EXPECT_TRUE(is_exactly<ReadOnlyError>(thrown(SQLITE_READONLY)));
  EXPECT_TRUE(is_exactly<DiskFullError>(thrown(SQLITE_FULL)));
  EXPECT_TRUE(is_exactly<IoError>(thrown(SQLITE_IOERR_READ)));
  EXPECT_TRUE(is_exactly<CorruptError>(thrown(SQLITE_CORRUPT)));
  EXPECT_TRUE(is_exactly<Error>(thrown(SQLITE_ERROR)));
  EXPECT_TRUE(is_exactly<UsageError>(thrown(SQLITE_LOCKED)));
  EXPECT_TRUE(is_exactly<InterruptedError>(thrown(SQLITE_INTERRUPT)));
  EXPECT_TRUE(is_exactly<TransactionAborted>(thrown(SQLITE_ABORT_ROLLBACK)));
  EXPECT_TRUE(is_exactly<Error>(thrown(SQLITE_MISUSE)));
}

const std::type_info& type_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    return typeid(error);
  }
}

TEST(Errors, StayWhatTheyAreWhenMoreIsSaid) {
  for (const int code : {SQLITE_BUSY_SNAPSHOT, SQLITE_CONSTRAINT_CHECK, SQLITE_TOOBIG, SQLITE_READONLY, SQLITE_FULL,
                         SQLITE_IOERR_READ, SQLITE_CORRUPT, SQLITE_ERROR, SQLITE_INTERRUPT, SQLITE_ABORT_ROLLBACK}) {
    const std::exception_ptr thrown = thrown_for(
        {.extended_code = code, .message = "m", .sql = "s", .database = "d", .transaction_ended = code == SQLITE_FULL});
    try {
      try {
        std::rethrow_exception(thrown);
      } catch (const Error&) {
        rethrow_saying("; nothing was done");
      }
    } catch (const Error& error) {
      EXPECT_EQ(typeid(error), type_of(thrown)) << code;
      EXPECT_EQ(error.what(), "m (SQLite code " + std::to_string(code) + ") in \"s\" on d; nothing was done");
      EXPECT_EQ(error.extended_code(), code);
      EXPECT_EQ(error.sql(), "s");
      EXPECT_EQ(error.database(), "d");
      EXPECT_EQ(error.is_retryable(), classify(code).retryable);
      EXPECT_EQ(error.transaction_ended(), code == SQLITE_FULL);
    }
  }
}

TEST(Errors, CarryWhatIsKnown) {
  try {
    throw_failure({.extended_code = SQLITE_BUSY_SNAPSHOT,
                   .message = "database is locked",
                   .sql = "UPDATE t SET a = ?",
                   .database = "notes.db",
                   .transaction_ended = true});
  } catch (const BusyError& error) {
    EXPECT_EQ(error.code(), SQLITE_BUSY);
    EXPECT_EQ(error.extended_code(), SQLITE_BUSY_SNAPSHOT);
    EXPECT_EQ(error.sql(), "UPDATE t SET a = ?");
    EXPECT_EQ(error.database(), "notes.db");
    EXPECT_TRUE(error.is_retryable());
    EXPECT_TRUE(error.transaction_ended());
    EXPECT_STREQ(error.what(), "database is locked (SQLite code 517) in \"UPDATE t SET a = ?\" on notes.db");
  }
}

TEST(Errors, LeaveOutTheSqlWhenThereIsNone) {
  try {
    throw_failure({.extended_code = SQLITE_FULL, .message = "full", .sql = "", .database = "notes.db"});
  } catch (const DiskFullError& error) {
    EXPECT_STREQ(error.what(), "full (SQLite code 13) on notes.db");
    EXPECT_FALSE(error.is_retryable());
    EXPECT_FALSE(error.transaction_ended());
  }
}

TEST(Errors, OfUnknownOutcomeAreNeverRetryable) {
  for (const int code : {SQLITE_IOERR_FSYNC, SQLITE_BUSY, SQLITE_FULL, SQLITE_CONSTRAINT_UNIQUE}) {
    try {
      throw_failure({.extended_code = code, .message = "m", .sql = "COMMIT", .database = "d", .outcome_unknown = true});
    } catch (const CommitOutcomeUnknown& error) {
      EXPECT_FALSE(error.is_retryable()) << code;
      EXPECT_EQ(error.extended_code(), code);
      continue;
    } catch (const std::exception& error) {
      ADD_FAILURE() << code << ": " << error.what();
      continue;
    }
  }
}

TEST(Errors, AreCopiedWithoutThrowing) {
  static_assert(std::is_nothrow_copy_constructible_v<Error>);
  static_assert(std::is_nothrow_copy_constructible_v<ConstraintError>);
}

// The message is SQLite's own interface here, so each is provoked for real.
class ConstraintErrors : public ::testing::Test {
 protected:
  void run(const std::string& sql) { Statement(connection_, text(sql)).execute(); }

  // Runs `sql`, which must violate a constraint.
  ConstraintError violation(const std::string& sql) {
    try {
      run(sql);
    } catch (const ConstraintError& error) {
      return error;
    }
    throw std::runtime_error("nothing was violated by " + sql);
  }

  void expect(const std::string& sql, ConstraintKind kind, const std::string& table,
              const std::vector<std::string>& columns) {
    const ConstraintError error = violation(sql);
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_EQ(error.table(), table) << error.what();
    EXPECT_EQ(error.columns(), columns) << error.what();
    EXPECT_EQ(error.sql(), sql);
    EXPECT_EQ(error.code(), SQLITE_CONSTRAINT);
  }

 private:
  static SqlText text(const std::string& sql) { return {.text = sql, .access = Access::write}; }

  Connection connection_{ConnectionSettings{.database = ":memory:", .memory = MemoryStore::make(0)}};
};

TEST_F(ConstraintErrors, NameTableAndColumn) {
  run("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT UNIQUE, lang TEXT NOT NULL DEFAULT 'en')");
  run("INSERT INTO note VALUES (1, 'a', 'en')");
  expect("INSERT INTO note VALUES (2, 'a', 'en')", ConstraintKind::unique, "note", {"title"});
  expect("INSERT INTO note VALUES (1, 'b', 'en')", ConstraintKind::primary_key, "note", {"id"});
  expect("INSERT INTO note VALUES (3, 'c', NULL)", ConstraintKind::not_null, "note", {"lang"});
}

TEST_F(ConstraintErrors, NameAllColumnsOfAKey) {
  run("CREATE TABLE note (title, lang, UNIQUE (title, lang))");
  run("INSERT INTO note VALUES (1, 2)");
  expect("INSERT INTO note VALUES (1, 2)", ConstraintKind::unique, "note", {"title", "lang"});
}

TEST_F(ConstraintErrors, TellRowidFromPrimaryKey) {
  run("CREATE TABLE note (title)");
  run("INSERT INTO note (rowid, title) VALUES (1, 'a')");
  expect("INSERT INTO note (rowid, title) VALUES (1, 'b')", ConstraintKind::rowid, "note", {"rowid"});
}

TEST_F(ConstraintErrors, TellChecksWithoutColumns) {
  run("CREATE TABLE note (size CHECK (size > 0))");
  expect("INSERT INTO note VALUES (0)", ConstraintKind::check, "", {});
}

TEST_F(ConstraintErrors, TellForeignKeysWithoutColumns) {
  run("CREATE TABLE folder (id INTEGER PRIMARY KEY)");
  run("CREATE TABLE note (folder REFERENCES folder (id))");
  expect("INSERT INTO note VALUES (1)", ConstraintKind::foreign_key, "", {});
}

TEST_F(ConstraintErrors, TellWhatATriggerRaised) {
  run("CREATE TABLE note (a)");
  run("CREATE TRIGGER keep BEFORE DELETE ON note BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: x.y'); END");
  run("INSERT INTO note VALUES (1)");
  expect("DELETE FROM note", ConstraintKind::trigger, "", {});
}

TEST_F(ConstraintErrors, NameTheColumnOfAStrictTable) {
  run("CREATE TABLE note (size INTEGER) STRICT");
  expect("INSERT INTO note VALUES ('large')", ConstraintKind::datatype, "note", {"size"});
}

TEST_F(ConstraintErrors, NameNoColumnsForAnIndexOnExpressions) {
  run("CREATE TABLE note (title)");
  run("CREATE UNIQUE INDEX by_title ON note (lower(title))");
  run("INSERT INTO note VALUES ('a')");
  expect("INSERT INTO note VALUES ('A')", ConstraintKind::unique, "", {});
}

TEST_F(ConstraintErrors, NameNoColumnsForAnIndexOnExpressionsWithADotInItsName) {
  run("CREATE TABLE note (title)");
  run("CREATE UNIQUE INDEX \"by.title\" ON note (lower(title))");
  run("INSERT INTO note VALUES ('a')");
  expect("INSERT INTO note VALUES ('A')", ConstraintKind::unique, "", {});
}

TEST_F(ConstraintErrors, NameColumnsWithADotInTheirName) {
  run("CREATE TABLE note (\"a.b\" UNIQUE)");
  run("INSERT INTO note VALUES (1)");
  expect("INSERT INTO note VALUES (1)", ConstraintKind::unique, "note", {"a.b"});
}

TEST(QuotedSql, IsCutWhereItIsLong) {
  EXPECT_EQ(quote_sql("SELECT 1"), "\"SELECT 1\"");
  EXPECT_EQ(quote_sql(""), "\"\"");
  EXPECT_EQ(quote_sql(std::string(500, 'x')), "\"" + std::string(500, 'x') + "\"");
  EXPECT_EQ(quote_sql(std::string(501, 'x')), "\"" + std::string(500, 'x') + "…\" (501 bytes)");
  EXPECT_EQ(quote_sql(std::string(499, 'x') + "€uro"), "\"" + std::string(499, 'x') + "…\" (505 bytes)");
  EXPECT_EQ(quote_sql(std::string(497, 'x') + "€uro"), "\"" + std::string(497, 'x') + "€…\" (503 bytes)");
  EXPECT_EQ(quote_sql(std::string(600, '\x80')), "\"…\" (600 bytes)");
}

}  // namespace
}  // namespace sqlane::detail
