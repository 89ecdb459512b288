#pragma once

#include <boost/pfr.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <sqlane/sqlane.hpp>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

namespace sqlane::testing {

// Every field of Options that text can hold, found by the compiler and not by the table of keys.

template <class T>
constexpr bool is_text_itself = std::is_same_v<T, std::filesystem::path> || std::is_same_v<T, std::string>;
template <class T>
constexpr bool is_text = std::is_arithmetic_v<T> || std::is_enum_v<T> || is_text_itself<T>;
template <class T>
constexpr bool is_text<std::optional<T>> = is_text<T>;
template <class Rep, class Period>
constexpr bool is_text<std::chrono::duration<Rep, Period>> = true;

template <class T>
constexpr bool is_optional = false;
template <class T>
constexpr bool is_optional<std::optional<T>> = true;
template <class T>
constexpr bool is_callback = false;
template <class T>
constexpr bool is_callback<std::function<T>> = true;
template <class T>
constexpr bool is_callback<std::shared_ptr<T>> = true;

// Where an optional struct is switched on or off.
template <class Struct>
struct Switch {
  std::optional<Struct>& at;
};

// Calls visit(field) for each, and visit(Switch) before those of a struct that
// is there. A field of a new kind does not compile.
template <class T, class Visit>
void for_each_text(T& object, const Visit& visit) {
  if constexpr (is_text<T>) {
    visit(object);
  } else if constexpr (is_optional<T>) {
    visit(Switch<typename T::value_type>{object});
    if (object) for_each_text(*object, visit);
  } else if constexpr (!is_callback<T>) {
    boost::pfr::for_each_field(object, [&](auto& field) { for_each_text(field, visit); });
  }
}

template <class T>
std::string show(const T& value) {
  std::ostringstream text;
  if constexpr (std::is_same_v<T, std::filesystem::path>) {
    text << value.native();  // not as paths compare: a//b is another text than a/b
  } else if constexpr (std::is_same_v<T, std::string>) {
    text << value;
  } else if constexpr (std::is_enum_v<T>) {
    text << static_cast<int>(value);
  } else if constexpr (std::is_arithmetic_v<T>) {
    text << std::hexfloat << value;
  } else if constexpr (is_optional<T>) {
    text << (value ? show(*value) : "unset");
  } else {
    text << value.count();
  }
  return text.str();
}

// What all of them say.
inline std::vector<std::string> shown(Options options) {
  std::vector<std::string> all;
  for_each_text(options, [&]<class T>(T&& field) {
    if constexpr (requires { field.at; }) {
      all.emplace_back(field.at ? "on" : "off");
    } else {
      all.push_back(show(field));
    }
  });
  return all;
}

}  // namespace sqlane::testing
