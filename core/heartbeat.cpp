#include "core/heartbeat.hpp"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/file.hpp"
#include "core/json_text.hpp"

namespace metascale {
namespace {

struct PhaseName {
  RunPhase phase;
  const char* name;
};
constexpr PhaseName phase_names[] = {
    {RunPhase::pending, "pending"},     {RunPhase::queued, "queued"},
    {RunPhase::running, "running"},     {RunPhase::saved, "saved"},
    {RunPhase::done, "done"},           {RunPhase::failed, "failed"},
    {RunPhase::cancelled, "cancelled"}, {RunPhase::timed_out, "timed_out"}};

constexpr std::size_t longest_reason = 400;  // characters that people are shown

RunPhase phase_named(const std::string& name) {
  for (const PhaseName& row : phase_names)
    if (name == row.name) return row.phase;
  throw Error(concat("\"state\" is \"", name, "\", which is no state of a run"));
}

double number_or_nan(const nlohmann::json& value) {  // JSON has no NaN, so it is null there
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

// Sums and differences of what cannot be would be infinite.
Heartbeat possible(Heartbeat heartbeat) {
  const auto is_in = [](double value, double most) {
    return std::isnan(value) || (value >= 0 && value <= most);
  };
  if (!is_in(heartbeat.time, 1e11) || !is_in(heartbeat.tokens_per_second, 1e15) ||
      !is_in(heartbeat.joules.value_or(0), 1e18))
    throw Error("a time, rate or energy that no run has");
  return heartbeat;
}

Heartbeat from_json(const nlohmann::json& json) {
  return possible({.phase = phase_named(json.at("state").get<std::string>()),
                   .step = json.at("step").get<std::int64_t>(),
                   .steps = json.at("steps").get<std::int64_t>(),
                   .loss = number_or_nan(json.at("loss")),
                   .tokens_per_second = number_or_nan(json.at("tokens_per_second")),
                   .time = json.at("time").get<double>(),
                   .attempt = json.at("attempt").get<std::int32_t>(),
                   .message = json.at("message").get<std::string>(),
                   .joules = json.contains("joules")
                                 ? std::optional<double>(json.at("joules").get<double>())
                                 : std::nullopt});
}

}  // namespace

const char* name_of(RunPhase phase) {
  return std::find_if(std::begin(phase_names), std::end(phase_names),
                      [&](const PhaseName& row) { return row.phase == phase; })
      ->name;
}

double seconds_since_1970() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

void write_heartbeat(const std::filesystem::path& folder, Heartbeat heartbeat) {
  if (heartbeat.time == 0) heartbeat.time = seconds_since_1970();
  nlohmann::ordered_json json = {{"state", name_of(heartbeat.phase)},
                                 {"step", heartbeat.step},
                                 {"steps", heartbeat.steps},
                                 {"loss", heartbeat.loss},
                                 {"tokens_per_second", heartbeat.tokens_per_second},
                                 {"time", heartbeat.time},
                                 {"attempt", heartbeat.attempt},
                                 {"message", heartbeat.message}};
  if (heartbeat.joules) json["joules"] = *heartbeat.joules;
  const auto replace = nlohmann::ordered_json::error_handler_t::replace;
  write_file_atomically(folder / "state.json", json.dump(1, ' ', false, replace) + "\n");
}

std::optional<Heartbeat> read_heartbeat(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "state.json";
  if (!std::filesystem::exists(path)) return std::nullopt;
  try {
    return from_json(parse_json(read_file(path, 1 << 20, Links::refuse)));
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

std::string read_reason(const std::filesystem::path& mark) {
  std::string text(longest_reason, '\0');
  try {
    const File file = open_to_read(mark, Links::refuse);
    text.resize(file.read_some(text.data(), text.size(), 0));
  } catch (const Error&) {  // it is not there, or no file of the run's own
    return "";
  }
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  return text;
}

}  // namespace metascale
