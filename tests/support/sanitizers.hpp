#pragma once

#include "base/sanitizers.hpp"

namespace sqlane::testing {

using detail::kHasAddressSanitizer;
using detail::kHasThreadSanitizer;

// Its allocator stays locked in a child of fork when another thread was inside it.
inline constexpr bool kForksAmongThreadsHang = kHasAddressSanitizer;

}  // namespace sqlane::testing
