#pragma once

#include <memory>
#include <utility>

namespace sqlane::detail {

class Connection;

// A connection on loan, from the reader pool or from the writer lane. It goes
// back on destruction, or earlier through give_back().
class Lease {
 public:
  using Return = void (*)(void* lender, void* loan) noexcept;

  Lease() = default;  // of nothing
  Lease(Connection& connection, Return return_to, void* lender, void* loan) noexcept
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

  // For guards, which may outlive the Database: `owner` lives at least as long as the lease.
  void keep_alive(std::shared_ptr<void> owner) noexcept { keep_alive_ = std::move(owner); }

  void give_back() noexcept {
    if (std::exchange(connection_, nullptr) == nullptr) return;
    return_(lender_, loan_);
    keep_alive_.reset();
  }

 private:
  Connection* connection_ = nullptr;
  Return return_ = nullptr;
  void* lender_ = nullptr;
  void* loan_ = nullptr;
  std::shared_ptr<void> keep_alive_;
};

}  // namespace sqlane::detail
