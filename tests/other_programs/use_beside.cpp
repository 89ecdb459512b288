// What another program does to a database that sqlane uses, as a line of text; scripts/other_programs runs it.
//
//   sqlane_use_beside FOLDER shared|exclusive CASE [--base=FILE] PROGRAM [ARGUMENT…]
//
// PROGRAM is run with the path of the database, and "read_only" in that case; in_node.cjs says how it answers. FILE is
// a database to begin with, instead of a new one. FOLDER is made, and is left there when something was lost.
#include <csignal>
#include <cstdio>
#include <functional>
#include <map>
#include <numeric>
#include <poll.h>
#include <sqlane/sqlane.hpp>
#include <sys/stat.h>

#include "../filesystems/folder.hpp"
#include "../filesystems/plain_sqlite.hpp"
#include "program.hpp"
#include "rows.hpp"
#include "writer.hpp"

namespace sqlane::filesystems {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSome = 30;  // rows of sqlane's
constexpr const char* kCount = "SELECT count(*) FROM ack";

// Begins a transaction with more changes than fit into a page cache, and is killed once sqlane has given up waiting.
void die_within_a_write(Program& program, Writer* writer) {
  if (!program.run("BEGIN IMMEDIATE")) return;
  for (int i = 0; i < 40; ++i) program.run(insert_of(kFirstUncommitted + i, "hex(zeroblob(50000))"));
  if (writer != nullptr) writer->await_error();
  program.kill();
}

// Counts rows again and again.
void watch(Program& program, Writer* writer) {
  int stale = 0;
  for (int i = 0; i < 200; ++i) {
    writer->hear();
    const std::size_t at_least = writer->acknowledged().size() + kRowsFromBefore;
    if (!program.run(kCount)) return;
    stale += std::stoull(program.value()) < at_least ? 1 : 0;
    ::poll(nullptr, 0, 5);
  }
  if (stale > 0) program.note(std::to_string(stale) + " of 200 answers are too old");
}

using Use = std::function<void(Program&, Writer*)>;
Use run(const char* sql) {
  return [sql](Program& program, Writer*) { program.run(sql); };
}

// What the program does while sqlane writes; and after sqlane, as "after_read".
const std::map<std::string, Use> kUses = {
    {"read", run(kCount)},
    {"read_only", run(kCount)},
    {"watch", watch},
    {"watch_read_only", watch},
    {"write", [](Program& program, Writer*) { program.insert(); }},
    {"killed", die_within_a_write},
    {"checkpoint", run("PRAGMA wal_checkpoint(TRUNCATE)")},
    {"vacuum", run("VACUUM")},
    {"rollback_mode", run("PRAGMA journal_mode=DELETE")},
    {"encrypt", run("PRAGMA rekey='secret'")},
};

ino_t inode_of(const std::string& file) {
  struct stat status {};
  return ::stat(file.c_str(), &status) == 0 ? status.st_ino : 0;
}

// Which of the database and the files beside it are not what they were.
class Files {
 public:
  explicit Files(const fs::path& file) : file_(file) {
    for (const char* suffix : kSuffixes) before_.push_back(inode_of(file.string() + suffix));
  }
  [[nodiscard]] std::string changes() const {
    std::string text;
    for (std::size_t i = 0; i < before_.size(); ++i) {
      const ino_t now = inode_of(file_.string() + kSuffixes[i]);
      if (before_[i] == now) continue;
      text += std::string(", ") + (i == 0 ? "file" : kSuffixes[i]) +
              (now == 0          ? " is gone"
               : before_[i] == 0 ? " is new"
                                 : " is another");
    }
    return text;
  }

