#pragma once

#include <cstdint>
#include <sqlane/sqlane.hpp>
#include <string>
#include <vector>

struct Note {
  std::int64_t id;
  std::string title;
};

std::vector<Note> all_notes(const sqlane::Database& db);
