#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sqlane/executed_statement.hpp"
#include "sqlane/options.hpp"

namespace sqlane::testing {

// What was recorded of an ExecutedStatement.
struct RecordedStatement {
  std::string sql;
  std::string with_values;  // empty unless Values::recorded
  ExecutedStatement::Origin origin = ExecutedStatement::Origin::caller;
  ExecutedStatement::Target target = ExecutedStatement::Target::writer;

  friend bool operator==(const RecordedStatement&, const RecordedStatement&) = default;
};

// All statements that the Databases opened with it begin, in the order of their
// beginning, whatever their threads.
//
//   StatementRecording recording;
//   auto db = Database::in_memory(recording.into());
//
// Safe to use from any thread. The Databases may outlive it.
class StatementRecording {
 public:
  enum class Values : std::uint8_t { left_out, recorded };

  explicit StatementRecording(Values values = Values::left_out);
  StatementRecording(const StatementRecording&) = delete;
  StatementRecording& operator=(const StatementRecording&) = delete;

  // The same options, with an on_statement that records, and then calls the one
  // that was there.
  [[nodiscard]] Options into(Options options = {}) const;

  [[nodiscard]] std::vector<RecordedStatement> statements() const;
  // Without BEGIN, COMMIT and what else the library runs by itself.
  [[nodiscard]] std::vector<RecordedStatement> of_caller() const;
  // The texts of those.
  [[nodiscard]] std::vector<std::string> sql_of_caller() const;

  // How many of all have `text` in their SQL, upper and lower case as written.
  [[nodiscard]] std::size_t count_containing(std::string_view text) const;

  void clear();

 private:
  struct State;

  const std::shared_ptr<State> state_;  // shared with the callbacks
};

}  // namespace sqlane::testing
