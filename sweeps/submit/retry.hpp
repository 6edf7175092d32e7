// Runs that are over are made ready to be handed over again, unless their job keeps them.
#pragma once

#include <string>
#include <vector>

#include "sweeps/submit.hpp"

namespace metascale {

// Takes the marks of these runs away; waits, up to half a minute, for a job to end whose runs are
// all over. Returns the runs that keep their marks, and why; verb: what a person calls later.
// Throws Error{unavailable} before any mark is taken away where the batch system does not answer.
std::vector<LeftOut> take_marks_away(const Ledger& ledger, const std::vector<std::string>& runs,
                                     const std::string& verb);

}  // namespace metascale
