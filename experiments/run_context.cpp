#include "experiments/run_context.hpp"

#include <fmt/format.h>
#include <omp.h>

#include <cmath>

#include "core/match_key.hpp"
#include "experiments/evaluation.hpp"
#include "experiments/plan.hpp"
#include "experiments/schedule.hpp"

namespace metascale {
namespace {

// Windows of one forward when the configuration leaves it to us: as many as keep activations below this.
constexpr std::size_t comfortable_bytes = std::size_t(1) << 30;

TapeOptions tape_options(const TrainingConfig& training, bool for_training) {
  return {.dtype = training.precision == Precision::f64 ? Dtype::f64 : Dtype::f32,
          .bf16 = training.precision == Precision::bf16,
          .training = for_training,
          .recompute = training.recompute};
}

void refuse_what_is_not_built(const RunConfig& config) {
  if (config.device == Device::cuda)
    throw Error("device: cuda: this program was built for the CPU only; use device: cpu",
                ExitCode::unavailable);
  if (config.training.wkv == WkvForm::chunked)
    throw Error("training.wkv: chunked is a form of the GPU kernels; on the CPU use scan or auto",
                ExitCode::usage);
  if (config.training.non_finite == NonFinite::roll_back)
    throw Error("policy.non_finite: roll_back is not built yet; use stop or skip", ExitCode::usage);
  if (config.data.reset_at_documents)
    throw Error("data.reset_at_documents: true is not built yet; use false", ExitCode::usage);
  if (config.evaluation.protocol != "packed_windows")
    throw Error(fmt::format("evaluation.protocol: {} is not built yet; use packed_windows",
                            config.evaluation.protocol),
                ExitCode::usage);
}

// Somebody else's file says nothing of its ids: they are held against the tokenizer's.
TokenFile open_tokens(const std::filesystem::path& path, const Tokenizer& tokenizer) {
  TokenFile file(path, {.vocabulary = tokenizer.vocabulary(),
                        .end_of_document = tokenizer.end_of_document()});
  if (file.has_info() && file.info().tokenizer_identity != tokenizer.identity())
    throw Error(fmt::format("{}: made with tokenizer {}, but the run's is {}; prepare it anew",
                            path.string(), file.info().tokenizer_identity, tokenizer.identity()),
                ExitCode::usage);
  return file;
}

const RunConfig& checked(const RunConfig& config) {
  refuse_what_is_not_built(config);
  return config;
}

Order order_of(const RunConfig& config, const TokenFile& file) {
  return make_order(parse_order_kind(config.data.order),
                    mix_seeds(config.data.order_seed, config.seed), file.tokens(),
                    config.training.context);
}

}  // namespace

RunContext::RunContext(const RunConfig& config, const std::optional<TrainingState>& start)
    : config_(checked(config)),
      tokenizer_(make_tokenizer(config.data.tokenizer)),
      train_(open_tokens(config.data.train, *tokenizer_)),
      batches_(train_, order_of(config, train_), config.training.context,
               config.training.batch_tokens / config.training.context) {
  if (train_.vocabulary() > config.model.vocabulary)
    throw Error(fmt::format("data.vocabulary: {} ids are too few: {} was made with {}",
                            config.model.vocabulary, config.data.train.string(),
                            train_.vocabulary()),
                ExitCode::usage);
  if (start) state = *start;
  state.data_fingerprint = train_.fingerprint();
  if (start && start->data_fingerprint != state.data_fingerprint)
    throw Error(fmt::format("{}: not the tokens that this run was trained on so far (fingerprint "
                            "{}, checkpoint {})",
                            config.data.train.string(), state.data_fingerprint,
                            start->data_fingerprint),
                ExitCode::bad_input);
  if (!start) {
    state.threads = config.threads > 0 ? config.threads : omp_get_num_procs();
    state.micro_batch = config.training.micro_batch > 0 ? config.training.micro_batch
                                                        : micro_batch_for(batches_.rows());
  }
  queue_.cpu.threads = int(state.threads);
  const ProgramOptions options{.rows = state.micro_batch,
                               .context = config.training.context,
                               .tape = tape_options(config.training, true)};
  training_ = std::make_unique<Program>(config.model, options, list_);
  memory_ = std::make_unique<ParameterMemory>(list_, Device::cpu, options.tape.dtype);
  training_->allocate(Device::cpu, *memory_);
  optimizer_ = std::make_unique<Optimizer>(config.training.optimizer, list_, *memory_);
  flops_per_token_ = count_model(config.model, config.training.context).flops_per_token;
}

// The largest divisor of the batch whose activations stay comfortable.
std::int64_t RunContext::micro_batch_for(std::int64_t rows) const {
  for (std::int64_t parts = 1; parts < rows; ++parts) {
    if (rows % parts != 0) continue;
    ParameterList list;
    const Program plan(config_.model,
                       {.rows = rows / parts,
                        .context = config_.training.context,
                        .tape = tape_options(config_.training, true)},
                       list);
    if (plan.bytes() <= comfortable_bytes) return rows / parts;
  }
  return 1;
}

double RunContext::accumulate_gradients() {
  const std::int64_t T = config_.training.context, B = state.micro_batch;
  std::vector<float> weights(std::size_t(B * T));
  const double total = double(batches_.rows() * T);  // every target of a training window is scored
  double nats = 0;
  optimizer_->clear_gradients();
  for (std::int64_t row = 0; row < batches_.rows(); row += B) {
    batches_.fill(state.step, row,
                  {.rows = B,
                   .context = T,
                   .tokens = training_->tokens(),
                   .targets = training_->targets(),
                   .weights = weights.data()});
    for (std::int64_t i = 0; i < B * T; ++i)
      training_->set_scale(i, double(weights[std::size_t(i)]) / total);
    training_->execute(queue_);
    for (std::int64_t i = 0; i < B * T; ++i)
      nats += double(weights[std::size_t(i)]) * training_->loss(i);
  }
  return nats / total;
}

StepRow RunContext::train_step() {
  StepRow row{.step = state.step + 1};
  row.loss = accumulate_gradients();
  row.gradient_norm = optimizer_->gradient_norm(queue_);
  row.learning_rate = learning_rate(config_.training, row.step);
  if (std::isfinite(row.loss) && std::isfinite(row.gradient_norm))
    optimizer_->update(queue_, row.learning_rate, row.gradient_norm, row.step);
  state.digest = batches_.digest(state.digest, state.step);
  state.step = row.step;
  state.tokens += config_.training.batch_tokens;
  row.tokens = state.tokens;
  row.flops = double(state.tokens) * flops_per_token_;
  row.digest = state.digest;
  return row;
}

std::optional<Evaluation> RunContext::evaluate_split(const std::string& split, bool is_final,
                                                     const std::function<bool()>& go_on) {
  const auto& path = split == "test" ? config_.data.test : config_.data.validation;
  const TokenFile file = open_tokens(path, *tokenizer_);
  const EvaluationWindows windows(
      file, *tokenizer_, config_.training.context,
      is_final ? config_.evaluation.final_windows : config_.evaluation.windows);
  if (!evaluation_) {
    evaluation_ = std::make_unique<Program>(
        config_.model,
        ProgramOptions{.rows = state.micro_batch,
                       .context = config_.training.context,
                       .tape = tape_options(config_.training, false)},
        list_);
    evaluation_->allocate(Device::cpu, *memory_);
  }
  auto result = evaluate(*evaluation_, queue_, windows, go_on);
  if (!result) return std::nullopt;
  result->step = state.step;
  result->split = split;
  result->is_final = is_final;
  if (!is_final) result->segments.clear();
  return result;
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
      {"training_flops",
       number(counts.flops_per_token * double(training.steps) * double(training.batch_tokens))},
      {"tokens_planned", number(training.steps * training.batch_tokens)},
      {"steps_planned", number(training.steps)},
      {"batch_tokens", number(training.batch_tokens)},
      {"context", number(training.context)},
      {"precision", name_of(training.precision)},
      {"tokenizer", tokenizer_->identity()},
      {"data_name", config_.data.name},
      {"data_digest", state.data_fingerprint},
      {"data_order", fmt::format("{}, seeds {} and {}", config_.data.order,
                                 config_.data.order_seed, config_.seed)},
      {"evaluation", config_.evaluation.protocol + ", " +
                         (config_.evaluation.final_windows > 0
                              ? fmt::format("{} windows", config_.evaluation.final_windows)
                              : std::string("all windows"))},
      {"device", "cpu"},
      {"threads", number(state.threads)},
      {"micro_batch", number(state.micro_batch)},
      {"layers", number(config_.model.layers)},
      {"width", number(config_.model.width)},
      {"head_size", number(config_.model.head_size)},
      {"feed_forward", number(config_.model.feed_forward)},
      {"activation_bytes", number(training_->bytes())},
      {"epochs_planned", number(batches_.epochs(training.steps))},
  });
  expect_complete(match_key_of(facts));
  return facts;
}

}  // namespace metascale
