#include "sqlane/statistics.hpp"

#include <algorithm>
#include <charconv>
#include <span>

namespace sqlane {
namespace {

// A field of the statistics.
struct Field {
  std::string_view name;
  std::string_view help;
  std::string_view family = name;  // as Prometheus calls it, without prefix, unit and _total
};

// How Prometheus sees the values of a histogram.
struct Scale {
  std::string_view suffix;  // of the family, its unit
  double one;               // of that unit
  std::span<const std::uint64_t> bounds;
};

constexpr std::array<std::uint64_t, 8> kNanoseconds{1'000,      10'000,      100'000,       1'000'000,
                                                    10'000'000, 100'000'000, 1'000'000'000, 10'000'000'000};
constexpr Scale kSeconds{"_seconds", 1e9, kNanoseconds};
constexpr std::array<std::uint64_t, 10> kPlainNumbers{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};
constexpr Scale kNumbers{"", 1, kPlainNumbers};

constexpr std::array kPoolStates{PoolState::active, PoolState::draining, PoolState::closed};

// What there is to tell, once for both forms.
template <class Form>
void tell(const PoolStatistics& pool, Form& form) {
  form.state({"state", "1 for the state that the pool of readers is in, 0 for the others."}, pool.state);
  form.gauge({"limit", "Readers that may exist now, overflow aside."}, pool.limit);
  form.gauge({"total", "Readers that exist.", "open"}, pool.total);
  form.gauge({"idle", "Readers that nobody uses."}, pool.idle);
  form.gauge({"in_use", "Readers that are lent."}, pool.in_use);
  form.gauge({"waiting", "Threads that wait for a reader."}, pool.waiting);
  form.counter({"acquires", "Times that a reader was lent."}, pool.acquires);
  form.counter({"waits", "Times that a reader was lent after waiting for it."}, pool.waits);
  form.counter({"timeouts", "Times that no reader came free in time."}, pool.timeouts);
  form.counter({"fallbacks", "Times that no reader was free and the work went elsewhere."}, pool.fallbacks);
  form.counter({"created", "Readers that were made."}, pool.created);
  form.counter({"failed_creations", "Readers that could not be made."}, pool.failed_creations);
  form.counter({"refused_creations", "Readers that were not made because making them kept failing."},
               pool.refused_creations);
  form.reasons({"closed", "Readers that were closed, by the reason."}, pool);
  form.counter({"cleaned", "Readers that came back with something left open."}, pool.cleaned);
  form.counter({"validations", "Times that a reader was asked if it still works."}, pool.validations);
  form.counter({"overstayed", "Leases that were reported for lasting too long."}, pool.overstayed);
  form.counter({"interrupted", "Leases that were interrupted for lasting too long."}, pool.interrupted);
  form.counter({"recovered", "Readers that were taken back from threads that ended."}, pool.recovered);
  form.distribution({"wait_times", "How long those waited that had to wait for a reader.", "wait"}, pool.wait_times,
                    kSeconds);
  form.distribution({"hold_times", "How long readers were lent, one lease in 64.", "hold"}, pool.hold_times, kSeconds);
}

template <class Form>
void tell(const LaneStatistics& lane, Form& form) {
  form.gauge({"waiting", "Writes that wait for the lane."}, lane.waiting);
  form.gauge({"posted", "Asynchronous writes that have not ended."}, lane.posted);
  form.counter({"commits", "Commits that carried jobs."}, lane.commits);
  form.counter({"jobs", "Jobs that were committed."}, lane.jobs);
  form.counter({"guards", "Transactions that begin() gave out."}, lane.guards);
  form.distribution({"batch_sizes", "Jobs a commit.", "batch_size"}, lane.batch_sizes, kNumbers);
}

template <class Form>
void tell(const StatementStatistics& statements, Form& form) {
  form.counter({"hits", "Statements that were found in a cache."}, statements.hits);
  form.counter({"prepared", "Statements that had to be prepared."}, statements.prepared);
}

template <class Form>
void tell(const DatabaseStatistics& database, Form& form) {
  form.database(database.database);
  form.part("readers", database.readers);
  form.part("lane", database.lane);
  form.part("statements", database.statements);
  form.counter({"busy_waits", "Locks of other processes that were met."}, database.busy_waits);
  form.counter({"errors", "Errors of SQLite, on any connection."}, database.errors);
  form.counter({"checkpoints", "Checkpoints that were run."}, database.checkpoints);
  form.counter({"fallback_reads", "Reads that went to the fallback."}, database.fallback_reads);
  form.gauge({"wal_bytes", "Length of the write-ahead log."}, database.wal_bytes);
}

// Not by streams or printf, which write numbers as the locale has them.
template <class Number>
std::string format(Number number) {
  std::array<char, 32> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr};
}

// Bytes of the character that `text` begins with; 0 when it is not well-formed
// UTF-8. https://www.rfc-editor.org/rfc/rfc3629
std::size_t character_size(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(text[i])); };
  if (byte(0) < 0x80) return 1;
  const std::size_t size = byte(0) >> 5 == 0b110 ? 2 : byte(0) >> 4 == 0b1110 ? 3 : byte(0) >> 3 == 0b11110 ? 4 : 0;
  if (size == 0 || size > text.size()) return 0;
  unsigned code = byte(0) & (0xffU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if (byte(i) >> 6 != 0b10) return 0;
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr std::array kLeast{0x80U, 0x800U, 0x10000U};  // below, a shorter form exists
  const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
  return code >= kLeast[size - 2] && code <= 0x10ffff && !is_surrogate ? size : 0;
}

