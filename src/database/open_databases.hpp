#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/fork.hpp"
#include "base/mutex.hpp"
#include "database/core.hpp"
#include "sqlane/options.hpp"
#include "sqlite/database_file.hpp"
#include "sqlite/file_watch.hpp"

namespace sqlane::detail {

// The databases that are open in this process, so that all who open the same
// one share its lane: files by their identity, whatever the path; memory
// databases by their name. Safe to use from any thread, and in a child of fork.
class OpenDatabases {
 public:
  using Open = std::function<std::shared_ptr<Core>(std::shared_ptr<void> registration)>;
  using OpenFile = std::function<std::shared_ptr<Core>(std::shared_ptr<FileWatch>, std::shared_ptr<void> registration)>;

  static OpenDatabases& of_this_process();

  // Joins the one that is open, or opens it. Throws UsageError in a child of
  // fork whose parent has it open, and where it is open with another locking:
  // the locks of the one kind do not hold for the other. Throws OpenError where
  // the file that was at `path` before is open still: both would use one log.
  [[nodiscard]] std::shared_ptr<Core> file(const std::filesystem::path& path, Locking locking, const OpenFile& open);
  [[nodiscard]] std::shared_ptr<Core> memory(const std::string& name, const Open& open);

  // For reopen(): the open database `core` goes on with another file. Throws
  // UsageError where this process has that file open otherwise.
  [[nodiscard]] std::shared_ptr<void> adopt(const std::shared_ptr<Core>& core, const FileIdentity& identity,
                                            const std::filesystem::path& path, const std::shared_ptr<FileWatch>& files,
                                            Locking locking);

  // Does something with a file that is not open here, and is not opened meanwhile.
  // Throws UsageError when it is open.
  void while_closed(const FileIdentity& identity, const std::function<void()>& work);

  // For a connection to a file beside its Core, if it has one. It has to keep to
  // how the file is open already, shared if it is not; nobody can open it
  // otherwise as long as `registration` lives. Throws UsageError in a child of
  // fork whose parent has it open.
  struct Use {
    Locking locking = Locking::shared;
    std::shared_ptr<void> registration;
  };
  [[nodiscard]] Use use(const FileIdentity& identity);

 private:
  // Where one database is opened, by one thread at a time.
  struct Place {
    const std::uint32_t generation = ForkGeneration::now();
    // Of a file that is open, or being opened; under ForkGeneration::mutex().
    std::filesystem::path path;
    std::weak_ptr<FileWatch> files;
    Mutex opening;
    std::weak_ptr<Core> core;           // under `opening`
    std::atomic<int> open = 0;          // Cores of it, several while guards outlive their Database; and other uses
    Locking locking = Locking::shared;  // of those, under `opening`
  };
  template <class Key>
  using Places = std::map<Key, std::shared_ptr<Place>>;

  template <class Key>
  std::shared_ptr<Core> join_or_open(Places<Key>& places, const Key& key, Locking locking, const Open& open);
  template <class Key>
  static std::shared_ptr<Place> place_of(Places<Key>& places, const Key& key);
  static std::shared_ptr<void> register_at(const std::shared_ptr<Place>& place);
  void take_path(const std::shared_ptr<Place>& place, const std::filesystem::path& path,
                 const std::shared_ptr<FileWatch>& files);

  Places<FileIdentity> files_;  // under ForkGeneration::mutex()
  Places<std::string> memory_;  // likewise
};

}  // namespace sqlane::detail
