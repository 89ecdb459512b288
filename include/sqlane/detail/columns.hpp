#pragma once

// From a statement's columns to C++ values.

#include <boost/pfr.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include "sqlane/codec.hpp"
#include "sqlane/detail/statement.hpp"
#include "sqlane/detail/type_traits.hpp"
#include "sqlane/error.hpp"

namespace sqlane::detail {

template <class T>
T read_column(const Statement& statement, int column) {
  if constexpr (HasCodec<T>) {
    const auto stored = read_column<typename Codec<T>::Stored>(statement, column);
    try {
      return Codec<T>::decode(stored);
    } catch (const Error&) {  // of a decode() that asked the database
      throw;
    } catch (const UsageError&) {
      throw;
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {
      statement.fail_column(column, kTypeName<T>, error.what());
    }
  } else if constexpr (is_optional<T>) {
    if (statement.storage_class(column) == StorageClass::null) return std::nullopt;
    return read_column<typename T::value_type>(statement, column);
  } else if constexpr (std::same_as<T, bool>) {
    const std::int64_t value = statement.integer(column, "bool");
    if (value != 0 && value != 1) statement.fail_column(column, "bool", "the value is neither 0 nor 1");
    return value == 1;
  } else if constexpr (std::is_enum_v<T>) {
    return static_cast<T>(read_column<std::underlying_type_t<T>>(statement, column));
  } else if constexpr (std::integral<T> && Number<T>) {
    const std::int64_t value = statement.integer(column, kTypeName<T>);
    if (!std::in_range<T>(value)) statement.fail_column(column, kTypeName<T>, "the value is out of range");
    return static_cast<T>(value);
  } else if constexpr (std::floating_point<T> && Number<T>) {
    const double value = statement.real(column, kTypeName<T>);
    if constexpr (sizeof(T) < sizeof(double)) {
      const bool is_finite = value - value == 0;
      if (is_finite && (value > std::numeric_limits<T>::max() || value < std::numeric_limits<T>::lowest())) {
        statement.fail_column(column, kTypeName<T>, "the value is out of range");
      }
      // A REAL is rounded, as assignment would; an integer is not.
      if (static_cast<double>(static_cast<T>(value)) != value && is_finite &&
          statement.storage_class(column) == StorageClass::integer) {
        statement.fail_column(column, kTypeName<T>, "the integer would be rounded");
      }
    }
    return static_cast<T>(value);
  } else if constexpr (std::same_as<T, std::string>) {
    return std::string(statement.text(column, "std::string"));
  } else if constexpr (std::same_as<T, std::string_view>) {
    return statement.text(column, "std::string_view");
  } else if constexpr (std::same_as<T, Blob>) {
    const BlobView bytes = statement.blob(column, "std::vector<std::byte>");
    return Blob(bytes.begin(), bytes.end());
  } else if constexpr (std::same_as<T, BlobView>) {
    return statement.blob(column, "std::span<const std::byte>");
  } else {
    static_assert(kNever<T>, "sqlane cannot read this type: specialise sqlane::Codec for it");
  }
}

// What a field is read as; the row may hold it as a constant.
template <class T, std::size_t i>
struct FieldOf {
  using type = std::remove_const_t<boost::pfr::tuple_element_t<i, T>>;
};
template <class T, std::size_t i>
requires is_tuple<T>
struct FieldOf<T, i> {
  using type = std::remove_const_t<std::tuple_element_t<i, T>>;
};

template <class T, std::size_t... i>
constexpr bool has_view_field(std::index_sequence<i...>) {
  return (false || ... || is_view<typename FieldOf<T, i>::type>);
}

template <class T, std::size_t... i>
T read_fields(const Statement& statement, std::index_sequence<i...>) {
  return T{read_column<typename FieldOf<T, i>::type>(statement, static_cast<int>(i))...};
}

// The row that the statement stands on. Its columns must have been counted.
template <class T>
T read_row(const Statement& statement) {
  if constexpr (ColumnValue<T>) {
    return read_column<T>(statement, 0);
  } else {
    return read_fields<T>(statement, std::make_index_sequence<column_count_of<T>()>());
  }
}

}  // namespace sqlane::detail
