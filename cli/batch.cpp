// metascale submit, launch, retry, cancel: sweeps on a batch system.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/limits.hpp"
#include "cli/signals.hpp"
#include "cli/sweep_file.hpp"
#include "core/run_lease.hpp"
#include "sweeps/hours.hpp"
#include "sweeps/launch.hpp"
#include "sweeps/submit.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct SubmitVerb : SweepFile {
  bool print = false, retry = false, json = false;
};
struct LaunchVerb {
  fs::path submission;
  std::size_t task = 0;
};
struct ChangeVerb {  // retry, cancel
  fs::path folder;
  std::vector<std::string> only;
  bool all = false, cancelled = false, yes = false, json = false;
};

fs::path this_program() { return fs::read_symlink("/proc/self/exe"); }

void print_json(const json& document) {
  fmt::print("{}\n", document.dump(2, ' ', false, json::error_handler_t::replace));
}

json to_json(const SubmitResult& result) {
  json submissions = json::array(), left_out = json::array();
  for (const auto& submission : result.submissions)
    submissions.push_back({{"number", submission.number},
                           {"name", submission.name},
                           {"tasks", submission.tasks},
                           {"jobs", submission.jobs},
                           {"waits_for", submission.parents}});
  for (const auto& [run, why] : result.left_out) left_out.push_back({{"run", run}, {"why", why}});
  json document{{"submissions", submissions}, {"left_out", left_out}};
  if (!result.remarks.empty()) document["remarks"] = result.remarks;
  return document;
}

std::string behind(const std::vector<std::string>& parents) {
  return parents.size() == 1 ? parents[0] : fmt::format("{} runs", parents.size());
}

void print_result(const SubmitResult& result, std::FILE* stream) {
  for (const auto& submission : result.submissions) {
    std::string jobs;  // none on paper
    if (!submission.jobs.empty()) jobs = ": " + submission.jobs.front();
    if (submission.jobs.size() > 1) jobs += " to " + submission.jobs.back();
    fmt::print(stream, "submission {:04}: {} runs in {} jobs{}{}\n", submission.number,
               submission.count_runs(), submission.tasks.size(), jobs,
               submission.parents.empty() ? "" : ", behind " + behind(submission.parents));
  }
  std::map<std::string, int> reasons;
  for (const auto& [run, why] : result.left_out) ++reasons[why];
  for (const auto& [why, count] : reasons) fmt::print(stream, "{} runs left out: {}\n", count, why);
  if (result.submissions.empty()) fmt::print(stream, "nothing to submit\n");
  for (const std::string& remark : result.remarks) fmt::print(stream, "{}\n", remark);
}

ExitCode run_submit(const SubmitVerb& verb) {
  const Definition definition = verb.definition();
  Ledger ledger = verb.ledger(definition);
  const SubmitOptions options{.only = verb.only,
                              .skip = verb.skip,
                              .program = this_program(),
                              .retries_failed = verb.retry};
  if (verb.print) {
    const SubmitPlan plan = plan_submit(definition, ledger, options);
    if (verb.json) {
      json document = to_json(plan.result);
      document["scripts"] = plan.scripts;
      print_json(document);
    } else {
      fmt::print("{}", plan.scripts);
      print_result(plan.result, stderr);
    }
    return ExitCode::good;
  }
  const Resolution resolution = verb.runs(definition, ledger);
  refuse_above_limits(definition, resolution, ledger);
  const SubmitResult result = submit_sweep(definition, ledger, options);
  if (verb.json)
    print_json(to_json(result));
  else
    print_result(result, stdout);
  return ExitCode::good;
}

ExitCode run_launch(const LaunchVerb& verb) {
  catch_stop_signals();
  return launch_task(verb.submission, verb.task,
                     {.program = this_program(),
                      .job_seconds = seconds_since_start(),  // the job's script became this program
                      .stop_signal = stop_signal,
                      .say = [](const auto& line) {
                        fmt::print("{}\n", line);
                        std::fflush(stdout);
                      }});
}

// The runs of a sweep's folder that the patterns name.
std::vector<std::string> named_runs(const ChangeVerb& verb, const Ledger& ledger,
                                    const std::function<bool(const RunStatus&)>& is_meant) {
  if (!fs::exists(verb.folder / "runs"))
    throw Error(fmt::format("{}: no sweep here (no folder 'runs'); give results/<sweep>",
                            verb.folder.string()),
                ExitCode::usage);
  if (verb.only.empty() && !verb.all)
    throw Error("which runs? name them with --only PATTERN, or write --all", ExitCode::usage);
  std::vector<std::string> runs;
  const auto statuses = ledger.statuses();
  for (const std::string& pattern : verb.only)
    if (std::none_of(statuses.begin(), statuses.end(),
                     [&](const RunStatus& status) { return matches_pattern(status.id, pattern); }))
      throw Error(fmt::format("--only: no run in {} matches '{}'; metascale status lists them",
                              verb.folder.string(), pattern),
                  ExitCode::usage);
  for (const RunStatus& status : statuses) {
    const bool is_named = verb.all || std::any_of(verb.only.begin(), verb.only.end(),
                                                  [&](const std::string& pattern) {
                                                    return matches_pattern(status.id, pattern);
                                                  });
    if (is_named && is_meant(status)) runs.push_back(status.id);
  }
  return runs;
}

