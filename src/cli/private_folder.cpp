#include "cli/private_folder.hpp"

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

namespace sqlane::cli {

PrivateFolder::PrivateFolder(const std::filesystem::path& parent, std::string_view name) {
  std::string path = (parent / (std::string(name) + "-XXXXXX")).string();
  if (::mkdtemp(path.data()) == nullptr) {
    throw std::filesystem::filesystem_error("cannot make a temporary folder", parent,
                                            std::error_code(errno, std::generic_category()));
  }
  path_ = path;
}

PrivateFolder::~PrivateFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace sqlane::cli
