#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "sqlane/options.hpp"

namespace sqlane::detail {

// What reading a value found. It says nothing about the value itself.
enum class Fit : std::uint8_t { fits, malformed, no_unit, too_fine, too_large };

// A field of Options as text. Every field has one, but for callbacks and shared
// objects; docs/configuration.md lists them.
struct ConfigurationKey {
  std::string_view name;
  std::string_view part_of;  // the key that setting this one turns "on", or nothing

  std::string (*allowed)();  // continues "… must be"
  Fit (*read)(std::string_view text, Options& options);
  // A value that cannot be had from text is written as one that does not fit.
  std::string (*write)(const Options& options);
};

// The one table that from_uri(), from_environment(), from_map() and to_uri()
// follow; "path" comes first, and a key before those that are part of it.
[[nodiscard]] std::span<const ConfigurationKey> configuration_keys() noexcept;

}  // namespace sqlane::detail
