#pragma once

#include <atomic>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace sqlane {

class Transaction;

namespace detail {

// A closure that nobody waits for, and where its outcome goes.
class PostedWrite {
 public:
  PostedWrite() = default;
  PostedWrite(const PostedWrite&) = delete;
  PostedWrite& operator=(const PostedWrite&) = delete;
  virtual ~PostedWrite() = default;

  virtual void run(Transaction& tx) = 0;
  // Called once: with null when it is committed.
  virtual void settle(std::exception_ptr error) noexcept = 0;

  // Becomes true when the outcome is certain, shortly before settle().
  [[nodiscard]] const std::shared_ptr<std::atomic<bool>>& is_settled() const noexcept { return is_settled_; }

 private:
  std::shared_ptr<std::atomic<bool>> is_settled_ = std::make_shared<std::atomic<bool>>(false);
};

template <class Job, class Result>
class PostedClosure final : public PostedWrite {
 public:
  explicit PostedClosure(Job job) : job_(std::move(job)) {}

  [[nodiscard]] std::future<Result> future() { return promise_.get_future(); }

  void run(Transaction& tx) override {
    if constexpr (std::is_void_v<Result>) {
      job_(tx);
    } else {
      result_.emplace(job_(tx));
    }
  }

  void settle(std::exception_ptr error) noexcept override {
    if (error != nullptr) {
      promise_.set_exception(std::move(error));
    } else if constexpr (std::is_void_v<Result>) {
      promise_.set_value();
    } else {
      try {
        promise_.set_value(*std::move(result_));
      } catch (...) {  // moving the result failed; the write has happened
        promise_.set_exception(std::current_exception());
      }
    }
  }

 private:
  struct Nothing {};

  Job job_;
  std::optional<std::conditional_t<std::is_void_v<Result>, Nothing, Result>> result_;
  std::promise<Result> promise_;
};

}  // namespace detail
}  // namespace sqlane
