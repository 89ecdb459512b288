#include "database/open_databases.hpp"

#include "sqlane/error.hpp"

namespace sqlane::detail {

OpenDatabases& OpenDatabases::of_this_process() {
  static OpenDatabases databases;
  return databases;
}

std::shared_ptr<Core> OpenDatabases::file(const std::filesystem::path& path, Locking locking, const OpenFile& open) {
  const auto files = std::make_shared<FileWatch>(path);
  const FileIdentity identity = files->identity();
  static_cast<void>(ForkGeneration::watch());
  const std::shared_ptr<Place> place = place_of(files_, identity);
  take_path(place, path, files);
  return join_or_open(files_, identity, locking,
                      [&](std::shared_ptr<void> registration) { return open(files, std::move(registration)); });
}

// Where a file was replaced while it was open, its connections have the log and
// the index that are at the path: SQLite would take these for the new file's.
void OpenDatabases::take_path(const std::shared_ptr<Place>& place, const std::filesystem::path& path,
                              const std::shared_ptr<FileWatch>& files) {
  const MutexLock lock(ForkGeneration::mutex());
  for (const auto& [identity, other] : files_) {
    const bool is_open_here = other->open != 0 && other->generation == ForkGeneration::now();
    if (other == place || !is_open_here || other->path != path) continue;
    const std::shared_ptr<FileWatch> before = other->files.lock();
    if (before == nullptr || !before->has_side_files_here()) continue;
    throw OpenError("cannot open \"" + path.string() +
                        "\": this process has the file open that was there before; close that Database first",
                    {.database = path.string()});
  }
  if (place->open != 0) return;
  place->path = path;
  place->files = files;
}

std::shared_ptr<Core> OpenDatabases::memory(const std::string& name, const Open& open) {
  return join_or_open(memory_, name, Locking::shared, open);
}

std::shared_ptr<void> OpenDatabases::adopt(const std::shared_ptr<Core>& core, const FileIdentity& identity,
                                           const std::filesystem::path& path, const std::shared_ptr<FileWatch>& files,
                                           Locking locking) {
  const std::shared_ptr<Place> place = place_of(files_, identity);
  const MutexLock opening(place->opening);
  if (place->open != 0) {
    throw UsageError("this process has the file open that is now at \"" + path.string() +
                     "\"; close that Database first");
  }
  place->locking = locking;
  place->core = core;
  {
    const MutexLock lock(ForkGeneration::mutex());
    place->path = path;
    place->files = files;
  }
  return register_at(place);
}

void OpenDatabases::while_closed(const FileIdentity& identity, const std::function<void()>& work) {
  static_cast<void>(ForkGeneration::watch());
  const std::shared_ptr<Place> place = place_of(files_, identity);
  const MutexLock opening(place->opening);
  if (place->open != 0) throw UsageError("this process has the database open");
  work();
}

template <class Key>
std::shared_ptr<Core> OpenDatabases::join_or_open(Places<Key>& places, const Key& key, Locking locking,
                                                  const Open& open) {
  static_cast<void>(ForkGeneration::watch());
  const std::shared_ptr<Place> place = place_of(places, key);
  const MutexLock opening(place->opening);
  if (place->open != 0 && place->locking != locking) {
    throw UsageError("this process has the database open with " +
                     std::string(locking == Locking::shared ? "Locking::exclusive" : "Locking::shared") +
                     ": all who open it have to agree");
  }
  place->locking = locking;
  if (std::shared_ptr<Core> core = place->core.lock(); core != nullptr && core->join()) return core;
  std::shared_ptr<Core> core = open(register_at(place));
  place->core = core;
  return core;
}

OpenDatabases::Use OpenDatabases::use(const FileIdentity& identity) {
  const std::shared_ptr<Place> place = place_of(files_, identity);
  const MutexLock opening(place->opening);
  if (place->open == 0) place->locking = Locking::shared;
  return {.locking = place->locking, .registration = register_at(place)};
}

std::shared_ptr<void> OpenDatabases::register_at(const std::shared_ptr<Place>& place) {
  ++place->open;
  return {place.get(), [place](void*) { --place->open; }};
}

template <class Key>
std::shared_ptr<OpenDatabases::Place> OpenDatabases::place_of(Places<Key>& places, const Key& key) {
  const MutexLock lock(ForkGeneration::mutex());
  // In a child, what the parent had open or was opening stays counted for ever.
  std::erase_if(places, [](const auto& entry) { return entry.second.use_count() == 1 && entry.second->open == 0; });
  std::shared_ptr<Place>& place = places[key];
  if (place == nullptr) place = std::make_shared<Place>();
  if (place->generation != ForkGeneration::now()) {
    throw UsageError(
        "the parent process has this database open since before the fork: a child can open it only after exec");
  }
  return place;
}

}  // namespace sqlane::detail
