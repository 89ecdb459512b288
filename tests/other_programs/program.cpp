#include "program.hpp"

#include <unistd.h>

#include "rows.hpp"

namespace sqlane::filesystems {
namespace {

constexpr int kRows = 20;
constexpr std::chrono::seconds kPatience{20};

void become(std::vector<std::string> command, const std::filesystem::path& file, bool is_read_only) {
  command.push_back(file);
  if (is_read_only) command.emplace_back("read_only");
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
}

}  // namespace

Program::Program(const std::vector<std::string>& command, const std::filesystem::path& file, bool is_read_only)
    : process_([&] { become(command, file, is_read_only); }) {
  is_open_ = is_answered();
  value_.clear();  // its version
}

bool Program::run(const std::string& sql) {
  if (!is_open_) return false;
  process_.say(sql);
  return is_answered();
}

void Program::insert() {
  for (std::int64_t id = kFirstOfProgram; id < kFirstOfProgram + kRows; ++id) {
    if (!run(insert_of(id, "'of the program'"))) return;
    rows_.push_back(id);
  }
}

void Program::close() {
  process_.close_input();
  while (const auto line = process_.line(kPatience)) failures_.insert(*line);
}

void Program::kill() { process_.kill(); }

std::string Program::summary() const {
  std::string text = value_.empty() ? "" : "answers " + value_;
  if (!rows_.empty()) text += " rows written " + std::to_string(rows_.size());
  for (const std::string& failure : failures_) text += " " + failure;
  return text;
}

bool Program::is_answered() {
  const auto line = process_.line(kPatience);
  if (!line) {
    failures_.insert("error: no answer");
    is_open_ = false;
    return false;
  }
  if (!line->starts_with("ok")) {
    failures_.insert(*line);
    return false;
  }
  if (line->size() > 3) value_ = line->substr(3);
  return true;
}

}  // namespace sqlane::filesystems
