#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <vector>

#include "migrate/file_name.hpp"
#include "migrate/sha256.hpp"
#include "sqlane/migration.hpp"
#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::mentions;
using testing::TemporaryFolder;
using testing::write_bytes;

std::string text_of(const MigrationBody& body) { return std::get<std::string>(body); }

MigrationError refusal_of(std::vector<MigrationFile> files) {
  return error_of<MigrationError>([&] { static_cast<void>(Migrations::from_files(files)); });
}

MigrationError refusal_of(Migration migration) {
  return error_of<MigrationError>([&] { Migrations().add(std::move(migration)); });
}

const std::function<void(Transaction&)> kFunction = [](Transaction&) {};

TEST(MigrationFileNames, SayNumberDirectionAndName) {
  struct Case {
    std::string_view file;
    std::int32_t version;
    MigrationDirection direction;
    std::string_view name;
  };
  constexpr Case kCases[] = {
      {"0001_create_visit.sql", 1, MigrationDirection::up, "create_visit"},
      {"0001_create_visit.down.sql", 1, MigrationDirection::down, "create_visit"},
      {"1_a.sql", 1, MigrationDirection::up, "a"},
      {"2147483647_a-b.C_9.sql", 2147483647, MigrationDirection::up, "a-b.C_9"},
      {"00000000000000002_x.sql", 2, MigrationDirection::up, "x"},
      {"3__.sql", 3, MigrationDirection::up, "_"},
  };
  for (const auto& [file, version, direction, name] : kCases) {
    const auto parsed = detail::parse_file_name(file);
    ASSERT_TRUE(parsed) << file;
    EXPECT_EQ(parsed->version, version) << file;
    EXPECT_EQ(parsed->direction, direction) << file;
    EXPECT_EQ(parsed->name, name) << file;
  }
  for (const std::string_view file :
       {"README.md", "0001_a.sql~", "0001_a.sql.orig", "", "sql", ".0001_a.sql", ".sql"}) {
    EXPECT_FALSE(detail::parse_file_name(file)) << file;
  }
}

TEST(MigrationFileNames, AreRefusedWhenTheyHaveNoNumberOrName) {
  for (const std::string_view file :
       {"create.sql", "0001.sql", "0001_.sql", "0001_.down.sql", "_a.sql", "0001-a.sql", "a_0001.sql", "0001_a b.sql",
        "0000_a.sql", "2147483648_a.sql", "99999999999999999999_a.sql", "-1_a.sql", "0001_ü.sql", "0001_a.SQL",
        "schema.Sql"}) {
    const auto error = refusal_of({{file, "SELECT 1"}});
    EXPECT_EQ(error.problem(), MigrationProblem::malformed) << file;
    EXPECT_EQ(error.file(), file);
    EXPECT_TRUE(mentions(error, "rename it")) << error.what();
  }
}

TEST(Migrations, AreReadFromAFolderInTheOrderOfTheirNumbers) {
  const TemporaryFolder folder;
  EXPECT_TRUE(Migrations::from_folder(folder.path()).empty());
  write_bytes(folder / "10_ten.sql", "SELECT 10");
  write_bytes(folder / "0002_two.sql", "SELECT 2");
  write_bytes(folder / "0002_two.down.sql", "SELECT -2");
  write_bytes(folder / "0001_one.sql", "\xef\xbb\xbfSELECT 1;\r\n");
  write_bytes(folder / "README.md", "no SQL");
  write_bytes(folder / "._0001_one.sql", "\0 something else's");
  std::filesystem::create_directory(folder / "0003_folder.sql");
  std::filesystem::create_symlink(folder / "10_ten.sql", folder / "3_link.sql");

  const Migrations migrations = Migrations::from_folder(folder.path());
  ASSERT_EQ(migrations.list().size(), 4U);
  EXPECT_EQ(migrations.newest(), 10);
  const auto list = migrations.list();
  EXPECT_EQ(list[0].version, 1);
  EXPECT_EQ(list[0].name, "one");
  EXPECT_EQ(list[0].file, "0001_one.sql");
  EXPECT_EQ(text_of(list[0].up), "SELECT 1;\n");
  EXPECT_FALSE(list[0].down);
  EXPECT_EQ(list[1].version, 2);
  ASSERT_TRUE(list[1].down);
  EXPECT_EQ(text_of(*list[1].down), "SELECT -2");
  EXPECT_EQ(text_of(list[2].up), "SELECT 10");
  EXPECT_EQ(list[3].version, 10);
}

