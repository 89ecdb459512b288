#include "support/sqlite_faults.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <dlfcn.h>
#include <link.h>
#include <mutex>
#include <optional>
#include <sqlite3.h>
#include <stdexcept>

namespace sqlane::testing {
namespace {

struct State {
  std::mutex mutex;
  std::optional<Fault> fault;
  int matched = 0;
  int failures = 0;
  int version = 0;
  int threadsafe = -1;
  std::string journal_mode;
  std::string unknown_vfs;
  int extra_pages = 0;
  const sqlite3* failed = nullptr;  // the connection whose last call was made to fail,
  int failed_code = 0;              // with this code
  Handles handles;
};

State& state() {
  static State instance;
  return instance;
}

// The function that ours stands in front of. `Function` is the type of ours.
template <class Function>
Function* next(const char* name) {
  void* const found = ::dlsym(RTLD_NEXT, name);
  if (found == nullptr) throw std::runtime_error(name);
  return reinterpret_cast<Function*>(found);
}

// The addresses at which SQLite's library is loaded. Looked up once: dladdr() takes microseconds, and is asked at each
// step.
struct Addresses {
  std::uintptr_t first = 0;
  std::uintptr_t end = 0;

  [[nodiscard]] bool contain(const void* address) const {
    const auto number = reinterpret_cast<std::uintptr_t>(address);
    return first <= number && number < end;
  }
};

template <class Function>
Addresses library_of(Function* function) {
  struct Search {
    const void* wanted;
    Addresses found;
  } search{reinterpret_cast<const void*>(function), {}};
  ::dl_iterate_phdr(
      [](dl_phdr_info* library, std::size_t, void* context) {
        Search& asked = *static_cast<Search*>(context);
        Addresses all;
        for (int i = 0; i < library->dlpi_phnum; ++i) {
          const auto& segment = library->dlpi_phdr[i];
          if (segment.p_type != PT_LOAD) continue;
          const std::uintptr_t first = library->dlpi_addr + segment.p_vaddr;
          if (all.end == 0) all.first = first;
          all.end = first + segment.p_memsz;  // they are in the order of their addresses
        }
        if (!all.contain(asked.wanted)) return 0;
        asked.found = all;
        return 1;
      },
      &search);
  if (search.found.end == 0) throw std::runtime_error("SQLite's library is not loaded");
  return search.found;
}

// SQLite calls some of these functions itself, sqlite3_exec() for one; those
// calls are its own business. `caller` is the address that ours returns to.
template <class Function>
bool is_within_sqlite(Function* real, const void* caller) {
  static const Addresses sqlite = library_of(real);
  return sqlite.contain(caller);
}

struct Verdict {
  int code = SQLITE_OK;
  Effect effect = Effect::instead;
};

Verdict judge(Call call, const char* sql) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (!s.fault || s.fault->call != call) return {};
  if (!s.fault->sql.empty() && (sql == nullptr || std::strstr(sql, s.fault->sql.c_str()) == nullptr)) return {};
  if (!s.fault->but_not.empty() && sql != nullptr && std::strstr(sql, s.fault->but_not.c_str()) != nullptr) return {};
  const int number = s.matched++;
  if (number < s.fault->skip) return {};
  if (s.fault->times >= 0 && number >= s.fault->skip + s.fault->times) return {};
  ++s.failures;
  return {s.fault->code, s.fault->effect};
}

// What sqlite3_extended_errcode() says belongs to the newest call on a connection.
void remember(const sqlite3* connection, int code) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (code == SQLITE_OK && s.failed != connection) return;
  s.failed = code == SQLITE_OK ? nullptr : connection;
  s.failed_code = code;
}

template <class Forward>
int apply(const sqlite3* connection, Verdict verdict, Forward&& forward) {
  remember(connection, verdict.code);
  if (verdict.code == SQLITE_OK) return forward();
  if (verdict.effect != Effect::instead) forward();
  return verdict.code;
}

}  // namespace

FaultInjection::FaultInjection(Fault fault) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.fault = std::move(fault);
  s.matched = 0;
  s.failures = 0;
}

FaultInjection::~FaultInjection() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.fault.reset();
}

int FaultInjection::failures() const {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  return s.failures;
}

void pretend_version(int version) { state().version = version; }
void pretend_threadsafe(int value) { state().threadsafe = value; }
void pretend_journal_mode(const char* mode) { state().journal_mode = mode == nullptr ? "" : mode; }
void pretend_unknown_vfs(const char* name) { state().unknown_vfs = name == nullptr ? "" : name; }
void pretend_extra_checkpoint_pages(int pages) { state().extra_pages = pages; }

Handles handles() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  return s.handles;
}

namespace {

int count_prepare(int code, sqlite3_stmt** statement) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (code == SQLITE_OK && *statement != nullptr) ++s.handles.statements_prepared;
  return code;
}

int count_close(sqlite3* connection, int code) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (code == SQLITE_OK && connection != nullptr) ++s.handles.connections_closed;
  return code;
}

}  // namespace
}  // namespace sqlane::testing

using sqlane::testing::apply;
using sqlane::testing::Call;
using sqlane::testing::count_close;
using sqlane::testing::count_prepare;
using sqlane::testing::Effect;
using sqlane::testing::is_within_sqlite;
using sqlane::testing::judge;
using sqlane::testing::next;
using sqlane::testing::remember;
using sqlane::testing::state;

