#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <sqlane/sqlane.hpp>
#include <stdexcept>
#include <string>

namespace sqlane::cli {

// The key of a coordinate system, as in EPSG:4326.
struct CrsKey {
  std::string auth_name;
  std::string code;
};

struct Visit {
  std::int64_t run = 0;
  std::int64_t worker = 0;
  std::int64_t sequence = 0;
  const CrsKey* crs = nullptr;
};

// A lock that another connection held for too long.
class SubjectBusy : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What one thread of the load talks to. Use from one thread at a time.
class Session {
 public:
  virtual ~Session() = default;

  // False when there is no such coordinate system.
  virtual bool look_up(const CrsKey& key) = 0;
  // Returns once the visit is durable; `on_begin` is called when its turn has come.
  virtual void record(const Visit& visit, const std::function<void()>& on_begin) = 0;
};

// A way of using SQLite from many threads, under load. Safe to use from any thread.
class Subject {
 public:
  virtual ~Subject() = default;

  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual std::unique_ptr<Session> connect() = 0;
  // Reads that can run at once.
  [[nodiscard]] virtual std::size_t readers(std::size_t threads) const = 0;
};

// All threads share one sqlane::Database.
class SqlaneSubject final : public Subject {
 public:
  explicit SqlaneSubject(Database& db) : db_(db) {}

  [[nodiscard]] std::string name() const override { return "sqlane"; }
  [[nodiscard]] std::unique_ptr<Session> connect() override;
  [[nodiscard]] std::size_t readers(std::size_t /*threads*/) const override { return db_.options().readers; }

 private:
  Database& db_;
};

// Each thread has a SQLiteCpp connection with a busy timeout.
class PeerSubject final : public Subject {
 public:
  explicit PeerSubject(std::filesystem::path file) : file_(std::move(file)) {}

  [[nodiscard]] std::string name() const override { return "connection per thread"; }
  [[nodiscard]] std::unique_ptr<Session> connect() override;
  [[nodiscard]] std::size_t readers(std::size_t threads) const override { return threads; }

 private:
  std::filesystem::path file_;
};

}  // namespace sqlane::cli