TEST(Migrations, AreTheSameInWhateverOrderTheirFilesCome) {
  std::vector<MigrationFile> files{{"0003_c.sql", "SELECT 3"},
                                   {"0001_a.down.sql", "SELECT -1"},
                                   {"0002_b.sql", "SELECT 2"},
                                   {"0001_a.sql", "SELECT 1"},
                                   {"notes.txt", ""}};
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  do {
    const Migrations migrations = Migrations::from_files(files);
    ASSERT_EQ(migrations.list().size(), 3U);
    EXPECT_EQ(migrations.list()[0].file, "0001_a.sql");
    EXPECT_EQ(text_of(*migrations.list()[0].down), "SELECT -1");
    EXPECT_EQ(migrations.list()[1].file, "0002_b.sql");
    EXPECT_EQ(migrations.list()[2].file, "0003_c.sql");
  } while (
      std::next_permutation(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; }));
}

TEST(Migrations, WithOneNumberAreRefusedNamingBoth) {
  const std::vector<std::vector<MigrationFile>> cases{
      {{"0002_a.sql", "SELECT 1"}, {"2_b.sql", "SELECT 1"}},
      {{"2_b.sql", "SELECT 1"}, {"0002_a.sql", "SELECT 1"}},
      {{"2_x.sql", "SELECT 1"}, {"2_b.down.sql", "SELECT 1"}, {"0002_a.down.sql", "SELECT 1"}},
      {{"0002_a.sql", "SELECT 1"}, {"0002_a.sql", "SELECT 1"}},
  };
  for (const auto& files : cases) {
    const auto error = refusal_of(files);
    EXPECT_EQ(error.problem(), MigrationProblem::duplicate);
    EXPECT_EQ(error.file(), "");
    EXPECT_TRUE(mentions(error, "0002_a.")) << error.what();
    EXPECT_TRUE(mentions(error, files.size() == 3 || files[0].name != files[1].name ? " and 2_b." : " and 0002_a."))
        << error.what();
  }
  Migrations migrations;
  migrations.add({.version = 1, .name = "a", .up = "SELECT 1"});
  const auto error = error_of<MigrationError>([&] { migrations.add({.version = 1, .name = "b", .up = kFunction}); });
  EXPECT_EQ(error.problem(), MigrationProblem::duplicate);
  EXPECT_TRUE(mentions(error, "0001_a.sql and 0001_b have")) << error.what();
  EXPECT_EQ(migrations.list().size(), 1U);
}

TEST(Migrations, ThatWouldUndoNothingAreRefused) {
  auto error = refusal_of({{"0001_a.sql", "SELECT 1"}, {"0002_b.down.sql", "SELECT 1"}});
  EXPECT_EQ(error.problem(), MigrationProblem::malformed);
  EXPECT_EQ(error.file(), "0002_b.down.sql");
  error = refusal_of({{"0001_a.sql", "SELECT 1"}, {"0001_b.down.sql", "SELECT 1"}});
  EXPECT_EQ(error.problem(), MigrationProblem::malformed);
  EXPECT_EQ(error.file(), "0001_b.down.sql");
  EXPECT_TRUE(mentions(error, "0001_a.sql")) << error.what();
}

TEST(Migrations, WithMalformedTextAreRefusedAtOnce) {
  auto error = refusal_of({{"1_a.sql", "SELECT 1;\nCOMMIT"}});
  EXPECT_EQ(error.problem(), MigrationProblem::transaction);
  EXPECT_EQ(error.file(), "1_a.sql");
  EXPECT_TRUE(mentions(error, "line 2")) << error.what();
  error = refusal_of({{"1_a.sql", "SELECT 1"}, {"0001_a.down.sql", "VACUUM"}});
  EXPECT_EQ(error.problem(), MigrationProblem::not_transactional);
  EXPECT_EQ(error.file(), "0001_a.down.sql");
  error = refusal_of({{"1_a.sql", "-- sqlane: no-transaction\nVACUUM"}, {"1_a.down.sql", "VACUUM"}});
  EXPECT_EQ(error.file(), "1_a.down.sql") << "a script that undoes is marked by itself";
  error = refusal_of({.version = 7, .name = "x", .up = "SELECT 1", .down = "SELECT ?"});
  EXPECT_EQ(error.file(), "0007_x.down.sql");
  error = refusal_of({.version = 7, .name = "x", .up = "SELECT ?", .file = "seven"});
  EXPECT_EQ(error.file(), "seven");
}

