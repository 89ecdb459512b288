#include "peer/connection_per_thread.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

namespace sqlane::peer {

struct ConnectionPerThread::Connection {
  Connection(const std::string& path, std::chrono::milliseconds busy_timeout)
      : database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_NOMUTEX, static_cast<int>(busy_timeout.count())) {}

  SQLite::Database database;
  SQLite::Statement look_up{database,
                            "SELECT table_name, name, type, deprecated FROM crs_view WHERE auth_name = ? AND code = ?"};
  SQLite::Statement begin{database, "BEGIN IMMEDIATE"};
  SQLite::Statement insert{
      database, "INSERT INTO visit (run, worker, sequence, auth_name, code, visited_at) VALUES (?, ?, ?, ?, ?, ?)"};
  SQLite::Statement commit{database, "COMMIT"};
  SQLite::Statement rollback{database, "ROLLBACK"};
};

namespace {

[[noreturn]] void fail(const SQLite::Exception& error) {
  if (error.getErrorCode() == SQLITE_BUSY) throw BusyError(error.what());
  throw std::runtime_error(error.what());
}

void run(SQLite::Statement& statement) {
  statement.exec();
  statement.reset();
}

}  // namespace

ConnectionPerThread::ConnectionPerThread(const std::string& path, std::chrono::milliseconds busy_timeout) try
    : connection_(std::make_unique<Connection>(path, busy_timeout)) {
} catch (const SQLite::Exception& error) {
  fail(error);
}

ConnectionPerThread::~ConnectionPerThread() = default;

bool ConnectionPerThread::look_up(const std::string& auth_name, const std::string& code) try {
  SQLite::Statement& statement = connection_->look_up;
  statement.reset();
  statement.bindNoCopy(1, auth_name);
  statement.bindNoCopy(2, code);
  if (!statement.executeStep()) return false;
  const std::string table = statement.getColumn(0).getString();
  const std::string name = statement.getColumn(1).getString();
  const std::string type = statement.getColumn(2).getString();
  const bool deprecated = statement.getColumn(3).getInt() != 0;
  static_cast<void>(deprecated);
  statement.reset();
  return !table.empty() && !name.empty() && !type.empty();
} catch (const SQLite::Exception& error) {
  connection_->look_up.tryReset();
  fail(error);
}

void ConnectionPerThread::record(const Visit& visit, const std::function<void()>& on_begin) try {
  run(connection_->begin);
  on_begin();
  SQLite::Statement& insert = connection_->insert;
  insert.bind(1, visit.run);
  insert.bind(2, visit.worker);
  insert.bind(3, visit.sequence);
  insert.bindNoCopy(4, visit.auth_name);
  insert.bindNoCopy(5, visit.code);
  insert.bindNoCopy(6, visit.visited_at);
  run(insert);
  run(connection_->commit);
} catch (const SQLite::Exception& error) {
  for (SQLite::Statement* statement : {&connection_->begin, &connection_->insert, &connection_->commit}) {
    statement->tryReset();
  }
  if (sqlite3_get_autocommit(connection_->database.getHandle()) == 0) {
    connection_->rollback.tryExecuteStep();
    connection_->rollback.tryReset();
  }
  fail(error);
}

}  // namespace sqlane::peer
