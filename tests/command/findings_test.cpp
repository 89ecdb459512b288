#include "cli/findings.hpp"

#include <nlohmann/json.hpp>
#include <vector>

namespace sqlane::cli {
namespace {

const SchemaDifference kColumn{.kind = SchemaDifference::Kind::differs,
                               .type = SchemaObjectType::column,
                               .name = "code",
                               .table = "visit",
                               .sentence = "table visit: column code is TEXT NOT NULL, expected TEXT"};
const SchemaDifference kIndex{.kind = SchemaDifference::Kind::missing,
                              .type = SchemaObjectType::index,
                              .name = "by_code",
                              .table = "visit",
                              .sentence = "index by_code on visit is missing"};

MigrationVerification sample() {
  return {.newest = 3,
          .findings = {{.version = 2,
                        .direction = MigrationDirection::down,
                        .sentence = "0002_add.down.sql does not lead back to version 1",
                        .differences = {kColumn, kIndex}},
                       {.version = 3, .direction = MigrationDirection::up, .sentence = "view v does not compile: x"}},
          .irreversible = {1, 3}};
}

TEST(Findings, AreALineForEachDifference) {
  EXPECT_EQ(format_findings(std::vector{kColumn, kIndex}),
            "table visit: column code is TEXT NOT NULL, expected TEXT\nindex by_code on visit is missing\n");
  EXPECT_EQ(format_findings(std::vector<SchemaDifference>()), "");
}

TEST(Findings, OfAVerificationHaveTheirDifferencesBelow) {
  EXPECT_EQ(format_findings(sample()),
            "0002_add.down.sql does not lead back to version 1:\n"
            "  table visit: column code is TEXT NOT NULL, expected TEXT\n"
            "  index by_code on visit is missing\n"
            "view v does not compile: x\n");
  EXPECT_EQ(format_findings(MigrationVerification()), "");
}

TEST(Findings, OfALiteralNameItsText) {
  const std::vector<SqlFinding> findings{{.line = 1, .column = 8, .sql = "SELECT x", .message = "no such column: x"}};
  EXPECT_EQ(format_findings(findings), "\"SELECT x\"_sql:1:8: error: no such column: x\n");
}

TEST(Findings, AreJson) {
  const nlohmann::json json = to_json(sample());
  EXPECT_EQ(json["newest"], 3);
  EXPECT_EQ(json["irreversible"], (std::vector<int>{1, 3}));
  ASSERT_EQ(json["findings"].size(), 2U);
  EXPECT_EQ(json["findings"][0]["version"], 2);
  EXPECT_EQ(json["findings"][0]["direction"], "down");
  EXPECT_EQ(json["findings"][0]["differences"], to_json(std::vector{kColumn, kIndex}));
  EXPECT_EQ(json["findings"][0]["differences"][1], (nlohmann::json{{"kind", "missing"},
                                                                   {"type", "index"},
                                                                   {"name", "by_code"},
                                                                   {"table", "visit"},
                                                                   {"sentence", "index by_code on visit is missing"}}));
  EXPECT_EQ(json["findings"][1]["differences"], nlohmann::json::array());
  EXPECT_EQ(json["findings"][1]["direction"], "up");
}

}  // namespace
}  // namespace sqlane::cli
