#include "sqlane/health.hpp"

namespace sqlane {

std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::healthy: return "healthy";
    case Verdict::degraded: return "degraded";
    case Verdict::unhealthy: return "unhealthy";
  }
  return "unknown";
}

}  // namespace sqlane
