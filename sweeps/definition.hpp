// The sweep file as typed structs, every key of docs/sweep-file.md, with the places they were
// written at. Reading checks words, types, units and ranges; what needs arithmetic is
// sweeps/resolve.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/yaml.hpp"
#include "experiments/config.hpp"
#include "experiments/matching.hpp"

namespace metascale {

struct Place {
  Location where;
  std::string path;
};
Place place_of(const YamlNode& node);
// "file:line: key: wrong; right", ExitCode::usage.
[[nodiscard]] Error error_at(const Place& place, const std::string& wrong,
                             const std::string& right);

// ---- training: of the sweep, and overrides of an arm, a size or an included run

// A part of the run ("1%"), or a number of steps ("10 steps").
struct Part {
  double fraction = 0;
  std::int64_t steps = 0;  // 0: the fraction counts
};

struct ScheduleSettings {
  std::optional<ScheduleKind> kind;
  std::optional<Part> warmup, decay;
  std::optional<double> final;  // of the peak
};

struct TrainingSettings {
  std::optional<std::int64_t> batch_tokens, context;
  std::optional<std::int64_t> micro_batch;  // 0: auto
  std::optional<Precision> precision;
  std::optional<Recompute> recompute;
  std::optional<WkvForm> wkv;
  ScheduleSettings schedule;
  std::optional<double> learning_rate, final_learning_rate, beta1, beta2, epsilon, weight_decay,
      clip;
  std::map<std::string, Place> given;  // the keys that were written
};
TrainingSettings merged(const TrainingSettings& under, const TrainingSettings& over);

// ---- what is compared

struct ArmDefinition {
  std::string name;
  ModelConfig model;  // architecture and its options; the rest comes from the size
  std::int64_t head_size = 0, heads = 0;  // 0: the size's
  TrainingSettings training;
  Place place;
};

struct TuningDefinition {
  std::int64_t trials_per_arm = 0;
  std::vector<std::pair<std::string, std::vector<double>>> over;  // key of training, values
  std::string at = "smallest";                                    // or the name of a size
  Place place;
};

struct MatchDefinition {
  MatchOn on = MatchOn::parameters;
  double tolerance = 0.005;
  std::int64_t step = 0;  // 0: auto
  std::vector<std::string> identical;
  std::optional<TuningDefinition> tuning;
  Place place;
};

struct SizeDefinition {
  std::string name;
  std::int64_t layers = 0, width = 0, head_size = 64;
  double target = 0;              // 0: the baseline's feed_forward is given instead
  std::int64_t feed_forward = 0;  // of the baseline
  TrainingSettings training;
  Place place;
};

enum class LengthUnit { chinchilla, tokens, flop };  // xC: 20 tokens per non-embedding parameter
struct LengthDefinition {
  std::string label;  // "1xC", "300Btokens", "1e20flop"
  double value = 0;
  LengthUnit unit = LengthUnit::chinchilla;
  Place place;
};

struct AxesDefinition {
  std::vector<SizeDefinition> sizes;
  std::vector<LengthDefinition> lengths;
  std::vector<std::uint64_t> seeds;
};

// The axes of one run of the grid; indices into the definition.
struct GridCell {
  std::size_t arm = 0, size = 0, length = 0, seed = 0;
};

// {size: 1.5B, seed: [2, 3]}: the runs that agree with every key. An empty set allows all.
struct Selector {
  std::vector<std::size_t> arms, sizes, lengths, seeds;
  bool matches(const GridCell& cell) const;
  Place place;
};

struct IncludeDefinition {
  GridCell cell;
  TrainingSettings training;
  bool is_grown = false;  // from:, grow:, size: derived
  Place place;
};

// ---- the rest

struct Period {  // "250M tokens", "1000 steps"; both 0: never
  double tokens = 0;
  std::int64_t steps = 0;
};

struct EvaluationDefinition {
  Period every;
  std::int64_t windows = 0, final_windows = 0;  // 0: all
  std::string protocol = "packed_windows";
  std::vector<std::string> domains;  // empty: all
  Place place;
};

struct LogDefinition {
  Period every{.steps = 1}, checkpoint_every;
  std::int64_t keep = 2;
  Place place;
};

struct DataDefinition {
  DataConfig config;
  std::int64_t vocabulary = 0;
  Place place, vocabulary_place;
};

struct ResourceSettings {
  std::optional<std::int64_t> gpus, runs_per_gpu, cpus;
  std::optional<double> time;  // seconds
};
struct ResourcesDefinition {
  ResourceSettings standard;
  std::vector<std::pair<Selector, ResourceSettings>> when;  // later ones over earlier ones
};

struct LocalLaunch {
  std::int64_t slots = 0, threads = 0;  // 0: auto
};
struct SlurmLaunch {
  std::string partition, account;
  std::int64_t array_cap = 0;  // 0: none
  double signal_before = 120;  // seconds before the time limit
  std::int64_t max_stalled_timeouts = 3;
  std::vector<std::string> lines, setup;
};
struct TemplateLaunch {
  std::string submit, state, cancel;
};
struct LaunchDefinition {
  std::variant<LocalLaunch, SlurmLaunch, TemplateLaunch> how;
  Place place;
};

enum class OnFailure { keep_going, stop };
struct PolicyDefinition {
  OnFailure on_failure = OnFailure::keep_going;
  std::int64_t retries = 1;
  NonFinite non_finite = NonFinite::stop;
  Place place;
};

struct BudgetDefinition {
  double gpu_hours = 0, hours = 0;  // 0: no limit
  double price_per_gpu_hour = 0;
  bool refuse_above = false;
  Place place;
};

enum class FitKind { power, chinchilla, isoflop };
enum class HoldOut { none, largest_size };
struct AnalysisDefinition {
  std::vector<FitKind> fits{FitKind::power};
  std::int64_t bootstrap = 2000;
  HoldOut hold_out = HoldOut::none;
  Place place;
};

struct Definition {
  std::filesystem::path file;
  std::string text;  // with bases and overrides merged in: results/<sweep>/sweep.yaml
  std::string name;
  Device device = Device::cpu;
  std::vector<ArmDefinition> arms;  // the first is the baseline
  MatchDefinition match;
  AxesDefinition axes;
  std::vector<GridCell> grid;  // what axes and zip make, before exclude; `arm` runs fastest
  std::vector<Selector> exclude;
  std::vector<IncludeDefinition> include;
  TrainingSettings training;
  Place training_place;
  DataDefinition data;
  EvaluationDefinition evaluation;
  LogDefinition log;
  ResourcesDefinition resources;
  LaunchDefinition launch;
  PolicyDefinition policy;
  BudgetDefinition budget;
  AnalysisDefinition analysis;
  Place place;
};

// overrides: "training.context=512" ... as of --set. Throws Error{usage} with file:line: key.
Definition read_definition(const std::filesystem::path& file,
                           const std::vector<std::string>& overrides = {});
Definition parse_definition(const std::string& text, const std::string& file_name,
                            const std::vector<std::string>& overrides = {});

// The names in match.identical.
std::span<const std::string> identical_names();

}  // namespace metascale
