// Evaluation of a model on fixed windows: sums of nats per (window, document) segment, per domain,
// by position.
#pragma once

#include <functional>
#include <optional>

#include "core/communicator.hpp"
#include "core/run_file.hpp"
#include "data/evaluation_windows.hpp"
#include "experiments/program.hpp"

namespace metascale {

// Runs program (forward only, with losses) over all of windows. Losses are summed in f64 in the
// order of windows and positions: the sums depend neither on the program's rows nor on threads
// beyond the losses' own bits. The caller sets step, split, is_final and whether segments are kept.
// go_on is asked between batches; when it says no, there is no result. ranks: that share the
// windows, batch by batch, and all get the result, whose bits do not depend on their number; go_on
// says the same to all. Null: one. A program that resets at documents has a protocol and a digest
// of its own: that of the windows and of the resets.
std::optional<Evaluation> evaluate(
    Program& program, Queue& queue, const EvaluationWindows& windows,
    const std::function<bool()>& go_on = [] { return true; }, Communicator* ranks = nullptr);

// Bins of the loss by position: 0, 1, 2-3, 4-7, ... up to context - 1.
std::vector<PositionRow> position_bins(std::int64_t context);

}  // namespace metascale
