#pragma once

#include <filesystem>
#include <string>

namespace sqlane::detail {

// What SQLite keeps beside a database: its write-ahead log, the index of that, or
// its rollback journal. It takes whatever has such a name for the database's own:
// follows it, writes into it, deletes it. https://sqlite.org/fileformat2.html#the_rollback_journal

// Why a database must not be opened by SQLite for what is beside it; empty when it may be. Says what to do.
//  - a file that is not a regular one, or has a second name
//  - a log of a format that came after ours
//  - a log, or a journal to be rolled back, beside a database that is empty or gone: what was committed last may be in
//    there alone, and SQLite would delete it. The first transaction of a database leaves another journal.
//  - a database of such a name
// Opens nothing that has another name as well: closing it could drop this process's locks.
[[nodiscard]] std::string fault_beside(const std::filesystem::path& database);

// Why no new database may appear there for what is beside it; empty when it may.
[[nodiscard]] std::string leftovers_beside(const std::filesystem::path& database);

// Whether a transaction was left half-way that SQLite undoes when it opens the database for writing.
[[nodiscard]] bool has_hot_journal(const std::filesystem::path& database);

// The file that this one would belong to by its name, if that is there; else empty.
[[nodiscard]] std::filesystem::path owner_by_name(const std::filesystem::path& file);

}  // namespace sqlane::detail
