#include <algorithm>
#include <filesystem>
#include <string>
#include <sys/stat.h>
#include <vector>

#include "cli/console.hpp"
#include "cli/file_modes.hpp"
#include "run_command.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/permissions.hpp"
#include "support/temporary_folder.hpp"
#include "support/write_ahead_log.hpp"

namespace sqlane::cli {
namespace {

namespace fs = std::filesystem;

using testing::contents_of;
using testing::ForeignConnection;
using testing::OrdinaryUser;
using testing::TemporaryFolder;

// A database in whose folder no index of its log can be made.
class CommandsInAPlaceWithoutAnIndex : public ::testing::Test {
 protected:
  CommandsInAPlaceWithoutAnIndex() {
    for (const fs::path& folder : {place_, elsewhere_, migrations_}) fs::create_directory(folder);
    testing::leave_log(folder_ / "work.db", file_, 3);
    ForeignConnection(elsewhere_ / "other.db").run("CREATE TABLE other (x)");
    change_mode(elsewhere_ / "other.db", 0666);
    for (const auto& entry : fs::directory_iterator(place_)) change_mode(entry.path(), 0666);
    change_mode(folder_.path(), 0755);
    change_mode(elsewhere_, 0777);
    change_mode(place_, 0555);
  }
  ~CommandsInAPlaceWithoutAnIndex() override { change_mode(place_, 0755); }

  static void change_mode(const fs::path& path, mode_t mode) { ASSERT_EQ(::chmod(path.c_str(), mode), 0); }

  TemporaryFolder folder_;
  const fs::path place_ = folder_ / "place";
  const fs::path elsewhere_ = folder_ / "elsewhere";
  const fs::path migrations_ = folder_ / "migrations";
  const fs::path file_ = place_ / "app.db";
};

TEST_F(CommandsInAPlaceWithoutAnIndex, ReadItAlone) {
  const auto before = contents_of(place_);
  const std::string file = file_.string();
  const std::string copy = (elsewhere_ / "copy.db").string();
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"stats", file},
                                                    {"stats", file, "--exclusive"},
                                                    {"backup", file, copy},
                                                    {"migrate", "status", file, migrations_.string()},
                                                    {"migrate", "diff", file, migrations_.string()},
                                                    {"check", file}}) {
    Outcome outcome{};
    {
      const OrdinaryUser user;
      outcome = run(arguments);
    }
    EXPECT_NE(outcome.code, kExitFailure) << arguments.front() << ": " << outcome.err;
    EXPECT_EQ(outcome.err, "");
    EXPECT_EQ(contents_of(place_), before) << arguments.front();
  }
  EXPECT_EQ(ForeignConnection(copy).ask("SELECT count(*) FROM in_the_log"), "3");
}

TEST_F(CommandsInAPlaceWithoutAnIndex, WriteItAloneWhereTheyAreToldSo) {
  const std::string other = (elsewhere_ / "other.db").string();
  const OrdinaryUser user;
  const Outcome refused = run({"restore", file_.string(), other});
  EXPECT_EQ(refused.code, kExitFailure);
  EXPECT_NE(refused.err.find("(hint: --exclusive)"), std::string::npos) << refused.err;
  const Outcome done = run({"restore", file_.string(), other, "--exclusive"});
  EXPECT_EQ(done.code, kExitSuccess) << done.err;
  EXPECT_EQ(run({"backup", file_.string(), (elsewhere_ / "copy.db").string()}).code, kExitSuccess);
  EXPECT_EQ(ForeignConnection(elsewhere_ / "copy.db").ask("SELECT name FROM sqlite_schema"), "other");
}

TEST_F(CommandsInAPlaceWithoutAnIndex, ChangeTheModesOfFilesOfTheirOwn) {
  EXPECT_TRUE(has_modes_of_files(elsewhere_));
  EXPECT_EQ(contents_of(elsewhere_).size(), 1U);
}

}  // namespace
}  // namespace sqlane::cli
