// metascale status: how the runs of a sweep stand.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/command.hpp"
#include "cli/signals.hpp"
#include "core/terminal.hpp"
#include "sweeps/overview.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int watch_seconds = 2, watch_jobs_seconds = 10;  // a batch system is asked less often

struct StatusVerb {
  fs::path folder;
  bool watch = false, json = false;
};

template <typename Value>
json or_null(const std::optional<Value>& value) {
  return value ? json(*value) : json();
}

json to_json(const RunOverview& run) {
  const Heartbeat& last = run.status.last;
  return {{"run", run.status.id},
          {"state", run.word},
          {"step", run.step},
          {"steps", run.steps > 0 ? json(run.steps) : json()},
          {"loss", run.step > 0 ? json(last.loss) : json()},
          {"tokens_per_second", run.step > 0 ? json(last.tokens_per_second) : json()},
          {"seconds_left", or_null(run.seconds_left)},
          {"job", run.job},
          {"node", run.node},
          {"batch_state", run.in_queue ? json(run.in_queue->word) : json()},
          {"attempts", run.status.attempts},
          {"gpu_hours", run.gpu_hours},
          {"core_hours", run.core_hours},
          {"hours_left", or_null(run.hours_left)},
          {"joules", or_null(run.joules)},
          {"reason", run.message}};
}

json to_json(const Overview& overview) {
  json rows = json::array(), counts = json::object();
  for (const auto& run : overview.runs) {
    rows.push_back(to_json(run));
    counts[run.word] = counts.value(run.word, 0) + 1;
  }
  return {{"runs", rows},
          {"states", counts},
          {"device", overview.uses_gpus ? "gpu" : "core"},
          {"hours_used", overview.hours_used},
          {"hours_left", overview.hours_left},
          {"runs_of_unknown_speed", overview.unknown},
          {"price_per_hour", or_null(overview.price_per_hour)},
          {"remark", overview.remark}};
}

void print_overview(const Overview& overview, const StatusVerb& verb) {
  if (verb.json) {
    fmt::print("{}\n", to_json(overview).dump(2, ' ', false, json::error_handler_t::replace));
  } else {
    const bool on_terminal = is_terminal(stdout);
    if (verb.watch && on_terminal) fmt::print("\x1b[H\x1b[2J");
    fmt::print("{}", overview_table(overview, on_terminal ? columns_of(stdout) : 0));
  }
  std::fflush(stdout);
}

bool asks_a_batch_system(const Overview& overview) {
  for (const auto& run : overview.runs)
    if (!run.is_over() && !run.job.empty()) return true;
  return false;
}

ExitCode run_status(const StatusVerb& verb) {
  if (!fs::exists(verb.folder / "runs"))
    throw Error(fmt::format("{}: no sweep here (no folder 'runs'); give results/<sweep>",
                            verb.folder.string()),
                ExitCode::usage);
  const Ledger ledger(verb.folder);
  if (verb.watch) catch_stop_signals();
  do {
    const Overview overview = overview_of(ledger);
    print_overview(overview, verb);
    const int pause = asks_a_batch_system(overview) ? watch_jobs_seconds : watch_seconds;
    for (int i = 0; verb.watch && i < 10 * pause && stop_request() == StopRequest::none; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
  } while (verb.watch && stop_request() == StopRequest::none);
  return ExitCode::good;
}

}  // namespace

void add_status_verb(CLI::App& app, Action& action) {
  const auto status = std::make_shared<StatusVerb>();
  CLI::App* verb = add_verb(app, action, "status", "how the runs of a sweep stand",
                            "metascale status results/quick --watch", status, run_status);
  verb->add_option("folder", status->folder, "results/<sweep>")->required();
  verb->add_flag("--watch", status->watch, "again every few seconds");
  verb->add_flag("--json", status->json, "for machines");
}

}  // namespace metascale
