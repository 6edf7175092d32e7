// A run on a probe.
#include <fmt/format.h>

#include "core/hash.hpp"
#include "experiments/probe_evaluation.hpp"
#include "experiments/run_data.hpp"

namespace metascale {
namespace {

class ProbeData final : public RunData {
 public:
  explicit ProbeData(const RunConfig& config)
      : config_(config),
        batches_(config.data.probe.config, config.training.context,
                 config.training.batch_tokens / config.training.context,
                 probe_seed("train", config.data.order_seed, config.seed)) {
    const std::int64_t needed = batches_.probe().vocabulary();
    if (config.model.vocabulary < needed)
      throw Error(fmt::format("model.vocabulary: {} ids are too few: the probe {} has {}",
                              config.model.vocabulary, batches_.probe().identity(), needed),
                  ExitCode::usage);
  }

  std::int64_t rows() const override { return batches_.rows(); }
  std::int64_t scored_in_step() const override { return batches_.scored(); }
  void fill(std::int64_t step, std::int64_t first_row, const Batch& batch) const override {
    batches_.fill(step * batches_.rows() + first_row, batch);
  }
  std::uint64_t digest(std::uint64_t before, std::int64_t step) const override {
    return batches_.digest(before, step);
  }
  std::string fingerprint() const override {
    return sha256_hex(batches_.probe().identity()).substr(0, 16);
  }
  std::string words() const override { return "the probe " + batches_.probe().identity(); }

  std::string drawn(std::int64_t) const override { return ""; }
  std::map<std::string, std::string> facts() const override {
    const ProbeSettings& probe = config_.data.probe;
    return {{"tokenizer", "none"},
            {"data_order",
             fmt::format("generated, seeds {} and {}", config_.data.order_seed, config_.seed)},
            {"evaluation",
             fmt::format("probe, {} examples of {} tokens", probe.examples,
                         fmt::join(tested_lengths(probe, config_.training.context), ", "))},
            {"probe", batches_.probe().identity()},
            {"probe_task", name_of(probe.config.task)},
            {"probe_chance", fmt::format("{}", batches_.probe().chance())}};
  }

  std::optional<Evaluation> evaluate(const std::string& split, bool is_final,
                                     const Evaluator& with) override {
    const ProbeSettings& probe = config_.data.probe;
    const std::int64_t context = config_.training.context, fewer = config_.evaluation.windows;
    const std::vector<std::int64_t> lengths =
        is_final ? tested_lengths(probe, context) : std::vector{context};
    return evaluate_probe(config_, lengths, !is_final && fewer > 0 ? fewer : probe.examples,
                          probe_seed(split, config_.data.order_seed, config_.seed), with);
  }

 private:
  const RunConfig& config_;
  ProbeBatches batches_;
};

}  // namespace

std::unique_ptr<RunData> open_probe_data(const RunConfig& config) {
  return std::make_unique<ProbeData>(config);
}

}  // namespace metascale
