#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

#include "sqlane/call_site.hpp"
#include "sqlane/detail/lease.hpp"
#include "sqlane/detail/queries.hpp"

namespace sqlane {

namespace detail {
class JobTransaction;
struct CoreAccess;
}  // namespace detail

// https://sqlite.org/lang_transaction.html
enum class Behavior : std::uint8_t {
  deferred,   // takes the database's write lock with the first change; that can fail with BusyError
  immediate,  // takes it now
  exclusive,  // as immediate, and keeps other processes from reading unless the file is in WAL mode
};

enum class TransactionState : std::uint8_t {
  open,
  committed,
  rolled_back,
  aborted,          // ended by SQLite after an error; every further statement is refused
  outcome_unknown,  // COMMIT failed so that only a look at the database can tell
};

class Transaction;

// A part of a transaction that can be undone alone. Leaving the scope without
// release() undoes its own changes, nothing else. Savepoints nest to any depth
// and end in the reverse order of their making; anything else is a UsageError.
// Use from one thread at a time.
class Savepoint {
 public:
  Savepoint(const Savepoint&) = delete;
  Savepoint& operator=(const Savepoint&) = delete;
  ~Savepoint();

  // Keeps the changes, as part of what surrounds this savepoint.
  void release();
  // Undoes the changes and ends the savepoint.
  void rollback();

 private:
  friend class Transaction;
  explicit Savepoint(Transaction& transaction);

  void expect_newest() const;

  Transaction* transaction_;  // null once ended
  Savepoint* older_;
  std::size_t callbacks_;  // those registered before it began
};

// Changes that take effect together or not at all. Leaving the scope without
// commit() rolls back. Inside Database::write() the library commits, after the
// closure returned; there commit() and rollback() are UsageErrors.
// Use from the thread that began it.
class Transaction : public detail::Queries<Transaction, Access::write> {
 public:
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();

  // Runs one statement to its end. The transaction stays usable after a statement
  // that failed, unless the error says transaction_ended(). One that a constraint
  // refused has changed nothing (unless it asks for that with the conflict clause
  // FAIL); one that changes several rows and fails otherwise, in a function say,
  // can leave the first of them changed: a savepoint undoes those too.
  template <class... Args>
  ExecuteResult execute(detail::SqlFor<Access::write, Args...> sql, const Args&... args) {
    return detail::execute(connection(), sql.text(), args...);
  }

  // Runs one statement for every element: a tuple, a plain struct, or a single
  // value. When one fails, those before it have been done.
  template <std::ranges::input_range Range>
  ExecuteResult execute_many(
      detail::SqlWithArity<
          Access::write, detail::Arity{static_cast<int>(detail::column_count_of<std::ranges::range_value_t<Range>>())}>
          sql,
      Range&& rows) {
    detail::Statement statement(connection(), sql.text());
    ExecuteResult total;
    for (const std::ranges::range_value_t<Range>& row : rows) {
      detail::bind_row(statement, row);
      const ExecuteResult one = statement.execute();
      total.changes += one.changes;
      if (one.last_insert_rowid != 0) total.last_insert_rowid = one.last_insert_rowid;
    }
    return total;
  }

  // UsageError while rows of a statement that writes (RETURNING) are still being read.
  [[nodiscard]] Savepoint savepoint() { return Savepoint(*this); }

  // Returns once the changes are as durable as Options::durability says. When
  // it throws BusyError or ConstraintError (a deferred foreign key) the
  // transaction is still open, and can be mended and committed again.
  void commit();
  void rollback();

  // The row that the newest INSERT of this transaction made; 0 before the first.
  [[nodiscard]] std::int64_t last_insert_rowid() const noexcept;

  [[nodiscard]] TransactionState state() const noexcept;

  // Called once, on the thread that called write() or commit(), after the commit
  // is durable, or after everything was undone; by then the calling thread does
  // not hold the lane any more, so the callback may use the database. Neither is called when
  // the outcome is unknown. Those registered inside a savepoint that is undone
  // count as rolled back, however the transaction ends.
  template <class Callback>
  void on_commit(Callback callback) {
    static_assert(std::is_nothrow_invocable_v<Callback&>,
                  "the commit has happened by then, so the callback must be noexcept");
    add_callback(When::commit, std::move(callback));
  }
  template <class Callback>
  void on_rollback(Callback callback) {
    static_assert(std::is_nothrow_invocable_v<Callback&>,
                  "the callback may run in a destructor, so it must be noexcept");
    add_callback(When::rollback, std::move(callback));
  }

 private:
  friend class detail::Queries<Transaction, Access::write>;
  friend class detail::JobTransaction;
  friend detail::CoreAccess;
  friend class Database;
  friend class Savepoint;

  enum class Owner : std::uint8_t { caller, library };
  enum class When : std::uint8_t { commit, rollback, undone, never };
  struct Callback {
    When when;
    std::function<void()> run;
  };

  Transaction(detail::Lease lease, Behavior behavior);  // a guard's
  Transaction() noexcept : owner_(Owner::library) {}    // a closure's

  [[nodiscard]] detail::Connection& connection() const;  // throws unless open
  void expect_control() const;
  void expect_complete() const;
  void abort(const std::exception& reason) noexcept;
  void add_callback(When when, std::function<void()> callback);
  void undo_newest_savepoint();

  // Its end: a guard's comes in one piece, a closure's step by step.
  void end(TransactionState state) noexcept;
  void detach() noexcept;
  void call_back() noexcept;

  detail::Lease lease_;                       // a guard's
  detail::Connection* connection_ = nullptr;  // null before a closure begins, and at the end
  Owner owner_;
  TransactionState state_ = TransactionState::open;
  Savepoint* newest_savepoint_ = nullptr;
  std::int64_t last_insert_rowid_ = 0;  // once it has ended
  std::exception_ptr abort_error_;      // a TransactionAborted, when it was not the connection that noticed
  std::vector<Callback> callbacks_;
};

}  // namespace sqlane
