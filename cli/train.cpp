// metascale train, repair: one run.
#include <fmt/format.h>

#include <filesystem>

#include "cli/command.hpp"
#include "cli/signals.hpp"
#include "core/journal.hpp"
#include "core/progress.hpp"
#include "core/units.hpp"
#include "experiments/trainer.hpp"

namespace metascale {
namespace {

struct RunVerb {
  std::filesystem::path folder;
};

std::string words_of(const Evaluation& row) {
  return fmt::format("step {}: {} {:.4f} nats per token, {:.4f} bits per byte ({}, {})", row.step,
                     row.split, row.loss(), row.bits_per_byte(), row.protocol, row.coverage);
}

ExitCode run_train(const RunVerb& verb) {
  const RunConfig config = read_run_config(verb.folder / "config.yaml");
  catch_stop_signals();
  Progress progress;
  const int bar = progress.add(config.id);
  TrainHooks hooks{.stop = stop_request};
  hooks.on_step = [&](const StepRow& row) {
    progress.update(
        bar, double(row.step) / double(config.training.steps),
        fmt::format("loss {:.4f}  {}", row.loss, format_rate(row.tokens_per_second, "tok/s")));
  };
  hooks.on_evaluation = [&](const Evaluation& row) { progress.message(words_of(row)); };
  hooks.on_message = [&](const std::string& line) { progress.message(line); };
  const ExitCode code = train(verb.folder, hooks);
  if (code == ExitCode::good)
    progress.finish(bar, "done");
  else
    progress.finish(bar, "saved: start it again to go on", BarEnd::early);
  return code;
}

ExitCode run_repair(const RunVerb& verb) {
  namespace fs = std::filesystem;
  std::vector<fs::path> runs;
  if (fs::exists(verb.folder / "journal.jsonl")) runs.push_back(verb.folder);
  std::error_code error;
  for (const auto& item : fs::directory_iterator(verb.folder / "runs", error))
    if (fs::exists(item.path() / "journal.jsonl")) runs.push_back(item.path());
  if (runs.empty())
    throw Error(
        fmt::format("{}: neither a run folder nor a sweep's folder of runs", verb.folder.string()),
        ExitCode::usage);
  for (const auto& run : runs)
    fmt::print("{}: {}\n", run.filename().string(),
               repair_run_folder(run) ? "run.h5 written anew from the journal" : "good");
  return ExitCode::good;
}

}  // namespace

void add_train_verbs(CLI::App& app, Action& action) {
  const auto train = std::make_shared<RunVerb>(), repair = std::make_shared<RunVerb>();
  add_verb(app, action, "train", "train one run (what launchers start)",
           "metascale train results/quick/runs/rwkv7-36k-400ktokens-s1-0123abcd", train, run_train)
      ->add_option("run", train->folder, "run folder, with its config.yaml")
      ->required();
  add_verb(app, action, "repair", "rebuild run.h5 from the journal where they do not agree",
           "metascale repair results/quick", repair, run_repair)
      ->add_option("folder", repair->folder, "run folder, or folder of a sweep")
      ->required();
}

}  // namespace metascale
