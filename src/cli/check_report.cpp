#include "cli/check_report.hpp"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/format.hpp"
#include "cli/screen.hpp"

namespace sqlane::cli {
namespace {

struct Word {
  const char* plain;
  const char* key;
  Color color;
};

Word word_for(Judgement judgement) {
  switch (judgement) {
    case Judgement::ok: return {"ok", "ok", Color::green};
    case Judgement::notable: return {"worth knowing", "notable", Color::yellow};
    case Judgement::warning: return {"WARNING", "warning", Color::yellow};
    case Judgement::unreadable: return {"not readable", "unreadable", Color::yellow};
    case Judgement::wrong: return {"WRONG", "wrong", Color::red};
  }
  return {"", "", Color::none};
}

constexpr std::size_t kMargin = 34;  // of what is said about a finding

// Broken at blanks, so that no line is longer than `width`; those after the first begin with `indent` blanks.
std::string wrap(const std::string& raw, std::size_t width, std::size_t indent) {
  const std::string text = printable(raw);
  const std::size_t room = std::max<std::size_t>(width, indent + 20) - indent;
  std::string wrapped;
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t end = text.size();
    if (end - at > room) {
      const std::size_t blank = text.rfind(' ', at + room);
      end = blank != std::string::npos && blank > at ? blank : at + room;
    }
    if (!wrapped.empty()) wrapped += "\n" + std::string(indent, ' ');
    wrapped += text.substr(at, end - at);
    at = end < text.size() && text[end] == ' ' ? end + 1 : end;
  }
  return wrapped;
}

std::string describe_settings(const ContentFacts& facts) {
  std::string text = fmt::format("{} pages of {} bytes, {}, journal mode {}", facts.page_count, facts.page_size,
                                 facts.encoding, facts.journal_mode);
  if (facts.auto_vacuum != 0) text += facts.auto_vacuum == 1 ? ", auto_vacuum full" : ", auto_vacuum incremental";
  if (facts.user_version != 0) text += fmt::format(", user_version {}", facts.user_version);
  if (facts.application_id != 0) text += fmt::format(", application_id {:#x}", facts.application_id);
  return text;
}

std::string summary(const CheckReport& report) {
  const auto count = [&](Judgement judgement) {
    return std::ranges::count(report.findings, judgement, &CheckFinding::judgement);
  };
  const auto things = [](auto number, const char* what) {
    return number == 1 ? fmt::format("one thing is {}", what) : fmt::format("{} things are {}", number, what);
  };
  std::vector<std::string> parts;
  if (const auto wrong = count(Judgement::wrong)) parts.push_back(things(wrong, "damaged"));
  if (count(Judgement::unreadable) > 0) parts.emplace_back("this SQLite cannot read it");
  const auto warnings = count(Judgement::warning);
  if (parts.empty()) parts.emplace_back(warnings == 0 ? "nothing is wrong with it" : "nothing is damaged");
  if (warnings > 0) parts.push_back(things(warnings, "to be mended"));
  if (const auto notable = count(Judgement::notable)) parts.push_back(things(notable, "worth knowing"));
  std::string text = fmt::format("{}.", fmt::join(parts, "; "));
  text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  return text;
}

}  // namespace

std::string format_check(const CheckReport& report, const Console& console) {
  const std::size_t width = std::min<std::size_t>(console.columns, 120);
  std::string text =
      paint(console, Color::bold, printable(report.file.string())) + "  " + format_bytes(report.facts.bytes) + "\n";
  if (report.contents) text += wrap(describe_settings(*report.contents), width, 0) + "\n";
  text += "\n";
  for (const CheckFinding& finding : report.findings) {
    const Word word = word_for(finding.judgement);
    text += "  " + paint(console, word.color, fmt::format("{:<13}", word.plain)) +
            fmt::format("  {:<15}  ", finding.subject) + wrap(finding.text, width, kMargin) + "\n";
    const std::string margin(kMargin, ' ');
    for (const std::string& detail : finding.details) text += margin + "- " + wrap(detail, width, kMargin + 2) + "\n";
    if (!finding.advice.empty()) {
      text += margin + paint(console, Color::faint, "> " + wrap(finding.advice, width, kMargin + 2)) + "\n";
    }
  }
  return text + "\n" + summary(report) + "\n";
}

nlohmann::json to_json(const CheckReport& report) {
  nlohmann::json findings = nlohmann::json::array();
  for (const CheckFinding& finding : report.findings) {
    findings.push_back({{"subject", finding.subject},
                        {"judgement", word_for(finding.judgement).key},
                        {"text", finding.text},
                        {"details", finding.details},
                        {"advice", finding.advice}});
  }
  nlohmann::json json{{"file", report.file.string()},
                      {"judgement", word_for(report.judgement()).key},
                      {"bytes", report.facts.bytes},
                      {"wal_bytes", report.facts.log_bytes},
                      {"findings", findings}};
  if (report.contents) {
    const ContentFacts& facts = *report.contents;
    json["settings"] = {{"page_size", facts.page_size},       {"page_count", facts.page_count},
                        {"free_pages", facts.free_pages},     {"journal_mode", facts.journal_mode},
                        {"encoding", facts.encoding},         {"auto_vacuum", facts.auto_vacuum},
                        {"user_version", facts.user_version}, {"application_id", facts.application_id}};
  }
  return json;
}

}  // namespace sqlane::cli
