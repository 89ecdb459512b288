#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "sqlane/integrity.hpp"
#include "sqlite/connection.hpp"

// Copying databases page by page. https://sqlite.org/backup.html
namespace sqlane::detail {

// Copies all of a database to another one, in one step: what the snapshot of
// `from` shows replaces what is in `to`. Requires: `from` has a snapshot, `to`
// no transaction.
// Throws what reading the one or writing the other throws; `to` is as before then.
void copy_database(Connection& from, Connection& to);

// Called between the steps of a copy, not after the last one, which commits.
// Ends it by throwing; the destination is as before then.
using OnCopied = std::function<void(std::uint64_t copied_bytes, std::uint64_t total_bytes)>;

// How many pages the next step of a copy takes, of `total` in all. Pure.
[[nodiscard]] int pages_per_step(int total) noexcept;

// Whether somebody who last heard of `told` bytes wants to hear of `copied`, so that
// it comes to some hundred times in all. Pure.
[[nodiscard]] bool is_worth_telling(std::uint64_t copied, std::uint64_t told, std::uint64_t total) noexcept;

// Writes what the snapshot of `from` shows to the empty file `path`, which
// nobody else has; not synced. It is in no journal mode that lasts: whoever opens
// it finds it complete, without files beside it. `name` is what errors call it.
// Returns its size in bytes. Requires: `from` has a snapshot, so that writers do
// not make the copy start over.
std::uint64_t write_copy(Connection& from, const std::filesystem::path& path, const std::string& name,
                         const OnCopied& on_copied);

// Writes what the snapshot of `from` shows to the empty file `path`, which others may open meanwhile, as one commit
// that is synced; it is empty again should that fail. Returns its size in bytes. Requires: as for write_copy().
std::uint64_t write_to_empty(Connection& from, const std::filesystem::path& path, const OnCopied& on_copied);

// Throws OpenError when `to` cannot take over the contents of `from`: page sizes or encodings differ. Throws
// SchemaError or CorruptError when the schema of `from` cannot be read.
void expect_fitting(Connection& from, Connection& to);

// Replaces what is in `to` by what the snapshot of `from` shows, as one commit.
// Pages that the cache of `to` has no room for go to the log meanwhile. Returns
// the size in bytes. `to` has to be retired afterwards, whatever the outcome.
// Requires: as for copy_database().
// Throws, before the first change, what expect_fitting() throws; BusyError when another process
// writes, CommitOutcomeUnknown when it failed in the commit itself; else what
// reading the one or writing the other throws, and `to` is as before.
std::uint64_t replace_contents(Connection& from, Connection& to, const OnCopied& on_copied);

// Opens what is to be copied or checked. Throws OpenError, or CorruptError for a damaged database.
[[nodiscard]] Connection open_to_copy(const ConnectionSettings& settings);

// Throws CorruptError with what check_integrity() finds first, InterruptedError when a stop is requested; `what` is
// damaged then, and `database` named. Returns what could not be checked. Nobody else uses `connection`, then or later.
std::vector<UncheckedTable> expect_integrity(Connection& connection, const std::string& what,
                                             const std::string& database, const std::stop_token& stop);

}  // namespace sqlane::detail
