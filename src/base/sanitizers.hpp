#pragma once

// Which sanitizer this is compiled for.

namespace sqlane::detail {

#if defined(__has_feature)
inline constexpr bool kHasAddressSanitizer = __has_feature(address_sanitizer);
inline constexpr bool kHasThreadSanitizer = __has_feature(thread_sanitizer);
#elif defined(__SANITIZE_THREAD__)
inline constexpr bool kHasAddressSanitizer = false;
inline constexpr bool kHasThreadSanitizer = true;
#elif defined(__SANITIZE_ADDRESS__)
inline constexpr bool kHasAddressSanitizer = true;
inline constexpr bool kHasThreadSanitizer = false;
#else
inline constexpr bool kHasAddressSanitizer = false;
inline constexpr bool kHasThreadSanitizer = false;
#endif

}  // namespace sqlane::detail
