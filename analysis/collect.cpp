#include "analysis/collect.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <tuple>

#include "analysis/thin.hpp"
#include "core/error.hpp"
#include "core/journal.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_reason = 400;  // characters of a FAILED file that a page shows

std::string first_words(const fs::path& path) {
  std::ifstream file(path);
  std::string text(longest_reason, '\0');
  file.read(text.data(), std::streamsize(text.size()));
  text.resize(std::size_t(std::max<std::streamsize>(file.gcount(), 0)));
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  return text;
}

// The scheduler's word for a run that has neither DONE nor FAILED: "running", "queued" ...
std::string recorded_state(const fs::path& folder) {
  std::ifstream file(folder / "state.json");
  const auto json = nlohmann::json::parse(file, nullptr, false);
  if (!json.is_object() || !json.contains("state") || !json["state"].is_string()) return "";
  return json["state"].get<std::string>();
}

std::string last_event(const RunLog& log, const std::string& kind) {
  for (auto event = log.events.rbegin(); event != log.events.rend(); ++event)
    if (event->kind == kind) return event->message;
  return "";
}

void settle_state(Run& run, const fs::path& folder) {
  const bool on_disk = !folder.empty();
  const std::string said = on_disk ? recorded_state(folder) : run.fact("status").value_or("");
  if ((on_disk && fs::exists(folder / "FAILED")) || said == "failed") {
    run.state = RunState::failed;
    if (on_disk) run.reason = first_words(folder / "FAILED");
    if (run.reason.empty()) run.reason = last_event(run.log, "failed");
    if (run.reason.empty()) run.reason = "no reason was recorded";
  } else if (on_disk ? fs::exists(folder / "DONE") : said == "done") {
    run.state = RunState::done;
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

void condense_steps(Run& run, const CollectOptions& options) {
  std::vector<CurvePoint> points;
  std::vector<double> losses, speeds;
  for (const StepRow& row : run.log.steps) {
    run.hours += std::isfinite(row.seconds) ? row.seconds / 3600 : 0;
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
    run.flops = last.flops, run.data_digest = last.digest;
  }
  std::sort(speeds.begin(), speeds.end());
  run.tokens_per_second = speeds.empty() ? 0 : quantile(speeds, 0.5);
  run.log.steps = {};
}

void condense_segments(Run& run) {
  const Evaluation* final_one = run.final_evaluation();
  if (final_one != nullptr) {
    std::map<std::int64_t, DocumentLoss> documents;
    for (const SegmentRow& segment : final_one->segments) {
      DocumentLoss& document = documents[segment.document];
      document.document = segment.document, document.domain = segment.domain;
      document.tokens += segment.tokens, document.bytes += segment.bytes;
      document.nats += segment.nats;
    }
    for (const auto& [number, document] : documents) run.documents.push_back(document);
  }
  for (Evaluation& evaluation : run.log.evaluations) evaluation.segments = {};
}

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    part.erase(0, part.find_first_not_of(' '));
    part.erase(part.find_last_not_of(' ') + 1);
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

Run read_run(const fs::path& folder, const CollectOptions& options) {
  try {
    return summarise(read_run_folder(folder), folder, options);
  } catch (const std::exception& error) {
    Run run;
    run.id = folder.filename().string();
    run.reason = error.what();
    const std::string said = recorded_state(folder);
    // A run that never started has no log yet: nothing is damaged.
    const bool started = fs::exists(folder / "journal.jsonl") || fs::exists(folder / "run.h5");
    if (fs::exists(folder / "FAILED")) {
      run.state = RunState::failed;
      run.reason = first_words(folder / "FAILED") + " (no log: " + error.what() + ")";
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
  condense_steps(run, options);
  settle_state(run, folder);
  condense_segments(run);
  return run;
}

void settle_order(Collection& collection) {
  for (const Run& run : collection.runs) {
    if (const auto arms = run.fact("arms"); arms && collection.arms.empty())
      collection.arms = split_at_commas(*arms);
    if (collection.sweep.empty()) collection.sweep = run.fact("sweep").value_or("");
  }
  for (const Run& run : collection.runs)  // an arm that the list does not know comes last
    if (!run.arm.empty() &&
        std::find(collection.arms.begin(), collection.arms.end(), run.arm) == collection.arms.end())
      collection.arms.push_back(run.arm);
  for (const Run& run : collection.runs)
    if (const auto baseline = run.fact("baseline_arm")) {
      const auto found = std::find(collection.arms.begin(), collection.arms.end(), *baseline);
      if (found != collection.arms.end()) std::rotate(collection.arms.begin(), found, found + 1);
      break;
    }
  const auto place = [&](const Run& run) {
    const auto arm = std::find(collection.arms.begin(), collection.arms.end(), run.arm);
    return std::tuple(arm - collection.arms.begin(), run.number("parameters").value_or(0),
                      run.number("tokens_planned").value_or(0), run.seed, run.id);
  };
  std::stable_sort(collection.runs.begin(), collection.runs.end(),
                   [&](const Run& a, const Run& b) { return place(a) < place(b); });
}

Collection collect(const fs::path& folder, const CollectOptions& options) {
  if (!fs::is_directory(folder))
    throw Error(concat(folder.string(), ": no such folder; give results/<sweep> or a run's folder"),
                ExitCode::bad_input);
  Collection collection;
  collection.folder = folder;
  const std::vector<fs::path> folders = run_folders(folder);
  if (folders.empty())
    collection.notes.push_back("The folder holds no run: neither runs/<run id> nor a run's log.");
  for (const fs::path& run_folder : folders) {
    Run run = read_run(run_folder, options);
    run.folder = fs::relative(run_folder, folder).generic_string();
    if (run.id.empty()) run.id = run_folder.filename().string();
    collection.runs.push_back(std::move(run));
  }
  settle_order(collection);
  if (collection.sweep.empty()) collection.sweep = fs::weakly_canonical(folder).filename().string();
  return collection;
}

}  // namespace metascale
