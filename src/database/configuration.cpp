#include "database/configuration.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <limits>
#include <numeric>
#include <optional>
#include <unistd.h>  // environ
#include <utility>
#include <vector>

#include "sqlane/error.hpp"

namespace sqlane {
namespace detail {
namespace {

// Enumerators are written as they are named. Each switch is complete, or the
// compiler complains; what is behind the last one has no name.

std::string_view name_of(Durability value) {
  switch (value) {
    case Durability::full: return "full";
    case Durability::normal: return "normal";
  }
  return {};
}

std::string_view name_of(Locking value) {
  switch (value) {
    case Locking::shared: return "shared";
    case Locking::exclusive: return "exclusive";
  }
  return {};
}

std::string_view name_of(WarmUp value) {
  switch (value) {
    case WarmUp::lazy: return "lazy";
    case WarmUp::at_start: return "at_start";
  }
  return {};
}

std::string_view name_of(ValidateOnAcquire value) {
  switch (value) {
    case ValidateOnAcquire::never: return "never";
    case ValidateOnAcquire::if_idle_longer_than: return "if_idle_longer_than";
    case ValidateOnAcquire::always: return "always";
  }
  return {};
}

std::string_view name_of(ValidateOnRelease value) {
  switch (value) {
    case ValidateOnRelease::no: return "no";
    case ValidateOnRelease::yes: return "yes";
  }
  return {};
}

std::string_view name_of(OpenMode value) {
  switch (value) {
    case OpenMode::create: return "create";
    case OpenMode::existing: return "existing";
    case OpenMode::read_only: return "read_only";
  }
  return {};
}

std::string_view name_of(Overstaying value) {
  switch (value) {
    case Overstaying::reported: return "reported";
    case Overstaying::interrupted: return "interrupted";
  }
  return {};
}

std::string_view name_of(Maintenance value) {
  switch (value) {
    case Maintenance::in_background: return "in_background";
    case Maintenance::by_hand: return "by_hand";
  }
  return {};
}

// "a, b or c"
std::string list(const std::vector<std::string>& names, std::string_view last) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 < names.size() ? ", " : last;
    text += names[i];
  }
  return text;
}

// The digits that a text begins with; `text` is then what follows them.
Fit read_number(std::string_view& text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::result_out_of_range) return Fit::too_large;
  if (error != std::errc()) return Fit::malformed;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return Fit::fits;
}

// How a value of a type is written.
template <class T>
struct Text;

template <std::unsigned_integral T>
struct Text<T> {
  static std::string allowed() {
    return "a whole number from 0 to " + std::to_string(std::numeric_limits<T>::max()) + ", in digits";
  }

  static Fit read(std::string_view text, T& value) {
    std::uint64_t number = 0;
    if (const Fit fit = read_number(text, number); fit != Fit::fits) return fit;
    if (!text.empty()) return Fit::malformed;
    if (!std::in_range<T>(number)) return Fit::too_large;
    value = static_cast<T>(number);
    return Fit::fits;
  }

  static std::string write(T value) { return std::to_string(value); }
};

template <>
struct Text<bool> {
  static std::string allowed() { return "on or off"; }

  static Fit read(std::string_view text, bool& value) {
    if (text != "on" && text != "off") return Fit::malformed;
    value = text == "on";
    return Fit::fits;
  }

  static std::string write(bool value) { return value ? "on" : "off"; }
};

// For those numbers that count bytes.
struct Bytes {
  struct Unit {
    std::string_view name;
    std::size_t bytes;
  };
  static constexpr Unit kUnits[] = {{"GiB", 1U << 30U}, {"MiB", 1U << 20U}, {"KiB", 1U << 10U}, {"", 1}};

  static std::string allowed() { return R"(a whole number of bytes, such as "4096", "512KiB", "16MiB" or "1GiB")"; }

  static Fit read(std::string_view text, std::size_t& value) {
    std::uint64_t number = 0;
    if (const Fit fit = read_number(text, number); fit != Fit::fits) return fit;
    const auto* const unit = std::ranges::find(kUnits, text, &Unit::name);
    if (unit == std::end(kUnits)) return Fit::malformed;
    if (number > std::numeric_limits<std::size_t>::max() / unit->bytes) return Fit::too_large;
    value = static_cast<std::size_t>(number) * unit->bytes;
    return Fit::fits;
  }

