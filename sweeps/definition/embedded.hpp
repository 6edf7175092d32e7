// Texts that the build puts into the program [sweeps/CMakeLists.txt].
#pragma once

namespace metascale {

extern const char* const embedded_sizes;
extern const char* const embedded_optimizer;

}  // namespace metascale
