#pragma once

#include <concepts>

namespace sqlane {

class Transaction;

namespace detail {

// A reference to a callable that lives on its caller's stack.
class WriteJob {
 public:
  template <class Run>
  requires(!std::same_as<Run, WriteJob>) explicit WriteJob(Run& run)
      : run_([](void* target, Transaction& tx) { (*static_cast<Run*>(target))(tx); }), target_(&run) {}

  void operator()(Transaction& tx) const { run_(target_, tx); }

 private:
  void (*run_)(void*, Transaction&);
  void* target_;
};

}  // namespace detail
}  // namespace sqlane