  static std::string write(std::size_t value) {
    if (value == 0) return "0";
    const auto* const unit = std::ranges::find_if(kUnits, [&](const Unit& one) { return value % one.bytes == 0; });
    return std::to_string(value / unit->bytes).append(unit->name);
  }
};

struct DurationUnit {
  std::string_view name;
  std::int64_t microseconds;
};
constexpr DurationUnit kDurationUnits[] = {
    {"h", 3'600'000'000}, {"min", 60'000'000}, {"s", 1'000'000}, {"ms", 1000}, {"us", 1}};

template <class Period>
struct Text<std::chrono::duration<std::int64_t, Period>> {
  using Duration = std::chrono::duration<std::int64_t, Period>;
  static constexpr std::int64_t kTick = std::chrono::microseconds(Duration(1)).count();
  static_assert(kTick == 1 || kTick == 1000);

  static std::string allowed() {
    return kTick == 1 ? R"(a duration in whole microseconds, such as "500us", "10ms" or "1s")"
                      : R"(a duration in whole milliseconds, such as "250ms", "5s", "2min" or "1h")";
  }

  static Fit read(std::string_view text, Duration& value) {
    constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
    std::uint64_t number = 0;
    if (const Fit fit = read_number(text, number); fit != Fit::fits) return fit;
    if (text.empty() && number != 0) return Fit::no_unit;
    const std::string_view name = text.empty() ? "ms" : text;
    const auto* const unit = std::ranges::find(kDurationUnits, name, &DurationUnit::name);
    if (unit == std::end(kDurationUnits)) return Fit::malformed;
    if (unit->microseconds < kTick) {
      constexpr auto kParts = static_cast<std::uint64_t>(kTick);
      if (number % kParts != 0) return Fit::too_fine;
      value = Duration(static_cast<std::int64_t>(number / kParts));
      return Fit::fits;
    }
    const auto ticks = static_cast<std::uint64_t>(unit->microseconds / kTick);
    if (number > kMost / ticks) return Fit::too_large;
    value = Duration(static_cast<std::int64_t>(number * ticks));
    return Fit::fits;
  }

  static std::string write(Duration value) {
    if (value == Duration::zero()) return "0ms";
    const auto* const unit = std::ranges::find_if(
        kDurationUnits, [&](const DurationUnit& one) { return value.count() % (one.microseconds / kTick) == 0; });
    return std::to_string(value.count() / (unit->microseconds / kTick)).append(unit->name);
  }
};

// A share: no other floating-point number is configured.
template <>
struct Text<double> {
  static std::string allowed() { return R"(a number from 0 to 1, such as "0.25")"; }

  static Fit read(std::string_view text, double& value) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return Fit::malformed;
    if (!(number >= 0 && number <= 1)) return Fit::malformed;
    value = number;
    return Fit::fits;
  }

  static std::string write(double value) {
    std::array<char, 32> text{};  // the shortest that reads back equal has 24 at most
    return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
  }
};

template <>
struct Text<std::filesystem::path> {
  static std::string allowed() { return "a path without NUL bytes"; }

  static Fit read(std::string_view text, std::filesystem::path& value) {
    if (text.find('\0') != std::string_view::npos) return Fit::malformed;
    value = text;
    return Fit::fits;
  }

  static std::string write(const std::filesystem::path& value) { return value.string(); }
};

template <>
struct Text<std::string> {
  static std::string allowed() { return "a text without NUL bytes"; }

  static Fit read(std::string_view text, std::string& value) {
    if (text.find('\0') != std::string_view::npos) return Fit::malformed;
    value = text;
    return Fit::fits;
  }

  static std::string write(const std::string& value) { return value; }
};

template <class T>
requires std::is_enum_v<T>
struct Text<T> {
  static std::string allowed() {
    std::vector<std::string> names;
    for (int i = 0; !name_of(static_cast<T>(i)).empty(); ++i) names.emplace_back(name_of(static_cast<T>(i)));
    return list(names, " or ");
  }

  static Fit read(std::string_view text, T& value) {
    for (int i = 0; !name_of(static_cast<T>(i)).empty(); ++i) {
      if (name_of(static_cast<T>(i)) != text) continue;
      value = static_cast<T>(i);
      return Fit::fits;
    }
    return Fit::malformed;
  }

  static std::string write(T value) { return std::string(name_of(value)); }
};

template <class T>
struct Text<std::optional<T>> {
  static std::string allowed() { return Text<T>::allowed() + R"(, or "none")"; }

  static Fit read(std::string_view text, std::optional<T>& value) {
    if (text == "none" || text == "never") {
      value.reset();
      return Fit::fits;
    }
    T one{};
    const Fit fit = Text<T>::read(text, one);
    if (fit == Fit::fits) value = one;
    return fit;
  }

  static std::string write(const std::optional<T>& value) { return value ? Text<T>::write(*value) : "none"; }
};

// Options that are there as a whole or not at all; their members have keys of
// their own.
template <class T>
requires std::is_same_v<T, Breaker> || std::is_same_v<T, AdaptiveSize>
struct Text<std::optional<T>> {
  static std::string allowed() { return "on or off"; }

  static Fit read(std::string_view text, std::optional<T>& value) {
    if (text != "on" && text != "off") return Fit::malformed;
    if (text == "off") value.reset();
    if (text == "on" && !value) value.emplace();
    return Fit::fits;
  }

  static std::string write(const std::optional<T>& value) { return value ? "on" : "off"; }
};

template <class T>
T& present(T& value) {
  return value;
}
template <class T>
T& present(std::optional<T>& value) {
  return value ? *value : value.emplace();
}
template <class T>
const T& present_or_default(const T& value) {
  return value;
}
template <class T>
T present_or_default(const std::optional<T>& value) {
  return value.value_or(T{});
}

// The field that a way of members leads to. Whatever is unset on the way is
// turned on, or, where it is only looked at, as it would be then.
template <auto member, auto... rest, class Object>
auto& field(Object& object) {
  if constexpr (sizeof...(rest) == 0) {
    return object.*member;
  } else {
    return field<rest...>(present(object.*member));
  }
}
template <auto member, auto... rest, class Object>
auto value(const Object& object) {
  if constexpr (sizeof...(rest) == 0) {
    return object.*member;
  } else {
    return value<rest...>(present_or_default(object.*member));
  }
}

template <class Form, auto... way>
constexpr ConfigurationKey key_as(std::string_view name, std::string_view part_of) {
  return {.name = name,
          .part_of = part_of,
          .allowed = &Form::allowed,
          .read =
              [](std::string_view text, Options& options) {
                auto read = value<way...>(options);
                const Fit fit = Form::read(text, read);
                if (fit == Fit::fits) field<way...>(options) = std::move(read);
                return fit;
              },
          .write = [](const Options& options) { return Form::write(value<way...>(options)); }};
}

template <auto... way>
constexpr ConfigurationKey key(std::string_view name, std::string_view part_of = {}) {
  return key_as<Text<decltype(value<way...>(Options()))>, way...>(name, part_of);
}
template <auto... way>
constexpr ConfigurationKey bytes(std::string_view name) {
  return key_as<Bytes, way...>(name, {});
}

constexpr ConfigurationKey kKeys[] = {
    key<&Options::path>("path"),
    key<&Options::mode>("mode"),
    key<&Options::readers>("readers"),
    key<&Options::overflow_readers>("overflow_readers"),
    key<&Options::durability>("durability"),
    key<&Options::locking>("locking"),
    key<&Options::sql, &SqlSettings::trusted_schema>("trusted_schema"),
    key<&Options::sql, &SqlSettings::foreign_keys>("foreign_keys"),
    key<&Options::sql, &SqlSettings::recursive_triggers>("recursive_triggers"),
    key<&Options::sql, &SqlSettings::double_quoted_strings>("double_quoted_strings"),
    key<&Options::sql, &SqlSettings::trigger_depth>("trigger_depth"),
    bytes<&Options::sql, &SqlSettings::sql_length>("sql_length"),
    bytes<&Options::sql, &SqlSettings::like_pattern_length>("like_pattern_length"),
    bytes<&Options::page_size>("page_size"),
    bytes<&Options::memory_limit>("memory_limit"),
    key<&Options::acquire_timeout>("acquire_timeout"),
    key<&Options::busy_timeout>("busy_timeout"),
    key<&Options::statement_cache>("statement_cache"),
    bytes<&Options::page_cache>("page_cache"),
    key<&Options::checkpoint_pages>("checkpoint_pages"),
    key<&Options::batch, &BatchLimits::jobs>("batch_jobs"),
    key<&Options::batch, &BatchLimits::run_time>("batch_run_time"),
    bytes<&Options::batch, &BatchLimits::bytes>("batch_bytes"),
    key<&Options::async_queue>("async_queue"),
    key<&Options::upkeep, &Upkeep::min_idle>("min_idle"),
    key<&Options::upkeep, &Upkeep::warm_up>("warm_up"),
    key<&Options::warm_up_query>("warm_up_query"),
    key<&Options::upkeep, &Upkeep::idle_timeout>("idle_timeout"),
    key<&Options::upkeep, &Upkeep::max_lifetime>("max_lifetime"),
    key<&Options::upkeep, &Upkeep::lifetime_jitter>("lifetime_jitter"),
    key<&Options::upkeep, &Upkeep::max_uses>("max_uses"),
    key<&Options::upkeep, &Upkeep::max_errors>("max_errors"),
    key<&Options::upkeep, &Upkeep::validation_interval>("validation_interval"),
    key<&Options::upkeep, &Upkeep::validate_on_acquire>("validate_on_acquire"),
    key<&Options::upkeep, &Upkeep::validation_idle>("validation_idle"),
    key<&Options::upkeep, &Upkeep::validate_on_release>("validate_on_release"),
    key<&Options::upkeep, &Upkeep::leak_threshold>("leak_threshold"),
    key<&Options::upkeep, &Upkeep::overstaying>("overstaying"),
    key<&Options::upkeep, &Upkeep::breaker>("breaker"),
    key<&Options::upkeep, &Upkeep::breaker, &Breaker::failures>("breaker_failures", "breaker"),
    key<&Options::upkeep, &Upkeep::breaker, &Breaker::open_for>("breaker_open_for", "breaker"),
    key<&Options::upkeep, &Upkeep::adaptive_size>("adaptive_size"),
    key<&Options::upkeep, &Upkeep::adaptive_size, &AdaptiveSize::least>("adaptive_least", "adaptive_size"),
    key<&Options::upkeep, &Upkeep::adaptive_size, &AdaptiveSize::grow_above>("adaptive_grow_above", "adaptive_size"),
    key<&Options::upkeep, &Upkeep::adaptive_size, &AdaptiveSize::shrink_below>("adaptive_shrink_below",
                                                                               "adaptive_size"),
    key<&Options::upkeep, &Upkeep::adaptive_size, &AdaptiveSize::rounds>("adaptive_rounds", "adaptive_size"),
    key<&Options::upkeep, &Upkeep::maintenance>("maintenance"),
    key<&Options::upkeep, &Upkeep::maintenance_interval>("maintenance_interval"),
    key<&Options::on_slow_write, &Options::SlowWrite::threshold>("slow_write_threshold"),
    key<&Options::on_write_sample, &Options::WriteSampling::every>("write_sample_every"),
    key<&Options::fallback>("fallback"),
    key<&Options::health_interval>("health_interval"),
};
constexpr const ConfigurationKey& kPath = kKeys[0];

std::string_view reason_of(Fit fit) {
  switch (fit) {
    case Fit::fits:
    case Fit::malformed: break;
    case Fit::no_unit: return "; what was given has no unit";
    case Fit::too_fine: return "; what was given is finer";
    case Fit::too_large: return "; what was given is too large";
  }
  return {};
}

// In ASCII, whatever the locale.
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

// A name that somebody else chose, as a message can show it.
std::string printable(std::string_view name) {
  constexpr std::size_t kMost = 60;
  std::string text(name.substr(0, kMost));
  for (char& c : text) c = c >= ' ' && c <= '~' ? c : '?';
  return name.size() > kMost ? text + "..." : text;
}

// How many characters have to be put in, left out, changed, or swapped with
// their neighbour to make one name of the other; small and capital letters are one.
std::size_t edit_distance(std::string_view from, std::string_view to) {
  const auto same = [](char a, char b) { return lower(a) == lower(b); };
  std::vector<std::size_t> before_last;
  std::vector<std::size_t> last(to.size() + 1);
  std::vector<std::size_t> current(to.size() + 1);
  std::iota(last.begin(), last.end(), 0U);
  for (std::size_t i = 1; i <= from.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t change = last[j - 1] + (same(from[i - 1], to[j - 1]) ? 0 : 1);
      current[j] = std::min({change, last[j] + 1, current[j - 1] + 1});
      if (i > 1 && j > 1 && same(from[i - 1], to[j - 2]) && same(from[i - 2], to[j - 1])) {
        current[j] = std::min(current[j], before_last[j - 2] + 1);
      }
    }
    before_last = std::exchange(last, current);
  }
  return last[to.size()];
}

