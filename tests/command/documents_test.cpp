#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/command_tree.hpp"
#include "cli/completion.hpp"
#include "cli/console.hpp"
#include "cli/man_page.hpp"
#include "run_command.hpp"
#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::cli {
namespace {

namespace fs = std::filesystem;

using testing::mentions;
using testing::TemporaryFolder;
using testing::write_bytes;

struct ShellAnswer {
  int status = -1;
  std::string output;
};

// `command` in bash; its output and its messages.
ShellAnswer ask_bash(const std::string& command, const TemporaryFolder& folder) {
  write_bytes(folder / "ask.sh", command);
  FILE* const pipe = ::popen(("bash --norc " + (folder / "ask.sh").string() + " 2>&1").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("no shell");
  ShellAnswer answer;
  std::array<char, 4096> buffer{};
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    answer.output.append(buffer.data(), count);
  }
  answer.status = ::pclose(pipe);
  return answer;
}

bool is_installed(const char* program, const TemporaryFolder& folder) {
  return ask_bash(std::string("type ") + program, folder).status == 0;
}

using Words = std::vector<std::string>;

class BashCompletion : public ::testing::Test {
 protected:
  // What the words are completed to, the last one being typed; in a folder with some files.
  Words complete(const Words& words) {
    std::string command =
        "cd " + (folder / "here").string() + "; source " + (folder / "script").string() + "\nCOMP_WORDS=(sqlane";
    for (const std::string& word : words) command += " '" + word + "'";
    command += ")\nCOMP_CWORD=" + std::to_string(words.size()) +
               "\n_sqlane\n[[ ${#COMPREPLY[@]} -eq 0 ]] || printf '%s\\n' \"${COMPREPLY[@]}\"";
    const ShellAnswer answer = ask_bash(command, folder);
    EXPECT_EQ(answer.status, 0) << answer.output;
    Words found;
    std::string rest = answer.output;
    while (!rest.empty()) {
      found.push_back(rest.substr(0, rest.find('\n')));
      rest.erase(0, found.back().size() + 1);
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  void use(const std::string& script) { write_bytes(folder / "script", script); }

  BashCompletion() {
    fs::create_directory(folder / "here");
    fs::create_directory(folder / "here/backups of mine");
    write_bytes(folder / "here/app.db", "");
    write_bytes(folder / "here/a file.db", "");
  }

  TemporaryFolder folder;
};

TEST_F(BashCompletion, OfTheCommandItself) {
  use(run({"completion", "bash"}).out);
  EXPECT_EQ(complete({"bac"}), Words{"backup"});
  EXPECT_EQ(complete({"--ver"}), Words{"--version"});
  EXPECT_EQ(complete({"backup", "ap"}), Words{"app.db"});
  EXPECT_EQ(complete({"backup", "app.db", "a"}), (Words{"a file.db", "app.db"}));
  EXPECT_EQ(complete({"backup", "app.db", "copy.db", ""}), Words()) << "there is no third";
  EXPECT_EQ(complete({"backup", "--no"}), Words{"--no-verify"});
  EXPECT_EQ(complete({"backup", "--json", "ap"}), Words{"app.db"});
  EXPECT_EQ(complete({"completion", ""}), (Words{"bash", "zsh"}));
  EXPECT_EQ(complete({"completion", "z"}), Words{"zsh"});
  EXPECT_EQ(complete({"demo", "--threads", ""}), Words()) << "a number";
  EXPECT_EQ(complete({"demo", "--threads", "5", "ap"}), Words{"app.db"});
  const Words commands = complete({""});
  EXPECT_TRUE(std::find(commands.begin(), commands.end(), "check") != commands.end());
}

// A tree such as the command may have: two levels, choices, folders, several files.
std::unique_ptr<CLI::App> sample_command() {
  static std::string text;
  static std::vector<std::string> texts;
  static bool flag = false;
  auto app = std::make_unique<CLI::App>("Tests 'quotes' and \\slashes.", "sqlane");
  CLI::App* const migrate = app->add_subcommand("migrate", "Migrates.");
  CLI::App* const up = migrate->add_subcommand("up", "Goes up: to the newest.");
  up->footer("Example: sqlane migrate up app.db migrations");
  up->add_option("DATABASE", text, "The database")->required();
  up->add_option("FOLDER", text, ".Of the migrations");
  up->add_option("--atomicity", text, "What goes together")->check(CLI::IsMember({"each", "all"}));
  up->add_option("--backup-folder", text, "Where the backup goes")->type_name("FOLDER");
  up->add_option("-o,--output", text, "Where the report goes")->type_name("FILE");
  migrate->add_subcommand("down", "Goes down.")->add_flag("--dry-run", flag, "Only says it");
  app->add_subcommand("check-sql", "Checks.")->add_option("FILES", texts, "Queries");
  return app;
}

TEST_F(BashCompletion, GoesToAnyDepthAndKnowsKindsOfValues) {
  use(make_bash_completion(*sample_command()));
  EXPECT_EQ(complete({"migrate", ""}), (Words{"down", "up"}));
  EXPECT_EQ(complete({"migrate", "up", ""}), (Words{"a file.db", "app.db", "backups of mine"}));
  EXPECT_EQ(complete({"migrate", "up", "app.db", ""}), Words{"backups of mine"}) << "a folder";
  EXPECT_EQ(complete({"migrate", "up", "--atomicity", ""}), (Words{"all", "each"}));
  EXPECT_EQ(complete({"migrate", "up", "--atomicity", "=", "e"}), Words{"each"});
  EXPECT_EQ(complete({"migrate", "up", "--atomicity", "="}), (Words{"all", "each"}));
  EXPECT_EQ(complete({"migrate", "up", "--backup-folder", ""}), Words{"backups of mine"});
  EXPECT_EQ(complete({"migrate", "up", "-o", "ap"}), Words{"app.db"});
  EXPECT_EQ(complete({"migrate", "down", "--"}), (Words{"--dry-run", "--help"}));
  EXPECT_EQ(complete({"check-sql", "one", "two", "ap"}), Words{"app.db"});
}

TEST_F(BashCompletion, IsOfferedWhereTheScriptIsSourced) {
  use(run({"completion", "bash"}).out);
  const ShellAnswer answer = ask_bash("source " + (folder / "script").string() + "; complete -p sqlane", folder);
  EXPECT_EQ(answer.output, "complete -F _sqlane sqlane\n");
}

TEST(ZshCompletion, IsAScriptThatZshUnderstands) {
  const TemporaryFolder folder;
  if (!is_installed("zsh", folder)) GTEST_SKIP() << "zsh is not installed";
  for (const std::string& script : {run({"completion", "zsh"}).out, make_zsh_completion(*sample_command())}) {
    write_bytes(folder / "_sqlane", script);
    const ShellAnswer answer = ask_bash("zsh -f -n " + (folder / "_sqlane").string(), folder);
    EXPECT_EQ(answer.status, 0) << answer.output;
    EXPECT_EQ(answer.output, "");
  }
}

TEST(ZshCompletion, DescribesWhatItOffers) {
  const std::string script = make_zsh_completion(*sample_command());
  EXPECT_EQ(script.find("#compdef sqlane\n"), 0U);
  EXPECT_TRUE(mentions(script, "'up:Goes up\\: to the newest.'")) << script;
  EXPECT_TRUE(mentions(script, "'--atomicity:What goes together'")) << script;
}

// As plain text, without overstriking; a page that roff complains about fails.
std::string rendered(const std::string& page, const TemporaryFolder& folder) {
  write_bytes(folder / "page.1", page);
  const ShellAnswer answer =
      ask_bash("groff -man -ww -Tascii -P-cbou " + (folder / "page.1").string() + " 2>&1", folder);
  EXPECT_EQ(answer.status, 0);
  EXPECT_FALSE(mentions(answer.output, "warning")) << answer.output;
  EXPECT_FALSE(mentions(answer.output, "error:")) << answer.output;
  return answer.output;
}

TEST(ManPage, HasEveryCommandWithItsOptionsAndExample) {
  const TemporaryFolder folder;
  if (!is_installed("groff", folder)) GTEST_SKIP() << "groff is not installed";
  const std::string text = rendered(run({"man"}).out, folder);
  for (const char* part : {"NAME", "SYNOPSIS", "COMMANDS", "EXIT STATUS", "ENVIRONMENT", "NO_COLOR",
                           "sqlane backup FILE TO", "--no-verify", "sqlane backup app.db backups/app-monday.db",
                           "sqlane check FILE", "--quick", "sqlane completion SHELL", "sqlane 0"}) {
    EXPECT_TRUE(mentions(text, part)) << part << " is not in\n" << text;
  }
}

TEST(ManPage, KeepsWhatRoffWouldTakeForItsOwn) {
  const TemporaryFolder folder;
  if (!is_installed("groff", folder)) GTEST_SKIP() << "groff is not installed";
  const std::string text = rendered(make_man_page(*sample_command(), "1.2.3"), folder);
  for (const char* part : {"tests 'quotes' and \\slashes", ".Of the migrations", "sqlane migrate up DATABASE [FOLDER]",
                           "--atomicity each|all", "--output, -o FILE", "sqlane migrate down", "1.2.3"}) {
    EXPECT_TRUE(mentions(text, part)) << part << " is not in\n" << text;
  }
}

TEST(ManPage, IsUnderstoodByMan) {
  const TemporaryFolder folder;
  if (!is_installed("man", folder)) GTEST_SKIP() << "man is not installed";
  write_bytes(folder / "page.1", run({"man"}).out);
  const ShellAnswer answer = ask_bash(
      "MANROFFSEQ= man --warnings -E UTF-8 -l -Tutf8 " + (folder / "page.1").string() + " 2>&1 >/dev/null", folder);
  EXPECT_EQ(answer.status, 0);
  EXPECT_EQ(answer.output, "");
}

// Each command, down to the last, says how it is used.
TEST(Documents, GiveAnExampleForEachCommand) {
  const std::string page = run({"man"}).out;
  std::size_t commands = 0;
  std::size_t examples = 0;
  for (std::size_t at = 0; (at = page.find("\n.SS ", at)) != std::string::npos; ++at) ++commands;
  for (std::size_t at = 0; (at = page.find("\nExample:\n", at)) != std::string::npos; ++at) ++examples;
  EXPECT_GT(commands, 5U);
  EXPECT_EQ(examples, commands);
}

}  // namespace
}  // namespace sqlane::cli
