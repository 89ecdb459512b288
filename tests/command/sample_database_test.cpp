#include "cli/sample_database.hpp"

#include <cstdlib>
#include <fstream>

#include "support/temporary_folder.hpp"

namespace sqlane::cli {
namespace {

using sqlane::testing::TemporaryFolder;

constexpr int kCoordinateSystems = 13'098;  // as in PROJ 9.1.1

TEST(SampleDatabase, IsGeneratedInTheShapeOfProjs) {
  const TemporaryFolder folder;
  EXPECT_EQ(provide_sample(folder / "new.db", {}), SampleOrigin::generated);
  Database db = Database::open(folder / "new.db");
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM crs_view"), kCoordinateSystems);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM (SELECT DISTINCT auth_name, code FROM crs_view)"),
            kCoordinateSystems);
  EXPECT_EQ(db.query_one<std::string>("SELECT type FROM crs_view WHERE auth_name = 'EPSG' AND code = '4326'"),
            "geographic 2D");
}

TEST(SampleDatabase, IsACopyOfProjsWhereThatIsInstalled) {
  const TemporaryFolder folder;
  {
    Database proj = Database::open(folder / "proj.db");
    proj.execute("CREATE TABLE mark (x)");
  }
  std::filesystem::permissions(folder / "proj.db", std::filesystem::perms::owner_read);
  EXPECT_EQ(provide_sample(folder / "copy.db", folder / "proj.db"), SampleOrigin::proj);
  Database copy = Database::open(folder / "copy.db");  // writable, whatever the original was
  EXPECT_EQ(copy.query_one<std::string>("SELECT name FROM sqlite_master"), "mark");
}

TEST(SampleDatabase, LeavesAFileThatExistsAlone) {
  const TemporaryFolder folder;
  std::ofstream(folder / "mine.db") << "mine";
  EXPECT_EQ(provide_sample(folder / "mine.db", {}), SampleOrigin::given);
  EXPECT_EQ(std::filesystem::file_size(folder / "mine.db"), 4U);
}

TEST(SampleDatabase, IsLookedForWhereProjSays) {
  const TemporaryFolder folder;
  std::ofstream(folder / "proj.db") << "stands for PROJ's";
  ASSERT_EQ(::setenv("PROJ_DATA", folder.path().c_str(), 1), 0);
  EXPECT_EQ(find_proj_database(), folder / "proj.db");
  ASSERT_EQ(::unsetenv("PROJ_DATA"), 0);
  EXPECT_NE(find_proj_database(), folder / "proj.db");
}

TEST(SampleDatabase, SaysWhereItIsFrom) {
  EXPECT_NE(describe(SampleOrigin::generated).find("not installed"), std::string::npos);
  EXPECT_NE(describe(SampleOrigin::proj).find("copy of PROJ"), std::string::npos);
  EXPECT_EQ(describe(SampleOrigin::given), "as given");
}

}  // namespace
}  // namespace sqlane::cli
