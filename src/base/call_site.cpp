#include "sqlane/call_site.hpp"

namespace sqlane {

std::string CallSite::to_string() const {
  return std::string(file) + ":" + std::to_string(line) + " (" + function + ")";
}

}  // namespace sqlane
