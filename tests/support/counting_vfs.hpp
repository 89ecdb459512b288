#pragma once

namespace sqlane::testing {

enum class Strike {
  none,
  fail,             // it is not done, and an I/O error is returned
  fail_afterwards,  // it is done, and an I/O error is returned all the same
  kill,             // the process kills itself before it
  kill_half_way,    // the same, after half of a write
};

// Stands between SQLite and the operating system, as the default file system,
// while it lives; make it before a connection is opened, which must not outlive
// it. Counts what changes files: each write, sync, truncation and deletion, of
// database, log and all; and strikes at one. For one thread.
class CountingVfs {
 public:
  CountingVfs();
  CountingVfs(const CountingVfs&) = delete;
  CountingVfs& operator=(const CountingVfs&) = delete;
  ~CountingVfs();

  // The operations are counted from 1 from now on; `at` is the one that is struck.
  void strike(Strike how, long at);
  void stop_striking() { strike(Strike::none, 0); }

  // Since then.
  [[nodiscard]] long operations() const;
  [[nodiscard]] bool has_struck() const;
};

}  // namespace sqlane::testing
