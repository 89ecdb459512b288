#include <optional>
#include <utility>

#include "transaction/state.hpp"

namespace sqlane::detail {
namespace {

using Event = TransactionEvent;
using State = TransactionState;

constexpr State kStates[] = {State::open, State::committed, State::rolled_back, State::aborted, State::outcome_unknown};
constexpr Event kEvents[] = {Event::commit_succeeded, Event::commit_refused, Event::commit_lost, Event::engine_ended,
                             Event::rolled_back};

TEST(TransactionState, LeavesOpenAsTheDiagramSays) {
  constexpr std::pair<Event, State> kNext[] = {
      {Event::commit_succeeded, State::committed},  {Event::commit_refused, State::open},
      {Event::commit_lost, State::outcome_unknown}, {Event::engine_ended, State::aborted},
      {Event::rolled_back, State::rolled_back},
  };
  static_assert(std::size(kNext) == std::size(kEvents));
  for (const auto& [event, next] : kNext) EXPECT_EQ(next_state(State::open, event), next) << static_cast<int>(event);
}

TEST(TransactionState, NeverLeavesAnEnd) {
  for (const State state : kStates) {
    if (state == State::open) continue;
    for (const Event event : kEvents) {
      EXPECT_EQ(next_state(state, event), std::nullopt) << static_cast<int>(state) << " " << static_cast<int>(event);
    }
  }
}

}  // namespace
}  // namespace sqlane::detail
