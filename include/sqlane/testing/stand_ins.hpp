#pragma once

#include <any>
#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sqlane/error.hpp"
#include "sqlane/testing/failures.hpp"

namespace sqlane::testing {

// What stand-ins share: what they were asked, what they answer, and what fails.
// Safe to use from any thread.
class StandInRecord {
 public:
  StandInRecord();
  StandInRecord(const StandInRecord&) = delete;
  StandInRecord& operator=(const StandInRecord&) = delete;
  ~StandInRecord();

  // On command.
  Failures making;
  Failures executing;  // execute() and the queries; their text is the SQL
  Failures pinging;
  Failures closing;

  // The rows that a query gets whose SQL contains `text`; of several such
  // answers, the newest. Without one it gets none.
  template <class T>
  void answer(std::string text, std::vector<T> rows) {
    keep_answer(std::move(text), std::any(std::move(rows)));
  }

  // The SQL that was given to execute() and to the queries, in this order, also
  // where that failed; by all, or by the connection of this number.
  [[nodiscard]] std::vector<std::string> executed() const;
  [[nodiscard]] std::vector<std::string> executed_by(std::size_t connection) const;
  // Forgets what was executed.
  void clear_executed();

  // Connections, so far or at this moment.
  [[nodiscard]] std::size_t made() const noexcept { return made_; }
  [[nodiscard]] std::size_t alive() const noexcept { return alive_; }
  [[nodiscard]] std::size_t closed() const noexcept { return closed_; }

 private:
  friend class ConnectionStandIn;
  struct State;

  void keep_answer(std::string text, std::any rows);
  [[nodiscard]] std::any answer_to(std::string_view sql) const;  // empty: there is none
  void execute(std::size_t connection, std::string_view sql);

  const std::unique_ptr<State> state_;
  std::atomic<std::size_t> made_ = 0;
  std::atomic<std::size_t> alive_ = 0;
  std::atomic<std::size_t> closed_ = 0;
};

// A connection to nowhere, for code that is written against a Pool of anything
// that has these functions. It writes down what it is asked, answers what it was
// told to, and fails on command; the values that are bound are not looked at.
// Use from one thread at a time; another may look at the record.
class ConnectionStandIn {
 public:
  ConnectionStandIn() : ConnectionStandIn(std::make_shared<StandInRecord>()) {}
  // One of several that share a record. Throws what was ordered for making.
  explicit ConnectionStandIn(std::shared_ptr<StandInRecord> record);
  ConnectionStandIn(const ConnectionStandIn&) = delete;
  ConnectionStandIn& operator=(const ConnectionStandIn&) = delete;
  ~ConnectionStandIn();

  // These throw what was ordered for executing, and UsageError after close().
  template <class... Args>
  void execute(std::string_view sql, const Args&...) {
    run(sql);
  }
  // Throws UsageError when the answer's rows are not of type T.
  template <class T, class... Args>
  [[nodiscard]] std::vector<T> query(std::string_view sql, const Args&...) {
    run(sql);
    std::any answer = record_->answer_to(sql);
    if (!answer.has_value()) return {};
    auto* const rows = std::any_cast<std::vector<T>>(&answer);
    if (rows == nullptr) throw UsageError("the rows of the answer to \"" + std::string(sql) + "\" are of another type");
    return std::move(*rows);
  }
  // The first row. Throws NoRowError when there is none.
  template <class T, class... Args>
  [[nodiscard]] T query_one(std::string_view sql, const Args&...) {
    std::vector<T> rows = query<T>(sql);
    if (rows.empty()) throw NoRowError("the query returned no row", {.sql = std::string(sql)});
    return std::move(rows.front());
  }
  // The first row, or nothing.
  template <class T, class... Args>
  [[nodiscard]] std::optional<T> query_optional(std::string_view sql, const Args&...) {
    std::vector<T> rows = query<T>(sql);
    if (rows.empty()) return std::nullopt;
    return std::move(rows.front());
  }

  // False after close(). Throws what was ordered, which a Pool takes for false.
  [[nodiscard]] bool ping();
  // Closing twice does nothing. Throws what was ordered; then it is still open.
  void close();

  // Counts from 1 in the order of making.
  [[nodiscard]] std::size_t number() const noexcept { return number_; }
  [[nodiscard]] StandInRecord& record() const noexcept { return *record_; }

 private:
  void run(std::string_view sql);

  const std::shared_ptr<StandInRecord> record_;
  const std::size_t number_;
  bool is_closed_ = false;
};

// Makes connections to nowhere, as a pool's factory; copies share the record.
//
//   FactoryStandIn factory;
//   Pool<ConnectionStandIn> pool(factory);
//   factory.record().executing.fail_nth(2, BusyError("another process writes"));
//
// Safe to use from any thread.
class FactoryStandIn {
 public:
  // Throws what was ordered for making.
  [[nodiscard]] std::unique_ptr<ConnectionStandIn> operator()() const {
    return std::make_unique<ConnectionStandIn>(record_);
  }

  [[nodiscard]] StandInRecord& record() const noexcept { return *record_; }

 private:
  std::shared_ptr<StandInRecord> record_ = std::make_shared<StandInRecord>();
};

}  // namespace sqlane::testing