// What a source says, before it becomes options. The source spells keys as they
// are, or, behind a prefix, in capitals.
class Settings {
 public:
  explicit Settings(std::span<const ConfigurationKey> keys, std::string_view prefix = {})
      : keys_(keys), prefix_(prefix) {}

  [[nodiscard]] const ConfigurationKey* find(std::string_view name) const {
    const auto key = std::ranges::find_if(keys_, [&](const ConfigurationKey& one) { return spell(one.name) == name; });
    return key == keys_.end() ? nullptr : &*key;
  }

  [[nodiscard]] const ConfigurationKey& expect(std::string_view name) const {
    const ConfigurationKey* const key = find(name);
    if (key == nullptr) refuse(name);
    return *key;
  }

  void add(const ConfigurationKey& key, std::string text) {
    std::optional<std::string>& given = given_[position_of(key)];
    if (given) throw UsageError(spell(key.name) + " is given twice");
    given = std::move(text);
  }

  // In the order of the table, whatever the order of the source.
  [[nodiscard]] Options applied_to(Options options) const {
    for (const ConfigurationKey& key : kKeys) {
      const std::optional<std::string>& given = given_[position_of(key)];
      if (!given) continue;
      if (const Fit fit = key.read(*given, options); fit != Fit::fits) {
        throw UsageError(spell(key.name) + " must be " + key.allowed() + std::string(reason_of(fit)));
      }
      if (is_off(key.part_of)) {
        throw UsageError(spell(key.name) + " is part of " + spell(key.part_of) +
                         ", which is off: leave out one of the two");
      }
    }
    return options;
  }

