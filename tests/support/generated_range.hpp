#pragma once

#include <cstddef>
#include <iterator>
#include <type_traits>

namespace sqlane::testing {

// make(begin), make(begin + 1), …, make(end - 1), each made when it is asked for.
// (Not std::views::transform, which clang 14 cannot compile.)
template <class Make>
class GeneratedRange {
 public:
  class Iterator {
   public:
    using value_type = std::invoke_result_t<const Make&, int>;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    Iterator(const GeneratedRange& range, int position) : range_(&range), position_(position) {}

    value_type operator*() const { return range_->make_(position_); }
    Iterator& operator++() {
      ++position_;
      return *this;
    }
    void operator++(int) { ++position_; }
    friend bool operator==(const Iterator& it, std::default_sentinel_t) { return it.is_at_end(); }

   private:
    [[nodiscard]] bool is_at_end() const { return position_ == range_->end_; }

    const GeneratedRange* range_;
    int position_;
  };

  GeneratedRange(int begin, int end, Make make) : begin_(begin), end_(end), make_(make) {}

  [[nodiscard]] Iterator begin() const { return {*this, begin_}; }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

 private:
  int begin_;
  int end_;
  Make make_;
};

}  // namespace sqlane::testing
