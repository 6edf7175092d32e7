#include "analysis/collect.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>

#include "analysis/thin.hpp"
#include "core/error.hpp"
#include "core/heartbeat.hpp"
#include "core/journal.hpp"
#include "core/parallel.hpp"
#include "core/yaml.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

// The scheduler's word for a run that has neither DONE nor FAILED: "running", "queued" ...
std::string recorded_state(const fs::path& folder) {
  const auto heartbeat = read_heartbeat(folder);
  return heartbeat ? name_of(heartbeat->phase) : "";
}

std::string last_event(const RunLog& log, const std::string& kind) {
  for (auto event = log.events.rbegin(); event != log.events.rend(); ++event)
    if (event->kind == kind) return event->message;
  return "";
}

void settle_state(Run& run, const fs::path& folder) {
  const bool on_disk = !folder.empty();
  const std::string said = on_disk ? recorded_state(folder) : run.fact("status").value_or("");
  if (on_disk ? fs::exists(folder / "DONE") : said == "done") {  // it outlives an older FAILED
    run.state = RunState::done;
  } else if ((on_disk && fs::exists(folder / "FAILED")) || said == "failed") {
    run.state = RunState::failed;
    if (on_disk) run.reason = read_reason(folder / "FAILED");
    if (run.reason.empty()) run.reason = last_event(run.log, "failed");
    if (run.reason.empty()) run.reason = "no reason was recorded";
  } else {
    run.state = RunState::unfinished;
    const auto planned = run.number("steps_planned");
    run.reason = concat("step ", run.steps);
    if (planned) run.reason += concat(" of ", std::int64_t(*planned));
    if (!said.empty()) run.reason += ", " + said;
  }
  if (run.role != "run") return;  // trials and trunks end without a final evaluation
  if (run.state == RunState::done && run.final_evaluation() == nullptr) {
    run.state = RunState::failed;
    run.reason = "it is marked done, but its log has no final evaluation";
  } else if (run.state == RunState::done && !std::isfinite(run.final_loss())) {
    run.state = RunState::failed;
    run.reason = "the loss of its final evaluation is not a finite number";
  }
}

// Means over stretches of equal width in the logarithm of the step: the early descent keeps its
// form, the late noise is averaged.
std::vector<CurvePoint> trend_of(const std::vector<CurvePoint>& points, std::size_t stretches) {
  std::vector<CurvePoint> trend;
  const double count = double(points.size());
  std::size_t begin = 0;
  for (std::size_t stretch = 1; stretch <= stretches && begin < points.size(); ++stretch) {
    const auto end = std::size_t(std::ceil(std::pow(count, double(stretch) / double(stretches))));
    if (end <= begin) continue;
    CurvePoint mean = points[(begin + end - 1) / 2];
    mean.loss = 0;
    for (std::size_t i = begin; i < end; ++i) mean.loss += points[i].loss / double(end - begin);
    trend.push_back(mean);
    begin = end;
  }
  return trend;
}

void mark_data(Run& run) {
  std::set<std::int64_t> steps;
  for (const Evaluation& evaluation : run.log.evaluations) steps.insert(evaluation.step);
  for (const StepRow& row : run.log.steps)
    if (steps.contains(row.step) || &row == &run.log.steps.back())
      run.marks.push_back({row.step, row.tokens, row.digest});
}

void condense_steps(Run& run, const CollectOptions& options) {
  std::vector<CurvePoint> points;
  std::vector<double> losses, speeds, seconds;
  for (const StepRow& row : run.log.steps) {
    if (std::isfinite(row.seconds)) seconds.push_back(row.seconds), run.hours += row.seconds / 3600;
    if (run.role == "trunk")
      run.trunk.push_back({row.step, row.tokens, row.flops, run.hours, row.loss});
    if (std::isfinite(row.tokens_per_second)) speeds.push_back(row.tokens_per_second);
    if (!std::isfinite(row.loss)) {
      ++run.non_finite_rows;
      continue;
    }
    points.push_back({row.step, row.tokens, row.flops, run.hours, row.loss});
    losses.push_back(row.loss);
  }
  for (const std::size_t index : thin(losses, options.curve_points))
    run.curve.push_back(points[index]);
  run.trend = trend_of(points, options.trend_points);
  if (!run.log.steps.empty()) {
    const StepRow& last = run.log.steps.back();
    run.steps = last.step, run.tokens = last.tokens;
    run.flops = last.flops;
  }
  run.own_hours = run.hours;
  mark_data(run);
  std::sort(speeds.begin(), speeds.end()), std::sort(seconds.begin(), seconds.end());
  run.tokens_per_second = speeds.empty() ? 0 : quantile(speeds, 0.5);
  run.step_seconds = quantile(seconds, 0.5);
  run.log.steps = {};
}

