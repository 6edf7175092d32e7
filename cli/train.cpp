// metascale train, repair: one run.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/command.hpp"
#include "cli/output.hpp"
#include "cli/signals.hpp"
#include "core/communicator.hpp"
#include "core/journal.hpp"
#include "core/local_ranks.hpp"
#include "core/progress.hpp"
#include "core/units.hpp"
#include "experiments/trainer.hpp"

namespace metascale {
namespace {

using nlohmann::json;

struct RepairVerb {
  std::filesystem::path folder;
  bool json = false;
};

struct TrainVerb {
  std::filesystem::path folder;
  int ranks = 1;                               // that we start
  double rank_timeout = default_rank_timeout;  // seconds
  bool json = false;
};

// Accuracy at the answers of each tested length.
std::string accuracy_words(const Evaluation& row) {
  std::string words =
      fmt::format("step {}: {} {:.4f} nats per answer; right", row.step, row.split, row.loss());
  std::map<std::int64_t, ProbeRow> lengths;
  for (const ProbeRow& bin : row.probes) {
    lengths[bin.length].correct += bin.correct;
    lengths[bin.length].scored += bin.scored;
  }
  for (const auto& [length, all] : lengths)
    words += fmt::format(" {:.2f} % at {}", 100 * double(all.correct) / double(all.scored), length);
  return words + " tokens";
}

std::string words_of(const Evaluation& row) {
  if (!row.probes.empty()) return accuracy_words(row);
  return fmt::format("step {}: {} {:.4f} nats per token, {:.4f} bits per byte ({}, {})", row.step,
                     row.split, row.loss(), row.bits_per_byte(), row.protocol, row.coverage);
}

// How a run ended, and what it reached. Numbers that are not finite become null.
json ending_of(const RunConfig& config, const RunLog& log, ExitCode code) {
  json words{{"run", config.id},       {"state", code == ExitCode::good ? "done" : "saved"},
             {"exit_code", int(code)}, {"steps", config.training.steps},
             {"step", nullptr},        {"loss", nullptr},
             {"final", nullptr}};
  if (!log.steps.empty()) {
    words["step"] = log.steps.back().step;
    words["loss"] = log.steps.back().loss;
  }
  for (const Evaluation& row : log.evaluations)
    if (row.is_final)
      words["final"] = {{"split", row.split},
                        {"protocol", row.protocol},
                        {"nats_per_token", row.loss()},
                        {"bits_per_byte", row.bits_per_byte()}};
  return words;
}

ExitCode train_and_show(const TrainVerb& verb, const RunConfig& config, Communicator& ranks) {
  Progress progress;
  const int bar = progress.add(config.id);
  TrainHooks hooks{.stop = stop_request};
  hooks.on_step = [&](const StepRow& row) {
    progress.update(
        bar, double(row.step) / double(config.training.steps),
        fmt::format("loss {:.4f}  {}", row.loss, format_rate(row.tokens_per_second, "tok")));
  };
  hooks.on_final_evaluation = [&](const std::string& split) {
    progress.message(fmt::format("step {}: evaluating on {}", config.training.steps, split));
  };
  hooks.on_evaluation = [&](const Evaluation& row) { progress.message(words_of(row)); };
  hooks.on_message = [&](const std::string& line) { progress.message(line); };
  const ExitCode code = train(verb.folder, hooks, ranks);
  if (code == ExitCode::good)
    progress.finish(bar, "done");
  else
    progress.finish(bar, "saved: start it again to go on", BarEnd::early);
  if (verb.json) print_json_line(ending_of(config, read_run_folder(verb.folder), code));
  return code;
}

std::optional<std::filesystem::file_time_type> date_of_failure(
    const std::filesystem::path& folder) {
  std::error_code error;
  const auto date = std::filesystem::last_write_time(folder / "FAILED", error);
  return error ? std::nullopt : std::optional(date);
}

// Starts this program once for each rank.
ExitCode run_ranks(const TrainVerb& verb) {
  catch_stop_signals();
  const auto failed_before = date_of_failure(verb.folder);
  std::vector<std::string> words{std::filesystem::read_symlink("/proc/self/exe").string(), "train",
                                 verb.folder.string(), "--rank-timeout",
                                 fmt::format("{}", verb.rank_timeout)};
  if (verb.json) words.push_back("--json");
  LocalRanks ranks{.count = verb.ranks,
                   .words = std::move(words),
                   .signal = stop_signal,
                   .start_seconds = std::max(least_meeting_seconds, verb.rank_timeout)};
  // Who waits for a rank hears of a failure within the time-out, and leaves the last word to the
  // first of them for 5 s [Mesh::abort]; 8 s let a busy machine do so, too.
  ranks.grace_seconds = std::min(ranks.grace_seconds, std::max(8.0, 5 + verb.rank_timeout));
  const EndedLocalRanks ended = run_local_ranks(ranks);
  if (!ended.lost.empty()) {
    fmt::print(stderr, "metascale: {}\n", ended.lost);
    // Rank 0 removes an earlier attempt's as it begins.
    const auto failed_now = date_of_failure(verb.folder);
    const bool has_nobody_told = !failed_now || failed_now == failed_before;
    if (has_nobody_told && ended.code != int(ExitCode::unavailable))
      mark_failed(verb.folder, ended.lost);
  }
  return ExitCode(ended.code);
}

std::unique_ptr<Communicator> connected(const TrainVerb& verb) {
  const bool is_of_our_launcher = std::getenv(ranks_variable);  // which knows better what happened
  try {
    return connect_ranks(verb.rank_timeout);
  } catch (const RankLost& loss) {
    if (!is_of_our_launcher) mark_failed(verb.folder, loss.what());
    throw;
  }
}

// Under mpirun or srun this process is one rank of the run, and rank 0 shows what happens. A rank
// that fails ends them all: those that wait for it would wait in vain.
ExitCode run_train(const TrainVerb& verb) {
  if (verb.ranks > 1) return run_ranks(verb);
  const RunConfig config = read_run_config(verb.folder / "config.yaml");
  catch_stop_signals();  // before any thread is made
  const auto ranks = connected(verb);
  const auto end_all = [&](const std::string& why, ExitCode code) {
    if (ranks->size() > 1) fmt::print(stderr, "metascale: rank {}: {}\n", ranks->rank(), why);
    ranks->abort(why, code);
  };
  try {
    if (ranks->rank() == 0) return train_and_show(verb, config, *ranks);
    return train(verb.folder, {.stop = stop_request}, *ranks);
  } catch (const Error& error) {
    if (verb.json && ranks->rank() == 0)
      print_json_line({{"run", config.id},
                       {"state", "failed"},
                       {"exit_code", int(error.code)},
                       {"error", error.what()}});
    end_all(error.what(), error.code);
    throw;
  } catch (const std::exception& error) {
    end_all(error.what(), ExitCode::internal);
    throw;
  }
}

[[noreturn]] void refuse_without_journal(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  const auto has = [&](const char* name) { return fs::exists(folder / name); };
  const std::string name = folder.string();
  if (has("run.h5") || has("checkpoints"))
    throw Error(fmt::format("{}: journal.jsonl is missing, which alone tells of all steps and from "
                            "which run.h5 is rebuilt; put it back from a copy",
                            name),
                ExitCode::bad_input);
  if (has("config.yaml"))
    throw Error(fmt::format("{}: a run that has not begun: it has no journal.jsonl yet, so there "
                            "is nothing to repair; start it with metascale train",
                            name),
                ExitCode::usage);
  if (has("runs"))
    throw Error(fmt::format("{}: none of its runs has a journal.jsonl, from which run.h5 is "
                            "rebuilt; start them with metascale run, or name one run's folder",
                            name),
                ExitCode::usage);
  throw Error(fmt::format("{}: neither a run folder nor a sweep's folder of runs", name),
              ExitCode::usage);
}

ExitCode run_repair(const RepairVerb& verb) {
  namespace fs = std::filesystem;
  std::vector<fs::path> runs, lost;
  if (fs::exists(verb.folder / "journal.jsonl")) runs.push_back(verb.folder);
  std::error_code error;
  for (const auto& item : fs::directory_iterator(verb.folder / "runs", error)) {
    const auto has = [&](const char* name) { return fs::exists(item.path() / name); };
    if (has("journal.jsonl"))
      runs.push_back(item.path());
    else if (has("run.h5") || (has("checkpoints") && has("state.json")))
      lost.push_back(item.path());  // without a state it is grown or imported, and has not begun
  }
  if (runs.empty() && lost.empty()) refuse_without_journal(verb.folder);
  json rows = json::array();
  for (const auto& run : lost) {  // first: no failure of a repair hides them
    rows.push_back({{"run", run.filename().string()}, {"repaired", false}, {"lost", true}});
    if (!verb.json)
      fmt::print("{}: journal.jsonl is missing; put it back from a copy\n",
                 run.filename().string());
  }
  for (const auto& run : runs) {
    const bool repaired = repair_run_folder(run);
    rows.push_back({{"run", run.filename().string()}, {"repaired", repaired}});
    if (!verb.json)
      fmt::print("{}: {}\n", run.filename().string(),
                 repaired ? "run.h5 written anew from the journal" : "good");
  }
  if (verb.json) print_json_line({{"runs", rows}});
  return lost.empty() ? ExitCode::good : ExitCode::bad_input;
}

}  // namespace

void add_train_verbs(CLI::App& app, Action& action) {
  const auto train = std::make_shared<TrainVerb>();
  const auto repair = std::make_shared<RepairVerb>();
  CLI::App* verb = add_verb(
      app, action, "train",
      "train one run (what launchers start), on the ranks of --ranks, mpirun or srun",
      "metascale train results/quick/runs/rwkv7-36k-400ktokens-s1-0123abcd", train, run_train);
  verb->add_option("run", train->folder, "run folder, with its config.yaml")->required();
  verb->add_option("--ranks", train->ranks,
                   "start so many processes of this program on this machine, the ranks of the run")
      ->check(CLI::Range(1, most_local_ranks))
      ->capture_default_str();
  verb->add_option("--rank-timeout", train->rank_timeout,
                   "seconds without an answer after which a rank is lost")
      ->check(CLI::Range(0.5, 86400.0))
      ->capture_default_str();
  verb->add_flag("--json", train->json, "for machines: one line at the end, of rank 0");
  verb = add_verb(app, action, "repair", "rebuild run.h5 from the journal where they do not agree",
                  "metascale repair results/quick", repair, run_repair);
  verb->add_option("folder", repair->folder, "run folder, or folder of a sweep")->required();
  verb->add_flag("--json", repair->json, "for machines");
}

}  // namespace metascale
