// What the verbs on a sweep file share: the file, --set, --results, --only and --skip.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "sweeps/run_sweep.hpp"

namespace metascale {

struct SweepFile {
  std::filesystem::path file, results = "results";
  std::vector<std::string> set, only, skip;

  // All throw as their readers do.
  Definition definition() const { return read_definition(file, set); }
  Ledger ledger(const Definition& definition) const { return Ledger(results / definition.name); }
  // The runs that --only and --skip leave, with the rates of the tuning that is done.
  Resolution runs(const Definition& definition, const Ledger& ledger) const;
};

void add_sweep_file(CLI::App& verb, SweepFile& options);  // file, --set, --results
void add_selection(CLI::App& verb, SweepFile& options);   // --only, --skip

}  // namespace metascale