void condense_segments(Run& run) {
  if (const Evaluation* final_one = run.final_evaluation())
    run.documents = document_losses(final_one->segments);
  for (Evaluation& evaluation : run.log.evaluations) evaluation.segments = {};
}

bool has_doubled_rate(const Run& run) {
  try {
    const YamlNode root = parse_yaml(run.log.configuration, run.id);
    const YamlNode* model = root.find("model");
    const YamlNode* doubled = model == nullptr ? nullptr : model->find("doubled_rate");
    return doubled != nullptr && read_bool(*doubled);
  } catch (const Error&) {
    return false;  // the configuration is only shown: a report does not fail by it
  }
}

// A file that is not there, or older than the other, is no damage: a run that goes on has these.
std::string damage_of(const fs::path& folder, const std::string& source) {
  std::error_code ignored;
  const bool from_journal = source.starts_with("journal.jsonl (");
  if (from_journal && source != "journal.jsonl (run.h5 is older)" &&
      fs::exists(folder / "run.h5", ignored))
    return "read from its journal: run.h5 is damaged";
  if (source.starts_with("run.h5 (") && fs::exists(folder / "journal.jsonl", ignored))
    return "read from run.h5: its journal is damaged";
  return "";
}

Run read_run(const fs::path& folder, const CollectOptions& options) {
  try {
    std::string source;
    RunLog log = read_run_folder(folder, &source);
    Run run = summarise(std::move(log), folder, options);
    run.damage = damage_of(folder, source);
    return run;
  } catch (const std::exception& error) {
    Run run;
    run.id = folder.filename().string();
    run.reason = error.what();
    const std::string said = recorded_state(folder);
    // A run that never started has no log yet: nothing is damaged.
    std::error_code ignored;  // no exception may leave the threads' loop
    const auto there = [&](const char* name) { return fs::exists(folder / name, ignored); };
    const bool started = there("journal.jsonl") || there("run.h5");
    if (there("FAILED") && !there("DONE")) {
      run.state = RunState::failed;
      run.reason = read_reason(folder / "FAILED") + " (no log: " + error.what() + ")";
    } else if (!started) {
      run.state = RunState::unfinished;
      run.reason = said.empty() ? "not started" : said;
    }
    return run;
  }
}

std::vector<fs::path> run_folders(const fs::path& folder) {
  std::vector<fs::path> folders;
  if (fs::exists(folder / "run.h5") || fs::exists(folder / "journal.jsonl")) return {folder};
  if (!fs::is_directory(folder / "runs")) return {};
  for (const auto& entry : fs::directory_iterator(folder / "runs"))
    if (entry.is_directory()) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

// The run ids that the sweep file last resolved to; nothing without a lock.
std::optional<std::set<std::string>> locked_runs(const fs::path& lock) {
  if (!fs::exists(lock)) return std::nullopt;
  const YamlNode root = read_yaml(lock, {.bytes = 256u << 20, .nodes = 20'000'000});
  const YamlNode* runs = root.find("runs");
  if (runs == nullptr) throw yaml_error(root, "lacks runs", "a new start of the sweep writes it");
  std::set<std::string> ids;
  for (const YamlNode& run : runs->items)
    if (const YamlNode* id = run.find("id")) ids.insert(id->text);
  return ids;
}

void leave_out_superseded(Collection& collection) {
  std::int64_t count = 0;
  try {
    const auto ids = locked_runs(collection.folder / "sweep.lock.yaml");
    if (!ids) return;
    for (Run& run : collection.runs)
      if (!ids->contains(run.id)) run.left_out = "not in the sweep file (any more)", ++count;
  } catch (const Error& error) {
    collection.notes.push_back(concat(error.what(), ". All runs of the folder count."));
  }
  if (count > 0)
    collection.notes.push_back(concat(count, count == 1 ? " run is" : " runs are",
                                      " not in the sweep file (any more) and not compared; see "
                                      "Runs."));
}

// What lies in the folder beside the runs; what is damaged there is a note, not an error.
void read_beside(Collection& collection) {
  try {
    collection.context = read_context_costs(collection.folder / "context.json");
    collection.prices = read_prices(collection.folder);
    collection.planned_hours = read_planned_hours(collection.folder);
  } catch (const Error& error) {
    collection.notes.push_back(concat(error.what(), ". The report goes without it."));
  }
}

}  // namespace

