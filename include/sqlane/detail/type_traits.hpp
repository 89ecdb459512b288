#pragma once

// Which C++ types are one column, which are a whole row, and which only view a row.

#include <boost/pfr/tuple_size.hpp>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "sqlane/codec.hpp"

namespace sqlane {
class Row;
}

namespace sqlane::detail {

template <class...>
inline constexpr bool kNever = false;

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
inline constexpr bool is_tuple = false;
template <class... T>
inline constexpr bool is_tuple<std::tuple<T...>> = true;
template <class A, class B>
inline constexpr bool is_tuple<std::pair<A, B>> = true;

template <class T>
concept HasCodec = requires(const T& value) {
  Codec<T>::encode(value);
};

using Blob = std::vector<std::byte>;
using BlobView = std::span<const std::byte>;

// A char is neither clearly text nor clearly a number; int8_t and uint8_t are other types.
template <class T>
inline constexpr bool is_character = std::same_as<T, char> || std::same_as<T, wchar_t> || std::same_as<T, char8_t> ||
                                     std::same_as<T, char16_t> || std::same_as<T, char32_t>;

template <class T>
concept Number = std::is_arithmetic_v<T> && !is_character<T> && !std::same_as<T, long double>;

// One column.
template <class T>
concept ColumnValue = HasCodec<T> || is_optional<T> || Number<T> || std::is_enum_v<T> ||
    std::convertible_to<const T&, std::string_view> || std::convertible_to<const T&, BlobView> ||
    std::same_as<T, std::nullopt_t> || std::same_as<T, std::nullptr_t>;

// A plain struct, read and bound field by field in the order of declaration.
template <class T>
concept PlainStruct = std::is_class_v<T> && std::is_aggregate_v<T> && !ColumnValue<T> && !is_tuple<T>;

template <class T>
constexpr std::size_t column_count_of() {
  if constexpr (ColumnValue<T>) {
    return 1;
  } else if constexpr (is_tuple<T>) {
    return std::tuple_size_v<T>;
  } else if constexpr (PlainStruct<T>) {
    return boost::pfr::tuple_size_v<T>;
  } else {
    static_assert(kNever<T>, "sqlane reads and binds values, tuples, and plain structs without constructors");
  }
}

// Views show the row that the statement stands on, and nothing after that.
template <class T>
inline constexpr bool is_view = std::same_as<T, std::string_view> || std::same_as<T, BlobView> || std::same_as<T, Row>;
template <class T>
inline constexpr bool is_view<std::optional<T>> = is_view<T>;
template <class T>
inline constexpr bool is_view<std::vector<T>> = is_view<T>;
template <class... T>
inline constexpr bool is_view<std::tuple<T...>> = (false || ... || is_view<T>);
template <class A, class B>
inline constexpr bool is_view<std::pair<A, B>> = is_view<A> || is_view<B>;

template <class T, std::size_t... i>
constexpr bool has_view_field(std::index_sequence<i...>);

template <class T>
constexpr bool holds_view() {
  if constexpr (PlainStruct<T>) {
    return has_view_field<T>(std::make_index_sequence<column_count_of<T>()>());
  } else {
    return is_view<T>;
  }
}

template <class T>
consteval std::string_view find_type_name() {
  const std::string_view function = __PRETTY_FUNCTION__;
  const std::size_t begin = function.find("T = ") + 4;
  return function.substr(begin, function.find_first_of(";]", begin) - begin);
}

// The type's name as the compiler spells it, for messages.
template <class T>
inline constexpr std::string_view kTypeName = find_type_name<T>();

}  // namespace sqlane::detail