extern "C" {

int sqlite3_libversion_number() {
  static const auto real = next<decltype(sqlite3_libversion_number)>("sqlite3_libversion_number");
  return state().version > 0 ? state().version : real();
}

int sqlite3_threadsafe() {
  static const auto real = next<decltype(sqlite3_threadsafe)>("sqlite3_threadsafe");
  return state().threadsafe >= 0 ? state().threadsafe : real();
}

int sqlite3_extended_errcode(sqlite3* connection) {
  static const auto real = next<decltype(sqlite3_extended_errcode)>("sqlite3_extended_errcode");
  const std::lock_guard lock(state().mutex);
  return connection != nullptr && state().failed == connection ? state().failed_code : real(connection);
}

sqlite3_vfs* sqlite3_vfs_find(const char* name) {
  static const auto real = next<decltype(sqlite3_vfs_find)>("sqlite3_vfs_find");
  return name != nullptr && name == state().unknown_vfs ? nullptr : real(name);
}

int sqlite3_open_v2(const char* name, sqlite3** connection, int flags, const char* vfs) {
  static const auto real = next<decltype(sqlite3_open_v2)>("sqlite3_open_v2");
  *connection = nullptr;
  const int code = apply(nullptr, judge(Call::open, name), [&] { return real(name, connection, flags, vfs); });
  const std::lock_guard lock(state().mutex);
  if (*connection != nullptr) ++state().handles.connections_opened;
  return code;
}

int sqlite3_close(sqlite3* connection) {
  static const auto real = next<decltype(sqlite3_close)>("sqlite3_close");
  remember(connection, SQLITE_OK);
  return count_close(connection, real(connection));
}

int sqlite3_close_v2(sqlite3* connection) {
  static const auto real = next<decltype(sqlite3_close_v2)>("sqlite3_close_v2");
  remember(connection, SQLITE_OK);
  return count_close(connection, real(connection));
}

int sqlite3_prepare_v2(sqlite3* connection, const char* sql, int size, sqlite3_stmt** statement, const char** tail) {
  static const auto real = next<decltype(sqlite3_prepare_v2)>("sqlite3_prepare_v2");
  if (is_within_sqlite(real, __builtin_return_address(0))) return real(connection, sql, size, statement, tail);
  *statement = nullptr;
  return count_prepare(
      apply(connection, judge(Call::prepare, sql), [&] { return real(connection, sql, size, statement, tail); }),
      statement);
}

int sqlite3_prepare_v3(sqlite3* connection, const char* sql, int size, unsigned flags, sqlite3_stmt** statement,
                       const char** tail) {
  static const auto real = next<decltype(sqlite3_prepare_v3)>("sqlite3_prepare_v3");
  if (is_within_sqlite(real, __builtin_return_address(0))) return real(connection, sql, size, flags, statement, tail);
  *statement = nullptr;
  return count_prepare(
      apply(connection, judge(Call::prepare, sql), [&] { return real(connection, sql, size, flags, statement, tail); }),
      statement);
}

int sqlite3_finalize(sqlite3_stmt* statement) {
  static const auto real = next<decltype(sqlite3_finalize)>("sqlite3_finalize");
  if (statement != nullptr && !is_within_sqlite(real, __builtin_return_address(0))) {
    const std::lock_guard lock(state().mutex);
    ++state().handles.statements_finalized;
  }
  return real(statement);
}

int sqlite3_step(sqlite3_stmt* statement) {
  static const auto real = next<decltype(sqlite3_step)>("sqlite3_step");
  if (is_within_sqlite(real, __builtin_return_address(0))) return real(statement);
  sqlite3* const connection = sqlite3_db_handle(statement);
  const auto verdict = judge(Call::step, sqlite3_sql(statement));
  return apply(connection, verdict, [&] {
    if (verdict.effect != Effect::engine_rolls_back) return real(statement);
    return sqlite3_exec(connection, "ROLLBACK", nullptr, nullptr, nullptr);
  });
}

const unsigned char* sqlite3_column_text(sqlite3_stmt* statement, int column) {
  static const auto real = next<decltype(sqlite3_column_text)>("sqlite3_column_text");
  const char* const sql = sqlite3_sql(statement);
  const std::string& pretended = state().journal_mode;
  if (!pretended.empty() && sql != nullptr && std::strstr(sql, "journal_mode") != nullptr) {
    return reinterpret_cast<const unsigned char*>(pretended.c_str());
  }
  return real(statement, column);
}

int sqlite3_bind_int64(sqlite3_stmt* statement, int index, sqlite3_int64 value) {
  static const auto real = next<decltype(sqlite3_bind_int64)>("sqlite3_bind_int64");
  return apply(sqlite3_db_handle(statement), judge(Call::bind, sqlite3_sql(statement)),
               [&] { return real(statement, index, value); });
}

int sqlite3_bind_text64(sqlite3_stmt* statement, int index, const char* value, sqlite3_uint64 size,
                        void (*destroy)(void*), unsigned char encoding) {
  static const auto real = next<decltype(sqlite3_bind_text64)>("sqlite3_bind_text64");
  return apply(sqlite3_db_handle(statement), judge(Call::bind, sqlite3_sql(statement)),
               [&] { return real(statement, index, value, size, destroy, encoding); });
}

int sqlite3_wal_checkpoint_v2(sqlite3* connection, const char* schema, int mode, int* log_pages, int* copied_pages) {
  static const auto real = next<decltype(sqlite3_wal_checkpoint_v2)>("sqlite3_wal_checkpoint_v2");
  const int code = apply(connection, judge(Call::checkpoint, nullptr),
                         [&] { return real(connection, schema, mode, log_pages, copied_pages); });
  if (code == SQLITE_OK && state().extra_pages > 0) *copied_pages = *log_pages + state().extra_pages;
  return code;
}

int sqlite3_backup_step(sqlite3_backup* backup, int pages) {
  static const auto real = next<decltype(sqlite3_backup_step)>("sqlite3_backup_step");
  return apply(nullptr, judge(Call::backup_step, nullptr), [&] { return real(backup, pages); });
}

}  // extern "C"
