#include "cli/sweep_file.hpp"

namespace metascale {

Resolution SweepFile::runs(const Definition& definition, const Ledger& ledger) const {
  return selected(resolve_with_ledger(definition, ledger), only, skip);
}

void add_sweep_file(CLI::App& verb, SweepFile& options) {
  verb.add_option("file", options.file, "sweep file")->required();
  verb.add_option("--set", options.set, "key=value over the file's")->allow_extra_args(false);
  verb.add_option("--results", options.results, "folder of results");
}

void add_selection(CLI::App& verb, SweepFile& options) {
  verb.add_option("--only", options.only, "patterns of run ids")->allow_extra_args(false);
  verb.add_option("--skip", options.skip, "patterns of run ids")->allow_extra_args(false);
}

}  // namespace metascale
