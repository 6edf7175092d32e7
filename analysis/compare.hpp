// Two runs side by side: `metascale compare A B`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "analysis/collect.hpp"
#include "analysis/paired.hpp"
#include "core/error.hpp"

namespace metascale {

struct CompareOptions {
  std::string assertion;  // "meta_state < transformer": arms or run ids; empty: none
  bool trim_to_shortest =
      false;  // runs that are not done: validation loss at the last step of both
  PairedOptions paired;
};

struct CompareResult {
  std::string first, second;         // run ids
  std::vector<std::string> reasons;  // why they are not comparable; empty: they are
  bool has_interval = false;         // false when trimmed: a single number each
  PairedResult result;               // second minus first
  std::int64_t step = 0;             // of the losses compared
  std::string assertion;
  bool asserted_holds = true;  // true without an assertion

  // assertion where the pair is not comparable or the assertion does not hold, good otherwise.
  ExitCode exit_code() const;
  std::string text() const;
  std::string json() const;
};

// Throws Error{bad_input} if a folder holds no readable run, Error{usage} for an assertion that
// names neither run.
CompareResult compare(const std::filesystem::path& first, const std::filesystem::path& second,
                      const CompareOptions& options = {});
CompareResult compare(const Run& first, const Run& second, const CompareOptions& options = {});

}  // namespace metascale