TEST(Migrations, ThatAreIncompleteAreRefused) {
  const std::function<void(Transaction&)> nothing;
  const Migration cases[] = {
      {.version = 0, .name = "a", .up = "SELECT 1"},
      {.version = -3, .name = "a", .up = "SELECT 1"},
      {.version = 1, .up = "SELECT 1"},
      {.version = 1, .name = "a"},
      {.version = 1, .name = "a", .up = nothing},
      {.version = 1, .name = "a", .down = "SELECT 1"},
      {.version = 1, .name = "a", .up = "SELECT 1", .down = ""},
      {.version = 1, .name = "a", .up = "SELECT 1", .down = nothing},
  };
  for (const Migration& migration : cases) {
    EXPECT_EQ(refusal_of(migration).problem(), MigrationProblem::malformed) << &migration - cases;
  }
}

TEST(Migrations, AreAddedInAnyOrder) {
  Migrations migrations;
  migrations.add({.version = 3, .name = "c", .up = kFunction})
      .add({.version = 1, .name = "a", .up = "\xef\xbb\xbfSELECT 1\r\n", .down = "SELECT\r\n1"})
      .add({.version = 12345, .name = "z", .up = "SELECT 1", .down = kFunction})
      .add({.version = 2, .name = "b", .up = "SELECT 2"});
  std::vector<std::string> files;
  for (const Migration& migration : migrations.list()) files.push_back(migration.file);
  EXPECT_EQ(files, (std::vector<std::string>{"0001_a.sql", "0002_b.sql", "0003_c", "12345_z.sql"}));
  EXPECT_EQ(text_of(migrations.list()[0].up), "SELECT 1\n");
  EXPECT_EQ(text_of(*migrations.list()[0].down), "SELECT\n1");
}

TEST(Migrations, OfAFolderThatCannotBeReadAreAnOpenError) {
  const TemporaryFolder folder;
  auto error = error_of<OpenError>([&] { static_cast<void>(Migrations::from_folder(folder / "nowhere")); });
  EXPECT_TRUE(mentions(error, "nowhere")) << error.what();
  write_bytes(folder / "0001_a.sql", "SELECT 1");
  EXPECT_THROW(static_cast<void>(Migrations::from_folder(folder / "0001_a.sql")), OpenError);

  std::filesystem::create_symlink(folder / "gone", folder / "0002_b.sql");
  error = error_of<OpenError>([&] { static_cast<void>(Migrations::from_folder(folder.path())); });
  EXPECT_TRUE(mentions(error, "0002_b.sql")) << error.what();
  std::filesystem::remove(folder / "0002_b.sql");

  ASSERT_EQ(::mkfifo((folder / "0003_c.sql").c_str(), 0600), 0);
  error = error_of<OpenError>([&] { static_cast<void>(Migrations::from_folder(folder.path())); });
  EXPECT_TRUE(mentions(error, "0003_c.sql")) << error.what();
}

TEST(MigrationChecksum, IsThatOfTheTextAlone) {
  const Migration migration{.version = 1, .name = "a", .up = "SELECT 1;\n"};
  EXPECT_EQ(checksum(migration), detail::sha256_hex("SELECT 1;\n"));
  EXPECT_EQ(checksum({.version = 2, .name = "b", .up = "SELECT 1;\n", .down = "SELECT 2", .file = "c"}),
            checksum(migration));
  EXPECT_EQ(checksum({.version = 1, .name = "a", .up = "\xef\xbb\xbfSELECT 1;\r\n"}), checksum(migration));
  EXPECT_NE(checksum({.version = 1, .name = "a", .up = "SELECT 2;\n"}), checksum(migration));
}

TEST(MigrationChecksum, OfAFunctionIsThatOfItsNameAndRevision) {
  const Migration migration{.version = 1, .name = "a", .up = kFunction, .revision = "1"};
  EXPECT_EQ(checksum({.version = 2, .name = "a", .up = kFunction, .down = kFunction, .revision = "1"}),
            checksum(migration));
  EXPECT_NE(checksum({.version = 1, .name = "b", .up = kFunction, .revision = "1"}), checksum(migration));
  EXPECT_NE(checksum({.version = 1, .name = "a", .up = kFunction, .revision = "2"}), checksum(migration));
  EXPECT_NE(checksum({.version = 1, .name = "a1", .up = kFunction}), checksum(migration));
}

}  // namespace
}  // namespace sqlane
