// Signals as a question that the training loop asks after each step.
//
// They are blocked and asked for, never handled: a handler that interrupts oneDNN 2.6's generated
// matrix products leaves a damaged heap (seen after one TERM in ten, on AVX-512).
#pragma once

#include "experiments/trainer.hpp"

namespace metascale {

// From now on TERM and USR2 ask to save and stop, INT to save and stop as interrupted; a second INT
// ends the program at once. Call it before any thread is made.
void catch_stop_signals();
StopRequest stop_request();
// The same question, answered by the signal that came last; 0: none came.
int stop_signal();
// Each of them ends the program again.
void release_stop_signals();

}  // namespace metascale