 private:
  static constexpr const char* kSuffixes[] = {"", "-wal", "-shm", "-journal"};
  fs::path file_;
  std::vector<ino_t> before_;
};

struct Plan {
  fs::path file;
  Locking locking = Locking::shared;
  std::string name;
  std::vector<std::string> command;
};

std::vector<std::int64_t> rows_from_before() {
  std::vector<std::int64_t> rows(kRowsFromBefore);
  std::iota(rows.begin(), rows.end(), 1);
  return rows;
}

// A database that sqlane has closed.
void make(const fs::path& file) {
  Database db = Database::open(file);
  db.execute(runtime_sql(kTable));
  db.write([](Transaction& tx) {
    for (const std::int64_t id : rows_from_before()) {
      tx.execute("INSERT INTO ack (id, body) VALUES (?, ?)", id, std::string(100, 'x'));
    }
  });
  db.close();
}

// What of `rows` is there, to be printed; sets `is_whole` to false where not all is.
std::string found(const Plan& plan, const char* whose, const std::vector<std::int64_t>& rows, bool& is_whole) {
  const Look look = look_for(plan.file, rows);
  is_whole = is_whole && look.missing.empty() && look.damage.empty();
  const std::string all = std::to_string(rows.size());
  return std::string(whose) +
         (look.missing.empty() ? " " + all + " rows are there"
                               : " LOST " + std::to_string(look.missing.size()) + " of " + all) +
         (look.damage.empty() ? "" : ", NOT WHOLE: " + look.damage.substr(0, look.damage.find('\n')));
}

// Returns whether nothing is lost.
bool print(const Plan& plan, const Program& program, const Writer& writer, const std::string& changes) {
  std::printf("  program: %s%s\n", program.summary().c_str(), changes.c_str());
  std::printf("  sqlane:  %s\n", writer.summary().c_str());
  try {
    Database db = Database::open(plan.file, {.mode = OpenMode::existing, .locking = plan.locking});
    db.close();
  } catch (const std::exception& error) {
    std::printf("  again:   %s\n", error.what());
  }
  std::vector<std::int64_t> rows = rows_from_before();
  rows.insert(rows.end(), writer.acknowledged().begin(), writer.acknowledged().end());
  bool is_whole = true;
  const std::string ours = found(plan, "sqlane's", rows, is_whole);
  const std::string theirs = found(plan, "the program's", program.rows(), is_whole);
  std::printf("  then:    %s; %s\n", ours.c_str(), theirs.c_str());
  return is_whole;
}

// sqlane is there first and writes; the program comes, does what it does, and goes.
bool use_beside(const Plan& plan) {
  make(plan.file);
  Writer writer(plan.file, plan.locking);
  writer.await(kSome);
  const Files files(plan.file);
  Program program(plan.command, plan.file, plan.name.ends_with("read_only"));
  kUses.at(plan.name)(program, &writer);
  if (plan.name != "killed") program.close();
  const std::string changes = files.changes();
  writer.hear();
  writer.await(kSome);
  writer.kill();
  return print(plan, program, writer, changes);
}

// sqlane has closed the file; the program comes and goes; sqlane opens it again.
bool use_after(const Plan& plan) {
  make(plan.file);
  const std::string name = plan.name.substr(plan.name.find('_') + 1);
  const Files files(plan.file);
  Program program(plan.command, plan.file, name == "read_only");
  kUses.at(name)(program, nullptr);
  if (name != "killed") program.close();
  const std::string changes = files.changes();
  Writer writer(plan.file, plan.locking);
  writer.await(kSome);
  writer.kill();
  return print(plan, program, writer, changes);
}

// The program is there first and stays; sqlane comes.
bool use_before(const Plan& plan) {
  if (plan.name == "before_rollback_mode") {
    fs::remove(plan.file);
    prepare(plan.file, Left::rollback_mode, kRowsFromBefore);
  } else {
    make(plan.file);
  }
  Program program(plan.command, plan.file, false);
  program.run(kCount);
  Writer writer(plan.file, plan.locking);
  writer.await(kSome);
  if (plan.name == "outlasts") writer.close();
  const Files files(plan.file);
  program.insert();
  program.close();
  const std::string changes = files.changes();
  writer.hear();
  if (plan.name != "outlasts") writer.await(kSome);
  writer.kill();
  return print(plan, program, writer, changes);
}

int main_of(std::vector<std::string> words) {
  expect(words.size() >= 4, "FOLDER shared|exclusive CASE [--base=FILE] PROGRAM [ARGUMENT…]");
  const fs::path folder = words[0];
  fs::remove_all(folder);
  fs::create_directories(folder);
  Plan plan{.file = folder / "app.db",
            .locking = words[1] == "exclusive" ? Locking::exclusive : Locking::shared,
            .name = words[2],
            .command = {words.begin() + 3, words.end()}};
  if (plan.command.front().starts_with("--base=")) {
    const fs::path base = plan.command.front().substr(7);
    plan.file = folder / base.filename();
    fs::copy_file(base, plan.file);
    plan.command.erase(plan.command.begin());
  }
  ::signal(SIGPIPE, SIG_IGN);
  std::printf("%s, %s\n", plan.name.c_str(), words[1].c_str());
  const auto use = plan.name.starts_with("after_") ? use_after : kUses.contains(plan.name) ? use_beside : use_before;
  if (use(plan)) fs::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace sqlane::filesystems

int main(int count, char** words) {
  try {
    return sqlane::filesystems::main_of({words + 1, words + count});
  } catch (const std::exception& error) {
    std::printf("  WRONG: %s\n", error.what());
    return 1;
  }
}
