#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/maintenance.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::ForeignConnection;
using testing::TemporaryFolder;
using Events = std::vector<std::string>;

constexpr CallSite kReport{"report.cpp", 12, "print_report"};

// Writes down what it hears.
class Listener final : public MetricsListener {
 public:
  void on_connection_opened() noexcept override { note("opened"); }
  void on_connection_closed(CloseReason reason) noexcept override {
    note("closed " + std::to_string(static_cast<int>(reason)));
  }
  void on_acquire_timeout(const CallSite& site) noexcept override { note("timeout " + site.to_string()); }
  void on_overstaying(const LeaseReport& report) noexcept override { note("overstaying " + report.site.to_string()); }
  void on_health(const Health& health) noexcept override {
    note("health " + std::to_string(static_cast<int>(health.verdict)));
  }

  static std::string closed(CloseReason reason) { return "closed " + std::to_string(static_cast<int>(reason)); }

  // What was heard since the last call.
  Events take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
  }

 private:
  void note(std::string event) noexcept {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }

  std::mutex mutex_;
  Events events_;
};

class Metrics : public ::testing::Test {
 protected:
  Metrics() { ForeignConnection(path).run("CREATE TABLE note (id INTEGER PRIMARY KEY)"); }

  void open(Options options) {
    options.readers = 1;
    options.metrics = listener;
    db.emplace(Database::open(path, options));
    EXPECT_EQ(listener->take(), Events()) << "readers are opened on demand";
  }
  void read() { static_cast<void>(db->query<int>("SELECT id FROM note")); }

  TemporaryFolder folder;
  std::filesystem::path path = folder / "app.db";
  std::shared_ptr<Listener> listener = std::make_shared<Listener>();
  std::optional<Database> db;
};

TEST_F(Metrics, TellOfReadersThatAreOpenedAndClosed) {
  open({.overflow_readers = 1, .upkeep = {.max_uses = 3}});
  {
    const Snapshot one = db->snapshot();
    EXPECT_EQ(listener->take(), Events{"opened"});
    const Snapshot two = db->snapshot();
    EXPECT_EQ(listener->take(), Events{"opened"});
  }
  EXPECT_EQ(listener->take(), Events{Listener::closed(CloseReason::overflow)});
  read();
  EXPECT_EQ(listener->take(), Events()) << "it is lent again";
  read();
  EXPECT_EQ(listener->take(), Events{Listener::closed(CloseReason::uses)});
  read();
  db->close();
  EXPECT_EQ(listener->take(), (Events{"opened", Listener::closed(CloseReason::pool_closed)}));
}

TEST_F(Metrics, TellWhoWaitedForAReaderInVain) {
  open({.acquire_timeout = 0ms});
  const Snapshot held = db->snapshot();
  listener->take();
  EXPECT_THROW(static_cast<void>(db->snapshot(kReport)), TimeoutError);
  EXPECT_EQ(listener->take(), Events{"timeout report.cpp:12 (print_report)"});
}

TEST_F(Metrics, TellWhoWaitedAlsoWhereTheFallbackHelps) {
  const std::filesystem::path replica = folder / "replica.db";
  std::filesystem::copy_file(path, replica);
  open({.acquire_timeout = 0ms, .fallback = replica});
  const Snapshot held = db->snapshot();
  listener->take();
  const Snapshot other = db->snapshot(kReport);
  EXPECT_EQ(listener->take(), (Events{"timeout report.cpp:12 (print_report)", "opened"}));
}

TEST_F(Metrics, TellWhoStaysTooLongBesideTheOptionsOwnListener) {
  int leaks = 0;
  open({.upkeep = {.leak_threshold = 1ms,
                   .on_leak = [&](const LeaseReport&) { ++leaks; },
                   .maintenance = Maintenance::by_hand}});
  const Snapshot held = db->snapshot(kReport);
  listener->take();
  while (db->stats().readers.overstayed == 0) db->maintain_now();
  db->maintain_now();
  EXPECT_EQ(listener->take(), Events{"overstaying report.cpp:12 (print_report)"});
  EXPECT_EQ(leaks, 1);
}

TEST_F(Metrics, TellWhoStaysTooLongInTheBackground) {
  open({.upkeep = {.leak_threshold = 1ms, .maintenance_interval = 1ms}});
  const Snapshot held = db->snapshot(kReport);
  while (db->stats().readers.overstayed == 0) std::this_thread::yield();
  testing::await_maintenance();
  EXPECT_EQ(listener->take(), (Events{"opened", "overstaying report.cpp:12 (print_report)"}));
}

TEST_F(Metrics, TellHowTheHealthChanges) {
  int changes = 0;
  open({.on_health_change = [&](const Health&) { ++changes; }});
  read();
  listener->take();
  EXPECT_TRUE(db->health().is_healthy());
  EXPECT_EQ(listener->take(), Events());
  std::filesystem::rename(path, folder / "moved.db");
  static_cast<void>(db->health());
  static_cast<void>(db->health());
  EXPECT_EQ(listener->take(), Events{"health 2"});
  std::filesystem::rename(folder / "moved.db", path);
  static_cast<void>(db->health());
  EXPECT_EQ(listener->take(), Events{"health 0"});
  EXPECT_EQ(changes, 2);
}

TEST_F(Metrics, CloseTheirReadersBeforeTheirListenerGoes) {
  open({});
  auto snapshot = std::unique_ptr<Snapshot>(new Snapshot(db->snapshot()));
  db.reset();
  listener->take();
  const std::weak_ptr<Listener> alive = listener;
  snapshot.reset();
  EXPECT_EQ(listener->take(), Events{Listener::closed(CloseReason::pool_closed)});
  listener.reset();
  EXPECT_TRUE(alive.expired());
}

}  // namespace
}  // namespace sqlane
