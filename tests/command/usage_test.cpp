#include "cli/usage.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "cli/console.hpp"
#include "run_command.hpp"

namespace sqlane::cli {
namespace {

struct Mistake {
  std::vector<std::string> arguments;
  std::string answer;
};

TEST(Usage, AnswersAMistakeInOneLineThatLeadsOn) {
  const std::vector<Mistake> mistakes{
      {{}, "sqlane: a command is missing.  sqlane --help lists all"},
      {{"bakup"}, "sqlane: unknown command \"bakup\"; did you mean \"backup\"?  sqlane --help lists all"},
      {{"bakup", "a", "b"}, "sqlane: unknown command \"bakup\"; did you mean \"backup\"?  sqlane --help lists all"},
      {{"xyzzy"}, "sqlane: unknown command \"xyzzy\".  sqlane --help lists all"},
      {{"--jsn"}, "sqlane: unknown option \"--jsn\".  sqlane --help lists all"},
      {{"--versoin"}, "sqlane: unknown option \"--versoin\"; did you mean \"--version\"?  sqlane --help lists all"},
      {{"backup"}, "sqlane backup: FILE is missing.  sqlane backup --help says more"},
      {{"backup", "a"}, "sqlane backup: TO is missing.  sqlane backup --help says more"},
      {{"backup", "a", "b", "c"}, "sqlane backup: unexpected argument \"c\".  sqlane backup --help says more"},
      {{"backup", "a", "b", "--jsno"},
       "sqlane backup: unknown option \"--jsno\"; did you mean \"--json\"?  sqlane backup --help says more"},
      {{"backup", "--no-verfy=1"},
       "sqlane backup: unknown option \"--no-verfy\"; did you mean \"--no-verify\"?  sqlane backup --help says more"},
      {{"completion", "fish"},
       "sqlane completion: SHELL: fish not in {bash,zsh}.  sqlane completion --help says more"}};
  for (const auto& [arguments, answer] : mistakes) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.err, answer + "\n");
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.code, kExitUsage);
  }
}

TEST(Usage, GivesHelpWhereItIsAskedFor) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--help"}, {"backup", "--help"}, {"check", "-h"}}) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, kExitSuccess);
    EXPECT_EQ(outcome.err, "");
    EXPECT_NE(outcome.out.find("Usage: sqlane"), std::string::npos) << outcome.out;
  }
}

TEST(Usage, TellsItsVersionAndThatOfSqlite) {
  const Outcome outcome = run({"--version"});
  EXPECT_EQ(outcome.code, kExitSuccess);
  EXPECT_EQ(outcome.out.find("sqlane " SQLANE_VERSION ", SQLite 3."), 0U) << outcome.out;
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 1);
}

TEST(Usage, FindsWhatSomebodyMayHaveMeant) {
  const std::vector<std::string> words{"backup", "restore", "check", "migrate", "up", "to"};
  const std::array<std::pair<const char*, const char*>, 9> cases{{{"bakup", "backup"},
                                                                  {"backpu", "backup"},
                                                                  {"restor", "restore"},
                                                                  {"mig", "migrate"},
                                                                  {"chekc", "check"},
                                                                  {"upp", "up"},
                                                                  {"xyzzy", ""},
                                                                  {"", ""},
                                                                  {"verify", ""}}};
  for (const auto& [typed, meant] : cases) EXPECT_EQ(find_similar(typed, words).value_or(""), meant) << typed;
}

}  // namespace
}  // namespace sqlane::cli
