#include "sqlane/testing/recording.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/mutex.hpp"

namespace sqlane::testing {

struct StatementRecording::State {
  explicit State(Values of_values) : values(of_values) {}

  void record(const ExecutedStatement& statement) SQLANE_EXCLUDES(mutex) {
    RecordedStatement recorded{.sql = std::string(statement.sql()),
                               .with_values = values == Values::recorded ? statement.with_values() : std::string(),
                               .origin = statement.origin(),
                               .target = statement.target()};
    const detail::MutexLock lock(mutex);
    statements.push_back(std::move(recorded));
  }

  const Values values;
  detail::Mutex mutex;
  std::vector<RecordedStatement> statements SQLANE_GUARDED_BY(mutex);
};

StatementRecording::StatementRecording(Values values) : state_(std::make_shared<State>(values)) {}

Options StatementRecording::into(Options options) const {
  options.on_statement = [state = state_, next = std::move(options.on_statement)](const ExecutedStatement& statement) {
    state->record(statement);
    if (next) next(statement);
  };
  return options;
}

std::vector<RecordedStatement> StatementRecording::statements() const {
  const detail::MutexLock lock(state_->mutex);
  return state_->statements;
}

std::vector<RecordedStatement> StatementRecording::of_caller() const {
  std::vector<RecordedStatement> all = statements();
  std::erase_if(all, [](const auto& statement) { return statement.origin != ExecutedStatement::Origin::caller; });
  return all;
}

std::vector<std::string> StatementRecording::sql_of_caller() const {
  std::vector<std::string> texts;
  for (RecordedStatement& statement : of_caller()) texts.push_back(std::move(statement.sql));
  return texts;
}

std::size_t StatementRecording::count_containing(std::string_view text) const {
  const detail::MutexLock lock(state_->mutex);
  return static_cast<std::size_t>(std::ranges::count_if(
      state_->statements, [&](const auto& one) { return one.sql.find(text) != std::string::npos; }));
}

void StatementRecording::clear() {
  const detail::MutexLock lock(state_->mutex);
  state_->statements.clear();
}

}  // namespace sqlane::testing
