#include "forked_writer.hpp"

#include <csignal>
#include <cstring>
#include <mutex>
#include <poll.h>
#include <sqlane/sqlane.hpp>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "folder.hpp"
#include "load.hpp"
#include "plain_sqlite.hpp"

namespace sqlane::filesystems {
namespace {

static_assert(sizeof(Report) <= 512, "a report is written whole: POSIX says so of 512 bytes in a pipe");

// What runs inside of the child.
class Child {
 public:
  Child(int reports, const std::atomic<bool>& mark) : reports_(reports), mark_(mark) {}

  void run(const std::filesystem::path& file, const Options& options, const ForkedWriter::Plan& plan) const {
    try {
      Database db = Database::open(file, options);
      db.execute(sqlane::runtime_sql(kTable));
      std::vector<std::thread> threads;
      for (int i = 0; i < plan.threads; ++i) {
        threads.emplace_back([&, i] { write_rows(db, plan.first_id + i * kIdsOfThread, plan.rows_of_thread); });
      }
      for (std::thread& thread : threads) thread.join();
      db.close();
      say({.kind = Report::Kind::finished});
    } catch (const std::exception& error) {
      say_failure(error, {.kind = Report::Kind::refused});
    }
  }

 private:
  void write_rows(Database& db, std::int64_t first, std::int64_t rows) const {
    for (std::int64_t id = first; id < first + rows; ++id) {
      Report report{.kind = Report::Kind::failed, .began_after = mark_.load(), .id = id};
      try {
        db.execute("INSERT INTO ack (id, body) VALUES (?, ?)", id, std::string(100, 'x'));
        report.kind = Report::Kind::acknowledged;
        say(report);
      } catch (const std::exception& error) {
        say_failure(error, report);
        ::poll(nullptr, 0, 2);  // a write that fails at once would fill the pipe
      }
    }
  }

  void say_failure(const std::exception& error, Report report) const {
    std::string text;
    try {
      text = described(error);
    } catch (const Wrong& wrong) {
      text = wrong.what();
      report.kind = Report::Kind::untyped;
    }
    text.copy(report.said, sizeof(report.said) - 1);
    say(report);
  }

  void say(const Report& report) const {
    if (::write(reports_, &report, sizeof(report)) != static_cast<ssize_t>(sizeof(report))) ::_exit(3);
  }

  int reports_;
  const std::atomic<bool>& mark_;
};

}  // namespace

ForkedWriter::ForkedWriter(const std::filesystem::path& file, const Options& options, const Plan& plan) {
  void* shared = ::mmap(nullptr, sizeof(*mark_), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  expect(shared != MAP_FAILED, "no memory to share with a child");
  mark_ = new (shared) std::atomic<bool>(false);
  int ends[2];
  expect(::pipe(ends) == 0, "no pipe for a child");
  child_ = ::fork();
  expect(child_ >= 0, "no child");
  if (child_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close(ends[0]);
    Child(ends[1], *mark_).run(file, options, plan);
    ::_exit(0);
  }
  ::close(ends[1]);
  reports_ = ends[0];
}

ForkedWriter::~ForkedWriter() {
  kill();
  ::close(reports_);
  ::munmap(mark_, sizeof(*mark_));
}

std::optional<Report> ForkedWriter::next(std::chrono::milliseconds limit) {
  pollfd reports{.fd = reports_, .events = POLLIN, .revents = 0};
  if (::poll(&reports, 1, static_cast<int>(limit.count())) <= 0) return {};
  Report report;
  if (::read(reports_, &report, sizeof(report)) != static_cast<ssize_t>(sizeof(report))) return {};
  return report;
}

void ForkedWriter::mark() { mark_->store(true); }

void ForkedWriter::kill() {
  if (child_ == 0) return;
  int status = 0;
  if (::waitpid(child_, &status, WNOHANG) == 0) {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, &status, 0);
  }
  if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) died_of_ = WTERMSIG(status);
  child_ = 0;
}

}  // namespace sqlane::filesystems
