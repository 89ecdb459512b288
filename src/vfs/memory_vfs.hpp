#pragma once

namespace sqlane::detail {

// Makes MemoryStore::kVfs known to SQLite; the first call does. Throws OpenError.
void register_memory_vfs();

}  // namespace sqlane::detail
