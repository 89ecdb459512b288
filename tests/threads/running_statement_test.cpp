#include "sqlite/running_statement.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

namespace sqlane::detail {
namespace {

// runs and frees texts              looks
// shows "aaa…", frees it            sees one of them whole, or nothing
// shows "bbb…", frees it
TEST(RunningStatement, CanBeFreedOnceNobodyLooks) {
  RunningStatement running;
  std::atomic<bool> is_over = false;
  std::jthread looker([&] {
    while (!is_over) {
      const std::string seen = running.text();
      if (seen.empty()) continue;
      EXPECT_EQ(seen, std::string(seen.size(), seen.front()));
    }
  });
  for (int i = 0; i < 20'000; ++i) {
    const auto sql =
        std::make_unique<std::string>(static_cast<std::size_t>(100 + i % 300), static_cast<char>('a' + i % 26));
    const auto text = std::make_unique<std::string_view>(*sql);
    { const RunningStatement::Scope scope(&running, *text); }
    running.wait_for_lookers();
    sql->assign(sql->size(), '!');
  }
  is_over = true;
}

}  // namespace
}  // namespace sqlane::detail
