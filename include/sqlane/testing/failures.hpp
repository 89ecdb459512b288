#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace sqlane::testing {

// Which calls of one kind fail, and with what: each throws a copy of the error
// that it was ordered. Safe to use from any thread.
class Failures {
 public:
  Failures();
  Failures(const Failures&) = delete;
  Failures& operator=(const Failures&) = delete;
  ~Failures();

  template <std::copy_constructible Error>
  void fail_next(Error error) {
    fail_nth(1, std::move(error));
  }
  // The n-th call from now on; 1 is the next. Throws UsageError for 0. An order
  // for the same call takes the place of the earlier one.
  template <std::copy_constructible Error>
  void fail_nth(std::size_t n, Error error) {
    order_nth(n, [error = std::move(error)] { throw error; });
  }
  // Each call whose text contains this one; the oldest such order holds.
  template <std::copy_constructible Error>
  void fail_containing(std::string text, Error error) {  // NOLINT(performance-unnecessary-value-param): is moved from
    order_containing(std::move(text), [error = std::move(error)] { throw error; });
  }
  template <std::copy_constructible Error>
  void fail_each(Error error) {
    fail_containing("", std::move(error));
  }

  // Nothing fails any more.
  void clear();

  // What a call of a stand-in begins with: throws what was ordered for it.
  void call(std::string_view text = {});

 private:
  struct State;

  void order_nth(std::size_t n, std::function<void()> fail);
  void order_containing(std::string text, std::function<void()> fail);

  const std::unique_ptr<State> state_;
};

}  // namespace sqlane::testing
