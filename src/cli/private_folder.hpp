#pragma once

#include <filesystem>
#include <string_view>

namespace sqlane::cli {

// A new folder inside another, for this user alone (mode 0700), gone with this object.
class PrivateFolder {
 public:
  // Its name begins with `name`. Throws std::filesystem::filesystem_error.
  PrivateFolder(const std::filesystem::path& parent, std::string_view name);
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;
  ~PrivateFolder();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace sqlane::cli
