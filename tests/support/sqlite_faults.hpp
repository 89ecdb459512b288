#pragma once

#include <string>
#include <string_view>

// Stands between the library and SQLite: the functions defined in
// sqlite_faults.cpp take the place of libsqlite3's in a test program, because
// the program's own definitions win over those of a shared library. They count,
// fail when told to, and forward everything else.

namespace sqlane::testing {

enum class Call { open, prepare, bind, step, checkpoint, backup_step };

enum class Effect {
  instead,  // the real function is not called
  after,    // the real function is called, then the code is returned all the same
  // For step: the transaction is rolled back for real and the statement not run,
  // as SQLite does itself when it is out of memory or disk.
  engine_rolls_back,
};

struct Fault {
  Call call = Call::step;
  std::string sql{};  // only statements that contain it
  int code = 0;       // SQLite's, may be an extended one
  int skip = 0;       // so many matching calls pass first
  int times = 1;      // so many fail; -1: all
  Effect effect = Effect::instead;
  std::string but_not{};  // not statements that contain this, unless it is empty
};

// Arms one fault for its lifetime; they do not nest.
class FaultInjection {
 public:
  explicit FaultInjection(Fault fault);
  FaultInjection(const FaultInjection&) = delete;
  FaultInjection& operator=(const FaultInjection&) = delete;
  ~FaultInjection();

  [[nodiscard]] int failures() const;  // calls that were made to fail
};

// What the engine says of itself; 0 or a negative number means the truth.
void pretend_version(int version);
void pretend_threadsafe(int value);
// The value that the next `PRAGMA journal_mode` seems to answer; null for the truth.
void pretend_journal_mode(const char* mode);
// The file system that this engine seems to have been built without; null for the truth.
void pretend_unknown_vfs(const char* name);
// The next checkpoint reports this many more pages copied than there are.
void pretend_extra_checkpoint_pages(int pages);

// Since the program began.
struct Handles {
  long connections_opened = 0;
  long connections_closed = 0;
  long statements_prepared = 0;
  long statements_finalized = 0;

  [[nodiscard]] long open_connections() const { return connections_opened - connections_closed; }
  [[nodiscard]] long open_statements() const { return statements_prepared - statements_finalized; }
};
[[nodiscard]] Handles handles();

}  // namespace sqlane::testing
