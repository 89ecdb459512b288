#pragma once

// From C++ values to a statement's parameters.

#include <boost/pfr.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "sqlane/codec.hpp"
#include "sqlane/detail/statement.hpp"
#include "sqlane/detail/type_traits.hpp"
#include "sqlane/error.hpp"

namespace sqlane::detail {

template <class T>
void bind_value(Statement& statement, int index, const T& value, Lifetime lifetime) {
  if constexpr (HasCodec<T>) {
    try {
      bind_value(statement, index, Codec<T>::encode(value), Lifetime::copied);
    } catch (const UsageError&) {
      throw;
    } catch (const std::logic_error& error) {
      statement.fail_parameter(index, error.what());
    }
  } else if constexpr (is_optional<T>) {
    if (value) {
      bind_value(statement, index, *value, lifetime);
    } else {
      statement.bind_null(index);
    }
  } else if constexpr (std::same_as<T, std::nullopt_t> || std::same_as<T, std::nullptr_t>) {
    statement.bind_null(index);
  } else if constexpr (std::same_as<T, bool>) {
    statement.bind_integer(index, value ? 1 : 0);
  } else if constexpr (std::is_enum_v<T>) {
    bind_value(statement, index, static_cast<std::underlying_type_t<T>>(value), lifetime);
  } else if constexpr (std::integral<T> && Number<T>) {
    if (!std::in_range<std::int64_t>(value)) statement.fail_parameter(index, "SQLite's integers end at 2^63 - 1");
    statement.bind_integer(index, static_cast<std::int64_t>(value));
  } else if constexpr (std::floating_point<T> && Number<T>) {
    statement.bind_real(index, static_cast<double>(value));
  } else if constexpr (std::is_pointer_v<T> && std::convertible_to<T, std::string_view>) {
    if (value == nullptr) statement.fail_parameter(index, "a null pointer is no text; std::nullopt stands for NULL");
    statement.bind_text(index, value, lifetime);
  } else if constexpr (std::convertible_to<const T&, std::string_view>) {
    statement.bind_text(index, value, lifetime);
  } else if constexpr (std::convertible_to<const T&, std::span<const std::byte>>) {
    statement.bind_blob(index, value, lifetime);
  } else {
    static_assert(kNever<T>, "sqlane cannot store this type: specialise sqlane::Codec for it");
  }
}

template <class... Args>
void bind_all(Statement& statement, Lifetime lifetime, const Args&... args) {
  if constexpr (kArityOf<Args...>.mixed) {
    static_assert(kNever<Args...>, "named and positional values do not mix");
  } else if constexpr (kArityOf<Args...>.named) {
    // As many names as values, and no name twice: then every placeholder has its value.
    const std::string_view names[] = {args.name...};
    for (std::size_t i = 1; i < sizeof...(Args); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (names[i] == names[j]) statement.fail_usage("a name is bound twice");
      }
    }
    (bind_value(statement, statement.parameter_index(args.name), args.value, lifetime), ...);
  } else {
    int index = 0;
    (bind_value(statement, ++index, args, lifetime), ...);
  }
}

// Binds the fields of a tuple or struct, or a single value.
template <class Row>
void bind_row(Statement& statement, const Row& row) {
  if constexpr (ColumnValue<Row>) {
    bind_value(statement, 1, row, Lifetime::borrowed);
  } else if constexpr (is_tuple<Row>) {
    std::apply([&](const auto&... fields) { bind_all(statement, Lifetime::borrowed, fields...); }, row);
  } else {
    boost::pfr::for_each_field(row, [&](const auto& field, std::size_t i) {
      bind_value(statement, static_cast<int>(i) + 1, field, Lifetime::borrowed);
    });
  }
}

}  // namespace sqlane::detail
