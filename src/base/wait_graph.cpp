#include "base/wait_graph.hpp"

#include <algorithm>

#include "base/fork.hpp"
#include "sqlane/error.hpp"

namespace sqlane::detail {
namespace {

// Under ForkGeneration::mutex(). In a child there is nobody left of those who waited.
std::vector<const WaitEdge*>& edges() {
  static std::vector<const WaitEdge*> all;
  static std::uint32_t generation = ForkGeneration::now();
  if (generation != ForkGeneration::now()) {
    all.clear();
    generation = ForkGeneration::now();
  }
  return all;
}

}  // namespace

WaitEdge::WaitEdge(Waitable& resource, const CallSite& site, const std::atomic<bool>& is_over)
    : resource_(resource), site_(site), is_over_(is_over) {
  const MutexLock lock(ForkGeneration::mutex());
  edges().push_back(this);
  std::string chain;
  if (!would_never_end(chain)) return;
  edges().pop_back();
  throw UsageError("waiting at " + site_.to_string() + " for " + resource_.name() + " would never end: " + chain);
}

WaitEdge::~WaitEdge() {
  const MutexLock lock(ForkGeneration::mutex());
  std::erase(edges(), this);
}

bool WaitEdge::would_never_end(std::string& chain) const {
  std::vector<const WaitEdge*> reached{this};
  for (std::size_t i = 0; i < reached.size(); ++i) {
    const WaitEdge& waiting = *reached[i];
    const std::vector<Waitable::Holder> holders = waiting.resource_.holders();
    if (holders.empty()) return false;
    for (const Waitable::Holder& holder : holders) {
      const auto blocked = std::find_if(edges().begin(), edges().end(), [&](const WaitEdge* edge) {
        return edge->thread_ == holder.thread && edge->blocks();
      });
      if (blocked == edges().end()) return false;
      chain += (chain.empty() ? "" : "; ") + waiting.resource_.name() + " is held by " + holder.site.to_string() +
               ", whose thread waits at " + (*blocked)->site_.to_string() + " for " + (*blocked)->resource_.name();
      if (std::find(reached.begin(), reached.end(), *blocked) == reached.end()) reached.push_back(*blocked);
    }
  }
  return true;
}

}  // namespace sqlane::detail
