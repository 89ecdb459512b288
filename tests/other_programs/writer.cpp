#include "writer.hpp"

#include <cstdio>
#include <poll.h>
#include <sqlane/sqlane.hpp>
#include <unistd.h>

#include "../filesystems/folder.hpp"
#include "rows.hpp"

namespace sqlane::filesystems {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kLongestPause{3000};

void tell(const std::string& line) {
  std::puts(line.c_str());
  std::fflush(stdout);
}

void write_row(Database& db, std::int64_t id) {
  try {
    db.execute("INSERT INTO ack (id, body) VALUES (?, ?)", id, std::string(100, 'x'));
    tell("ack " + std::to_string(id));
    if (!db.query_optional<std::int64_t>("SELECT id FROM ack WHERE id = ?", id)) tell("unread");
  } catch (const std::exception& error) {
    std::string text;
    try {
      text = described(error);
    } catch (const Wrong& wrong) {
      text = wrong.what();
    }
    tell("error " + text.substr(0, text.find('\n')));
  }
}

// Until the standard input ends.
void write_rows(const std::filesystem::path& file, Locking locking) {
  try {
    Options options;
    options.locking = locking;
    options.busy_timeout = milliseconds(300);
    options.checkpoint_pages = 100;
    Database db = Database::open(file, options);
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    for (std::int64_t id = kFirstOfWriter; ::poll(&input, 1, 2) == 0; ++id) write_row(db, id);
    db.close();
  } catch (const std::exception& error) {
    tell(std::string("error at opening: ") + error.what());
  }
}

}  // namespace

Writer::Writer(const std::filesystem::path& file, Locking locking) : process_([&] { write_rows(file, locking); }) {}

void Writer::await(std::size_t count) {
  const std::size_t goal = acknowledged_.size() + count;
  const auto end = steady_clock::now() + kLongestPause;
  while (acknowledged_.size() < goal && steady_clock::now() < end && take(kLongestPause)) {
  }
}

void Writer::await_error() {
  const auto end = steady_clock::now() + kLongestPause;
  while (errors_.empty() && steady_clock::now() < end) take(milliseconds(100));
}

void Writer::hear() {
  while (take(milliseconds(0))) {
  }
}

void Writer::close() {
  process_.close_input();
  while (take(kLongestPause)) {
  }
}

void Writer::kill() {
  process_.kill();
  hear();
}

std::string Writer::summary() const {
  std::string text = std::to_string(acknowledged_.size()) + " acknowledged";
  if (unread_ > 0) text += ", " + std::to_string(unread_) + " of them not read back";
  for (const auto& [error, count] : errors_) text += ", " + std::to_string(count) + " x " + error;
  return text;
}

bool Writer::take(milliseconds limit) {
  const auto line = process_.line(limit);
  if (!line) return false;
  if (line->starts_with("ack ")) {
    acknowledged_.push_back(std::stoll(line->substr(4)));
  } else if (*line == "unread") {
    ++unread_;
  } else {
    ++errors_[line->substr(line->find(' ') + 1)];
  }
  return true;
}

}  // namespace sqlane::filesystems
