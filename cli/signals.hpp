// Signals as a question that the training loop asks after each step.
#pragma once

#include "experiments/trainer.hpp"

namespace metascale {

// From now on TERM and USR2 ask to save and stop, INT to save and stop as interrupted; a second INT ends
// the program at once.
void catch_stop_signals();
StopRequest stop_request();

}  // namespace metascale
