#include "sqlite/engine.hpp"

#include <sqlite3.h>
#include <string_view>

namespace sqlane::detail {
namespace {

TEST(Engine, IsRefusedBelow3_39) {
  EXPECT_FALSE(is_supported_engine(3'037'002));
  EXPECT_FALSE(is_supported_engine(3'038'005));
  EXPECT_TRUE(is_supported_engine(3'039'000));
  EXPECT_TRUE(is_supported_engine(3'040'001));
  EXPECT_TRUE(is_supported_engine(4'000'000));
}

TEST(Engine, LosesDataAfterASpillBelow3_50_2) {
  EXPECT_TRUE(spill_breaks_savepoints(3'037'002));
  EXPECT_TRUE(spill_breaks_savepoints(3'050'001));
  EXPECT_FALSE(spill_breaks_savepoints(3'050'002));
  EXPECT_FALSE(spill_breaks_savepoints(3'051'000));
}

TEST(Engine, MissesWhatWasLeftOutOfIt) {
  EXPECT_EQ(missing_part([](const char*) { return 0; }), "");
  EXPECT_EQ(missing_part([](const char* option) { return std::string_view(option) == "OMIT_FOREIGN_KEY" ? 1 : 0; }),
            "OMIT_FOREIGN_KEY");
  EXPECT_EQ(missing_part([](const char* option) { return std::string_view(option) == "OMIT_WAL" ? 1 : 0; }),
            "OMIT_WAL");
}

TEST(Engine, IsTheOneUnderUs) {
  EXPECT_TRUE(is_supported_engine(sqlite3_libversion_number()));
  EXPECT_NO_THROW(expect_supported_engine());
}

}  // namespace
}  // namespace sqlane::detail
