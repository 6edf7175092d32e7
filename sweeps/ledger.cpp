#include "sweeps/ledger.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "core/atomic_file.hpp"
#include "core/file.hpp"
#include "core/journal.hpp"
#include "sweeps/token_files.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

// config.yaml as it will stand in the folder: with paths that do not depend on where train is
// started.
std::string config_text(RunConfig config) {
  for (fs::path* path : {&config.data.train, &config.data.validation, &config.data.test})
    if (!path->empty()) *path = fs::absolute(*path).lexically_normal();
  std::string& tokenizer = config.data.tokenizer;
  if (tokenizer != "bytes" && !config.data.probe.exists())
    tokenizer = fs::absolute(tokenizer).lexically_normal();  // a file
  return to_yaml(config);
}

void create_folders(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error)
    throw Error(fmt::format("{}: cannot make this folder: {}; choose another with --results",
                            path.string(), error.message()),
                ExitCode::io);
}

bool is_done(const fs::path& run) { return fs::exists(run / "DONE"); }

bool is_same(const EvaluationConfig& a, const EvaluationConfig& b) {
  return a.every_steps == b.every_steps && a.windows == b.windows &&
         a.final_windows == b.final_windows && a.protocol == b.protocol && a.domains == b.domains;
}

// It stopped at a loss or a gradient that is no number, and would do so again.
bool has_diverged(const fs::path& folder, const RunConfig& config) {
  if (!fs::exists(folder / "FAILED") || config.training.non_finite != NonFinite::stop) return false;
  try {
    const RunLog log = read_run_folder(folder);
    return !log.steps.empty() &&
           !(std::isfinite(log.steps.back().loss) && std::isfinite(log.steps.back().gradient_norm));
  } catch (const Error&) {
    return false;  // no log: it failed in another way
  }
}

struct Split {
  const char* name;
  fs::path DataConfig::*path;
};
constexpr Split splits[] = {{"train", &DataConfig::train},
                            {"validation", &DataConfig::validation},
                            {"test", &DataConfig::test}};

// Digests in the lock stay; those that are not in it yet come from the files, where they are there.
std::map<std::string, std::string> locked_digests(const Definition& definition,
                                                  const fs::path& lock) {
  std::map<std::string, std::string> digests;
  if (fs::exists(lock)) {
    const YamlNode root = read_yaml(lock, {.bytes = 256u << 20, .nodes = 20'000'000});
    if (const YamlNode* data = root.find("data"))
      for (std::size_t i = 0; i < data->keys.size(); ++i)
        digests[data->keys[i]] = read_string(data->items[i]);
  }
  for (const Split& split : splits) {
    const fs::path& path = definition.data.config.*split.path;
    const auto facts = token_file_facts(path);
    if (!facts) continue;
    const std::string& found = facts->bin_sha256;
    const auto [known, is_new] = digests.emplace(split.name, found);
    if (!is_new && known->second != found)
      throw error_at(
          definition.data.place,
          fmt::format("the {} tokens in {} are not those that this sweep began with (SHA-256 {}.., "
                      "{} has {}..)",
                      split.name, path.string(), found.substr(0, 12), lock.string(),
                      known->second.substr(0, 12)),
          "bring the first ones back, or give the sweep or the data another name");
  }
  return digests;
}

// How well the arms of each size are matched.
std::string pairs_text(const Resolution& resolution) {
  std::string text = resolution.pairs.empty() ? "pairs: []\n" : "pairs:\n";
  for (const PairMismatch& pair : resolution.pairs)
    text += fmt::format(
        "  - {{size: {}, first: {}, second: {}, quantity: {}, target: {}, first_value: {}, "
        "second_value: {}, mismatch: {}}}\n",
        yaml_string(pair.size), yaml_string(pair.first), yaml_string(pair.second), pair.quantity,
        yaml_number(pair.target), yaml_number(pair.first_value), yaml_number(pair.second_value),
        yaml_number(pair.mismatch));
  return text;
}

}  // namespace

Ledger::Ledger(fs::path folder) : folder_(std::move(folder)) {}

fs::path Ledger::run_folder(const std::string& id) const {
  if (id.empty() || id == "." || id == ".." || id.find('/') != std::string::npos)
    throw Error(fmt::format("{}: '{}' is no run's id; a file of this folder was tampered with, or "
                            "is another program's",
                            folder_.string(), id),
                ExitCode::bad_input);
  return folder_ / "runs" / id;
}

LedgerChanges Ledger::compare(const Resolution& resolution) const {
  LedgerChanges changes;
  std::set<std::string> wanted;
  for (const PlannedRun& run : resolution.runs) {
    if (run.waits_for_tuning) continue;
    const std::string& id = run.config.id;
    const fs::path folder = run_folder(id);
    wanted.insert(id);
    if (!fs::exists(folder / "config.yaml")) {
      changes.added.push_back(id);
      continue;
    }
    const bool was_done = is_done(folder);
    if (was_done) {
      const RunConfig before = read_run_config(folder / "config.yaml");
      if (before.training.steps >= run.config.training.steps) {
        changes.done.push_back(id);
        if (!is_same(before.evaluation, run.config.evaluation) ||
            before.data.probe != run.config.data.probe)
          changes.evaluated_otherwise.push_back(id);
        continue;
      }
      changes.longer.push_back(id);
    }
    changes.unfinished.push_back(id);
    if (read_file(folder / "config.yaml") != config_text(run.config)) changes.updated.push_back(id);
  }
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_ / "runs", error))
    if (entry.is_directory() && !wanted.contains(entry.path().filename().string()))
      changes.vanished.push_back(entry.path().filename().string());
  std::sort(changes.vanished.begin(), changes.vanished.end());
  return changes;
}

