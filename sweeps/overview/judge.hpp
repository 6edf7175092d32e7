// How a run stands by what its files tell and what the batch system says of its job.
#pragma once

#include <optional>

#include "sweeps/attempt.hpp"
#include "sweeps/overview.hpp"

namespace metascale {

// What a run's files tell of its newest hand-over, beside its status.
struct Traces {
  // Nothing yet of that hand-over, or of its newest attempt: silence is not counted from what an
  // earlier one said.
  bool has_yet_to_speak = false;

  struct LastAttempt {
    AttemptEnd end = AttemptEnd::running;
    int exit_code = 0;
    double seconds = 0;  // since it began where it runs, else since it ended
  };
  std::optional<LastAttempt> attempt;  // nothing where that hand-over has made none
};

// Sets a run's word, node and message; `in_queue` is what the batch system said of it before.
// has_answer: the batch system answered at all.
void judge(RunOverview& run, const Traces& traces, bool has_answer);

}  // namespace metascale
