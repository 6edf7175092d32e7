// When a run is given up that its job could start again: FAILED then says why, and its last attempt
// counts as failed, so that a retry begins to count anew.
#pragma once

#include <filesystem>
#include <string>

#include "sweeps/submission.hpp"

namespace metascale {

// Why it was given up; empty: it was not.
//
// Its last attempts were all cut off by their time limit before they could write a checkpoint.
std::string give_up_stalled(const std::filesystem::path& run_folder, const Submission& submission);
// Its last attempt ended badly, on several nodes (Outcome::lost), and too many did so in a row
// without a new checkpoint. code, reason: of that attempt.
std::string give_up_lost(const std::filesystem::path& run_folder, const Submission& submission,
                         int code, const std::string& reason);

}  // namespace metascale
