// A report on a sweep: everything that the page, the tables and the figures say, computed once.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "analysis/claims.hpp"
#include "analysis/collect.hpp"
#include "analysis/fit.hpp"
#include "analysis/gain.hpp"
#include "analysis/isoflop.hpp"
#include "analysis/joint_fit.hpp"
#include "analysis/match.hpp"
#include "analysis/paired.hpp"
#include "analysis/share.hpp"

namespace metascale {

struct ReportOptions {
  std::filesystem::path output;   // empty: <results folder>/report
  int bootstrap_pairs = 10000;    // draws per paired difference
  int bootstrap_fits = 2000;      // draws per fit
  int fit_starts = 0;             // of a law's grid; 0: all of them
  std::uint64_t seed = 20250411;  // of all draws
  double confidence = 0.95;
  int threads = 1;
  bool isoflop = false;     // fits of cells that cost equally many FLOPs; no data is said too
  bool figures = true;      // by gnuplot; left out with a note where it is not installed
  int refresh_seconds = 0;  // the page reloads itself; 0: never
  std::function<void(const std::string& stage)> progress;  // may be empty
};

// One arm at one size and length: the mean over its seeds that are done.
struct Cell {
  std::string arm, size, length;
  std::vector<const Run*> runs;
  double parameters = 0, non_embedding_parameters = 0;
  double flops_per_token = 0;             // of the model
  double executed_flops_per_token = 0;    // of the operators that ran; NaN: not logged
  double tokens = 0, training_flops = 0;  // achieved
  double loss = 0;                        // nats per token, mean over seeds
  double loss_deviation = 0;              // over seeds; NaN with one seed
  double bits_per_byte = 0;
  double tokens_per_second = 0;
  double hours = 0;  // mean wall time
};

struct DomainDifference {
  std::string domain;
  PairedResult result;
};

struct PairReport {
  const MatchedPair* pair = nullptr;
  const Cell* first = nullptr;  // may hold more seeds than the pair
  const Cell* second = nullptr;
  PairedResult result;
  std::vector<DomainDifference> domains;
  std::string problem;  // why there is no result; empty: there is one
};

enum class FitAxis { non_embedding_parameters, parameters, training_flops, tokens };
const char* name_of(FitAxis axis);   // as in the logs' facts
const char* words_of(FitAxis axis);  // for people
double value_on(FitAxis axis, const Cell& cell);

struct ArmFit {
  // length "all": over all lengths, with N and D, or in tokens alone at one size
  std::string arm, length;
  FitAxis axis = FitAxis::non_embedding_parameters;
  Fit fit;
  std::optional<Fit> held_out;  // fitted without what it has to predict, by the law that the
                                // points left allow (law_for):
  std::string held_out_what = "largest size";
  std::string size;  // of a fit in tokens; empty: all sizes
};

// The cells of one arm that cost equally many FLOPs.
struct IsoflopProfile {
  double flops = 0;                // geometric mean of what they achieved
  double spread = 0;               // the largest of them over the smallest, less 1
  std::vector<const Cell*> cells;  // ascending by N
  std::string no_data;             // why no parabola was tried; empty: one was
};

struct IsoflopReport {
  std::string arm;
  FitAxis axis = FitAxis::non_embedding_parameters;  // what N is
  std::vector<IsoflopProfile> profiles;              // ascending by flops
  std::optional<IsoflopFit> fit;  // its budgets: the profiles with data, in order
  std::string no_data;            // why there is no fit; empty: there is one
};

struct GainReport {
  std::string arm, size, length;
  FitAxis axis = FitAxis::training_flops;
  EquivalentGain gain;
};

struct FigureCaption {
  std::string figure;  // the name of its files
  std::string text;    // without a full stop
};

struct Report {
  Report() = default;
  Report(Report&&) = default;
  Report(const Report&) = delete;  // its parts point into its collection

  Collection collection;
  Matching matching;
  std::vector<Cell> cells;        // of runs on texts
  std::vector<Cell> probe_cells;  // of runs on probes, whose losses are compared with none
  std::vector<PairReport> pairs;
  std::vector<ArmFit> fits;
  std::vector<JointReport> joint_fits;
  std::vector<IsoflopReport> isoflops;  // none where they were not asked for
  std::vector<GainReport> gains;
  std::vector<Claim> claims;
  // Of answers on probes: what is drawn for one table, the page and the figures use too.
  std::unique_ptr<ShareIntervals> shares = std::make_unique<ShareIntervals>();
  std::vector<std::string>
      notes;             // what a reader must know: subsets, single seeds, what is missing
  std::string protocol;  // how the final evaluations were made, with which tokenizer
  // The same for captions, with the losses' unit: "Losses are nats per token, evaluated on test,
  // packed windows of 512, tokenizer bytes v1", and "mixed" for what not all runs agree in; empty:
  // no run on a text is done.
  std::string scored;
  std::string tokenizer;  // of the curves, likewise: "tokenizer bytes v1"; empty: there is none
  std::vector<FigureCaption> figures;  // of those that were drawn
  std::string generated;               // UTC, ISO 8601
  double confidence = 0.95;
  // Relative, of one run; assumed where a pair has one seed: known_seed_deviation, or what this
  // report's cells with several seeds show, whichever is larger.
  double seed_deviation = known_seed_deviation;
  int refresh_seconds = 0;

  const Cell* cell(const std::string& arm, const std::string& size,
                   const std::string& length) const;
  std::vector<std::string> lengths() const;
  // Labels of the sizes that have a run on a text with a log, ascending by parameters.
  std::vector<std::string> sizes() const;
};

// The ids of the runs, with spaces between.
std::string run_list(const std::vector<const Run*>& runs);

// What stands at the page's top. A trunk counts once, not with each of its branches.
struct Totals {
  std::int64_t runs = 0, done = 0, sizes = 0, pairs = 0, refused = 0;
  double flops = 0, hours = 0;
};
Totals totals_of(const Report& report);

Report analyse(Collection collection, const ReportOptions& options);

struct ReportResult {
  std::filesystem::path page;  // report.html
  std::int64_t done = 0, failed = 0, unfinished = 0, unreadable = 0;
  std::int64_t not_comparable = 0;  // pairs
  std::int64_t left_out = 0;        // runs that are compared with none
  // Why the first of them is; empty: there is none.
  std::string first_failure, first_unreadable, first_difference, first_left_out;
  std::vector<Claim> claims;
  std::vector<std::string> notes;
  bool holds_no_run = false;  // of any state
};

// Writes report.html, report.md, tables/*.csv, fits.json and figures/ into options.output. Runs
// that cannot be read or compared are in the report, not errors. Throws Error{bad_input} if the
// folder does not exist, Error{io} if the report cannot be written.
ReportResult write_report(const std::filesystem::path& results, const ReportOptions& options = {});
ReportResult write_report(Collection collection, const ReportOptions& options);

}  // namespace metascale
