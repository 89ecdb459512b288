#include "cli/demo.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "cli/command.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::cli {
namespace {

using sqlane::testing::TemporaryFolder;

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

Outcome run(std::vector<std::string> arguments, bool is_terminal = false) {
  std::vector<const char*> argv{"sqlane"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  std::ostringstream out;
  std::ostringstream err;
  Console console{out, err, is_terminal};
  const int code = run_command(static_cast<int>(argv.size()), argv.data(), console);
  return {code, out.str(), err.str()};
}

TEST(Demo, ProvesThatEveryAcknowledgedWriteIsThere) {
  const TemporaryFolder folder;
  const std::string file = folder / "demo.db";
  const Outcome outcome = run({"demo", file, "--seconds", "0.3", "--threads", "8", "--writes", "50", "--json"});
  ASSERT_EQ(outcome.code, kExitSuccess) << outcome.err << outcome.out;
  const auto json = nlohmann::json::parse(outcome.out);  // JSON alone
  EXPECT_EQ(json["proof"]["missing"], 0);
  EXPECT_EQ(json["proof"]["integrity_check"], "ok");
  EXPECT_EQ(json["migrations_applied"], 2);
  EXPECT_EQ(json["sqlane"]["other_errors"], 0);
  EXPECT_EQ(json["sqlane"]["misses"], 0);
  EXPECT_EQ(json["connection_per_thread"]["misses"], 0);
  const auto acknowledged = json["proof"]["acknowledged"].get<std::int64_t>();
  EXPECT_GT(acknowledged, 0);
  EXPECT_EQ(Database::open(file).query_one<std::int64_t>("SELECT count(*) FROM visit"), acknowledged);
}

TEST(Demo, GoesOnWithAFileThatItHasSeenBefore) {
  const TemporaryFolder folder;
  const std::string file = folder / "demo.db";
  const std::vector<std::string> arguments{"demo", file, "--seconds", "0.05", "--threads", "2", "--json"};
  ASSERT_EQ(run(arguments).code, kExitSuccess);
  const Outcome again = run(arguments);
  ASSERT_EQ(again.code, kExitSuccess) << again.err;
  const auto json = nlohmann::json::parse(again.out);
  EXPECT_EQ(json["migrations_applied"], 0);
  EXPECT_EQ(json["origin"], "as given");
}

TEST(Demo, WritesAPlainLogWhereThereIsNoTerminal) {
  const Outcome outcome = run({"demo", "--seconds", "0.05", "--threads", "2"});
  ASSERT_EQ(outcome.code, kExitSuccess) << outcome.err;
  EXPECT_EQ(outcome.out.find('\r'), std::string::npos);
  EXPECT_NE(outcome.out.find("connection per thread"), std::string::npos);
  EXPECT_NE(outcome.out.find("proof: "), std::string::npos);
}

TEST(Demo, KeepsOneLiveLineOnATerminal) {
  const Outcome outcome = run({"demo", "--seconds", "0.05", "--threads", "2"}, true);
  ASSERT_EQ(outcome.code, kExitSuccess) << outcome.err;
  EXPECT_NE(outcome.out.find("\r\033[Ksqlane"), std::string::npos);
}

TEST(Demo, CutsTheLiveLineToTheTerminal) {
  std::ostringstream out;
  std::ostringstream err;
  Console console{out, err, true, 40};
  const char* argv[] = {"sqlane", "demo", "--seconds", "0.05", "--threads", "2"};
  ASSERT_EQ(run_command(6, argv, console), kExitSuccess) << err.str();
  const std::size_t begin = out.str().find("\033[Ksqlane") + 3;
  EXPECT_EQ(out.str().find_first_of("\r\n", begin) - begin, 39U);
}

TEST(Demo, RefusesArgumentsThatMakeNoSense) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{},
                                                    {"dance"},
                                                    {"demo", "--threads", "0"},
                                                    {"demo", "--writes", "101"},
                                                    {"demo", "--seconds", "soon"},
                                                    {"demo", "--seconds", "nan"},
                                                    {"demo", "--volume", "11"}}) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, kExitUsage) << outcome.out;
    EXPECT_FALSE(outcome.err.empty());
    EXPECT_TRUE(outcome.out.empty());
  }
}

TEST(Demo, ExplainsItself) {
  const Outcome outcome = run({"demo", "--help"});
  EXPECT_EQ(outcome.code, kExitSuccess);
  EXPECT_NE(outcome.out.find("Example: sqlane demo"), std::string::npos);
}

