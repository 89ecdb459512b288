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

MigrationError::MigrationError(MigrationProblem problem, std::string file, const std::string& message,
                               ErrorDetails details)
    : Error(file.empty() ? message : file + ": " + message, std::move(details)),
      problem_(problem),
      file_(std::make_shared<const std::string>(std::move(file))) {}

}  // namespace sqlane
