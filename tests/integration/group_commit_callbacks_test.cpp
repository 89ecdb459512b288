#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/grouped_writes.hpp"
#include "support/queued_writes.hpp"

namespace sqlane {
namespace {

using testing::GroupedWrites;
using testing::QueuedWrites;

TEST_F(GroupedWrites, CallBackOnceOnTheThreadThatCalledWriteWithTheLaneFree) {
  enum class End : std::uint8_t { commits, throws, poisons };
  const std::vector<End> ends{End::throws, End::commits, End::poisons, End::commits, End::throws, End::commits};
  struct Called {
    int commits = 0;
    int rollbacks = 0;
    std::thread::id thread;
  };
  std::vector<Called> called(ends.size());
  QueuedWrites queue(db);
  for (std::size_t i = 0; i < ends.size(); ++i) {
    queue.add([&, i] {
      db.write([&, i](Transaction& tx) {
        const auto call = [&, i](int Called::*count) {
          return [this, &called, count, i]() noexcept {
            ++(called[i].*count);
            called[i].thread = std::this_thread::get_id();
            db.execute("INSERT INTO plain VALUES ('by the callback of ' || ?)", static_cast<int>(i));
          };
        };
        tx.on_commit(call(&Called::commits));
        tx.on_rollback(call(&Called::rollbacks));
        add(tx, std::to_string(i));
        if (ends[i] == End::throws) throw std::runtime_error("undo this");
        if (ends[i] == End::poisons) tx.execute("INSERT INTO guarded VALUES ('poison')");
      });
    });
  }
  queue.run();
  for (std::size_t i = 0; i < ends.size(); ++i) {
    SCOPED_TRACE(i);
    const bool is_kept = i == 3 || i == 5;  // number 1 was in the poisoned transaction
    EXPECT_EQ(queue.has_failed(i), !is_kept);
    EXPECT_EQ(called[i].commits, is_kept ? 1 : 0);
    EXPECT_EQ(called[i].rollbacks, is_kept ? 0 : 1);
    EXPECT_EQ(called[i].thread, queue.thread_of(i));
  }
  EXPECT_EQ(rows().size(), 2 + ends.size());
}

TEST_F(GroupedWrites, CallBackForAnUndoneSavepointOfTheirOwn) {
  std::vector<std::vector<std::string>> calls(3);
  QueuedWrites queue(db);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    queue.add([&, i] {
      db.write([&, i](Transaction& tx) {
        const auto note = [&, i](std::string what) {
          return [&calls, i, what]() noexcept { calls[i].push_back(what); };
        };
        tx.on_commit(note("outer commit"));
        Savepoint undone = tx.savepoint();
        tx.on_commit(note("inner commit"));
        tx.on_rollback(note("inner rollback"));
        undone.rollback();
        tx.on_rollback(note("outer rollback"));
      });
    });
  }
  queue.run();
  for (const auto& one : calls) EXPECT_EQ(one, (std::vector<std::string>{"outer commit", "inner rollback"}));
}

}  // namespace
}  // namespace sqlane
