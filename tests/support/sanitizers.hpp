#pragma once

namespace sqlane::testing {

#if defined(__has_feature)
inline constexpr bool kHasAddressSanitizer = __has_feature(address_sanitizer);
inline constexpr bool kHasThreadSanitizer = __has_feature(thread_sanitizer);
#else
inline constexpr bool kHasAddressSanitizer = false;
inline constexpr bool kHasThreadSanitizer = false;
#endif

// Its allocator stays locked in a child of fork when another thread was inside it.
inline constexpr bool kForksAmongThreadsHang = kHasAddressSanitizer;

}  // namespace sqlane::testing
