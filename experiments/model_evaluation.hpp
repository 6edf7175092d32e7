// Evaluation of a model on disk, outside of its training: any token file, either protocol.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "core/run_file.hpp"
#include "data/evaluation_windows.hpp"
#include "experiments/stored_model.hpp"

namespace metascale {

struct ModelEvaluationOptions {
  std::filesystem::path data;  // a token file of the tokenizer that the model was trained with
  EvaluationProtocol protocol = EvaluationProtocol::packed_windows;
  std::optional<TokenLayout> layout;  // of data; nothing: that of the run's token files
  std::vector<std::string> domains;   // that are scored; empty: all
  std::int64_t context = 0;           // 0: that of its training; else less than data's tokens
  std::int64_t windows = 0;           // 0: all
  std::int64_t rows = 8;              // windows of one forward
  int threads = 1;
  std::function<bool(double part)> progress = [](double) { return true; };  // false: stop
};

// On the CPU, in f64 where the run was trained in it, else in f32. Segments are kept; split is the
// file's name. Throws Error{bad_input} and Error{usage} as the readers do, Error{interrupted} where
// progress said stop.
Evaluation evaluate_model(const StoredModel& stored, const ModelEvaluationOptions& options);

}  // namespace metascale
