#include "sqlane/testing/stand_ins.hpp"

#include <algorithm>

#include "base/mutex.hpp"

namespace sqlane::testing {

struct StandInRecord::State {
  struct Executed {
    std::size_t connection;
    std::string sql;
  };
  struct Answer {
    std::string text;
    std::any rows;
  };

  detail::Mutex mutex;
  std::vector<Executed> executed SQLANE_GUARDED_BY(mutex);
  std::vector<Answer> answers SQLANE_GUARDED_BY(mutex);
};

StandInRecord::StandInRecord() : state_(std::make_unique<State>()) {}

StandInRecord::~StandInRecord() = default;

std::vector<std::string> StandInRecord::executed() const {
  const detail::MutexLock lock(state_->mutex);
  std::vector<std::string> texts;
  for (const State::Executed& one : state_->executed) texts.push_back(one.sql);
  return texts;
}

std::vector<std::string> StandInRecord::executed_by(std::size_t connection) const {
  const detail::MutexLock lock(state_->mutex);
  std::vector<std::string> texts;
  for (const State::Executed& one : state_->executed) {
    if (one.connection == connection) texts.push_back(one.sql);
  }
  return texts;
}

void StandInRecord::clear_executed() {
  const detail::MutexLock lock(state_->mutex);
  state_->executed.clear();
}

void StandInRecord::keep_answer(std::string text, std::any rows) {
  const detail::MutexLock lock(state_->mutex);
  state_->answers.push_back({std::move(text), std::move(rows)});
}

std::any StandInRecord::answer_to(std::string_view sql) const {
  const detail::MutexLock lock(state_->mutex);
  const auto newest = std::find_if(state_->answers.rbegin(), state_->answers.rend(), [&](const State::Answer& answer) {
    return sql.find(answer.text) != std::string_view::npos;
  });
  return newest == state_->answers.rend() ? std::any() : newest->rows;
}

void StandInRecord::execute(std::size_t connection, std::string_view sql) {
  {
    const detail::MutexLock lock(state_->mutex);
    state_->executed.push_back({connection, std::string(sql)});
  }
  executing.call(sql);
}

ConnectionStandIn::ConnectionStandIn(std::shared_ptr<StandInRecord> record)
    : record_(std::move(record)), number_((record_->making.call(), ++record_->made_)) {
  ++record_->alive_;
}

ConnectionStandIn::~ConnectionStandIn() { --record_->alive_; }

bool ConnectionStandIn::ping() {
  record_->pinging.call();
  return !is_closed_;
}

void ConnectionStandIn::close() {
  if (is_closed_) return;
  record_->closing.call();
  is_closed_ = true;
  ++record_->closed_;
}

void ConnectionStandIn::run(std::string_view sql) {
  if (is_closed_) throw UsageError("connection " + std::to_string(number_) + " has been closed");
  record_->execute(number_, sql);
}

}  // namespace sqlane::testing