// Nobody is there to ask: nothing is done without -y.
bool is_wanted(const ChangeVerb& verb, const char* what, const std::vector<std::string>& runs) {
  if (verb.yes || runs.empty()) return true;
  if (!isatty(STDIN_FILENO))
    throw Error(fmt::format("{} {} runs: nobody can be asked here; write -y", what, runs.size()),
                ExitCode::usage);
  for (const std::string& run : runs) fmt::print(stderr, "{}\n", run);
  fmt::print(stderr, "{} these {} runs? [y/N] ", what, runs.size());
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "yes";
}

ExitCode run_retry(const ChangeVerb& verb) {
  const Ledger ledger(verb.folder);
  const auto runs = named_runs(verb, ledger, [&](const RunStatus& status) {
    return status.phase() == RunPhase::failed ||
           (verb.cancelled && status.phase() == RunPhase::cancelled);
  });
  if (!is_wanted(verb, "retry", runs)) return ExitCode::good;
  const SubmitResult result = runs.empty() ? SubmitResult{} : retry_runs(ledger, runs);
  if (verb.json)
    print_json(to_json(result));
  else
    print_result(result, stdout);
  return ExitCode::good;
}

ExitCode run_cancel(const ChangeVerb& verb) {
  const Ledger ledger(verb.folder);
  const auto runs = named_runs(verb, ledger, [](const RunStatus& status) {
    return status.phase() != RunPhase::done && status.phase() != RunPhase::failed &&
           status.phase() != RunPhase::cancelled;
  });
  if (!is_wanted(verb, "cancel", runs)) return ExitCode::good;
  const auto cancelled = cancel_runs(ledger, runs);
  if (verb.json) {
    print_json({{"cancelled", cancelled}});
  } else {
    for (const std::string& run : cancelled) fmt::print("{}\n", run);
    fmt::print("{} runs cancelled\n", cancelled.size());
  }
  return ExitCode::good;
}

CLI::App* add_change_verb(CLI::App& app, Action& action, const char* name, const char* what,
                          const char* example, const std::shared_ptr<ChangeVerb>& options,
                          ExitCode (*run)(const ChangeVerb&)) {
  CLI::App* verb = add_verb(app, action, name, what, example, options, run);
  verb->add_option("folder", options->folder, "results/<sweep>")->required();
  verb->add_option("--only", options->only, "patterns of run ids")->allow_extra_args(false);
  verb->add_flag("--all", options->all, "all runs of the sweep");
  verb->add_flag("-y,--yes", options->yes, "do not ask");
  verb->add_flag("--json", options->json, "for machines");
  return verb;
}

}  // namespace

void add_batch_verbs(CLI::App& app, Action& action) {
  const auto submit = std::make_shared<SubmitVerb>();
  CLI::App* verb = add_verb(app, action, "submit", "hand a sweep to a batch system, and return",
                            "metascale submit sweeps/pile.yaml --print", submit, run_submit);
  add_sweep_file(*verb, *submit);
  add_selection(*verb, *submit);
  verb->add_flag("--print", submit->print, "show the scripts, and hand over nothing");
  verb->add_flag("--retry", submit->retry, "failed runs, too, as the file now says");
  verb->add_flag("--json", submit->json, "for machines");

  const auto launch = std::make_shared<LaunchVerb>();
  verb = add_verb(app, action, "launch", "run the runs of one job (what job scripts start)",
                  "metascale launch results/pile/submissions/0001 0", launch, run_launch);
  verb->add_option("submission", launch->submission, "results/<sweep>/submissions/<number>")
      ->required()
      ->check(CLI::ExistingDirectory);
  verb->add_option("task", launch->task, "which of its tasks, from 0")
      ->required()
      ->check(CLI::NonNegativeNumber);

  const auto retry = std::make_shared<ChangeVerb>(), cancel = std::make_shared<ChangeVerb>();
  verb = add_change_verb(app, action, "retry",
                         "start failed runs again, as they were handed over before",
                         "metascale retry results/pile --all", retry, run_retry);
  verb->add_flag("--cancelled", retry->cancelled, "cancelled ones, too");
  add_change_verb(app, action, "cancel", "stop runs, saved, and start them no more",
                  "metascale cancel results/pile --only 'rwkv7-*'", cancel, run_cancel);
}

}  // namespace metascale
