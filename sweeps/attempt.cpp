#include "sweeps/attempt.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/json_text.hpp"
#include "sweeps/numbered_folders.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct EndName {
  AttemptEnd end;
  const char* name;
};
constexpr EndName end_names[] = {
    {AttemptEnd::running, "running"},     {AttemptEnd::done, "done"},
    {AttemptEnd::saved, "saved"},         {AttemptEnd::timed_out, "timed_out"},
    {AttemptEnd::cancelled, "cancelled"}, {AttemptEnd::failed, "failed"},
    {AttemptEnd::lost, "lost"},           {AttemptEnd::killed, "killed"}};

// Slurm ends a job up to this long after its limit, and `seen` is renewed this often.
constexpr double limit_slack = 60;  // seconds

AttemptEnd end_named(const std::string& name) {
  for (const EndName& row : end_names)
    if (name == row.name) return row.end;
  return AttemptEnd::killed;
}

// Sums of what no attempt can have been would be infinite, or no numbers.
bool is_possible(const Attempt& attempt) {
  constexpr double most_seconds = 1e11, most_devices = 1e9, most_joules = 1e18;
  const auto is_in = [](double value, double most) { return value >= 0 && value <= most; };
  return is_in(attempt.started, most_seconds) && is_in(attempt.seen, most_seconds) &&
         is_in(attempt.limit, most_seconds) && is_in(attempt.cores, most_devices) &&
         is_in(attempt.gpus, most_devices) && is_in(attempt.joules.value_or(0), most_joules);
}

std::optional<Attempt> parse_attempt(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return std::nullopt;
  try {
    const json file = parse_json(read_file(path, 1 << 20, Links::refuse));
    Attempt attempt{.end = end_named(file.at("end")),
                    .job = file.at("job"),
                    .node = file.at("node"),
                    .started = file.at("started"),
                    .seen = file.at("seen"),
                    .limit = file.at("limit"),
                    .first_checkpoint = file.at("first_checkpoint"),
                    .last_checkpoint = file.at("last_checkpoint"),
                    .exit_code = file.at("exit_code"),
                    .cores = file.at("cores"),
                    .gpus = file.at("gpus")};
    if (file.contains("joules")) attempt.joules = file.at("joules").get<double>();
    return is_possible(attempt) ? std::optional(attempt) : std::nullopt;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

fs::path attempts_folder(const fs::path& run_folder) { return run_folder / "attempts"; }

// Attempts of that end since the last new checkpoint or failure. A preemption neither counts nor
// absolves.
std::int64_t count_in_a_row(AttemptEnd counted, const std::vector<Attempt>& attempts) {
  std::int64_t count = 0;
  for (auto attempt = attempts.rbegin(); attempt != attempts.rend(); ++attempt) {
    const AttemptEnd end = attempt->end;
    const bool goes_on = end == AttemptEnd::saved || end == AttemptEnd::timed_out ||
                         end == AttemptEnd::lost || end == AttemptEnd::killed;
    if (!goes_on || attempt->last_checkpoint > attempt->first_checkpoint) break;
    count += end == counted;
  }
  return count;
}

}  // namespace

void Attempt::take_energy(const Heartbeat& word) {
  const bool shares_gpu = gpus > 0 && gpus < 1;  // counters are of whole boards
  if (shares_gpu) return;
  if (word.time >= started && word.joules) joules = word.joules;
}

const char* name_of(AttemptEnd end) {
  return std::find_if(std::begin(end_names), std::end(end_names),
                      [&](const EndName& row) { return row.end == end; })
      ->name;
}

fs::path attempt_folder(const fs::path& run_folder, int number) {
  return numbered_folder(attempts_folder(run_folder), number);
}

int new_attempt(const fs::path& run_folder) {
  return make_numbered_folder(attempts_folder(run_folder));
}

void write_attempt(const fs::path& run_folder, const Attempt& attempt) {
  nlohmann::ordered_json file = {{"end", name_of(attempt.end)},
                                 {"job", attempt.job},
                                 {"node", attempt.node},
                                 {"started", attempt.started},
                                 {"seen", attempt.seen},
                                 {"limit", attempt.limit},
                                 {"first_checkpoint", attempt.first_checkpoint},
                                 {"last_checkpoint", attempt.last_checkpoint},
                                 {"exit_code", attempt.exit_code},
                                 {"cores", attempt.cores},
                                 {"gpus", attempt.gpus}};
  if (attempt.joules) file["joules"] = *attempt.joules;
  const auto replace = nlohmann::ordered_json::error_handler_t::replace;
  write_file_atomically(attempt_folder(run_folder, attempt.number) / "attempt.json",
                        file.dump(1, ' ', false, replace) + "\n");
}

std::vector<Attempt> read_attempts(const fs::path& run_folder) {
  std::vector<Attempt> attempts;
  for (const int number : numbered_folders(attempts_folder(run_folder))) {
    attempts.push_back(parse_attempt(attempt_folder(run_folder, number) / "attempt.json")
                           .value_or(Attempt{.end = AttemptEnd::killed}));
    attempts.back().number = number;
  }
  return attempts;
}

std::int64_t newest_checkpoint(const fs::path& run_folder) {
  const std::string head = "step-";
  std::int64_t newest = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run_folder / "checkpoints", error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(head) || name.size() == head.size()) continue;
    if (name.find_first_not_of("0123456789", head.size()) != std::string::npos) continue;
    newest = std::max<std::int64_t>(newest, std::atoll(name.c_str() + head.size()));
  }
  return newest;
}

void close_unseen(Attempt& attempt, std::int64_t now_checkpoint) {
  const bool reached_limit = attempt.limit > 0 && attempt.seconds() >= attempt.limit - limit_slack;
  attempt.end = reached_limit ? AttemptEnd::timed_out : AttemptEnd::killed;
  attempt.last_checkpoint = now_checkpoint;
}

void close_last(const fs::path& run_folder, std::vector<Attempt>& attempts) {
  if (attempts.empty() || attempts.back().end != AttemptEnd::running) return;
  Attempt& last = attempts.back();
  if (const auto word = read_heartbeat(run_folder)) {
    last.seen = std::max(last.seen, word->time);
    last.take_energy(*word);
  }
  close_unseen(last, newest_checkpoint(run_folder));
  write_attempt(run_folder, last);
}

std::int64_t stalled_timeouts(const std::vector<Attempt>& attempts) {
  return count_in_a_row(AttemptEnd::timed_out, attempts);
}

std::int64_t losses_in_a_row(const std::vector<Attempt>& attempts) {
  return count_in_a_row(AttemptEnd::lost, attempts);
}

}  // namespace metascale
