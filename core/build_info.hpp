// What this program is: version, commit, compiler, libraries. Logged with every run.
#pragma once

#include <map>
#include <string>

namespace metascale {

// "version", "commit", "compiler", "build_type", "hdf5" and other libraries. The commit of the last
// build: "1234567890ab", "1234567890ab+changes" of a changed tree, "unknown" [core/commit.cmake].
std::map<std::string, std::string> build_info();

}  // namespace metascale
