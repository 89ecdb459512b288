// The program behind sqlane_check_registered_sql(): linked with all of a library,
// prepares its SQL literals against the schema of the migrations in a folder.

#include <exception>
#include <iostream>
#include <sqlane/sqlane.hpp>

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " MIGRATIONS\n";
    return 2;
  }
  auto db = sqlane::Database::in_memory();
  db.migrate(sqlane::Migrations::from_folder(argv[1]));
  const auto findings = sqlane::check_registered_sql(db);
  for (const sqlane::SqlFinding& finding : findings) {
    std::cerr << "error: " << finding.message << ", at " << finding.line << ":" << finding.column
              << " of the literal \"" << finding.sql << "\"_sql\n";
  }
  return findings.empty() ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << "error: " << error.what() << "\n";
  return 1;
}