 private:
  static std::size_t position_of(const ConfigurationKey& key) { return static_cast<std::size_t>(&key - kKeys); }

  [[nodiscard]] std::string spell(std::string_view key) const {
    std::string name(key);
    if (!prefix_.empty()) std::ranges::transform(name, name.begin(), upper);
    return std::string(prefix_).append(name);
  }

  [[nodiscard]] bool is_off(std::string_view name) const {
    return std::ranges::any_of(
        kKeys, [&](const ConfigurationKey& key) { return key.name == name && given_[position_of(key)] == "off"; });
  }

  [[noreturn]] void refuse(std::string_view name) const {
    name.remove_prefix(prefix_.size());
    std::string message = "there is no key \"";
    message.append(prefix_).append(printable(name)).append("\"");
    const ConfigurationKey* const meant = nearest(name);
    message += meant == nullptr ? "." : "; did you mean " + spell(meant->name) + "?";
    std::vector<std::string> names;
    for (const ConfigurationKey& key : keys_) names.push_back(spell(key.name));
    throw UsageError(message + " Allowed are " + list(names, " and "));
  }

  // The key that was probably meant.
  [[nodiscard]] const ConfigurationKey* nearest(std::string_view name) const {
    const ConfigurationKey* best = nullptr;
    std::size_t least = 3;  // so many differences are another word
    for (const ConfigurationKey& key : keys_) {
      if (name.size() > key.name.size() + least) continue;
      const std::size_t distance = edit_distance(name, key.name);
      if (distance >= least || distance * 3 > key.name.size()) continue;
      best = &key;
      least = distance;
    }
    return best;
  }

