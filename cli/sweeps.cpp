// metascale check, plan, run, logs: sweeps.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "analysis/report.hpp"
#include "cli/command.hpp"
#include "cli/limits.hpp"
#include "cli/output.hpp"
#include "cli/plan_table.hpp"
#include "cli/report_summary.hpp"
#include "cli/signals.hpp"
#include "cli/sweep_file.hpp"
#include "core/file.hpp"
#include "core/progress.hpp"
#include "core/terminal.hpp"
#include "sweeps/attempt.hpp"
#include "sweeps/hours.hpp"
#include "sweeps/live_view.hpp"
#include "sweeps/numbered_folders.hpp"
#include "sweeps/token_files.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct SweepVerb : SweepFile {
  bool json = false, diff = false, fail_fast = false, no_report = false;
  std::int64_t slots = 0, threads = 0;
};
struct LogsVerb {
  fs::path run;
  std::int64_t lines = 40;
  bool json = false;
};

// A message may hold a path, which need not be UTF-8.
void print_json(const json& document) {
  fmt::print("{}\n", document.dump(2, ' ', false, json::error_handler_t::replace));
}

ExitCode run_check(const SweepVerb& verb) {
  try {
    const Definition definition = verb.definition();
    const std::size_t runs = resolve(definition).runs.size();
    if (verb.json)
      print_json({{"good", true}, {"name", definition.name}, {"runs", runs}});
    else
      fmt::print("{}: good; {} runs\n", verb.file.string(), runs);
    return ExitCode::good;
  } catch (const Error& error) {
    if (!verb.json) throw;
    print_json({{"good", false}, {"error", error.what()}, {"exit_code", int(error.code)}});
    return error.code;
  }
}

ExitCode run_plan(const SweepVerb& verb) {
  const Definition definition = verb.definition();
  const Ledger ledger = verb.ledger(definition);
  const Resolution resolution = verb.runs(definition, ledger);
  if (verb.diff && verb.json)
    print_json(plan_changes_json(resolution, ledger));
  else if (verb.json)
    print_json(plan_json(definition, resolution, ledger));
  else if (verb.diff)
    fmt::print("{}", plan_changes(resolution, ledger));
  else
    fmt::print("{}", plan_text(definition, resolution, ledger));
  std::fflush(stdout);  // the refusal comes below it
  refuse_above_limits(definition, resolution, ledger);
  return ExitCode::good;
}

Stop stop_of_signals() {
  switch (stop_request()) {
    case StopRequest::none: return Stop::none;
    case StopRequest::save: return Stop::terminate;
    case StopRequest::interrupt: return Stop::interrupt;
  }
  return Stop::none;
}

ReportResult write_report_of(const fs::path& folder, const AnalysisDefinition& analysis) {
  ReportOptions options;
  options.threads = int(std::max(1u, std::thread::hardware_concurrency()));
  apply_analysis(analysis, options);
  return write_report(folder, options);
}

// What is worth saying before the first run starts.
void print_remarks(const Resolution& resolution, const Ledger& ledger) {
  for (const std::string& id : ledger.compare(resolution).evaluated_otherwise)
    fmt::print(stderr, "{}: done with other evaluation settings; left alone\n", id);
  const auto leaves_gpus_idle = [](const PlannedRun& run) {
    return run.resources.gpus.value_or(0) > 0 && run.config.device == Device::cpu;
  };
  if (std::any_of(resolution.runs.begin(), resolution.runs.end(), leaves_gpus_idle))
    fmt::print(stderr, "resources.gpus: for schedulers; runs on this machine use its cores\n");
}

std::vector<PlannedRun> unfinished(const Resolution& resolution, const Ledger& ledger) {
  std::vector<PlannedRun> runs = resolution.runs;
  std::erase_if(runs, [&](const PlannedRun& run) {
    return !run.waits_for_tuning && fs::exists(ledger.run_folder(run.config.id) / "DONE");
  });
  return runs;
}

json to_json(const Execution& execution) {
  json rows = json::array();
  for (const auto& result : execution.results)
    rows.push_back({{"run", result.id},
                    {"outcome", name_of(result.outcome)},
                    {"exit_code", result.exit_code},
                    {"message", result.message}});
  return {{"runs", rows}, {"notes", execution.notes}, {"exit_code", int(execution.exit_code())}};
}

void print_execution(const Execution& execution) {
  std::map<Outcome, int> counts;
  for (const auto& result : execution.results) ++counts[result.outcome];
  for (const auto& [outcome, count] : counts) fmt::print("{} {}  ", count, name_of(outcome));
  fmt::print("\n");
  for (const auto& note : execution.notes) fmt::print("{}\n", printable(note));
  for (const auto& result : execution.results)
    if (result.outcome == Outcome::failed)
      fmt::print(stderr, "{}: {}\n", result.id, printable(result.message));
}

