#include "core/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/terminal.hpp"
#include "core/units.hpp"

namespace metascale {
namespace {

constexpr std::size_t bar_columns = 24;
constexpr std::string_view green = "\x1b[32m", plain = "\x1b[0m";
constexpr std::string_view clear_line = "\x1b[2K";

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

ProgressOptions options_for(std::FILE* stream) {
  return {.in_place = is_terminal(stream),
          .colour = wants_colour(stream),
          .columns = columns_of(stream),
          .rows = rows_of(stream)};
}

// At most so many columns; text is ASCII here, so a byte is a column.
std::string cut(std::string text, std::size_t columns) {
  if (text.size() > columns) text.resize(columns);
  return text;
}

}  // namespace

Progress::Progress(std::FILE* stream)
    : Progress(
          options_for(stream),
          [stream](std::string_view text) {
            std::fwrite(text.data(), 1, text.size(), stream);
            std::fflush(stream);
          },
          steady_seconds) {}

Progress::Progress(const ProgressOptions& options, Write write, Now now)
    : options_(options), write_(std::move(write)), now_(std::move(now)) {}

Progress::~Progress() {
  if (options_.in_place) redraw(true);
}

int Progress::add(const std::string& label) {
  bars_.push_back({.label = label});
  return int(bars_.size()) - 1;
}

void Progress::update(int number, double fraction, const std::string& text) {
  Bar& bar = bars_.at(std::size_t(number));
  bar.fraction = std::isfinite(fraction) ? std::clamp(fraction, 0.0, 1.0) : 0.0;
  bar.text = text;
  if (bar.first_time < 0) {
    bar.first_time = now_();
    bar.first_fraction = bar.fraction;
  }
  if (options_.in_place) return redraw(false);
  if (bar.last_line < 0 || now_() - bar.last_line >= options_.line_seconds) print_line(bar);
}

void Progress::finish(int number, const std::string& text, BarEnd end) {
  Bar& bar = bars_.at(std::size_t(number));
  const std::size_t columns = label_columns();
  bar.text = text;
  if (end == BarEnd::complete) bar.fraction = 1;
  bar.finished = true;
  if (!options_.in_place) return print_line(bar);
  clear();
  write_(draw(bar, columns) + "\n");
  redraw(true);
}

void Progress::message(const std::string& line) {
  if (options_.in_place) clear();
  write_(line + "\n");
  if (options_.in_place) redraw(true);
}

std::string Progress::time_left(const Bar& bar) const {
  if (bar.first_time < 0) return "";  // its work took no time that we saw
  const double done = bar.fraction - bar.first_fraction, spent = now_() - bar.first_time;
  if (bar.finished) return format_duration(spent);
  // At 1 what is left, say an evaluation, is not of what was measured.
  if (done <= 0 || spent <= 0 || bar.fraction >= 1) return "";
  return format_duration(spent * (1 - bar.fraction) / done) + " left";
}

std::string Progress::draw(const Bar& bar, std::size_t label_columns) const {
  const auto full = std::size_t(std::floor(bar.fraction * double(bar_columns)));
  const std::string left = time_left(bar);
  const std::string head = fmt::format("{:<{}} [", bar.label, label_columns);
  const std::string tail =
      fmt::format("] {:3.0f}%{}{}{}{}", std::floor(100 * bar.fraction),
                  bar.text.empty() ? "" : "  ", bar.text, left.empty() ? "" : "  ", left);
  std::string filled(full, '='), empty(bar_columns - full, ' ');
  if (!bar.finished && full < bar_columns) empty[0] = '>';
  // One column stays free: some terminals wrap when the last one is written.
  const auto columns = std::size_t(std::max(options_.columns - 1, 1));
  std::string line = cut(head + filled + empty + tail, columns);
  if (!options_.colour || line.size() < head.size() + full) return line;
  return fmt::format("{}{}{}{}{}", line.substr(0, head.size()), green,
                     line.substr(head.size(), full), plain, line.substr(head.size() + full));
}

std::size_t Progress::label_columns() const {
  std::size_t columns = 0;
  for (const Bar& bar : bars_)
    if (!bar.finished) columns = std::max(columns, bar.label.size());
  return columns;
}

// Draws no more lines than the terminal has: one that scrolled away could not be drawn over.
void Progress::redraw(bool now) {
  const double time = now_();
  if (!now && last_drawn_ >= 0 && time - last_drawn_ < options_.redraw_seconds) return;
  last_drawn_ = time;
  std::vector<const Bar*> running;
  for (const Bar& bar : bars_)
    if (!bar.finished) running.push_back(&bar);
  const auto lines = std::size_t(std::max(options_.rows - 1, 1));  // the cursor's own is free
  const std::size_t shown = running.size() <= lines ? running.size() : lines - 1;
  std::string text = drawn_ ? fmt::format("\x1b[{}A", drawn_) : "";
  for (std::size_t i = 0; i < shown; ++i)
    text += fmt::format("\r{}{}\n", clear_line, draw(*running[i], label_columns()));
  if (shown < running.size())
    text += fmt::format("\r{}and {} more\n", clear_line, running.size() - shown);
  drawn_ = shown + (shown < running.size());
  if (!text.empty()) write_(text);
}

void Progress::clear() {
  if (drawn_) write_(fmt::format("\x1b[{}A\r\x1b[J", drawn_));
  drawn_ = 0;
}

void Progress::print_line(Bar& bar) {
  bar.last_line = now_();
  const std::string left = time_left(bar);
  write_(fmt::format("{}: {:.0f}%{}{}{}{}\n", bar.label, std::floor(100 * bar.fraction),
                     bar.text.empty() ? "" : ", ", bar.text, left.empty() ? "" : ", ", left));
}

}  // namespace metascale
