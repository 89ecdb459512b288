#include <sqlite3.h>
#include <string>

#include "sqlite/authorizer.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::detail {
namespace {

TEST(AuthorizerPolicy, RefusesWhatEndsATransactionOrChangesTheConnection) {
  struct Case {
    int action;
    const char* first;
    const char* second;
  };
  constexpr Case kCases[] = {
      {SQLITE_TRANSACTION, "BEGIN", nullptr},
      {SQLITE_TRANSACTION, "COMMIT", nullptr},
      {SQLITE_TRANSACTION, "ROLLBACK", nullptr},
      {SQLITE_SAVEPOINT, "BEGIN", "s"},
      {SQLITE_SAVEPOINT, "RELEASE", "s"},
      {SQLITE_SAVEPOINT, "ROLLBACK", "s"},
      {SQLITE_ATTACH, "other.db", nullptr},
      {SQLITE_ATTACH, nullptr, nullptr},
      {SQLITE_DETACH, "other", nullptr},
      {SQLITE_PRAGMA, "query_only", "0"},
      {SQLITE_PRAGMA, "foreign_keys", "OFF"},
      {SQLITE_PRAGMA, "FOREIGN_KEYS", "OFF"},
      {SQLITE_PRAGMA, "journal_mode", "DELETE"},
      {SQLITE_PRAGMA, "synchronous", "OFF"},
      {SQLITE_PRAGMA, "locking_mode", "EXCLUSIVE"},
      {SQLITE_PRAGMA, "cache_size", "1"},
      {SQLITE_PRAGMA, "mmap_size", "1000000"},
      {SQLITE_PRAGMA, "busy_timeout", "0"},
      {SQLITE_PRAGMA, "temp_store", "2"},
      {SQLITE_PRAGMA, "schema_version", "7"},
      {SQLITE_PRAGMA, "writable_schema", "ON"},
      {SQLITE_PRAGMA, "cell_size_check", "OFF"},
      {SQLITE_PRAGMA, "trusted_schema", "ON"},
      {SQLITE_PRAGMA, "wal_checkpoint", nullptr},
      {SQLITE_PRAGMA, "wal_checkpoint", "TRUNCATE"},
      {SQLITE_PRAGMA, "wal_autocheckpoint", "1000"},
      {SQLITE_PRAGMA, "cache_spill", "ON"},
      {SQLITE_PRAGMA, "shrink_memory", nullptr},
      {SQLITE_PRAGMA, "key", "secret"},
      {SQLITE_PRAGMA, "no_such_pragma", nullptr},
      {SQLITE_PRAGMA, "", nullptr},
      {SQLITE_PRAGMA, nullptr, nullptr},
      {SQLITE_PRAGMA, "user_versio", nullptr},
      {SQLITE_PRAGMA, "user_version2", nullptr},
  };
  for (const Case& one : kCases) {
    EXPECT_NE(refuse_action(one.action, one.first, one.second, "main", KeyDeferral::allowed), "")
        << one.action << " " << (one.first == nullptr ? "null" : one.first);
  }
}

TEST(AuthorizerPolicy, AllowsWhatOnlyLooksOrChangesTheDatabaseItself) {
  struct Case {
    int action;
    const char* first;
    const char* second;
  };
  constexpr Case kCases[] = {
      {SQLITE_SELECT, nullptr, nullptr},
      {SQLITE_READ, "t", "a"},
      {SQLITE_INSERT, "t", nullptr},
      {SQLITE_UPDATE, "t", "a"},
      {SQLITE_DELETE, "t", nullptr},
      {SQLITE_CREATE_TABLE, "t", nullptr},
      {SQLITE_DROP_TABLE, "t", nullptr},
      {SQLITE_FUNCTION, nullptr, "upper"},
      {SQLITE_PRAGMA, "foreign_keys", nullptr},
      {SQLITE_PRAGMA, "Journal_Mode", nullptr},
      {SQLITE_PRAGMA, "user_version", nullptr},
      {SQLITE_PRAGMA, "user_version", "3"},
      {SQLITE_PRAGMA, "application_id", "3"},
      {SQLITE_PRAGMA, "defer_foreign_keys", "ON"},
      {SQLITE_PRAGMA, "table_info", "t"},
      {SQLITE_PRAGMA, "integrity_check", nullptr},
      {SQLITE_PRAGMA, "integrity_check", "10"},
      {SQLITE_PRAGMA, "foreign_key_check", "t"},
  };
  for (const Case& one : kCases) {
    EXPECT_EQ(refuse_action(one.action, one.first, one.second, "main", KeyDeferral::allowed), "")
        << one.action << " " << (one.first == nullptr ? "null" : one.first);
  }
}

TEST(AuthorizerPolicy, SeesTemporaryObjectsByTheSchemaThatTheyGoInto) {
  EXPECT_NE(refuse_action(SQLITE_INSERT, "sqlite_temp_master", nullptr, "temp", KeyDeferral::allowed), "");
  EXPECT_EQ(refuse_action(SQLITE_INSERT, "sqlite_master", nullptr, "main", KeyDeferral::allowed), "");
}

TEST(AuthorizerPolicy, LetsForeignKeysBeDeferredOnlyInATransaction) {
  EXPECT_EQ(refuse_action(SQLITE_PRAGMA, "defer_foreign_keys", "ON", nullptr, KeyDeferral::allowed), "");
  EXPECT_NE(refuse_action(SQLITE_PRAGMA, "defer_foreign_keys", "ON", nullptr, KeyDeferral::refused), "");
}

TEST(AuthorizerPolicy, NamesThePragmaThatItRefuses) {
  EXPECT_NE(refuse_action(SQLITE_PRAGMA, "synchronous", "OFF", "main", KeyDeferral::allowed).find("PRAGMA synchronous"),
            std::string::npos);
}

TEST(AuthorizerPolicy, LetsReadersAskWhatItAllows) {
  const testing::TemporaryFolder folder;
  const Database db = Database::open(folder / "a.db");
  for (const std::string name : {"application_id", "cache_size", "foreign_keys", "freelist_count", "journal_mode",
                                 "page_count", "page_size", "synchronous", "table_list", "user_version"}) {
    EXPECT_NO_THROW(static_cast<void>(db.read([&](const Snapshot& snapshot) {
      int rows = 0;
      for ([[maybe_unused]] const Row& row : snapshot.query(runtime_sql("PRAGMA " + name))) ++rows;
      return rows;
    }))) << name;
  }
}

}  // namespace
}  // namespace sqlane::detail
