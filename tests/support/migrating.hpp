#pragma once

#include <filesystem>
#include <gtest/gtest.h>
#include <optional>
#include <sqlane/sqlane.hpp>
#include <string>
#include <utility>

#include "support/five_migrations.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::testing {

// Begins a step that runs without a transaction.
inline constexpr const char* kAlone = "-- sqlane: no-transaction\n";

// A history of one step.
inline Migrations only(std::string up, std::optional<MigrationBody> down = std::nullopt) {
  Migrations migrations;
  migrations.add({.version = 1, .name = "first", .up = std::move(up), .down = std::move(down)});
  return migrations;
}

// The five, and a sixth.
inline Migrations followed_by(Migration next) {
  Migrations migrations = five_migrations();
  next.version = 6;
  next.name = "sixth";
  migrations.add(std::move(next));
  return migrations;
}

// In a file of their own, and in memory: the kinds are instantiated with the steps' tests, for all.
class Migrating : public ::testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] Database open(Options options = {}) const {
    return GetParam() ? Database::in_memory("migrating", options) : Database::open(folder_ / "app.db", options);
  }

  TemporaryFolder folder_;
  Database db_ = open();
};

class MigratingFile : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_ / "app.db";
};

}  // namespace sqlane::testing
