#include "sweeps/status.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/yaml.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

constexpr Named<RunState> state_names[] = {
    {"pending", RunState::pending},     {"queued", RunState::queued},
    {"running", RunState::running},     {"saved", RunState::saved},
    {"done", RunState::done},           {"failed", RunState::failed},
    {"cancelled", RunState::cancelled}, {"timed_out", RunState::timed_out},
    {"lost", RunState::lost}};

constexpr std::size_t longest_reason = 400;

double now() {
  using namespace std::chrono;
  return duration<double>(system_clock::now().time_since_epoch()).count();
}

std::string host_name() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

nlohmann::json read_state_json(const fs::path& path) {
  constexpr std::uint64_t most_bytes = 1 << 20;
  if (!fs::exists(path)) return {};
  try {
    return nlohmann::json::parse(read_file(path, most_bytes), nullptr, false);
  } catch (const Error&) {
    return {};  // replaced while it was read, or none of ours: the other files still tell
  }
}

template <typename T>
void take(const nlohmann::json& json, const char* key, T& target) {
  if (json.contains(key) && json[key].is_number()) target = json[key].get<T>();
}

bool is_gone(const nlohmann::json& json, double heartbeat) {
  if (now() - heartbeat > heartbeat_timeout) return true;
  std::int64_t process = 0;
  take(json, "process", process);
  const bool is_here = json.value("host", std::string()) == host_name();
  return is_here && process > 0 && kill(pid_t(process), 0) != 0 && errno == ESRCH;
}

std::string first_words(const fs::path& path) {
  std::string text = read_file(path, 1 << 20).substr(0, longest_reason);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  return text;
}

std::int64_t count_attempts(const fs::path& folder) {
  std::int64_t count = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder / "attempts", error)) count += entry.is_directory();
  return count;
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  const auto whole = std::int64_t(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02} min", whole / 60, whole % 60);
  return fmt::format("{}:{:02} h", whole / 3600, whole % 3600 / 60);
}

std::string rate_text(double tokens_per_second) {
  if (tokens_per_second >= 1e6) return fmt::format("{:.2f}M", tokens_per_second / 1e6);
  if (tokens_per_second >= 1e3) return fmt::format("{:.1f}k", tokens_per_second / 1e3);
  return fmt::format("{:.0f}", tokens_per_second);
}

std::string bar(double part, int width) {
  const int full = int(std::clamp(part, 0.0, 1.0) * width + 0.5);
  return "[" + std::string(std::size_t(full), '#') + std::string(std::size_t(width - full), '.') + "]";
}

}  // namespace

const char* name_of(RunState state) { return name_in(state_names, state); }

RunStatus read_status(const fs::path& folder) {
  RunStatus status;
  status.id = folder.filename().string();
  status.attempts = count_attempts(folder);
  const nlohmann::json json = read_state_json(folder / "state.json");
  if (json.is_object()) {
    take(json, "step", status.step);
    take(json, "steps", status.steps);
    take(json, "loss", status.loss);
    take(json, "tokens_per_second", status.tokens_per_second);
    take(json, "time", status.heartbeat);
    const std::string said = json.value("state", std::string());
    for (const auto& row : state_names)
      if (said == row.name) status.state = row.value;
    if (status.state == RunState::running && is_gone(json, status.heartbeat)) status.state = RunState::lost;
  }
  if (fs::exists(folder / "FAILED")) {
    status.state = RunState::failed;
    status.reason = first_words(folder / "FAILED");
  }
  if (fs::exists(folder / "DONE")) status.state = RunState::done;
  return status;
}

void write_state(const fs::path& folder, const StateFile& state) {
  nlohmann::json json{{"state", name_of(state.state)},
                      {"step", state.step},
                      {"steps", state.steps},
                      {"tokens_per_second", state.tokens_per_second},
                      {"time", now()},
                      {"host", host_name()},
                      {"process", getpid()}};
  if (std::isfinite(state.loss)) json["loss"] = state.loss;
  write_file_atomically(folder / "state.json", json.dump() + "\n");
}

std::vector<std::string> progress_lines(const std::vector<RunStatus>& runs, int width) {
  constexpr int bar_width = 20;
  std::vector<std::string> lines;
  std::array<int, std::size(state_names)> counts{};
  std::size_t longest = 0;
  for (const RunStatus& run : runs) {
    ++counts[std::size_t(run.state)];
    if (run.state == RunState::running) longest = std::max(longest, run.id.size());
  }
  for (const RunStatus& run : runs) {
    if (run.state != RunState::running) continue;
    const double part = run.steps > 0 ? double(run.step) / double(run.steps) : 0;
    std::string line = fmt::format("{:{}} {} {:5.1f}%", run.id, longest, bar(part, bar_width), 100 * part);
    if (std::isfinite(run.loss)) line += fmt::format("  loss {:.4f}", run.loss);
    if (run.tokens_per_second > 0) line += fmt::format("  {} tokens/s", rate_text(run.tokens_per_second));
    lines.push_back(std::move(line));
  }
  std::string totals;
  for (const auto& row : state_names)
    if (const int count = counts[std::size_t(row.value)])
      totals += fmt::format("{}{} {}", totals.empty() ? "" : ", ", count, row.name);
  lines.push_back(totals.empty() ? "no runs" : totals);
  for (std::string& line : lines)
    if (width > 0 && int(line.size()) > width) line.resize(std::size_t(width));
  return lines;
}

}  // namespace metascale
