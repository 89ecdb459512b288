#include <iostream>
#include <sqlane/sqlane.hpp>
#include <string>
#include <variant>

#include "migrated/migrations.hpp"
#include "shop/schema/refused.hpp"

namespace {

bool is_equal(const sqlane::Migration& one, const sqlane::Migration& other) {
  return one.version == other.version && one.name == other.name && one.file == other.file &&
         std::get<std::string>(one.up) == std::get<std::string>(other.up) &&
         one.down.has_value() == other.down.has_value() &&
         (!one.down || std::get<std::string>(*one.down) == std::get<std::string>(*other.down));
}

bool is_refused_for_its_nul_byte() try {
  static_cast<void>(shop::schema::refused());
  return false;
} catch (const sqlane::MigrationError& error) {
  std::cout << error.what() << '\n';
  return error.file() == "0001_nul.sql" &&
         std::string(error.what()).find("line 3: there is a NUL byte") != std::string::npos;
}

}  // namespace

// migrated FOLDER: what was embedded is what is in the folder now.
int main(int argc, char** argv) try {
  if (argc != 2) return 2;
  const auto embedded = migrated::migrations().list();
  const auto folder = sqlane::Migrations::from_folder(argv[1]);
  bool is_right = embedded.size() == folder.list().size() && embedded.size() >= 2;
  for (std::size_t i = 0; is_right && i < embedded.size(); ++i) {
    std::cout << embedded[i].file << ' ' << checksum(embedded[i]) << '\n';
    is_right = is_equal(embedded[i], folder.list()[i]);
  }
  // As sha256sum says of the file without its byte order mark and carriage returns.
  is_right = is_right && checksum(embedded[1]) == "cde88ba90a905d273090929d507668958b633d63a46557c530851d1834a5529f" &&
             is_refused_for_its_nul_byte() && &migrated::migrations() == &migrated::migrations();
  std::cout << embedded.size() << " migrations embedded, " << (is_right ? "as they are" : "NOT as they are") << '\n';
  return is_right ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
