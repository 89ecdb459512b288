#pragma once

#include <filesystem>

#include "sqlite/database_file.hpp"

namespace sqlane::detail {

// A file that gets its name when it is complete. Until then it is in the same
// folder, for its owner alone, under a name that nobody else uses; without
// appear() it is gone with this object. Use from one thread at a time.
class StagedFile {
 public:
  // Creates it, empty. `destination` is absolute. Throws OpenError.
  explicit StagedFile(std::filesystem::path destination);
  StagedFile(const StagedFile&) = delete;
  StagedFile& operator=(const StagedFile&) = delete;
  ~StagedFile();

  // Where it is for now.
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] const std::filesystem::path& destination() const noexcept { return destination_; }

  // Brings it to the disk, and out of memory: what is read of it afterwards
  // comes from there. Throws IoError, DiskFullError.
  void sync();

  // Gives it its name, and syncs the folder. A file that has that name already is
  // never harmed by Existing::refuse, whenever it came: OpenError. Throws IoError
  // when the folder cannot be synced; with Existing::refuse it is gone then.
  void appear(Existing existing);

 private:
  const std::filesystem::path destination_;
  std::filesystem::path path_;
  bool is_staged_ = true;
};

}  // namespace sqlane::detail