LedgerChanges Ledger::update(const Definition& definition, const Resolution& resolution) {
  create_folders(folder_ / "runs");
  LedgerChanges changes = compare(resolution);
  write_lock(definition, resolution);
  write_file_atomically(folder_ / "sweep.yaml", definition.text);
  write_file_atomically(folder_ / "plan.csv", plan_table(resolution, StepSeconds(folder_)));
  for (const std::string& id : changes.longer) {
    fs::remove(run_folder(id) / "DONE");
    event("continued", id, "it was done with fewer steps than are planned now");
  }
  for (const PlannedRun& run : resolution.runs) {
    const fs::path folder = run_folder(run.config.id);
    if (run.waits_for_tuning || is_done(folder)) continue;
    create_folders(folder / "attempts");
    // A run that goes on reads its thread count and micro-batch from its checkpoint, the rest from
    // here.
    const std::string text = config_text(run.config);
    const fs::path config = folder / "config.yaml";
    if (!fs::exists(config) || read_file(config) != text) write_file_atomically(config, text);
  }
  for (const std::string& id : changes.added) event("added", id, "");
  return changes;
}

void Ledger::write_lock(const Definition& definition, const Resolution& resolution) const {
  const fs::path path = folder_ / "sweep.lock.yaml";
  std::string text =
      "# What the sweep file resolved to. Written by the program; the data digests are "
      "kept.\nschema: 1\n";
  const auto digests = locked_digests(definition, path);
  text += digests.empty() ? "data: {}\n" : "data:\n";
  for (const auto& [split, digest] : digests)
    text += fmt::format("  {}: {}\n", split, yaml_string(digest));
  text += "runs:\n";
  for (const PlannedRun& run : resolution.runs) {
    if (run.waits_for_tuning) continue;
    text += fmt::format(
        "  - {{id: {}, identity: {}, feed_forward: {}, parameters: {}, steps: {}}}\n",
        run.config.id, yaml_string(run.config.id.substr(run.config.id.rfind('-') + 1)),
        run.config.model.feed_forward, run.counts.parameters, run.config.training.steps);
  }
  text += pairs_text(resolution);
  write_file_atomically(path, text);
}

RunStatus Ledger::status(const std::string& id) const {
  return read_status(run_folder(id), clock_);
}

std::vector<RunStatus> Ledger::statuses() const {
  std::vector<RunStatus> all;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_ / "runs", error))
    if (fs::exists(entry.path() / "config.yaml")) all.push_back(read_status(entry.path(), clock_));
  std::sort(all.begin(), all.end(),
            [](const RunStatus& a, const RunStatus& b) { return a.id < b.id; });
  return all;
}

void Ledger::event(const std::string& kind, const std::string& run,
                   const std::string& message) const {
  const double time =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  nlohmann::json json{{"time", time}, {"kind", kind}};
  if (!run.empty()) json["run"] = run;
  if (!message.empty()) json["message"] = message;
  const std::string line =
      json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
  const File file(folder_ / "events.jsonl", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW);
  file.write(line.data(), line.size());
}

std::map<std::string, double> Ledger::validation_losses(const std::vector<PlannedRun>& runs) const {
  std::map<std::string, double> losses;
  for (const PlannedRun& run : runs) {
    const fs::path folder = run_folder(run.config.id);
    if (!is_done(folder)) {
      if (has_diverged(folder, run.config))
        losses[run.config.id] = std::numeric_limits<double>::infinity();
      continue;
    }
    const RunLog log = read_run_folder(folder);
    for (const Evaluation& evaluation : log.evaluations)
      if (evaluation.split == "validation" && evaluation.step == run.config.training.steps)
        losses[run.config.id] = evaluation.loss();
  }
  return losses;
}

std::string plan_table(const Resolution& resolution, const StepSeconds& seconds) {
  std::string text =
      "id,arm,architecture,size,length,seed,role,parameters,non_embedding_parameters,feed_forward,"
      "flops_per_token,steps,batch_tokens,tokens,flops,learning_rate,parent,hours\n";
  for (const PlannedRun& run : resolution.runs) {
    const RunConfig& config = run.config;
    const auto hours = seconds.hours(run);
    text +=
        fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n",
                    run.waits_for_tuning ? std::string() : config.id, config.arm,
                    name_of(config.model.architecture), config.size, config.length, config.seed,
                    name_of(config.role), run.counts.parameters,
                    run.counts.non_embedding_parameters, config.model.feed_forward,
                    run.counts.flops_per_token, config.training.steps, config.training.batch_tokens,
                    run.tokens, run.flops, config.training.optimizer.learning_rate,
                    config.parent.run, hours ? fmt::format("{}", *hours) : std::string());
  }
  return text;
}

}  // namespace metascale
