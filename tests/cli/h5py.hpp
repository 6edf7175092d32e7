// run.h5 as people open it: from outside, by h5py and the three lines of docs/log-schema.md.
#pragma once

#include <catch2/catch.hpp>
#include <cstdint>
#include <filesystem>
#include <string>

#include "core/command.hpp"

namespace metascale::testing {

// False without python3-h5py, which is said: "skipped: ...".
inline bool has_h5py() {
  static const bool found = run_command({"/usr/bin/python3", "-c", "import h5py"}).good();
  if (!found) WARN("skipped: opening run.h5 by h5py; python3-h5py is not installed");
  return found;
}

// Opens it and returns how many steps it holds: each once, from 1 on, with a finite loss.
inline std::int64_t steps_that_h5py_sees(const std::filesystem::path& run_file) {
  const CommandResult opened =
      run_command({"/usr/bin/python3", "-c",
                   "import h5py, sys\n"
                   "log = h5py.File(sys.argv[1], 'r')\n"
                   "step, loss = log['steps/step'][:], log['steps/loss'][:]\n"
                   "assert list(step) == list(range(1, len(step) + 1)), step\n"
                   "assert ((loss > 0) & (loss < 20)).all(), loss\n"
                   "print(len(step))\n",
                   run_file.string()});
  INFO(opened.output << opened.error);
  REQUIRE(opened.good());
  return std::stoll(opened.output);
}

}  // namespace metascale::testing