TEST(Demo, FailsInOneLineOnAFileThatIsNoDatabase) {
  const TemporaryFolder folder;
  std::ofstream(folder / "letter.txt") << std::string(4096, 'x');
  const Outcome outcome = run({"demo", folder / "letter.txt"});
  EXPECT_EQ(outcome.code, kExitFailure);
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
  EXPECT_NE(outcome.err.find("letter.txt"), std::string::npos) << outcome.err;
  EXPECT_TRUE(outcome.out.empty());
}

// Asks it to stop at its first glance at a load.
class StopsAtOnce final : public DemoListener {
 public:
  void say(const std::string& /*sentence*/) override {}
  void glance(const std::string& /*subject*/, const LoadGlance& /*glance*/, std::uintmax_t /*wal_bytes*/) override {
    source.request_stop();
  }

  std::stop_source source;
};

TEST(Demo, LeavesNothingWhenItIsStopped) {
  const TemporaryFolder folder;
  ASSERT_EQ(::setenv("TMPDIR", folder.path().c_str(), 1), 0);
  StopsAtOnce listener;
  EXPECT_THROW(
      static_cast<void>(run_demo({.seconds = 3600, .threads = 2, .stop = listener.source.get_token()}, listener)),
      InterruptedError);
  ASSERT_EQ(::unsetenv("TMPDIR"), 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Demo, NeedsCoordinateSystems) {
  const TemporaryFolder folder;
  Database::open(folder / "other.db").execute("CREATE TABLE t (x)");
  const Outcome outcome = run({"demo", folder / "other.db"});
  EXPECT_EQ(outcome.code, kExitFailure);
  EXPECT_NE(outcome.err.find("crs_view"), std::string::npos) << outcome.err;
  EXPECT_EQ(Database::open(folder / "other.db").query_one<int>("PRAGMA user_version"), 0);
}

TEST(Demo, NoticesAnAcknowledgedWriteThatIsMissing) {
  Database db = Database::in_memory();
  db.execute("CREATE TABLE visit (run INTEGER, worker INTEGER, sequence INTEGER)");
  db.execute("INSERT INTO visit VALUES (7, 0, 1), (7, 0, 2), (7, 1, 1), (6, 1, 2)");
  LoadResult load;
  load.acknowledged = {{1, 2}, {1}};
  EXPECT_EQ(count_missing(db, 7, load), 0U);
  load.acknowledged = {{1, 2, 3}, {1, 2}};  // one that never was, and one of another run
  EXPECT_EQ(count_missing(db, 7, load), 2U);
}

TEST(Demo, CountsWhatALoadCouldNotDo) {
  class BrokenSubject final : public Subject {
   public:
    [[nodiscard]] std::string name() const override { return "broken"; }
    [[nodiscard]] std::size_t readers(std::size_t threads) const override { return threads; }
    [[nodiscard]] std::unique_ptr<Session> connect() override {
      class BrokenSession final : public Session {
       public:
        bool look_up(const CrsKey& key) override {
          if (key.code == "gone") return false;
          throw std::runtime_error("no reading today");
        }
        void record(const Visit& visit, const std::function<void()>& on_begin) override {
          if (visit.sequence % 2 == 0) throw SubjectBusy("occupied");
          on_begin();
          throw std::runtime_error("no writing today");
        }
      };
      if (connections_++ == 0) throw std::runtime_error("no connecting today");
      return std::make_unique<BrokenSession>();
    }

   private:
    std::atomic<int> connections_ = 0;
  };
  BrokenSubject subject;
  const std::vector<CrsKey> keys{{"EPSG", "gone"}, {"EPSG", "4326"}};
  const LoadPlan plan{.threads = 3, .length = std::chrono::milliseconds(20), .writes_percent = 50, .keys = &keys};
  const LoadResult result = run_load(subject, plan, [](const LoadGlance& glance) { EXPECT_LE(glance.waiting, 3U); });
  EXPECT_GT(result.busy_errors, 0U);
  EXPECT_GT(result.other_errors, 1U);
  EXPECT_GT(result.misses, 0U);
  EXPECT_EQ(result.writes.count(), 0U);
  EXPECT_EQ(result.least_served, 0U);
  EXPECT_EQ(result.starved, 1U);
  EXPECT_FALSE(result.first_error.empty());
}

}  // namespace
}  // namespace sqlane::cli
