// The table of `metascale status`.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string_view>

#include "core/terminal.hpp"
#include "core/units.hpp"
#include "sweeps/overview.hpp"

namespace metascale {
namespace {

constexpr std::size_t column_count = 10;
using Cells = std::array<std::string, column_count>;
const Cells head{"run",  "state", "step", "loss",     "tokens/s",
                 "left", "job",   "node", "attempts", "message"};

// A message may hold several lines.
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

Cells cells_of(const RunOverview& run) {
  const Heartbeat& last = run.status.last;
  const bool is_running = run.word == "running";
  Cells cells{
      run.status.id,
      run.word,
      run.steps > 0 ? fmt::format("{} / {}", run.step, run.steps) : std::string(),
      run.step > 0 && std::isfinite(last.loss) ? fmt::format("{:.4f}", last.loss) : std::string(),
      is_running && last.tokens_per_second > 0 ? format_count(last.tokens_per_second)
                                               : std::string(),
      run.seconds_left ? format_duration(*run.seconds_left) : std::string(),
      run.job,
      run.node,
      run.status.attempts > 0 ? std::to_string(run.status.attempts) : std::string(),
      first_line(run.message)};
  for (std::string& cell : cells) cell = printable(cell);  // these are words of files
  return cells;
}

bool is_number(std::size_t column) { return (column >= 2 && column <= 5) || column == 8; }

// A line that goes on shows it.
std::string cut_to(int columns, std::string line) {
  constexpr std::string_view sign = "...";
  if (columns <= 0 || line.size() <= std::size_t(columns)) return line;
  const std::size_t kept = std::max(std::size_t(columns), sign.size()) - sign.size();
  return line.substr(0, kept).append(sign, 0, std::size_t(columns));
}

std::string line_of(const Cells& cells, const std::array<std::size_t, column_count>& widths,
                    int columns) {
  std::string line;
  for (std::size_t i = 0; i < column_count; ++i) {
    if (widths[i] == 0) continue;
    if (!line.empty()) line += "  ";
    line += is_number(i) ? fmt::format("{:>{}}", cells[i], widths[i])
                         : fmt::format("{:<{}}", cells[i], widths[i]);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return cut_to(columns, std::move(line)) + "\n";
}

std::string counts_text(const Overview& overview) {
  std::map<std::string, int> counts;
  for (const RunOverview& run : overview.runs) ++counts[run.word];
  std::string text;
  for (const auto& [word, count] : counts)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, word);
  return text.empty() ? "no runs" : text;
}

std::string hours_text(const Overview& overview) {
  const char* device = overview.uses_gpus ? "GPU" : "core";
  std::string text = fmt::format("{}-hours: {:.2f} used", device, overview.hours_used);
  if (overview.hours_left > 0 || overview.unknown == 0)
    text += fmt::format(", {:.2f} left", overview.hours_left);
  if (overview.unknown > 0)
    text += fmt::format(" ({} runs not counted: no speed to go by yet)", overview.unknown);
  if (overview.price_per_hour)
    text += fmt::format("; cost: {:.2f} so far, {:.2f} to come",
                        overview.hours_used * *overview.price_per_hour,
                        overview.hours_left * *overview.price_per_hour);
  return text;
}

}  // namespace

std::string overview_table(const Overview& overview, int columns) {
  std::vector<Cells> rows;
  for (const RunOverview& run : overview.runs) rows.push_back(cells_of(run));
  std::array<std::size_t, column_count> widths{};  // a column that is empty is left out
  for (std::size_t i = 0; i < column_count; ++i) {
    for (const Cells& row : rows) widths[i] = std::max(widths[i], row[i].size());
    if (widths[i] > 0) widths[i] = std::max(widths[i], head[i].size());
  }
  std::string text = rows.empty() ? "" : line_of(head, widths, columns);
  for (const Cells& row : rows) text += line_of(row, widths, columns);
  text += counts_text(overview) + "\n" + hours_text(overview) + "\n";
  if (!overview.remark.empty())
    text += "the batch system does not answer (" + printable(overview.remark) +
            "): states are those of the runs' own files\n";
  return text;
}

}  // namespace metascale