  std::span<const ConfigurationKey> keys_;
  std::string_view prefix_;
  std::array<std::optional<std::string>, std::size(kKeys)> given_{};
};

// URIs, https://www.rfc-editor.org/rfc/rfc8089 and rfc3986.

constexpr std::string_view kScheme = "file:";

int hexadecimal(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (lower(c) >= 'a' && lower(c) <= 'f') return lower(c) - 'a' + 10;
  return -1;
}

// `what` is for the message.
std::string decode(std::string_view text, std::string_view what) {
  std::string decoded;
  decoded.reserve(text.size());
  while (!text.empty()) {
    char c = text.front();
    text.remove_prefix(1);
    if (c == '%') {
      const int high = text.empty() ? -1 : hexadecimal(text[0]);
      const int low = text.size() < 2 ? -1 : hexadecimal(text[1]);
      if (high < 0 || low < 0) {
        throw UsageError(std::string(what) + R"( in a URI: "%" must be followed by two hexadecimal digits)");
      }
      c = static_cast<char>(high * 16 + low);
      text.remove_prefix(2);
    }
    if (c == '\0') throw UsageError(std::string(what) + " in a URI must not hold a NUL byte");
    decoded.push_back(c);
  }
  return decoded;
}

enum class Slash : std::uint8_t { encoded, kept };

