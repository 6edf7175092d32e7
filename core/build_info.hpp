// What this program is: version, commit, compiler, libraries. Logged with every run.
#pragma once

#include <map>
#include <string>

namespace metascale {

// "version", "commit", "compiler", "build_type", "hdf5", "cuda" ... ; "unknown" is said where so.
std::map<std::string, std::string> build_info();

}  // namespace metascale
