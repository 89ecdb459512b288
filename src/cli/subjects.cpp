#include "cli/subjects.hpp"

#include <chrono>
#include <utility>

#include "peer/connection_per_thread.hpp"

namespace sqlane::cli {
namespace {

constexpr std::chrono::seconds kPeerBusyTimeout{5};

std::chrono::sys_time<std::chrono::milliseconds> now() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

struct CoordinateSystem {
  std::string table_name;
  std::string name;
  std::string type;
  bool deprecated;
};

class SqlaneSession final : public Session {
 public:
  explicit SqlaneSession(Database& db) : db_(db) {}

  bool look_up(const CrsKey& key) override {
    return db_
        .query_optional<CoordinateSystem>(
            "SELECT table_name, name, type, deprecated FROM crs_view WHERE auth_name = ? AND code = ?", key.auth_name,
            key.code)
        .has_value();
  }

  void record(const Visit& visit, const std::function<void()>& on_begin) override try {
    db_.write([&](Transaction& tx) {
      on_begin();
      tx.execute("INSERT INTO visit (run, worker, sequence, auth_name, code, visited_at) VALUES (?, ?, ?, ?, ?, ?)",
                 visit.run, visit.worker, visit.sequence, visit.crs->auth_name, visit.crs->code, now());
    });
  } catch (const BusyError& error) {
    throw SubjectBusy(error.what());
  }

 private:
  Database& db_;
};

class PeerSession final : public Session {
 public:
  explicit PeerSession(const std::filesystem::path& file) : peer_(file.string(), kPeerBusyTimeout) {}

  bool look_up(const CrsKey& key) override { return peer_.look_up(key.auth_name, key.code); }

  void record(const Visit& visit, const std::function<void()>& on_begin) override try {
    peer_.record({.run = visit.run,
                  .worker = visit.worker,
                  .sequence = visit.sequence,
                  .auth_name = visit.crs->auth_name,
                  .code = visit.crs->code,
                  .visited_at = Codec<decltype(now())>::encode(now())},
                 on_begin);
  } catch (const peer::BusyError& error) {
    throw SubjectBusy(error.what());
  }

 private:
  peer::ConnectionPerThread peer_;
};

}  // namespace

std::unique_ptr<Session> SqlaneSubject::connect() { return std::make_unique<SqlaneSession>(db_); }

std::unique_ptr<Session> PeerSubject::connect() { return std::make_unique<PeerSession>(file_); }

}  // namespace sqlane::cli
