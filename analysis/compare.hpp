// Two runs, or two evaluations of models, side by side: `metascale compare A B`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "analysis/collect.hpp"
#include "analysis/paired.hpp"
#include "core/error.hpp"

namespace metascale {

struct CompareOptions {
  // "meta_state < transformer": arms or run ids, of files their paths or names without the ending;
  // empty: none.
  std::string assertion;
  // Runs that are not done: validation loss at the last step of both.
  bool trim_to_shortest = false;
  PairedOptions paired;
};

struct CompareResult {
  std::string first, second;         // run ids, or files
  std::vector<std::string> reasons;  // why they are not comparable; empty: they are
  bool has_interval = false;         // false when trimmed: a single number each
  PairedResult result;               // second minus first
  double assumed_deviation = 0;      // of one run, relative: both are single runs
  // What was scored: "test, packed_windows, 64 of 8755 windows, tokenizer bytes v1"; of files,
  // which do not tell, the digest of the windows. Empty where they are not comparable.
  std::string scored;
  std::int64_t step = 0;         // of the losses compared
  std::int64_t second_step = 0;  // the same, but for two files, which may differ in it
  std::string assertion;
  bool asserted_holds = true;  // true without an assertion
  bool is_decided() const { return reasons.empty() && result.with_seeds.known(); }

  // assertion where the pair is not comparable or the assertion does not hold, good otherwise.
  ExitCode exit_code() const;
  std::string text() const;
  std::string json() const;
};

// Two run folders, or two files of segments [core/journal.hpp], a run's own or those of `metascale
// eval --out`: these are comparable where their evaluations scored the same windows, by the digest.
// Throws Error{bad_input} if a folder holds no readable run or a file no segments, Error{usage} for
// a path that is not there, a folder beside a file, or an assertion that names neither.
CompareResult compare(const std::filesystem::path& first, const std::filesystem::path& second,
                      const CompareOptions& options = {});
CompareResult compare(const Run& first, const Run& second, const CompareOptions& options = {});

}  // namespace metascale
