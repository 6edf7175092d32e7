// The rules of the house, each a function from what stands in files to what breaks the rule there.
#pragma once

#include <string>
#include <vector>

namespace metascale::house {

struct File {
  std::string path;  // from the top folder, with '/'
  std::string text;
};

// One sentence per violation: "path:line: what is wrong".
using Violations = std::vector<std::string>;

Violations wrong_includes(const File& file);  // of a C++ file: rooms, privacy, "../", CUDA
Violations wrong_links(
    const File& cmake_lists);              // of a room's CMakeLists.txt: only along the arrows
Violations wrong_style(const File& file);  // ASCII, machine paths
Violations wrong_code(const File& file);   // length, <<<, JSON, Eigen, statics, #ifdef of a backend
Violations unlisted_sources(const File& cmake_lists, const std::vector<File>& files);

// Operators of kernels/*.hpp (structs with a check()) for which no test of tests/kernels compares
// gradients with differences, or none expects the refusal of a wrong shape. A case of kernels/cases
// counts for what it holds, where such a test runs it. GPU tests count for nothing: they compare
// with the CPU.
Violations untested_operators(const std::vector<File>& files);

// Links and commands of a page of documentation.
struct Mention {
  int line;
  std::string what;
};
std::vector<Mention> links_in(const File& page);    // targets of [text](target), not of the web
std::vector<Mention> scripts_in(const File& page);  // ./name.sh
std::vector<Mention> verbs_in(
    const File& page);  // first word after the program's name in a command

}  // namespace metascale::house
