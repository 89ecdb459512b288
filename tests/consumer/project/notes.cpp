#include "notes.hpp"

using namespace sqlane::literals;

std::vector<Note> all_notes(const sqlane::Database& db) {
  return db.query<Note>("SELECT id, title FROM note ORDER BY id"_sql);
}
