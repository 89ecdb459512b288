#include "vfs/memory_vfs.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <sqlite3.h>
#include <string_view>
#include <utility>

#include "sqlane/error.hpp"
#include "vfs/memory_store.hpp"

// The functions that SQLite calls for the files of memory databases: each asks
// the store's seam, and then its file, its lock or its index.
// https://sqlite.org/c3ref/io_methods.html, https://sqlite.org/c3ref/vfs.html

namespace sqlane::detail {
namespace {

// An open file, in memory that SQLite gives. What SQLite sees of it comes first.
struct OpenFile {
  sqlite3_file base{};
  std::shared_ptr<MemoryStore> store{};  // null: a temporary file, of this connection alone
  std::shared_ptr<MemoryFile> file{};
  std::unique_ptr<MemoryFile::Reader> reader{};
  FileKind kind = FileKind::database;
  DatabaseLock::Level level = DatabaseLock::Level::none;
  unsigned connection = 0;
  bool is_attached = false;  // to the index
  unsigned shared = 0;       // locks of the index that it has; a bit each
  unsigned exclusive = 0;    // likewise

  [[nodiscard]] int admit(FileOperation operation, std::uint64_t offset = 0, std::size_t bytes = 0) const {
    return store == nullptr ? SQLITE_OK : store->admit({operation, kind, offset, bytes});
  }
};

static_assert(alignof(OpenFile) <= 8);  // so much SQLite sees to

OpenFile& open_file(sqlite3_file* file) { return *reinterpret_cast<OpenFile*>(file); }

unsigned mask_of(int first, int count) {
  return ((1U << static_cast<unsigned>(count)) - 1U) << static_cast<unsigned>(first);
}

void release_shared(OpenFile& open, int first, int count) {
  for (int i = first; i < first + count; ++i) {
    if ((open.shared & mask_of(i, 1)) != 0) open.store->index().release_shared(i, 1, open.connection);
  }
  open.shared &= ~mask_of(first, count);
}

void unlock(OpenFile& open, int first, int count) {
  for (int i = first; i < first + count; ++i) {
    if ((open.exclusive & mask_of(i, 1)) != 0) open.store->index().unlock(i, 1);
  }
  open.exclusive &= ~mask_of(first, count);
}

int unmap_index(sqlite3_file* file, int remove) {
  OpenFile& open = open_file(file);
  release_shared(open, 0, WalIndex::kLocks);
  unlock(open, 0, WalIndex::kLocks);
  if (std::exchange(open.is_attached, false)) {
    open.store->index().detach(remove != 0 ? WalIndex::Leaving::nothing : WalIndex::Leaving::regions);
  }
  return SQLITE_OK;
}

int close(sqlite3_file* file) {
  OpenFile& open = open_file(file);
  if (open.store != nullptr && open.kind == FileKind::database) {
    unmap_index(file, 0);
    open.store->lock().lower(&open, open.level, DatabaseLock::Level::none);
  }
  open.~OpenFile();
  return SQLITE_OK;
}

int read(sqlite3_file* file, void* to, int bytes, sqlite3_int64 offset) {
  const auto length = static_cast<std::size_t>(bytes);
  const auto from = static_cast<std::uint64_t>(offset);
  OpenFile& open = open_file(file);
  if (const int code = open.admit(FileOperation::read, from, length); code != SQLITE_OK) return code;
  const std::size_t there = open.reader->read(static_cast<std::byte*>(to), length, from);
  return there == length ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

int write(sqlite3_file* file, const void* from, int bytes, sqlite3_int64 offset) {
  const auto length = static_cast<std::size_t>(bytes);
  const auto to = static_cast<std::uint64_t>(offset);
  OpenFile& open = open_file(file);
  if (const int code = open.admit(FileOperation::write, to, length); code != SQLITE_OK) return code;
  // A checkpoint copies a page into the database once the index says that nobody
  // reads it there, and then says that it is there: plain stores, which nothing
  // but the system calls of ordinary files would keep in order.
  const bool is_read_beside = open.kind == FileKind::database && open.is_attached;
  if (is_read_beside) open.store->index().barrier();
  const bool is_done = open.file->write(static_cast<const std::byte*>(from), length, to);
  if (is_read_beside) open.store->index().barrier();
  return is_done ? SQLITE_OK : SQLITE_FULL;
}

int truncate(sqlite3_file* file, sqlite3_int64 size) {
  OpenFile& open = open_file(file);
  if (const int code = open.admit(FileOperation::truncate, static_cast<std::uint64_t>(size)); code != SQLITE_OK) {
    return code;
  }
  return open.file->truncate(static_cast<std::uint64_t>(size)) ? SQLITE_OK : SQLITE_IOERR_NOMEM;
}

int sync(sqlite3_file* file, int /*flags*/) { return open_file(file).admit(FileOperation::sync); }

int size(sqlite3_file* file, sqlite3_int64* bytes) {
  OpenFile& open = open_file(file);
  *bytes = static_cast<sqlite3_int64>(open.file->size());
  return open.admit(FileOperation::size);
}

DatabaseLock::Level level_of(int lock) {
  switch (lock) {
    case SQLITE_LOCK_NONE: return DatabaseLock::Level::none;
    case SQLITE_LOCK_SHARED: return DatabaseLock::Level::shared;
    case SQLITE_LOCK_RESERVED: return DatabaseLock::Level::reserved;
    case SQLITE_LOCK_PENDING: return DatabaseLock::Level::pending;
    default: return DatabaseLock::Level::exclusive;
  }
}

// SQLite locks the database alone.
int lock(sqlite3_file* file, int level) {
  OpenFile& open = open_file(file);
  if (const int code = open.admit(FileOperation::lock); code != SQLITE_OK) return code;
  if (open.store == nullptr) return SQLITE_OK;
  return open.store->lock().raise(&open, open.level, level_of(level)) ? SQLITE_OK : SQLITE_BUSY;
}

int unlock(sqlite3_file* file, int level) {
  OpenFile& open = open_file(file);
  if (const int code = open.admit(FileOperation::unlock); code != SQLITE_OK) return code;
  if (open.store != nullptr) open.store->lock().lower(&open, open.level, level_of(level));
  return SQLITE_OK;
}

int check_reserved(sqlite3_file* file, int* is_reserved) {
  const OpenFile& open = open_file(file);
  *is_reserved = open.store != nullptr && open.store->lock().is_reserved() ? 1 : 0;
  return SQLITE_OK;
}

int control(sqlite3_file* /*file*/, int /*operation*/, void* /*argument*/) { return SQLITE_NOTFOUND; }

int sector_size(sqlite3_file* /*file*/) { return static_cast<int>(MemoryFile::kChunk); }

int characteristics(sqlite3_file* /*file*/) {
  return SQLITE_IOCAP_POWERSAFE_OVERWRITE | SQLITE_IOCAP_SAFE_APPEND | SQLITE_IOCAP_SEQUENTIAL;
}

int map_index(sqlite3_file* file, int region, int bytes, int make, void volatile** address) {
  *address = nullptr;
  OpenFile& open = open_file(file);
  const auto size = static_cast<std::size_t>(bytes);
  if (const int code = open.admit(FileOperation::index_region, 0, size); code != SQLITE_OK) return code;
  if (size != WalIndex::kRegion) return SQLITE_IOERR_SHMMAP;
  if (!std::exchange(open.is_attached, true)) open.store->index().attach();
  try {
    *address = open.store->index().region(static_cast<std::size_t>(region),
                                          make != 0 ? WalIndex::Missing::made : WalIndex::Missing::left_out);
    return SQLITE_OK;
  } catch (const std::bad_alloc&) {
    return SQLITE_NOMEM;
  }
}

// SQLite may ask for what it has, and give back what it has not.
int lock_index(sqlite3_file* file, int first, int count, int flags) {
  OpenFile& open = open_file(file);
  WalIndex& index = open.store->index();
  const bool is_shared = (flags & SQLITE_SHM_SHARED) != 0;
  if ((flags & SQLITE_SHM_UNLOCK) != 0) {
    if (is_shared) {
      release_shared(open, first, count);
    } else {
      unlock(open, first, count);
    }
    return SQLITE_OK;
  }
  if (const int code =
          open.admit(FileOperation::index_lock, static_cast<std::uint64_t>(first), static_cast<std::size_t>(count));
      code != SQLITE_OK) {
    return code;
  }
  unsigned& held = is_shared ? open.shared : open.exclusive;
  const unsigned mask = mask_of(first, count);
  if ((held & mask) == mask) return SQLITE_OK;
  const bool is_mine = is_shared ? index.try_share(first, count, open.connection) : index.try_lock(first, count);
  if (!is_mine) return SQLITE_BUSY;
  held |= mask;
  return SQLITE_OK;
}

void barrier(sqlite3_file* file) { open_file(file).store->index().barrier(); }

constexpr sqlite3_io_methods kMethods{.iVersion = 2,  // no memory mapping
                                      .xClose = close,
                                      .xRead = read,
                                      .xWrite = write,
                                      .xTruncate = truncate,
                                      .xSync = sync,
                                      .xFileSize = size,
                                      .xLock = lock,
                                      .xUnlock = unlock,
                                      .xCheckReservedLock = check_reserved,
                                      .xFileControl = control,
                                      .xSectorSize = sector_size,
                                      .xDeviceCharacteristics = characteristics,
                                      .xShmMap = map_index,
                                      .xShmLock = lock_index,
                                      .xShmBarrier = barrier,
                                      .xShmUnmap = unmap_index,
                                      .xFetch = nullptr,
                                      .xUnfetch = nullptr};

// All that is no memory database's file is the default file system's: what
// VACUUM INTO writes, and everything but files.
sqlite3_vfs* system_vfs() {
  static sqlite3_vfs* const vfs = sqlite3_vfs_find(nullptr);
  return vfs;
}

int open(sqlite3_vfs* /*vfs*/, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  file->pMethods = nullptr;  // nothing to close
  try {
    OpenFile opened;
    if (name == nullptr) {
      opened.file = std::make_shared<MemoryFile>(std::make_shared<MemoryBudget>(0));
    } else {
      opened.store = MemoryStore::find_by_name(name, opened.kind);
      if (opened.store == nullptr) return system_vfs()->xOpen(system_vfs(), name, file, flags, flags_out);
      if (const int code = opened.admit(FileOperation::open); code != SQLITE_OK) return code;
      opened.file =
          (flags & SQLITE_OPEN_CREATE) != 0 ? opened.store->find_or_make(opened.kind) : opened.store->find(opened.kind);
      if (opened.file == nullptr) return SQLITE_CANTOPEN;
      if (opened.kind == FileKind::database) opened.connection = opened.store->next_connection();
    }
    opened.reader = std::make_unique<MemoryFile::Reader>(*opened.file);
    auto* const placed = new (file) OpenFile(std::move(opened));
    placed->base.pMethods = &kMethods;
  } catch (const std::bad_alloc&) {
    return SQLITE_NOMEM;
  }
  if (flags_out != nullptr) *flags_out = flags;
  return SQLITE_OK;
}

int remove(sqlite3_vfs* /*vfs*/, const char* name, int sync_folder) {
  FileKind kind{};
  const std::shared_ptr<MemoryStore> store = MemoryStore::find_by_name(name, kind);
  if (store == nullptr) return system_vfs()->xDelete(system_vfs(), name, sync_folder);
  if (const int code = store->admit({FileOperation::remove, kind}); code != SQLITE_OK) return code;
  if (store->find(kind) == nullptr) return SQLITE_IOERR_DELETE_NOENT;
  store->remove(kind);
  return SQLITE_OK;
}

int access(sqlite3_vfs* /*vfs*/, const char* name, int flags, int* answer) {
  *answer = 0;
  FileKind kind{};
  const std::shared_ptr<MemoryStore> store = MemoryStore::find_by_name(name, kind);
  if (store == nullptr) return system_vfs()->xAccess(system_vfs(), name, flags, answer);
  if (const int code = store->admit({FileOperation::look, kind}); code != SQLITE_OK) return code;
  // SQLite asks for logs and journals; an empty one counts as none, as it does for files.
  const std::shared_ptr<MemoryFile> file = store->find(kind);
  *answer = file != nullptr && file->size() > 0 ? 1 : 0;
  return SQLITE_OK;
}

int full_pathname(sqlite3_vfs* /*vfs*/, const char* name, int size, char* full) {
  const std::string_view text = name;
  FileKind kind{};
  if (MemoryStore::find_by_name(text, kind) == nullptr)
    return system_vfs()->xFullPathname(system_vfs(), name, size, full);
  if (text.size() >= static_cast<std::size_t>(size)) return SQLITE_CANTOPEN;
  std::memcpy(full, text.data(), text.size() + 1);
  return SQLITE_OK;
}

sqlite3_vfs make_vfs() {
  sqlite3_vfs vfs = *system_vfs();
  vfs.iVersion = 2;
  vfs.szOsFile = std::max(vfs.szOsFile, static_cast<int>(sizeof(OpenFile)));
  vfs.pNext = nullptr;
  vfs.zName = MemoryStore::kVfs;
  vfs.xOpen = open;
  vfs.xDelete = remove;
  vfs.xAccess = access;
  vfs.xFullPathname = full_pathname;
  return vfs;
}

}  // namespace

void register_memory_vfs() {
  static const int code = [] {
    if (const int failed = sqlite3_initialize(); failed != SQLITE_OK) return failed;
    static sqlite3_vfs vfs = make_vfs();
    return sqlite3_vfs_register(&vfs, 0);
  }();
  if (code != SQLITE_OK) throw OpenError("SQLite refused the file system of memory databases", {.code = code});
}

}  // namespace sqlane::detail
