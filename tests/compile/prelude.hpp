// What the snippets of mistakes.txt have at hand.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <sqlane/sqlane.hpp>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

using namespace sqlane::literals;

struct Note {
  std::int64_t id;
  std::string title;
};

struct NoteView {
  std::int64_t id;
  std::string_view title;
};

struct Money {
  std::int64_t cents;
};

template <>
struct sqlane::Codec<Money> {
  using Stored = std::int64_t;
  static std::int64_t encode(Money money) { return money.cents; }
  static Money decode(std::int64_t cents) { return {cents}; }
};

// Convert to a view and to a value alike.
struct Title {
  operator std::string() const;
  operator std::string_view() const;
};
struct Picture {
  operator std::vector<std::byte>() const;
  operator std::span<const std::byte>() const;
};
Title first_title(const sqlane::Snapshot& snapshot);
Picture first_blob(sqlane::Transaction& tx);
