#include "sqlane/error.hpp"

#include <utility>

namespace sqlane {

Error::Error(const std::string& message, ErrorDetails details)
    : std::runtime_error(message), details_(std::make_shared<const ErrorDetails>(std::move(details))) {}

ConstraintError::ConstraintError(const std::string& message, ErrorDetails details, ConstraintKind kind,
                                 std::string table, std::vector<std::string> columns)
    : Error(message, std::move(details)),
      kind_(kind),
      violation_(std::make_shared<const Violation>(Violation{std::move(table), std::move(columns)})) {}

}  // namespace sqlane