enum class ControlCharacters { as_they_are, as_numbers };

// In quotes and escaped. Bytes that are not UTF-8 become U+FFFD, each.
std::string quote(std::string_view text, ControlCharacters controls) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string quoted = "\"";
  while (!text.empty()) {
    const std::size_t size = character_size(text);
    const char c = text.front();
    const auto code = static_cast<unsigned char>(c);
    if (size == 0) {
      quoted += "\xEF\xBF\xBD";
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (controls == ControlCharacters::as_numbers && code < 0x20) {
      quoted += {'\\', 'u', '0', '0', kHex[code >> 4], kHex[code & 15]};
    } else {
      quoted += text.substr(0, size);
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return quoted + '"';
}

class JsonForm {
 public:
  void database(std::string_view path) { member("database", quote(path, ControlCharacters::as_numbers)); }

  template <class Part>
  void part(std::string_view name, const Part& part) {
    JsonForm form;
    tell(part, form);
    member(name, form.text());
  }

  void counter(const Field& field, std::uint64_t value) { member(field.name, format(value)); }
  void gauge(const Field& field, std::uint64_t value) { member(field.name, format(value)); }

  void state(const Field& field, PoolState state) {
    member(field.name, quote(to_string(state), ControlCharacters::as_numbers));
  }

  void reasons(const Field& field, const PoolStatistics& pool) {
    JsonForm reasons;
    for (std::size_t i = 0; i < kCloseReasons; ++i) {
      reasons.member(to_string(static_cast<CloseReason>(i)), format(pool.closed[i]));
    }
    member(field.name, reasons.text());
  }

  void distribution(const Field& field, const Histogram& histogram, const Scale&) {
    Histogram copy;  // others may record meanwhile
    copy.merge(histogram);
    JsonForm values;
    values.member("count", format(copy.count()));
    values.member("mean", format(copy.mean()));
    values.member("p50", format(copy.quantile_value(0.5)));
    values.member("p90", format(copy.quantile_value(0.9)));
    values.member("p99", format(copy.quantile_value(0.99)));
    values.member("p999", format(copy.quantile_value(0.999)));
    values.member("max", format(copy.max_value()));
    member(field.name, values.text());
  }

  [[nodiscard]] std::string text() const { return '{' + members_ + '}'; }

 private:
  void member(std::string_view name, std::string_view value) {
    if (!members_.empty()) members_ += ',';
    members_.append("\"").append(name).append("\":").append(value);
  }

  std::string members_;
};

class PrometheusForm {
 public:
  void database(std::string_view path) { labels_ = "database=" + quote(path, ControlCharacters::as_they_are); }

  template <class Part>
  void part(std::string_view name, const Part& part) {
    prefix_.append(name).append("_");
    tell(part, *this);
    prefix_.resize(prefix_.size() - name.size() - 1);
  }

  void counter(const Field& field, std::uint64_t value) { sample(family(field, "_total", "counter"), "", value); }
  void gauge(const Field& field, std::uint64_t value) { sample(family(field, "", "gauge"), "", value); }

  void state(const Field& field, PoolState now) {
    const std::string name = family(field, "", "gauge");
    for (const PoolState state : kPoolStates) sample(name, label("state", to_string(state)), state == now ? 1U : 0U);
  }

  void reasons(const Field& field, const PoolStatistics& pool) {
    const std::string name = family(field, "_total", "counter");
    for (std::size_t i = 0; i < kCloseReasons; ++i) {
      sample(name, label("reason", to_string(static_cast<CloseReason>(i))), pool.closed[i]);
    }
  }

  void distribution(const Field& field, const Histogram& histogram, const Scale& scale) {
    Histogram copy;  // others may record meanwhile
    copy.merge(histogram);
    const std::uint64_t count = copy.count();
    const std::string name = family(field, scale.suffix, "histogram");
    for (const std::uint64_t bound : scale.bounds) {
      sample(name + "_bucket", label("le", format(static_cast<double>(bound) / scale.one)), copy.count_up_to(bound));
    }
    sample(name + "_bucket", label("le", "+Inf"), count);
    sample(name + "_sum", "", static_cast<double>(copy.sum()) / scale.one);
    sample(name + "_count", "", count);
  }

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  // Begins the family; its name.
  std::string family(const Field& field, std::string_view suffix, std::string_view type) {
    std::string name = prefix_;
    name.append(field.family).append(suffix);
    text_.append("# HELP ").append(name).append(" ").append(field.help).append("\n");
    text_.append("# TYPE ").append(name).append(" ").append(type).append("\n");
    return name;
  }

  static std::string label(std::string_view name, std::string_view value) {
    return std::string(",").append(name).append("=\"").append(value).append("\"");
  }

  template <class Number>
  void sample(const std::string& name, const std::string& label, Number value) {
    text_ += name + '{' + labels_ + label + "} " + format(value) + '\n';
  }

  std::string prefix_ = "sqlane_";
  std::string labels_;
  std::string text_;
};

}  // namespace

std::string_view to_string(PoolState state) noexcept {
  switch (state) {
    case PoolState::active: return "active";
    case PoolState::draining: return "draining";
    case PoolState::closed: return "closed";
  }
  return "unknown";
}

std::string_view to_string(ResourceState state) noexcept {
  switch (state) {
    case ResourceState::idle: return "idle";
    case ResourceState::in_use: return "in_use";
    case ResourceState::closed: return "closed";
    case ResourceState::error: return "error";
  }
  return "unknown";
}

std::string_view to_string(CloseReason reason) noexcept {
  switch (reason) {
    case CloseReason::broken: return "broken";
    case CloseReason::invalid: return "invalid";
    case CloseReason::errors: return "errors";
    case CloseReason::uses: return "uses";
    case CloseReason::age: return "age";
    case CloseReason::idle: return "idle";
    case CloseReason::overflow: return "overflow";
    case CloseReason::shrinking: return "shrinking";
    case CloseReason::pool_closed: return "pool_closed";
  }
  return "unknown";
}

double PoolStatistics::reuse_ratio() const noexcept {
  // Those that were made to be idle may be more than were asked for.
  if (created >= acquires) return 0;
  return static_cast<double>(acquires - created) / static_cast<double>(acquires);
}

double PoolStatistics::utilisation() const noexcept {
  const std::size_t lendable = std::max(limit, in_use);
  return lendable == 0 ? 0 : static_cast<double>(in_use) / static_cast<double>(lendable);
}

std::string DatabaseStatistics::to_json() const {
  JsonForm form;
  tell(*this, form);
  return form.text();
}

std::string DatabaseStatistics::to_prometheus() const {
  PrometheusForm form;
  tell(*this, form);
  return form.text();
}

}  // namespace sqlane
