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
#include "experiments/growth_request.hpp"
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
  std::optional<LowRankForm> low_rank;
  std::optional<bool> stochastic_rounding, cuda_graph, timed_products;
  ScheduleSettings schedule;
  std::optional<double> learning_rate, final_learning_rate, beta1, beta2, epsilon, weight_decay,
      clip;
  std::optional<double> new_learning_rate, new_weight_decay;  // of a grown run: multipliers
  std::map<std::string, Place> given;                         // the keys that were written
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
  ProbeSettings probe;            // the sweep's, with the size's own keys over it
  YamlNode probe_keys;            // these keys, until the sweep's probe is read
  bool is_grown = false;          // its shape comes of a growth: only the name is known here
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

// From-scratch runs of a grown shape: with the compute of the whole lineage, or of the last growth.
enum class Scratch { total, added };

// A run that grows out of another one of the sweep, whose size may be a grown one itself.
struct GrowthDefinition {
  std::size_t arm = 0;       // of the parent
  std::string size, length;  // its labels
  std::uint64_t seed = 0;
  GrowthRequest request;
  std::vector<Scratch> scratch;
  Place place;  // of 'from'
};

struct IncludeDefinition {
  GridCell cell;
  TrainingSettings training;
  std::optional<GrowthDefinition> growth;  // from:, grow:, size: derived
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
  Period checkpoint_every;
  std::int64_t keep = 2;
  Place place;
};

struct DataDefinition {
  DataConfig config;
  std::int64_t vocabulary = 0;
  Place place, vocabulary_place;
};

struct ResourceSettings {
  std::optional<std::int64_t> gpus, ranks, nodes, cpus;     // of one run
  std::optional<std::int64_t> runs_per_gpu, runs_per_node;  // that share one job's devices
  std::optional<double> time;                               // seconds, of one job
  std::optional<std::string> memory;                        // of one node, as sbatch --mem takes it
  std::optional<std::size_t> gpu_memory;                    // bytes of one GPU
  std::map<std::string, Place> given;                       // the keys that were written
};
// A key that `over` does not name stays what it is.
ResourceSettings merged(const ResourceSettings& under, const ResourceSettings& over);
struct ResourcesDefinition {
  ResourceSettings standard;
  std::vector<std::pair<Selector, ResourceSettings>> when;  // later ones over earlier ones
};

struct LocalLaunch {
  std::int64_t slots = 0, threads = 0;  // 0: auto
};
struct SlurmLaunch {
  std::string partition, account, qos, constraint;  // empty: not said
  std::int64_t array_cap = 0;      // tasks at a time, of runs of equal resources; 0: no cap
  std::vector<std::string> lines;  // further options of sbatch, one each
  std::vector<std::string> environment{"HOME",    "LANG",       "LD_LIBRARY_PATH",
                                       "LOGNAME", "MODULEPATH", "PATH",
                                       "SHELL",   "USER"};  // variables that jobs are given
  std::vector<std::string> srun;  // options of srun, for runs of several ranks
};
// Words are handed over as they are, without a shell; {script}, {job}, {name} ... are filled in.
struct TemplateLaunch {
  std::vector<std::string> submit, state, cancel;
  std::vector<std::string> find;  // prints the job of a {name}, or nothing; empty: there is none
  std::string job = "([0-9]+[A-Za-z0-9_.-]*)";  // group 1 in what submit prints is the job's id
  std::string ended;                            // what state prints of a job that has ended
  // What a state that ends otherwise than with 0 says of a job that is not there: PBS, SGE, LSF.
  std::string gone = "Unknown Job|has finished|do not exist|Job <[^>]*> is not found";
  std::vector<std::string> lines;     // at the head of the script: directives
  std::vector<std::string> launcher;  // before the program, for runs of several ranks
};
// What jobs of every batch system have.
struct JobSettings {
  double signal_before = 120;  // seconds before the time limit
  std::int64_t max_stalled_timeouts = 3;
  std::vector<std::string> modules;    // names, loaded in this order
  std::vector<std::string> setup;      // lines of shell, run before the program
  std::vector<std::string> container;  // words before the program of each run
};
struct LaunchDefinition {
  std::variant<LocalLaunch, SlurmLaunch, TemplateLaunch> how;
  JobSettings job;  // of slurm and template
  Place place;
};

enum class OnFailure { keep_going, stop };
struct PolicyDefinition {
  OnFailure on_failure = OnFailure::keep_going;
  std::int64_t retries = 1;
  NonFinite non_finite = NonFinite::stop;
  SpikeConfig spike;
  RollBackConfig roll_back;
  Place place;
};

struct BudgetDefinition {
  double gpu_hours = 0, hours = 0;                         // 0: no limit
  double price_per_gpu_hour = 0, price_per_core_hour = 0;  // of no currency in particular
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
  bool device_is_auto = true;
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

// Whether the resources of any run ask for GPUs: then its hours are hours of GPUs, and `device:
// auto` is one.
bool asks_for_gpus(const Definition& definition);

// overrides: "training.context=512" ... as of --set. Throws Error{usage} with file:line: key.
Definition read_definition(const std::filesystem::path& file,
                           const std::vector<std::string>& overrides = {});
Definition parse_definition(const std::string& text, const std::string& file_name,
                            const std::vector<std::string>& overrides = {});

// The names in match.identical.
std::span<const std::string> identical_names();

}  // namespace metascale
