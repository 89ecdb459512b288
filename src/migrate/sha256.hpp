#pragma once

#include <string>
#include <string_view>

namespace sqlane::detail {

// SHA-256 (FIPS 180-4) in 64 small hexadecimal digits. Our own, because a library
// that is embedded should not ask every program for a cryptography library for
// one checksum, which is against accidents and not against attacks.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

}  // namespace sqlane::detail
