// A run on token files.
#include <fmt/format.h>

#include <algorithm>

#include "data/evaluation_windows.hpp"
#include "data/tokenizer.hpp"
#include "experiments/evaluation.hpp"
#include "experiments/run_data.hpp"

namespace metascale {
namespace {

// Somebody else's file says nothing of its ids: they are held against the tokenizer's.
TokenFile open_tokens(const std::filesystem::path& path, const DataConfig& data,
                      const Tokenizer& tokenizer) {
  TokenFile file(path, {.vocabulary = tokenizer.vocabulary(),
                        .end_of_document = tokenizer.end_of_document(),
                        .layout = parse_token_layout(data.format)});
  if (file.has_info() && file.info().tokenizer_identity != tokenizer.identity())
    throw Error(fmt::format("{}: made with tokenizer {}, but the run's is {}; prepare it anew",
                            path.string(), file.info().tokenizer_identity, tokenizer.identity()),
                ExitCode::usage);
  return file;
}

std::unique_ptr<SampleOrder> order_of(const RunConfig& config, const TokenFile& file) {
  const TrainingConfig& training = config.training;
  return make_sample_order(file,
                           {.kind = parse_order_kind(config.data.order),
                            .order_seed = config.data.order_seed,
                            .run_seed = config.seed,
                            .context = training.context,
                            .samples = training.steps * (training.batch_tokens / training.context),
                            .mixture = parse_mixture(config.data.mixture)});
}

// "Books 120 (0.5 epochs), Essays 40 (2 epochs)": samples by domain.
std::string words_of(const std::vector<DrawnDomain>& drawn) {
  std::string words;
  for (const DrawnDomain& row : drawn)
    words += fmt::format("{}{} {} ({:.4g} epochs)", words.empty() ? "" : ", ", row.domain,
                         row.samples, row.epochs());
  return words;
}

class TokenData final : public RunData {
 public:
  explicit TokenData(const RunConfig& config)
      : config_(config),
        tokenizer_(make_tokenizer(config.data.tokenizer)),
        train_(open_tokens(config.data.train, config.data, *tokenizer_)),
        batches_(train_, order_of(config, train_), config.training.context,
                 config.training.batch_tokens / config.training.context) {
    if (train_.vocabulary() > config.model.vocabulary)
      throw Error(
          fmt::format("data.vocabulary: {} ids are too few: {} was made with {}",
                      config.model.vocabulary, config.data.train.string(), train_.vocabulary()),
          ExitCode::usage);
    check_evaluation_domains();
  }

  std::int64_t rows() const override { return batches_.rows(); }
  std::int64_t scored_in_step() const override { return batches_.rows() * batches_.context(); }
  void fill(std::int64_t step, std::int64_t first_row, const Batch& batch) const override {
    batches_.fill(step, first_row, batch);
  }
  std::uint64_t digest(std::uint64_t before, std::int64_t step) const override {
    return batches_.digest(before, step);
  }
  std::string fingerprint() const override { return train_.fingerprint(); }
  std::string words() const override { return config_.data.train.string(); }

  std::map<std::string, std::string> facts() const override {
    const DataConfig& data = config_.data;
    const std::int64_t steps = config_.training.steps;
    const char* const reset = data.reset_at_documents ? ", reset at documents" : "";
    return {{"tokenizer", tokenizer_->identity()},
            {"data_order",
             fmt::format("{}, seeds {} and {}{}{}", data.order, data.order_seed, config_.seed,
                         data.mixture == "as_stored" ? "" : ", " + data.mixture, reset)},
            {"samples_planned", drawn(steps)},
            {"epochs_planned", fmt::format("{}", batches_.epochs(steps))},
            {"evaluation", config_.evaluation.protocol + ", " +
                               (config_.evaluation.final_windows > 0
                                    ? fmt::format("{} windows", config_.evaluation.final_windows)
                                    : std::string("all windows")) +
                               only_words() + reset}};
  }

  std::string drawn(std::int64_t steps) const override { return words_of(batches_.drawn(steps)); }

  std::optional<Evaluation> evaluate(const std::string& split, bool is_final,
                                     const Evaluator& with) override {
    const auto& path = split == "test" ? config_.data.test : config_.data.validation;
    const TokenFile file = open_tokens(path, config_.data, *tokenizer_);
    const EvaluationWindows windows(
        file, *tokenizer_, config_.training.context,
        is_final ? config_.evaluation.final_windows : config_.evaluation.windows,
        parse_evaluation_protocol(config_.evaluation.protocol), config_.evaluation.domains);
    Program& program = with.program(with.micro_batch, config_.training.context);
    return metascale::evaluate(program, with.queue, windows, with.go_on, &with.ranks);
  }

 private:
  // Before the first step, and without a look at test.
  void check_evaluation_domains() const {
    const auto& there = train_.domains();
    for (const std::string& name : config_.evaluation.domains)
      if (std::find(there.begin(), there.end(), name) == there.end())
        throw Error(fmt::format("evaluation.domains: '{}' is no domain of {}; there are {}", name,
                                config_.data.train.string(), fmt::join(there, ", ")),
                    ExitCode::usage);
  }
  std::string only_words() const {
    const auto& domains = config_.evaluation.domains;
    return domains.empty() ? "" : fmt::format(", only {}", fmt::join(domains, ", "));
  }

  const RunConfig& config_;
  std::unique_ptr<Tokenizer> tokenizer_;
  TokenFile train_;
  Batches batches_;
};

}  // namespace

std::unique_ptr<RunData> open_token_data(const RunConfig& config) {
  return std::make_unique<TokenData>(config);
}

std::unique_ptr<RunData> open_run_data(const RunConfig& config) {
  return config.data.probe.exists() ? open_probe_data(config) : open_token_data(config);
}

}  // namespace metascale
