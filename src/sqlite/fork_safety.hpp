#pragma once

namespace sqlane::detail {

// From now on a fork waits until no other thread is inside SQLite's memory
// allocator or its list of files, so that the child can open databases of its
// own: the mutexes that guard them would stay locked there for ever.
void keep_whole_across_forks();

}  // namespace sqlane::detail
