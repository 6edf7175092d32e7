// One run: configuration -> model -> steps -> run.h5. Starts, goes on where a checkpoint left off,
// stops when asked, and leaves the run's folder so that it can be started again at any moment.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "core/communicator.hpp"
#include "core/error.hpp"
#include "core/run_file.hpp"
#include "experiments/config.hpp"

namespace metascale {

// What a run was asked to do while it runs.
enum class StopRequest { none, save, interrupt };  // save: TERM or USR2; interrupt: INT

struct TrainHooks {
  std::function<StopRequest()> stop = [] { return StopRequest::none; };  // asked after each step
  std::function<void(const StepRow&)> on_step = [](const StepRow&) {};
  // The last step is made; on a large split this takes longer than any step did.
  std::function<void(const std::string& split)> on_final_evaluation = [](const std::string&) {};
  std::function<void(const Evaluation&)> on_evaluation = [](const Evaluation&) {};
  std::function<void(const std::string&)> on_message = [](const std::string&) {};
  double renewal_seconds = 20;  // of the lease on the run's folder
};

// Trains the run in this folder (config.yaml is there) to its end or until it is stopped. ranks:
// that train it together; all of them call this, with the same folder. Rank 0 alone writes there;
// where it is lost, the first of the others writes FAILED. A stop that any rank is asked for stops
// all after the same step. Returns good (DONE is written last), saved or interrupted. Throws Error,
// and FAILED says why: run_failed (non-finite, out of memory, a rank lost: RankLost), usage,
// bad_input, io; or unavailable (another process trains this run), which leaves the folder as it
// is. After an Error no rank can go on with ranks.
ExitCode train(const std::filesystem::path& run_folder, const TrainHooks& hooks,
               Communicator& ranks);
ExitCode train(const std::filesystem::path& run_folder, const TrainHooks& hooks);  // one rank

// FAILED and the last word of state.json, for a run that ended before any rank could write them.
// What was written before still stands. rank: that writes; rank 0, and who starts the ranks, does
// so only where no other process works on the run, which its lease tells.
void mark_failed(const std::filesystem::path& run_folder, const std::string& why, int rank = 0);

bool can_train_on(Device device);  // whether this program was built for it

}  // namespace metascale
