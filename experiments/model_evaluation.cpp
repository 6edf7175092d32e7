#include "experiments/model_evaluation.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "data/tokenizer.hpp"
#include "experiments/evaluation.hpp"

namespace metascale {
namespace {

TokenFile open_for(const StoredModel& stored, const ModelEvaluationOptions& options,
                   const Tokenizer& tokenizer) {
  const std::filesystem::path& path = options.data;
  TokenFile file(path, {.vocabulary = tokenizer.vocabulary(),
                        .end_of_document = tokenizer.end_of_document(),
                        .layout = options.layout ? *options.layout
                                                 : parse_token_layout(stored.run.data.format)});
  if (file.vocabulary() > stored.run.model.vocabulary)
    throw Error(
        fmt::format("{}: its tokenizer has {} ids, but the model {} knows {}; give a file of the "
                    "model's tokenizer",
                    path.string(), file.vocabulary(), stored.run.id, stored.run.model.vocabulary),
        ExitCode::usage);
  return file;
}

// A window larger than the data would be padding, and take memory without end. That of the training
// is nobody's wish, and may be larger.
void expect_window_fits(const TokenFile& file, const ModelEvaluationOptions& options) {
  if (options.context > 0 && options.context >= file.tokens())
    throw Error(fmt::format("{}: has {} tokens, in which no window of {} fits; give {}more text",
                            options.data.string(), file.tokens(), options.context,
                            file.tokens() < 2
                                ? ""
                                : fmt::format("a --context of at most {}, or ", file.tokens() - 1)),
                ExitCode::usage);
}

}  // namespace

Evaluation evaluate_model(const StoredModel& stored, const ModelEvaluationOptions& options) {
  const auto tokenizer = make_tokenizer(stored.run.data.tokenizer);
  const TokenFile file = open_for(stored, options, *tokenizer);
  expect_window_fits(file, options);
  const std::int64_t context = options.context > 0 ? options.context : stored.run.training.context;
  const EvaluationWindows windows(file, *tokenizer, context, options.windows, options.protocol,
                                  options.domains);
  const Dtype dtype = stored.run.training.precision == Precision::f64 ? Dtype::f64 : Dtype::f32;
  LoadedModel model = load_model(stored, dtype);
  const std::int64_t rows = std::clamp<std::int64_t>(options.rows, 1, windows.size());
  ParameterList list;
  Program program(model.model,
                  {.rows = rows,
                   .context = context,
                   .tape = {.dtype = dtype, .training = false},
                   .reset_at_documents = stored.run.data.reset_at_documents},
                  list);
  program.allocate(Device::cpu, model.memory);
  Queue queue;
  queue.cpu.threads = options.threads;
  std::int64_t done = 0;
  auto result = evaluate(program, queue, windows, [&] {
    const double part = double(std::min(done, windows.size())) / double(windows.size());
    done += rows;
    return options.progress(part);
  });
  if (!result)
    throw Error("the evaluation was stopped before its end; start it again", ExitCode::interrupted);
  result->step = stored.step;
  result->split = token_file_stem(options.data).filename().string();
  result->is_final = true;
  return *result;
}

}  // namespace metascale
