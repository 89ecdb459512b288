#pragma once

#include <memory>
#include <utility>

#include "sqlane/detail/pool_base.hpp"

namespace sqlane::detail {

class Connection;

// A connection on loan, from a pool of readers or from the writer lane. It goes
// back on destruction, or earlier through give_back().
class Lease {
 public:
  using Return = void (*)(void* lender, Connection& connection, Loan& loan) noexcept;

  Lease() = default;  // of nothing
  // `loan` is of nothing when it comes from the lane.
  Lease(Connection& connection, Return return_to, void* lender, const Loan& loan = {}) noexcept
      : connection_(&connection), return_(return_to), lender_(lender), loan_(loan) {}
  Lease(Lease&& other) noexcept
      : connection_(std::exchange(other.connection_, nullptr)),
        return_(other.return_),
        lender_(other.lender_),
        loan_(other.loan_),
        keep_alive_(std::move(other.keep_alive_)) {}
  Lease& operator=(Lease&&) = delete;
  ~Lease() { give_back(); }

  [[nodiscard]] Connection& connection() const noexcept { return *connection_; }

  // Not any more when its thread has ended meanwhile.
  [[nodiscard]] bool is_live() const noexcept { return loan_.slot == nullptr || loan_.is_live(); }

  // For guards, which may outlive the Database: `owner` lives at least as long as the lease.
  void keep_alive(std::shared_ptr<void> owner) noexcept { keep_alive_ = std::move(owner); }

  void give_back() noexcept {
    Connection* const connection = std::exchange(connection_, nullptr);
    if (connection == nullptr) return;
    if (is_live()) return_(lender_, *connection, loan_);
    keep_alive_.reset();
  }

 private:
  Connection* connection_ = nullptr;
  Return return_ = nullptr;
  void* lender_ = nullptr;
  Loan loan_;
  std::shared_ptr<void> keep_alive_;
};

}  // namespace sqlane::detail
