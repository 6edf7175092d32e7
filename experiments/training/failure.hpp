// A run that fails says why in its folder, whatever was thrown.
#pragma once

#include <filesystem>
#include <functional>

#include "core/communicator.hpp"
#include "core/error.hpp"

namespace metascale {

// Calls body; what it throws is written to run_folder/FAILED and to the heartbeat, by rank 0, or,
// where that is lost, by the first of the others. Error{unavailable} leaves the folder as it is:
// another process works there. Throws Error: as it was thrown; run_failed for memory that ran out;
// io for std::filesystem's; internal for any other std::exception.
ExitCode or_failed(const std::filesystem::path& run_folder, const Communicator& ranks,
                   const std::function<ExitCode()>& body);

}  // namespace metascale
