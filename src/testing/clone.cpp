#include <array>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "database/core.hpp"
#include "database/core_access.hpp"
#include "database/open_databases.hpp"
#include "sqlane/error.hpp"
#include "sqlane/testing.hpp"
#include "sqlite/backup.hpp"
#include "sqlite/connection.hpp"
#include "sqlite/database_file.hpp"
#include "vfs/memory_store.hpp"

namespace sqlane::testing {
namespace {

using detail::Connection;
using detail::ConnectionSettings;
using detail::CoreAccess;
using detail::FileKind;
using detail::MemoryFile;
using detail::MemoryStore;

// The writer of a database that nobody has yet; what it writes is complete once it is closed.
ConnectionSettings destination(const Options& options) {
  return {.database = ":memory:",
          .durability = Durability::normal,
          .busy_timeout = options.busy_timeout,
          .page_cache = options.page_cache};
}

void copy_snapshot(const Database& original, ConnectionSettings to) {
  const detail::Lease reader = CoreAccess::core(original).lend_reader({}, CallSite::current());
  reader.connection().begin_snapshot();
  const detail::SqlFor<Access::read> page_size("PRAGMA page_size");
  to.page_size = detail::fetch_one<std::size_t>(reader.connection(), page_size.text());
  Connection writer(std::move(to));
  detail::copy_database(reader.connection(), writer);
}

constexpr std::array<std::pair<FileKind, const char*>, 2> kBeside{
    {{FileKind::log, "-wal"}, {FileKind::journal, "-journal"}}};

void read_into(MemoryStore& store, FileKind kind, const std::filesystem::path& path) {
  constexpr std::size_t kBlock = 1U << 16U;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw OpenError("cannot load \"" + path.string() + "\": it cannot be read", {.database = path.string()});
  const std::shared_ptr<MemoryFile> file = store.find_or_make(kind);
  std::vector<std::byte> block(kBlock);
  while (stream) {
    stream.read(reinterpret_cast<char*>(block.data()), static_cast<std::streamsize>(block.size()));
    const auto bytes = static_cast<std::size_t>(stream.gcount());
    if (bytes > 0 && !file->write(block.data(), bytes, file->size())) throw std::bad_alloc();
  }
  if (stream.bad()) throw IoError("reading \"" + path.string() + "\" failed", {.database = path.string()});
}

// A log that is longer than a limited store has room for has to be copied back first.
std::shared_ptr<MemoryStore> within(std::size_t limit, const std::shared_ptr<MemoryStore>& whole) {
  if (limit == 0) return whole;
  {
    ConnectionSettings settings = destination(Options());
    settings.memory = whole;
    const Connection last(std::move(settings));
  }
  std::shared_ptr<MemoryStore> store = MemoryStore::make(limit);
  if (store->share(*whole)) return store;
  throw DiskFullError("the database is larger than Options::memory_limit allows", {.database = ":memory:"});
}

}  // namespace

Database clone(const Database& original, Options options) {
  const std::shared_ptr<MemoryStore> store = MemoryStore::make(options.memory_limit);
  if (CoreAccess::core(original).share_memory(*store)) return CoreAccess::in_memory(std::move(options), store);
  const std::shared_ptr<MemoryStore> whole = MemoryStore::make(0);
  ConnectionSettings to = destination(options);
  to.memory = whole;
  copy_snapshot(original, std::move(to));
  const std::size_t limit = options.memory_limit;
  return CoreAccess::in_memory(std::move(options), within(limit, whole));
}

void save(const Database& original, const std::filesystem::path& file) {
  std::error_code error;
  if (std::filesystem::exists(file, error)) {
    throw OpenError("cannot save to \"" + file.string() + "\": there is a file already", {.database = file.string()});
  }
  ConnectionSettings to = destination(Options());
  to.database = detail::prepare_database_file(file).string();
  try {
    copy_snapshot(original, to);
  } catch (...) {
    for (const char* part : {"", "-wal", "-shm"}) std::filesystem::remove(to.database + part, error);
    throw;
  }
}

// SQLite recovers in memory what a crash has left beside the file. The file is
// read without SQLite, and without a lock: a connection would leave files of its
// own beside it, or change them. Nobody has it open here, whose locks would end
// with the reading (https://sqlite.org/howtocorrupt.html, 2.2).
Database load(const std::filesystem::path& file, Options options) {
  static_cast<void>(detail::find_database_file(file));  // throws for what open() would not take for its files
  const std::shared_ptr<MemoryStore> whole = MemoryStore::make(0);
  detail::OpenDatabases::of_this_process().while_closed(detail::identity_of(file), [&] {
    read_into(*whole, FileKind::database, file);
    for (const auto& [kind, suffix] : kBeside) {
      std::filesystem::path beside = file;
      beside += suffix;
      if (std::filesystem::exists(beside)) read_into(*whole, kind, beside);
    }
  });
  try {
    const std::size_t limit = options.memory_limit;
    return CoreAccess::in_memory(std::move(options), within(limit, whole));
  } catch (const OpenError& error) {
    throw OpenError("cannot load \"" + file.string() + "\": " + error.what(),
                    {.code = error.code(), .extended_code = error.extended_code(), .database = file.string()});
  }
}

}  // namespace sqlane::testing