const char* name_of(RunState state) {
  switch (state) {
    case RunState::done: return "done";
    case RunState::failed: return "failed";
    case RunState::unfinished: return "unfinished";
    case RunState::unreadable: return "unreadable";
  }
  return "?";
}

const Evaluation* Run::final_evaluation() const {
  const Evaluation* found = nullptr;
  for (const Evaluation& evaluation : log.evaluations)
    if (evaluation.is_final && (found == nullptr || evaluation.split == "test"))
      found = &evaluation;
  return found;
}

std::optional<std::string> Run::fact(const std::string& key) const {
  const auto found = log.facts.find(key);
  if (found == log.facts.end() || found->second.empty()) return std::nullopt;
  return found->second;
}

std::string Run::tokenizer() const {
  const std::string identity = fact("tokenizer").value_or("unknown");
  return identity.substr(0, identity.find(':'));  // what its ids are stands behind
}

std::optional<double> Run::number(const std::string& key) const {
  const auto text = fact(key);
  if (!text) return std::nullopt;
  double value = 0;
  const char* end = text->data() + text->size();
  const auto [stop, problem] = std::from_chars(text->data(), end, value);
  if (problem != std::errc() || stop != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

double Run::final_loss() const {
  const Evaluation* evaluation = final_evaluation();
  return evaluation != nullptr && evaluation->tokens > 0 ? evaluation->loss()
                                                         : std::numeric_limits<double>::quiet_NaN();
}

double Run::final_bits_per_byte() const {
  const Evaluation* evaluation = final_evaluation();
  return evaluation != nullptr && evaluation->bytes > 0 ? evaluation->bits_per_byte()
                                                        : std::numeric_limits<double>::quiet_NaN();
}

std::vector<DocumentLoss> document_losses(const std::vector<SegmentRow>& segments) {
  std::map<std::int64_t, DocumentLoss> documents;
  for (const SegmentRow& segment : segments) {
    DocumentLoss& document = documents[segment.document];
    document.document = segment.document, document.domain = segment.domain;
    document.tokens += segment.tokens, document.bytes += segment.bytes;
    document.nats += segment.nats;
  }
  std::vector<DocumentLoss> losses;
  losses.reserve(documents.size());
  for (const auto& [number, document] : documents) losses.push_back(document);
  return losses;
}

Run summarise(RunLog log, const fs::path& folder, const CollectOptions& options) {
  Run run;
  run.log = std::move(log);
  run.id = run.log.run_id;
  run.arm = run.fact("arm").value_or("");
  run.architecture = run.fact("architecture").value_or("");
  run.size = run.fact("size").value_or("");
  run.length = run.fact("length").value_or("");
  run.role = run.fact("role").value_or("run");
  run.seed = std::int64_t(run.number("seed").value_or(0));
  run.doubled_rate = has_doubled_rate(run);
  condense_steps(run, options);
  settle_state(run, folder);
  condense_segments(run);
  return run;
}

Collection collect(const fs::path& folder, const CollectOptions& options) {
  if (!fs::is_directory(folder))
    throw Error(concat(folder.string(), ": no such folder; give results/<sweep> or a run's folder"),
                ExitCode::usage);
  Collection collection;
  collection.folder = folder;
  const std::vector<fs::path> folders = run_folders(folder);
  if (folders.empty())
    collection.notes.push_back("The folder holds no run: neither runs/<run id> nor a run's log.");
  CollectOptions share = options;
  share.curve_points =
      std::clamp(options.all_points / std::max<std::size_t>(folders.size(), 1),
                 std::min<std::size_t>(40, options.curve_points), options.curve_points);
  std::vector<Run> runs(folders.size());
  parallel_for(options.threads, std::int64_t(folders.size()),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i)
                   runs[std::size_t(i)] = read_run(folders[std::size_t(i)], share);
               });
  for (std::size_t i = 0; i < folders.size(); ++i) {
    const fs::path& run_folder = folders[i];
    Run& run = runs[i];
    run.folder = fs::relative(run_folder, folder).generic_string();
    run.device_use = read_device_use(run_folder);
    if (run.id.empty()) run.id = run_folder.filename().string();
    collection.runs.push_back(std::move(run));
  }
  read_beside(collection);
  leave_out_superseded(collection);
  settle(collection);
  if (collection.sweep.empty()) collection.sweep = fs::weakly_canonical(folder).filename().string();
  return collection;
}

}  // namespace metascale
