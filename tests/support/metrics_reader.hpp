#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace sqlane::testing {

// What a text of metrics says.
struct Metrics {
  std::map<std::string, std::string> types;    // of families
  std::map<std::string, std::string> samples;  // by name and labels, as they are written

  [[nodiscard]] std::string at(const std::string& series) const {
    const auto found = samples.find(series);
    return found == samples.end() ? "none" : found->second;
  }
};

// Reads the Prometheus text format 0.0.4, and is stricter than that: a family is
// HELP, TYPE and samples, in this order and never again; a name says its unit and
// kind; a histogram is whole, and its buckets add up. Whatever else is an error.
// https://prometheus.io/docs/instrumenting/exposition_formats/
class MetricsReader {
 public:
  explicit MetricsReader(std::string_view text) : rest_(text) {}

  Metrics read() {
    while (!rest_.empty()) read_family();
    return std::move(metrics_);
  }

 private:
  struct Sample {
    std::string name;
    std::vector<std::pair<std::string, std::string>> labels;
    double value = 0;
  };

  void expect(bool holds, const char* what) const {
    if (!holds) throw std::runtime_error(std::string(what) + " in \"" + std::string(line_) + "\"");
  }

  void next_line() {
    const std::size_t end = rest_.find('\n');
    line_ = rest_.substr(0, end);
    expect(end != std::string_view::npos, "an unfinished line");
    expect(!line_.empty(), "an empty line");
    rest_.remove_prefix(end + 1);
  }

  static bool take(std::string_view& text, std::string_view start) {
    if (!text.starts_with(start)) return false;
    text.remove_prefix(start.size());
    return true;
  }

  // [a-z_][a-z0-9_]*
  std::string take_name(std::string_view& text) const {
    constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz_";
    constexpr std::string_view kAll = "abcdefghijklmnopqrstuvwxyz_0123456789";
    const std::size_t size = std::min(text.find_first_not_of(kAll), text.size());
    expect(size > 0 && kLetters.find(text.front()) != std::string_view::npos, "no name");
    const std::string name(text.substr(0, size));
    text.remove_prefix(size);
    return name;
  }

  std::string take_quoted(std::string_view& text) const {
    expect(take(text, "\""), "no quote");
    std::string value;
    while (!take(text, "\"")) {
      expect(!text.empty(), "no closing quote");
      if (take(text, "\\")) {
        expect(text.starts_with('n') || text.starts_with('"') || text.starts_with('\\'), "an unknown escape");
        value += text.front() == 'n' ? '\n' : text.front();
      } else {
        value += text.front();
      }
      text.remove_prefix(1);
    }
    nlohmann::json(value).dump();  // throws unless it is UTF-8
    return value;
  }

  double number(std::string_view text) const {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    expect(error == std::errc() && end == text.data() + text.size(), "no number");
    expect(std::isfinite(value) && value >= 0, "a number that nothing can have");
    return value;
  }

  void read_family() {
    next_line();
    std::string_view text = line_;
    expect(take(text, "# HELP "), "no HELP");
    family_ = take_name(text);
    expect(family_.starts_with("sqlane_"), "a foreign name");
    expect(take(text, " ") && text.size() > 1 && text.ends_with('.'), "no help");
    expect(helps_.insert(std::string(text)).second, "help for two families");

    next_line();
    text = line_;
    expect(take(text, "# TYPE ") && take(text, family_) && take(text, " "), "no TYPE");
    const std::string type(text);
    expect(type == "counter" || type == "gauge" || type == "histogram", "an unknown type");
    expect(family_.ends_with("_total") == (type == "counter"), "a name of another type");
    expect(metrics_.types.emplace(family_, type).second, "a family again");

    std::vector<Sample> samples;
    while (!rest_.empty() && !rest_.starts_with('#')) samples.push_back(read_sample());
    expect(!samples.empty(), "a family without samples");
    if (type == "histogram") {
      check_histogram(samples);
    } else {
      for (const Sample& sample : samples) expect(sample.name == family_, "a sample of no family");
    }
  }

  Sample read_sample() {
    next_line();
    std::string_view text = line_;
    Sample sample{.name = take_name(text)};
    std::set<std::string> names;
    expect(take(text, "{"), "no labels");
    do {
      std::string name = take_name(text);
      expect(!name.starts_with("__") && names.insert(name).second, "a label that cannot be");
      expect(take(text, "="), "no value of a label");
      sample.labels.emplace_back(std::move(name), take_quoted(text));
    } while (take(text, ","));
    expect(sample.labels.front().first == "database", "no database");
    expect(take(text, "} "), "no end of labels");
    sample.value = number(text);
    const std::string series(line_.substr(0, line_.size() - text.size() - 1));
    expect(metrics_.samples.emplace(series, text).second, "a sample again");
    return sample;
  }

  void check_histogram(const std::vector<Sample>& samples) const {
    expect(samples.size() > 3, "a histogram without buckets");
    const Sample& last = samples[samples.size() - 3];
    double bound = 0;
    double count = 0;
    for (const Sample* bucket = samples.data(); bucket <= &last; ++bucket) {
      expect(bucket->name == family_ + "_bucket", "no bucket");
      expect(bucket->labels.size() == 2 && bucket->labels.back().first == "le", "no bound");
      expect((bucket->labels.back().second == "+Inf") == (bucket == &last), "an infinity elsewhere than at the end");
      if (bucket != &last) {
        expect(number(bucket->labels.back().second) > bound, "bounds that do not rise");
        bound = number(bucket->labels.back().second);
      }
      expect(bucket->value >= count, "buckets that do not add up");
      count = bucket->value;
    }
    const Sample& sum = samples[samples.size() - 2];
    expect(sum.name == family_ + "_sum" && sum.labels.size() == 1, "no sum");
    const Sample& all = samples.back();
    expect(all.name == family_ + "_count" && all.labels.size() == 1 && all.value == count, "another count");
  }

  std::string_view rest_;
  std::string_view line_;
  std::string family_;
  std::set<std::string> helps_;
  Metrics metrics_;
};

inline Metrics read_metrics(const std::string& text) { return MetricsReader(text).read(); }

// Empty when there is none.
inline std::string complaint_about(const std::string& text) try {
  read_metrics(text);
  return "";
} catch (const std::exception& error) {
  return error.what();
}

}  // namespace sqlane::testing
