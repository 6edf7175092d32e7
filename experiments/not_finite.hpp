// Where a step that gave no number went wrong.
#pragma once

#include <string>

#include "experiments/program.hpp"

namespace metascale {

// Executes the program on the inputs that it holds and looks at what each operator leaves: "the
// first number that is not finite is in Wkv7Forward.y, operator 57 of 412, behind the parameter
// blocks.3..."; "" where all are finite. The gradients are added to, as by any execution.
std::string first_not_finite(Program& program, Queue& queue);

}  // namespace metascale