ExitCode run_run(const SweepVerb& verb) {
  const Definition definition = verb.definition();
  Ledger ledger = verb.ledger(definition);
  const Resolution resolution = verb.runs(definition, ledger);
  refuse_above_limits(definition, resolution, ledger);
  expect_token_files(definition, unfinished(resolution, ledger));
  print_remarks(resolution, ledger);
  catch_stop_signals();
  Execution execution;
  {
    Progress progress;
    LiveView view(progress, ledger, resolution.runs.size());
    RunSweepOptions options{.only = verb.only, .skip = verb.skip};
    options.executor = {.program = fs::read_symlink("/proc/self/exe"),
                        .slots = verb.slots,
                        .threads = verb.threads,
                        .stop = stop_of_signals,
                        .events = view.events()};
    if (verb.fail_fast) options.executor.on_failure = OnFailure::stop;
    execution = run_sweep(definition, ledger, options);
  }
  const ExitCode code = execution.exit_code();
  const bool was_stopped = code == ExitCode::saved || code == ExitCode::interrupted;
  if (!verb.json) print_execution(execution);
  json document = to_json(execution);
  release_stop_signals();  // a report may be stopped at once
  if (!verb.no_report && !was_stopped) {
    const ReportResult report = write_report_of(ledger.folder(), definition.analysis);
    document["report"] = report_json(report);
    if (!verb.json) print_report(report, false);
  }
  if (verb.json) print_json(document);
  return code;
}

// The last lines of a run's file, read from its end: a log may be large. Of one without line feeds,
// its last 16 MiB.
std::string last_lines(const fs::path& path, std::int64_t lines) {
  constexpr std::size_t piece = 1 << 16, most = std::size_t(16) << 20;
  std::error_code error;
  if (!fs::is_regular_file(path, error))
    throw Error(fmt::format("{}: cannot be read; this attempt left no output", path.string()),
                ExitCode::bad_input);
  const File file = open_to_read(path, Links::refuse);
  std::uint64_t begin = file.size();
  std::int64_t found = 0;
  std::string text;
  while (begin > 0 && text.size() < most) {
    const std::size_t size = std::size_t(std::min<std::uint64_t>(begin, piece));
    std::string more(size, '\0');
    file.read(more.data(), size, begin -= size);
    text.insert(0, more);
    for (std::size_t i = size; i-- > 0;)
      // The one at the very end closes the last line.
      if (text[i] == '\n' && i + 1 < text.size() && ++found == lines) return text.substr(i + 1);
  }
  return text;
}

ExitCode run_logs(const LogsVerb& verb) {
  const std::vector<int> attempts = numbered_folders(verb.run / "attempts");
  if (attempts.empty())
    throw Error(
        fmt::format("{}: no attempts here; give results/<sweep>/runs/<run>", verb.run.string()),
        ExitCode::usage);
  const fs::path log = attempt_folder(verb.run, attempts.back()) / "out.log";
  const std::string text = last_lines(log, verb.lines);
  if (verb.json)
    print_json_line({{"log", log.string()},
                     {"attempt", log.parent_path().filename().string()},
                     {"attempts", attempts.size()},
                     {"text", text}});
  else
    fmt::print("{}\n{}", log.string(), for_stdout(text));
  return ExitCode::good;
}

CLI::App* add_sweep_verb(CLI::App& app, Action& action, const char* name, const char* what,
                         const char* example, const std::shared_ptr<SweepVerb>& options,
                         ExitCode (*run)(const SweepVerb&)) {
  CLI::App* verb = add_verb(app, action, name, what, example, options, run);
  add_sweep_file(*verb, *options);
  return verb;
}

}  // namespace

void add_sweep_verbs(CLI::App& app, Action& action) {
  const auto check = std::make_shared<SweepVerb>(), plan = std::make_shared<SweepVerb>(),
             run = std::make_shared<SweepVerb>();
  CLI::App* verb = add_sweep_verb(app, action, "check", "validate a sweep file and resolve it",
                                  "metascale check sweeps/pile.yaml", check, run_check);
  verb->add_flag("--json", check->json, "for machines");

  verb = add_sweep_verb(app, action, "plan", "what a sweep would do, and what it costs",
                        "metascale plan sweeps/pile.yaml", plan, run_plan);
  add_selection(*verb, *plan);
  verb->add_flag("--json", plan->json, "for machines");
  verb->add_flag("--diff", plan->diff, "only what is new, unfinished, done or gone");

  verb = add_sweep_verb(app, action, "run", "run a sweep on this machine, then report",
                        "metascale run sweeps/quick.yaml", run, run_run);
  add_selection(*verb, *run);
  verb->add_option("--slots", run->slots, "runs at a time [one per core]")
      ->check(CLI::Range(1, 4096));
  verb->add_option("--threads", run->threads, "of each run [the cores, divided among the runs]")
      ->check(CLI::Range(1, 4096));
  verb->add_flag("--fail-fast", run->fail_fast, "stop at the first run that fails");
  verb->add_flag("--no-report", run->no_report, "leave out the report at the end");
  verb->add_flag("--json", run->json, "for machines; progress stays on stderr");

  const auto logs = std::make_shared<LogsVerb>();
  verb = add_verb(app, action, "logs", "the end of a run's output",
                  "metascale logs results/quick/runs/rwkv7-36k-400ktokens-s1-0123abcd", logs,
                  run_logs);
  verb->add_option("run", logs->run, "run folder")->required();
  verb->add_option("--lines", logs->lines, "how many")->check(CLI::PositiveNumber);
  verb->add_flag("--json", logs->json, "for machines");
}

}  // namespace metascale
