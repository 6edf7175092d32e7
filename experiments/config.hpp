// The configuration of ONE run, complete: what config.yaml in a run folder holds. A sweep resolves
// to these (sweeps/resolve); the trainer reads nothing else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/tensor.hpp"
#include "experiments/probe_settings.hpp"

namespace metascale {

enum class Architecture { transformer, transformer_pp, rwkv7, meta_state };
enum class ReadOut { state, time_mix, none };  // model.md 3.1
enum class ReadState { previous, current };    // e_t = S_{t-1} q_t, or S_t q_t
enum class ScheduleKind { cosine, linear, constant, wsd };
enum class Recompute { none, block };  // block: activations inside a block are made again
enum class WkvForm { automatic, scan, chunked };
enum class LowRankForm { separate, joined };  // joined: the first factors as one product
enum class NonFinite { stop, skip, roll_back };
enum class OnSpike { ignore, stop, skip, roll_back };
enum class Precision { f32, bf16, bf16_stored, f64 };  // experiments/precision.hpp

struct ModelConfig {
  Architecture architecture = Architecture::rwkv7;
  std::int64_t layers = 0, width = 0, vocabulary = 0;  // L, D, V
  std::int64_t head_size = 64;                         // N
  std::int64_t heads = 0;                              // H; 0: width / head_size
  std::int64_t feed_forward = 0;  // d_ff, or P parameter tokens: the dimension that matching solves
  // Recurrent models: low-rank widths; 0: the rule of model.md 1.2.
  std::int64_t rank_decay = 0, rank_rate = 0, rank_value = 0, rank_gate = 0;
  // The in-context rate doubled where the state is removed: a transition's eigenvalue along the key
  // then reaches -1 instead of about -0.4. NOT the published model; for the state-tracking probes.
  bool doubled_rate = false;
  // meta_state
  ReadOut read_out = ReadOut::state;
  ReadState read_state = ReadState::previous;
  double rho = 1.0;  // portion of heads that are read
  double gamma_init = 1.0;
  // transformer
  double rotary_fraction = 0.25;
  bool parallel_residual = true;
  bool gelu_tanh = true;

  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

struct OptimizerConfig {
  double learning_rate = 0, final_learning_rate = 0;
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weight_decay = 0.1;
  double clip = 1.0;  // global gradient norm
  // Of a grown model: what its last growth added, times these.
  double new_learning_rate = 1.0, new_weight_decay = 1.0;
};

struct ScheduleConfig {
  ScheduleKind kind = ScheduleKind::cosine;
  std::int64_t warmup_steps = 0;
  std::int64_t decay_steps = 0;  // wsd: the last steps of the run, linear to the final rate
  std::int64_t first_step = 0;   // growth: the schedule begins anew after this step
};

// A spike is a loss above factor times the median of the last `window` losses, once there are so
// many.
struct SpikeConfig {
  OnSpike action = OnSpike::ignore;
  double factor = 1.5;
  std::int64_t window = 64;  // steps
};

// Back to the last checkpoint of the schedule; the batches since then, and this many from the bad
// one on, are left out.
struct RollBackConfig {
  std::int64_t skip_batches = 1;
  std::int64_t most = 3;  // to one checkpoint; then the run stops
};

struct TrainingConfig {
  std::int64_t steps = 0;
  std::int64_t batch_tokens = 0;  // global; a multiple of context
  std::int64_t micro_batch = 0;   // windows per forward; divides batch_tokens / context
  std::int64_t context = 0;       // T
  Precision precision = Precision::f32;
  Recompute recompute = Recompute::none;
  WkvForm wkv = WkvForm::automatic;
  LowRankForm low_rank = LowRankForm::separate;
  bool stochastic_rounding = false;  // of the bf16 copies that products read: kernels/rounding.hpp
  bool cuda_graph = false;      // replay a micro-step as one CUDA graph: experiments/program.hpp
  bool timed_products = false;  // time cuBLASLt's algorithms once: kernels/gpu.hpp
  ScheduleConfig schedule;
  OptimizerConfig optimizer;
  NonFinite non_finite = NonFinite::stop;
  SpikeConfig spike;
  RollBackConfig roll_back;
};

struct DataConfig {
  std::string name;
  std::filesystem::path train, validation, test;  // token files without .bin/.idx
  std::string format = "megatron";  // of the token files: data/token_file.hpp, TokenLayout
  std::string tokenizer = "bytes";
  std::string order = "permuted";
  std::uint64_t order_seed = 1234;
  std::string mixture = "as_stored";
  bool reset_at_documents = false;
  ProbeSettings probe;  // where it exists, there are no token files and no tokenizer
};

struct EvaluationConfig {
  std::int64_t every_steps = 0;    // on validation; 0: never
  std::int64_t windows = 0;        // of a periodic evaluation; 0: all
  std::int64_t final_windows = 0;  // of the final one on test; 0: all
  std::string protocol = "packed_windows";
  std::vector<std::string> domains;  // that are scored; empty: all
};

struct LogConfig {
  std::int64_t checkpoint_every = 0;  // steps; 0: only at the end
  std::int64_t keep = 2;
  // Steps whose checkpoints are kept: branches start there.
  std::vector<std::int64_t> checkpoint_at;
};

// What a run is for. trial: of a tuning, scored on validation; trunk: the undecayed run that wsd
// branches leave from. Neither opens the test split (data.test is empty).
enum class Role { run, trial, trunk };

// A branch of a wsd trunk, or (growth) of another run.
struct ParentConfig {
  std::string run;  // id; empty: none
  std::int64_t step = 0;
};

// An ancestor of a grown run: the shape that the model had up to `step`, and where the next one put
// new blocks [docs/growth.md]. Steps and tokens are counted through the whole lineage.
struct Ancestor {
  std::string run;  // id
  std::int64_t step = 0;
  std::int64_t layers = 0, heads = 0, feed_forward = 0;
  std::int64_t rank_decay = 0, rank_rate = 0, rank_value = 0, rank_gate = 0;
  std::vector<std::int64_t> insert_after;  // per new block, the block that it follows; ascending
};

struct RunConfig {
  int schema = 1;
  std::string id, sweep, arm, size, length;
  Role role = Role::run;
  std::uint64_t seed = 1;  // initial values = f(seed)
  Device device = Device::cpu;
  std::int64_t threads = 0;  // 0: all; stored in the checkpoint, restored on resume
  ModelConfig model;
  TrainingConfig training;
  DataConfig data;
  EvaluationConfig evaluation;
  LogConfig log;
  ParentConfig parent;
  std::vector<Ancestor> lineage;             // oldest first; empty: the model never grew
  std::map<std::string, std::string> match;  // what pairs must agree on: core/match_key.hpp
};

// Throws Error{usage} with file:line: key: what is wrong; what would be right.
RunConfig read_run_config(const std::filesystem::path& path);
RunConfig parse_run_config(const std::string& text, const std::string& file_name);
std::string to_yaml(
    const RunConfig& config);  // parse_run_config gives the same configuration, bit for bit

// The split of a run's final evaluation: test, validation, or empty: none.
std::string final_split(const RunConfig& config);

const char* name_of(Architecture architecture);
const char* name_of(ReadOut read_out);
const char* name_of(ReadState read_state);
const char* name_of(ScheduleKind kind);
const char* name_of(Precision precision);
const char* name_of(Recompute recompute);
const char* name_of(WkvForm form);
const char* name_of(LowRankForm form);
const char* name_of(NonFinite policy);
const char* name_of(OnSpike action);
const char* name_of(Role role);

}  // namespace metascale
