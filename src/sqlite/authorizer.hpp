#pragma once

#include <string>
#include <string_view>

#include "sqlite/program_functions.hpp"

struct sqlite3;

namespace sqlane::detail {

// PRAGMA defer_foreign_keys lasts to the end of the transaction, so there has to be one.
enum class KeyDeferral : unsigned char { allowed, refused };

// What a user's statements may do besides changing and reading the database.
enum class Policy : unsigned char {
  shared_connection,  // nothing that whoever uses the connection next would meet
  migration,          // whatever ends with the connection; but transactions are not theirs to control
};

// Refuses, while a user's statement is prepared, what would end a transaction
// without its guard or change the connection for those who use it next. Our own
// statements are prepared while it is at rest.
//
// Refuses at any time what a trigger or a view may not use: SQLite prepares a
// statement again when the schema has changed, and nobody watches then.
// https://sqlite.org/c3ref/set_authorizer.html
class Authorizer {
 public:
  // Stays installed, at this address, for as long as `connection` is open.
  void install(sqlite3* connection);

  void set_policy(Policy policy) noexcept { policy_ = policy; }

  // Watches over one prepare.
  class Watch {
   public:
    Watch(Authorizer& authorizer, KeyDeferral deferral) : authorizer_(authorizer) {
      authorizer.deferral_ = deferral;
      authorizer.defers_keys_ = false;
      authorizer.refusal_.clear();
      authorizer.refused_ = Refused::nothing;
      authorizer.asked_for_setting_ = false;
      authorizer.is_watching_ = true;
    }
    ~Watch() { authorizer_.is_watching_ = false; }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    Authorizer& authorizer_;
  };

  enum class Refused : unsigned char {
    nothing,
    statement,  // what the statement says itself
    schema,     // what a trigger or a view says that it uses
  };
  // In the last watch, or after it.
  [[nodiscard]] Refused refused() const noexcept { return refused_; }
  // As a sentence; empty when nothing was.
  [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }

  // Whether the last watch saw a PRAGMA that only asks, which SQLite may take for one that writes.
  [[nodiscard]] bool asked_for_setting() const noexcept { return asked_for_setting_; }

  // Whether the last watch saw PRAGMA defer_foreign_keys with a value.
  [[nodiscard]] bool defers_keys() const noexcept { return defers_keys_; }

 private:
  static int callback(void* self, int action, const char* first, const char* second, const char* schema,
                      const char* user);
  int refuse(Refused what, std::string refusal);

  bool is_watching_ = false;
  bool asked_for_setting_ = false;
  bool defers_keys_ = false;
  KeyDeferral deferral_ = KeyDeferral::refused;
  Policy policy_ = Policy::shared_connection;
  Refused refused_ = Refused::nothing;
  std::string refusal_;
  ProgramFunctions program_functions_;
};

// Does `PRAGMA first` without an argument only look?
[[nodiscard]] bool is_reading_pragma(std::string_view name);

// Why `action` is refused, or an empty text. Pure.
[[nodiscard]] std::string refuse_action(int action, const char* first, const char* second, const char* schema,
                                        KeyDeferral deferral, Policy policy = Policy::shared_connection);

}  // namespace sqlane::detail
