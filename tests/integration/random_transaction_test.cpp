#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "support/effort.hpp"
#include "support/note_database.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using testing::on_heap;
using testing::TemporaryFolder;

// What a transaction does, done to a map as well: the innermost copy is what
// the transaction sees.
class Model {
 public:
  using Rows = std::map<int, int>;

  explicit Model(const Rows& rows) : layers_{rows} {}
  [[nodiscard]] Rows& rows() { return layers_.back(); }
  void open() { layers_.push_back(layers_.back()); }
  void release() {
    Rows top = std::move(layers_.back());
    layers_.pop_back();
    layers_.back() = std::move(top);
  }
  void undo() { layers_.pop_back(); }

 private:
  std::vector<Rows> layers_;
};

Model::Rows rows_of(const auto& source) {
  Model::Rows rows;
  for (const auto& [id, value] : source.template query<std::pair<int, int>>("SELECT id, value FROM pair"))
    rows[id] = value;
  return rows;
}

TEST(RandomTransactions, DoWhatAModelDoes) {
  const int transactions = testing::with_effort(500);
  constexpr int kSteps = 12;
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto pick = [&](int end) { return std::uniform_int_distribution<int>(0, end - 1)(random); };

  const TemporaryFolder folder;
  Database db = Database::open(folder / "app.db", {.durability = Durability::normal});
  db.execute("CREATE TABLE pair (id INTEGER PRIMARY KEY, value INTEGER NOT NULL)");
  db.execute(
      "CREATE TRIGGER no_poison BEFORE UPDATE ON pair WHEN new.value < 0 BEGIN SELECT RAISE(ROLLBACK, 'no'); END");
  Model::Rows committed;
  for (int i = 0; i < transactions; ++i) {
    Model model(committed);
    Transaction tx = db.begin(pick(4) == 0 ? Behavior::deferred : Behavior::immediate);
    std::vector<std::unique_ptr<Savepoint>> savepoints;
    bool is_lost = false;
    for (int step = 0; step < kSteps; ++step) {
      const int id = pick(8);
      const int value = pick(1000);
      switch (pick(8)) {
        case 0:
        case 1:
          tx.execute("INSERT OR REPLACE INTO pair VALUES (?, ?)", id, value);
          model.rows()[id] = value;
          break;
        case 2:
          EXPECT_EQ(tx.execute("DELETE FROM pair WHERE id = ?", id).changes,
                    static_cast<std::int64_t>(model.rows().erase(id)));
          break;
        case 3:
          savepoints.push_back(on_heap(tx));
          model.open();
          break;
        case 4:
          if (savepoints.empty()) break;
          savepoints.back()->release();
          savepoints.pop_back();
          model.release();
          break;
        case 5:
          if (savepoints.empty()) break;
          if (pick(2) == 0) savepoints.back()->rollback();
          savepoints.pop_back();
          model.undo();
          break;
        case 6:
          if (model.rows().contains(id)) {
            EXPECT_THROW(tx.execute("INSERT INTO pair VALUES (?, ?)", id, value), ConstraintError);
          }
          break;
        case 7:
          if (pick(10) != 0 || !model.rows().contains(id)) break;
          EXPECT_THROW(tx.execute("UPDATE pair SET value = -1 WHERE id = ?", id), ConstraintError);
          is_lost = true;
          break;
        default: break;
      }
      if (is_lost) break;
      ASSERT_EQ(rows_of(tx), model.rows());
    }
    const bool keeps = pick(4) != 0;
    while (!savepoints.empty()) {
      if (!is_lost && keeps) savepoints.back()->release();
      savepoints.pop_back();
      if (keeps) {
        model.release();
      } else {
        model.undo();
      }
    }
    if (is_lost) {
      EXPECT_THROW(tx.commit(), TransactionAborted);
    } else if (keeps) {
      tx.commit();
      committed = model.rows();
    }
    if (pick(2) == 0 && tx.state() == TransactionState::open) tx.rollback();
  }
  ASSERT_EQ(rows_of(db.snapshot()), committed);
}

}  // namespace
}  // namespace sqlane
