#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "sqlane/call_site.hpp"

namespace sqlane::detail {

class Connection;

// Why a statement cannot be prepared.
struct StatementFault {
  std::string message;                // "no such column: titel"
  std::optional<std::size_t> offset;  // in the text, where SQLite says it (from 3.38 on)
};

// Prepares one statement as a Transaction would, and lets it be: nothing runs, so
// a reader will do for statements that write, too. Whatever number of values it
// takes is right. (EXPLAIN through the public calls would need the values, whose
// number is a type there, and would say nothing of the place.)
// Errors that are not the statement's, such as IoError, are thrown.
[[nodiscard]] std::optional<StatementFault> check_statement(Connection& connection, std::string_view text,
                                                            CallSite site);

}  // namespace sqlane::detail
