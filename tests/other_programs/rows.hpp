#pragma once

#include <cstdint>
#include <string>

namespace sqlane::filesystems {

// Who has written a row is seen by its id; the first are from before.
inline constexpr int kRowsFromBefore = 50;
inline constexpr std::int64_t kFirstOfWriter = 1'000'000'000;
inline constexpr std::int64_t kFirstOfProgram = 2'000'000'000;
inline constexpr std::int64_t kFirstUncommitted = 3'000'000'000;

inline std::string insert_of(std::int64_t id, const std::string& body) {
  return "INSERT INTO ack (id, body) VALUES (" + std::to_string(id) + ", " + body + ")";
}

}  // namespace sqlane::filesystems
