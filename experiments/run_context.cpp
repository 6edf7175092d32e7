#include "experiments/run_context.hpp"

#include <fmt/format.h>
#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "core/match_key.hpp"
#include "experiments/grown_checkpoint.hpp"
#include "experiments/lineage.hpp"
#include "experiments/not_finite.hpp"
#include "experiments/plan.hpp"
#include "experiments/precision.hpp"
#include "experiments/schedule.hpp"
#include "kernels/gpu_ranks.hpp"
#include "kernels/instructions.hpp"

namespace metascale {
namespace {

void refuse_what_is_not_built(const RunConfig& config) {
  if (config.training.wkv == WkvForm::chunked && config.device == Device::cpu)
    throw Error("training.wkv: chunked is a form of the GPU kernels; on the CPU use scan or auto",
                ExitCode::usage);
  const TrainingConfig& training = config.training;
  if (training.stochastic_rounding && !tape_options(training, config.device, true).bf16_storage)
    throw Error(
        "training.stochastic_rounding: true rounds the bf16 copies of the weights, and this run "
        "has "
        "none; set training.precision: bf16_stored (on a GPU also bf16), or use false",
        ExitCode::usage);
  for (const auto& [key, is_set] : {std::pair{"cuda_graph", training.cuda_graph},
                                    std::pair{"timed_products", training.timed_products}})
    if (is_set && config.device != Device::cuda)
      throw Error(concat("training.", key, ": true needs device: cuda; use false"),
                  ExitCode::usage);
  if (config.data.reset_at_documents && config.data.probe.exists())
    throw Error("data.reset_at_documents: true is for token files; a probe's window is one example",
                ExitCode::usage);
}

const RunConfig& checked(const RunConfig& config) {
  refuse_what_is_not_built(config);
  return config;
}

void expect_same_data(const RunData& data, const TrainingState& start) {
  if (is_of_import(start)) return;
  if (start.data_fingerprint != data.fingerprint())
    throw Error(fmt::format("{}: not the tokens that this run was trained on so far (fingerprint "
                            "{}, checkpoint {})",
                            data.words(), data.fingerprint(), start.data_fingerprint),
                ExitCode::bad_input);
}

// One rank owns all in one piece; several reduce their buckets while the backward goes on.
Shards shards_of(const ParameterList& list, const Tape& tape, const Communicator& ranks) {
  if (ranks.size() == 1) return Shards(list.arena_elements());
  return Shards(gradient_buckets(list, tape, bucket_elements), ranks.rank(), ranks.size());
}

// The cores that this process may use, shared with the ranks beside it that may use them too.
std::int64_t cores_of_rank(const Communicator& ranks) {
  const int online = std::max(1, int(::sysconf(_SC_NPROCESSORS_ONLN)) / ranks.ranks_here());
  // A batch system that pins nobody to cores is obeyed through OMP_NUM_THREADS.
  const int allowed = std::min(omp_get_num_procs(), omp_get_max_threads());
  return ranks.ranks_here() == 1 ? allowed : std::min(allowed, online);
}

// Of the ranks on one machine each takes its own, unless the launcher shows every rank only one.
int gpu_of_rank(const Communicator& ranks) {
  if (ranks.rank_here() == 0) return 0;
  try {
    gpu_info(ranks.rank_here());
    return ranks.rank_here();
  } catch (const Error&) {
    return 0;  // NCCL refuses two ranks on one GPU
  }
}

std::size_t used_bytes(const Gpu& gpu) {
  const GpuMemory memory = gpu.memory();
  return memory.total_bytes - memory.free_bytes;
}

// A rank's own, so that nobody else changes what it goes on with when it is started again.
std::string algorithm_file(const RunConfig& config, const std::filesystem::path& folder,
                           const Communicator& ranks) {
  if (!config.training.timed_products || folder.empty()) return "";
  return folder / concat("products.rank", ranks.rank(), ".txt");
}

}  // namespace

RunContext::RunContext(const RunConfig& config, const std::optional<TrainingState>& start,
                       Communicator* ranks, const std::filesystem::path& folder)
    : config_(checked(config)),
      flops_(config_),
      ranks_(ranks ? *ranks : single_),
      data_(open_run_data(config_)) {
  if (start) state = *start;
  state.data_fingerprint = data_->fingerprint();
  if (start) expect_same_data(*data_, *start);
  if (config.device == Device::cuda) {
    gpu_.emplace(GpuOptions{.index = gpu_of_rank(ranks_),
                            .algorithm_file = algorithm_file(config, folder, ranks_)});
    queue_.device = Device::cuda;
    queue_.cuda = gpu_->queue();
    used_before_ = used_bytes(*gpu_);
  }
  state.processor = gpu_ ? gpu_->info().name : cpu_instructions();
  choose_micro_batch(start);
  queue_.cpu.threads = int(state.threads);
  if (gpu_)
    expect_to_fit(
        config_,
        {.micro_batch = state.micro_batch, .ranks = ranks_.size(), .is_begun = start.has_value()},
        {.device = gpu_->info().name, .bytes = free_bytes(), .is_open = true});
  programs_ = std::make_unique<RunPrograms>(config_, state.micro_batch, ranks_.size(), list_);
  const Tape& tape = programs_->training().tape();
  const Dtype dtype = tape.dtype();
  shards_ = std::make_unique<Shards>(shards_of(list_, tape, ranks_));
  memory_ = std::make_unique<ParameterMemory>(
      list_, config.device, dtype, tape.options().bf16_storage, shards_->moment_elements());
  memory_->stochastic_copies = config.training.stochastic_rounding;
  if ((gpu_ || ranks_.size() > 1) && ranks_.rank() == 0)
    host_memory_ = std::make_unique<ParameterMemory>(list_, Device::cpu, dtype);
  programs_->allocate(config.device, *memory_);
  weights_.resize(std::size_t(mine().size() * state.micro_batch * config.training.context));
  optimizer_ = std::make_unique<Optimizer>(queue_, config.training.optimizer, list_, *memory_,
                                           births_of(config), *shards_);
  if (ranks_.size() == 1) return;
  if (gpu_) gpus_ = connect_gpus(queue_, ranks_);
  parallel_ = std::make_unique<DataParallel>(ranks_, gpus_ ? *gpus_ : ranks_, *shards_, *memory_);
}

// What a checkpoint says stays, unless there are now more ranks than such micro-batches.
void RunContext::choose_micro_batch(const std::optional<TrainingState>& start) {
  if (!start) {
    state.threads = config_.threads > 0 ? config_.threads : cores_of_rank(ranks_);
    state.micro_batch = config_.training.micro_batch > 0 ? config_.training.micro_batch
                                                         : micro_batch_for(data_->rows());
  }
  state.ranks = ranks_.size();
  state.micro_batch = shared_micro_batch(data_->rows(), ranks_.size(), state.micro_batch);
}

void RunContext::fetch_parameters() {
  const HostArenas whole = host_memory_ ? arenas_of(*host_memory_) : HostArenas{};
  if (parallel_) return parallel_->gather(queue_, host_memory_ ? &whole : nullptr);
  if (!host_memory_) return;
  for (const auto arena : {&ParameterMemory::values, &ParameterMemory::m, &ParameterMemory::v})
    copy_to_host(queue_, ((*host_memory_).*arena).data(), ((*memory_).*arena).data(),
                 ((*memory_).*arena).bytes());
}

Usage RunContext::usage() {
  const double joules = gpu_ ? gpu_->joules().value_or(std::nan("")) : std::nan("");
  // What a run takes of a GPU, before its first step, it keeps.
  const std::size_t bytes = gpu_ ? used_bytes(*gpu_) : peak_resident_bytes();
  double sum[] = {joules};  // NaN if one rank's is
  ranks_.all_reduce({.data = sum, .shape = {1}, .dtype = Dtype::f64}, Reduction::sum);
  ranks_.wait();
  return {.peak_bytes = greatest(ranks_, std::int64_t(bytes)),
          .before_bytes = greatest(ranks_, std::int64_t(used_before_)),
          .joules = sum[0]};
}

void RunContext::parameters_changed() {
  const HostArenas whole = host_memory_ ? arenas_of(*host_memory_) : HostArenas{};
  if (parallel_)
    parallel_->scatter(queue_, host_memory_ ? &whole : nullptr);
  else if (host_memory_)
    for (const auto arena : {&ParameterMemory::values, &ParameterMemory::m, &ParameterMemory::v})
      copy_to_device(queue_, ((*memory_).*arena).data(), ((*host_memory_).*arena).data(),
                     ((*memory_).*arena).bytes());
  memory_->round_copies(queue_, state.step);
}

// Of the GPU of the rank that has least: all ranks must decide alike.
std::size_t RunContext::free_bytes() const {
  return std::size_t(-greatest(ranks_, -std::int64_t(gpu_->memory().free_bytes)));
}

// Windows of one forward when the configuration leaves it to us: on a GPU as many as fit.
std::int64_t RunContext::micro_batch_for(std::int64_t rows) const {
  if (!gpu_) return automatic_micro_batch(Device::cpu, rows, config_.training.context);
  const auto fits = [&, room = usable(free_bytes())](std::int64_t micro_batch) {
    return planned_step(config_, micro_batch, ranks_.size()).bytes() <= room;
  };
  return std::max<std::int64_t>(1, largest_micro_batch(rows, ranks_.size(), rows, fits));
}

Range RunContext::mine() const {
  return part_of(data_->rows() / state.micro_batch, ranks_.rank(), ranks_.size());
}

void RunContext::fill(std::int64_t batch, std::int64_t part, float* weights) {
  const std::int64_t T = config_.training.context, B = state.micro_batch;
  Program& program = programs_->training();
  data_->fill(batch, part * B,
              {.rows = B,
               .context = T,
               .tokens = program.tokens(),
               .targets = program.targets(),
               .weights = weights,
               .segment_ids = program.first_positions()});
  if (std::int32_t* ids = program.first_positions()) to_first_positions(B, T, ids);
  const double total = double(data_->scored_in_step());
  for (std::int64_t i = 0; i < B * T; ++i) program.set_scale(i, double(weights[i]) / total);
}

double RunContext::accumulate_gradients() {
  const std::int64_t tokens = state.micro_batch * config_.training.context;
  Program& program = programs_->training();
  double nats = 0;
  struct Forget {  // where something is thrown: what would add to nats
    Program& program;
    ~Forget() { program.forget(); }
  } const forget{program};
  optimizer_->clear_gradients(queue_);
  const auto [begin, end] = mine();
  for (std::int64_t part = begin; part < end; ++part) {
    float* const weights = weights_.data() + (part - begin) * tokens;
    fill(state.step + state.skipped_batches, part, weights);
    const auto add_losses = [&, weights] {
      for (std::int64_t i = 0; i < tokens; ++i) nats += double(weights[i]) * program.loss(i);
    };
    if (parallel_ && part + 1 == end)
      parallel_->send_and_reduce(program, queue_, add_losses);
    else
      program.send(queue_, add_losses);
  }
  optimizer_->send_gradient_norm(queue_);
  program.finish(queue_);
  return nats;
}

StepRow RunContext::train_step(const std::function<bool(const StepRow&)>& accepts) {
  StepRow row{.step = state.step + 1};
  const double nats = accumulate_gradients();
  double sums[] = {nats, optimizer_->squared_gradient_norm()};
  ranks_.all_reduce({.data = sums, .shape = {2}, .dtype = Dtype::f64}, Reduction::sum);
  ranks_.wait();
  row.loss = sums[0] / double(data_->scored_in_step());
  row.gradient_norm = std::sqrt(sums[1]);
  row.learning_rate = learning_rate(config_.training, row.step);
  if (std::isfinite(row.loss) && std::isfinite(row.gradient_norm) && (!accepts || accepts(row))) {
    optimizer_->update(queue_, row.learning_rate, row.gradient_norm, row.step);
    if (parallel_) parallel_->gather_values(queue_, row.step);
  }
  state.digest = data_->digest(state.digest, state.step + state.skipped_batches);
  state.step = row.step;
  state.tokens += config_.training.batch_tokens;
  row.tokens = state.tokens;
  row.flops = flops_(double(state.tokens));
  row.digest = state.digest;
  return row;
}

std::string RunContext::place() const {
  return fmt::format("rank {} on {} {} behind step {}", ranks_.rank(), gpu_->info().name,
                     gpu_->info().pci_bus_id, state.step);
}

std::string RunContext::first_not_finite(const StepRow& bad) {
  std::string found;
  ranks_.keep_others_waiting([&] {
    optimizer_->clear_gradients(queue_);
    const auto [begin, end] = mine();
    for (std::int64_t part = begin; part < end && found.empty(); ++part) {
      fill(bad.step - 1 + state.skipped_batches, part, weights_.data());
      found = metascale::first_not_finite(programs_->training(), queue_);
    }
  });
  const int first =
      ranks_.size() - int(greatest(ranks_, found.empty() ? 0 : ranks_.size() - ranks_.rank()));
  if (first == ranks_.size())
    return fmt::format(
        "made once more, all its numbers are finite: {}the step does not repeat itself "
        "(memory that fails?)",
        ranks_.size() > 1 ? "their sum over the ranks is not, or " : "");
  return broadcast_text(ranks_, found, first);
}

std::optional<Evaluation> RunContext::evaluate_split(const std::string& split, bool is_final,
                                                     const std::function<bool()>& go_on) {
  auto result =
      data_->evaluate(split, is_final,
                      {.queue = queue_,
                       .program = [&](std::int64_t rows, std::int64_t context) -> Program& {
                         return programs_->evaluation(rows, context);
                       },
                       .micro_batch = state.micro_batch,
                       .ranks = ranks_,
                       .go_on = go_on});
  if (!result) return std::nullopt;
  result->step = state.step;
  result->split = split;
  result->is_final = is_final;
  if (!is_final) result->segments.clear();
  return result;
}

std::string RunContext::samples_drawn() const {
  return data_->drawn(state.step + state.skipped_batches);
}

std::string RunContext::attention() const {
  if (!gpu_ || !programs_->training().tape().options().bf16_storage) return "own";
  if (config_.data.reset_at_documents) return "own: with a block-diagonal mask";
  return gpu_->attention();
}

std::map<std::string, std::string> RunContext::facts() const {
  const ModelCounts counts = count_model(config_.model, config_.training.context);
  const auto number = [](auto value) { return fmt::format("{}", value); };
  const auto& training = config_.training;
  const bool reads = config_.model.architecture == Architecture::meta_state;
  std::map<std::string, std::string> facts = config_.match;
  facts.insert({
      {"arm", config_.arm},
      {"architecture", name_of(config_.model.architecture)},
      {"read_out", reads ? name_of(config_.model.read_out) : "none"},
      {"read_state", reads ? name_of(config_.model.read_state) : "none"},
      {"size", config_.size},
      {"length", config_.length},
      {"seed", number(config_.seed)},
      {"sweep", config_.sweep},
      {"parameters", number(counts.parameters)},
      {"non_embedding_parameters", number(counts.non_embedding_parameters)},
      {"flops_per_token", number(counts.flops_per_token)},
      {"executed_flops_per_token", number(programs_->executed_flops_per_token())},
      {"training_flops", number(flops_(double(training.steps) * double(training.batch_tokens)))},
      {"tokens_planned", number(training.steps * training.batch_tokens)},
      {"steps_planned", number(training.steps)},
      {"batch_tokens", number(training.batch_tokens)},
      {"context", number(training.context)},
      {"precision", name_of(training.precision)},
      {"data_name", config_.data.name},
      {"data_digest", state.data_fingerprint},
      {"device", gpu_ ? gpu_->info().name : "cpu"},
      {"processor", state.processor},
      {"attention", attention()},
      {"threads", number(state.threads)},
      {"micro_batch", number(state.micro_batch)},
      {"ranks", number(state.ranks)},
      {"layers", number(config_.model.layers)},
      {"width", number(config_.model.width)},
      {"head_size", number(config_.model.head_size)},
      {"feed_forward", number(config_.model.feed_forward)},
      {"activation_bytes", number(programs_->training().bytes())},
  });
  facts.merge(data_->facts());
  facts.merge(lineage_facts(config_));
  if (const auto residual = match_residual(config_.match))
    facts[std::string(match_residual_fact)] = number(*residual);
  expect_complete(match_key_of(facts));
  return facts;
}

}  // namespace metascale
