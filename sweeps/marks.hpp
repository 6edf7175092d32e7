// What a run's folder says of its end, taken back: it is to be started again.
#pragma once

#include <filesystem>
#include <string>

namespace metascale {

// Removes FAILED; state.json then says that the run is saved, or pending, and why.
void forget_failure(const std::filesystem::path& run_folder, const std::string& message);

}  // namespace metascale