std::string encode(std::string_view text, Slash slash) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  constexpr std::string_view kUnreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string encoded;
  for (const char c : text) {
    if (kUnreserved.find(c) != std::string_view::npos || (c == '/' && slash == Slash::kept)) {
      encoded.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded.append({'%', kDigits[byte / 16U], kDigits[byte % 16U]});
    }
  }
  return encoded;
}

void add_query(Settings& settings, std::string_view query) {
  for (bool is_last = false; !is_last;) {
    const std::size_t end = query.find('&');
    is_last = end == std::string_view::npos;
    const std::string_view pair = query.substr(0, end);
    if (!is_last) query.remove_prefix(end + 1);

    const std::size_t equals = pair.find('=');
    const std::string name = decode(pair.substr(0, equals), "a key");
    if (equals == std::string_view::npos) {
      // It may be the rest of a value, so it is shown only if it is a key.
      throw UsageError((settings.find(name) != nullptr ? name : std::string("a key")) +
                       R"( in a URI must be followed by "=" and a value)");
    }
    if (name.empty()) throw UsageError(R"(a key in a URI is missing before "=")");
    if (name == kPath.name) throw UsageError(R"(path cannot be set behind "?" in a URI: it is what is before that)");
    const ConfigurationKey& key = settings.expect(name);
    settings.add(key, decode(pair.substr(equals + 1), name));
  }
}

}  // namespace

std::span<const ConfigurationKey> configuration_keys() noexcept { return kKeys; }

}  // namespace detail

Options Options::from_uri(std::string_view uri, const Options& base) {
  using detail::kPath;
  if (!uri.starts_with(detail::kScheme)) throw UsageError(R"(the URI of a database must begin with "file:")");
  if (uri.find('#') != std::string_view::npos) {
    throw UsageError(R"(the URI of a database must not have a fragment: "#" is written as "%23")");
  }
  const std::size_t question = uri.find('?');
  std::string_view path = uri.substr(0, question);
  path.remove_prefix(detail::kScheme.size());
  if (path.starts_with("//")) {
    path.remove_prefix(2);
    const std::string_view host = path.substr(0, path.find('/'));
    if (!host.empty() && host != "localhost") {
      throw UsageError(
          "the URI of a database must name no host but localhost: file:/absolute/path, file:relative/path");
    }
    path.remove_prefix(host.size());
  }

  detail::Settings settings(detail::configuration_keys().subspan(1));
  if (!path.empty()) settings.add(kPath, detail::decode(path, kPath.name));
  if (question != std::string_view::npos) detail::add_query(settings, uri.substr(question + 1));
  return settings.applied_to(base);
}

Options Options::from_environment(std::string_view prefix, const Options& base) {
  if (prefix.empty() || prefix.find('=') != std::string_view::npos) {
    throw UsageError(R"(the prefix of environment variables must not be empty, nor hold "=")");
  }
  detail::Settings settings(detail::configuration_keys(), prefix);
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const std::size_t equals = text.find('=');
    const std::string_view name = text.substr(0, equals);
    if (equals == std::string_view::npos || !name.starts_with(prefix)) continue;
    settings.add(settings.expect(name), std::string(text.substr(equals + 1)));
  }
  return settings.applied_to(base);
}

Options Options::from_map(const std::map<std::string, std::string>& values, const Options& base) {
  detail::Settings settings(detail::configuration_keys());
  for (const auto& [name, text] : values) settings.add(settings.expect(name), text);
  return settings.applied_to(base);
}

std::string Options::to_uri() const {
  const Options defaults;
  std::string uri(detail::kScheme);
  char separator = '?';
  for (const detail::ConfigurationKey& key : detail::configuration_keys()) {
    const std::string text = key.write(*this);
    Options read_back;
    if (key.read(text, read_back) != detail::Fit::fits) {
      throw UsageError("Options cannot be written as a URI: " + std::string(key.name) + " must be " + key.allowed());
    }
    if (&key == &detail::kPath) {
      // Two slashes would begin a host, if none came before.
      uri.append(text.starts_with("//") ? "//" : "").append(detail::encode(text, detail::Slash::kept));
    } else if (text != key.write(defaults)) {
      uri.push_back(separator);
      uri.append(key.name).append("=").append(detail::encode(text, detail::Slash::encoded));
      separator = '&';
    }
  }
  return uri;
}

}  // namespace sqlane
