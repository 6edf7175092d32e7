#include "analysis/report/fits.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "analysis/fitting/health.hpp"
#include "analysis/match.hpp"
#include "analysis/support/text.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

double value_on(FitAxis axis, const Run& run) {
  if (axis == FitAxis::training_flops) return run.flops;
  if (axis == FitAxis::tokens) return double(run.tokens);
  return run.number(name_of(axis)).value_or(std::numeric_limits<double>::quiet_NaN());
}

// Which runs a law is fitted to: those of an arm, of one length and one size where these are named.
struct Chosen {
  std::string arm, length, size;  // empty: all lengths, all sizes
  FitAxis axis = FitAxis::non_embedding_parameters;
  bool with_tokens = false;  // points in N and D

  bool takes(const Cell& cell) const {
    return cell.arm == arm && (length.empty() || cell.length == length) &&
           (size.empty() || cell.size == size);
  }
  bool takes(const Run& run) const { return with_tokens ? !is_grown(run) : !has_own_tokens(run); }
};

// One point per run that is done.
std::vector<FitPoint> points_of(const Report& report, const Chosen& chosen) {
  std::vector<FitPoint> points;
  for (const Cell& cell : report.cells) {
    if (!chosen.takes(cell)) continue;
    for (const Run* run : cell.runs) {
      if (!chosen.takes(*run)) continue;
      FitPoint point{
          run->id, cell.size + " " + cell.length, {value_on(chosen.axis, *run)}, run->final_loss()};
      if (chosen.with_tokens) point.x.push_back(double(run->tokens));
      if (std::all_of(point.x.begin(), point.x.end(),
                      [](double x) { return std::isfinite(x) && x > 0; }))
        points.push_back(std::move(point));
    }
  }
  return points;
}

std::vector<FitPoint> points_in_both(const Report& report, const std::string& arm) {
  return points_of(report,
                   {.arm = arm, .axis = FitAxis::non_embedding_parameters, .with_tokens = true});
}

// Of the grid's 4,500, for the seven coefficients of two arms, whose searches cost more.
constexpr int joint_starts = 500;

std::size_t distinct(const std::vector<FitPoint>& points, std::size_t variable) {
  std::set<double> values;
  for (const FitPoint& point : points) values.insert(point.x[variable]);
  return values.size();
}

// The same points with those of the largest x[variable] to be predicted.
std::vector<FitPoint> holding_out_largest(std::vector<FitPoint> points, std::size_t variable) {
  double largest = 0;
  for (const FitPoint& point : points) largest = std::max(largest, point.x[variable]);
  for (FitPoint& point : points) point.held_out = point.x[variable] == largest;
  return points;
}

// Those of the longest length to be predicted: a cell is "<size> <length>".
std::vector<FitPoint> holding_out_longest(const Report& report, std::vector<FitPoint> points) {
  const std::string longest = report.lengths().back();
  for (FitPoint& point : points) {
    const std::size_t space = point.cell.rfind(' ');
    point.held_out = point.cell.substr(space + 1) == longest;
  }
  return points;
}

// A fit that has to predict what it did not see: only its predictions' intervals are shown.
FitOptions options_held_out(FitOptions options) {
  options.draws = (options.draws + 3) / 4;
  options.influence = false;
  return options;
}

void note_failure(Report& report, const std::string& arm, const std::string& where, FitAxis axis,
                  const Error& error) {
  report.notes.push_back(
      concat("No fit of ", arm, " (", where, ") in ", words_of(axis), ": ", error.what()));
}

// One variable: N or C at one length, or D at one size, where two values are no law yet.
void add_fit(Report& report, const Chosen& chosen, const ReportOptions& options) {
  const std::vector<FitPoint> points = points_of(report, chosen);
  const bool over_tokens = chosen.axis == FitAxis::tokens;
  if (points.empty() || distinct(points, 0) < (over_tokens ? 3 : 2)) return;
  const FitOptions fit_options = options_for(report, chosen.arm, options);
  const auto fit = [](const std::vector<FitPoint>& some, FitOptions own) {
    const LawKind kind = law_for(some);
    own.objective = default_objective(kind);
    return fit_law(kind, some, own);
  };
  try {
    ArmFit entry{chosen.arm,  over_tokens ? "all" : chosen.length,
                 chosen.axis, fit(points, fit_options),
                 {},          over_tokens ? "longest length" : "largest size",
                 chosen.size};
    if (distinct(points, 0) >= 4)
      entry.held_out = fit(holding_out_largest(points, 0), options_held_out(fit_options));
    report.fits.push_back(std::move(entry));
  } catch (const Error& error) {
    note_failure(report, chosen.arm, over_tokens ? chosen.size : chosen.length, chosen.axis, error);
  }
}

// All lengths, in N and D: the chinchilla law, and the over-training law with one exponent, which
// is fitted at the shorter lengths and has to predict the longest.
void add_fits_over_lengths(Report& report, const std::string& arm, const ReportOptions& options) {
  constexpr FitAxis axis = FitAxis::non_embedding_parameters;
  const std::size_t lengths = report.lengths().size();
  if (lengths < 2) return;
  const std::vector<FitPoint> points = points_in_both(report, arm);
  const FitOptions fit_options = options_for(report, arm, options);
  if (points.size() < 6 || distinct(points, 0) < 2 || distinct(points, 1) < 2) return;
  try {
    ArmFit chinchilla{arm, "all", axis, fit_law(LawKind::chinchilla, points, fit_options), {}};
    if (distinct(points, 0) >= 4)
      chinchilla.held_out = fit_law(LawKind::chinchilla, holding_out_largest(points, 0),
                                    options_held_out(fit_options));
    report.fits.push_back(std::move(chinchilla));
    if (lengths < 3) return;
    ArmFit tied{arm, "all", axis, fit_law(LawKind::tied, points, fit_options), {}};
    tied.held_out =
        fit_law(LawKind::tied, holding_out_longest(report, points), options_held_out(fit_options));
    tied.held_out_what = "longest length";
    report.fits.push_back(std::move(tied));
  } catch (const Error& error) {
    note_failure(report, arm, "all", axis, error);
  }
}

void note_own_tokens(Report& report) {
  std::size_t grown = 0, partners = 0;
  for (const Cell& cell : report.cells)
    for (const Run* run : cell.runs)
      if (is_grown(*run))
        ++grown;
      else if (has_own_tokens(*run))
        ++partners;
  if (grown + partners == 0) return;
  report.notes.push_back(concat(
      "Laws in one variable leave out ", grown, " grown runs and ", partners,
      " from scratch beside them, whose tokens follow from the growth and not from their length; "
      "laws in N and D leave out the grown ones, which have no one N."));
}

// Why the gain must not be quoted, where a law that it rests on is bad; empty: both may be used.
std::string why_not_quoted(const ArmFit& base, const ArmFit& own) {
  std::string text;
  for (const ArmFit* entry : {&base, &own})
    if (const auto grave = grave_problems(entry->fit); !grave.empty())
      text += concat(text.empty() ? "" : "; ", "the law of ", entry->arm, " is bad (",
                     joined(grave), ")");
  return text;
}

}  // namespace

FitOptions options_for(const Report& report, const std::string& arm, const ReportOptions& options) {
  const auto& arms = report.collection.arms;
  const auto arm_number = std::uint64_t(std::find(arms.begin(), arms.end(), arm) - arms.begin());
  FitOptions fit{.draws = options.bootstrap_fits,
                 .seed = options.seed + arm_number,  // arms' noise is independent
                 .confidence = options.confidence,
                 .threads = options.threads,
                 .seed_deviation = report.seed_deviation,
                 .starts = options.fit_starts};
  if (options.progress)
    fit.progress = [&options, arm](int done, int of) {
      if (done % 100 == 0) options.progress(concat("fits of ", arm, ": draw ", done, " of ", of));
    };
  return fit;
}

const ArmFit* find_fit(const Report& report, const std::string& arm, const std::string& length,
                       FitAxis axis) {
  for (const ArmFit& entry : report.fits)
    if (entry.arm == arm && entry.length == length && entry.axis == axis) return &entry;
  return nullptr;
}

void add_fits(Report& report, const ReportOptions& options) {
  note_own_tokens(report);
  for (const std::string& arm : report.collection.arms) {
    for (const std::string& length : report.lengths())
      for (const FitAxis axis :
           {FitAxis::non_embedding_parameters, FitAxis::parameters, FitAxis::training_flops})
        add_fit(report, {.arm = arm, .length = length, .axis = axis}, options);
    for (const std::string& size : report.sizes())
      add_fit(report, {.arm = arm, .size = size, .axis = FitAxis::tokens}, options);
    add_fits_over_lengths(report, arm, options);
  }
  for (const ArmFit& entry : report.fits)
    if (!entry.fit.no_influence.empty())
      report.notes.push_back(concat("Fit of ", entry.arm, " (", entry.length, ") in ",
                                    words_of(entry.axis), ": ", entry.fit.no_influence, "."));
}

void add_joint_fits(Report& report, const ReportOptions& options) {
  const std::string baseline = report.collection.baseline();
  if (report.lengths().size() < 2) return;
  const std::vector<FitPoint> first = points_in_both(report, baseline);
  for (const std::string& arm : report.collection.arms) {
    if (arm == baseline) continue;
    const std::vector<FitPoint> second = points_in_both(report, arm);
    if (first.size() < 6 || second.size() < 6 || distinct(first, 0) < 2) continue;
    FitOptions fit_options = options_for(report, arm, options);
    if (fit_options.starts == 0) fit_options.starts = joint_starts;
    try {
      report.joint_fits.push_back({baseline, arm, fit_jointly(first, second, fit_options)});
    } catch (const Error& error) {
      report.notes.push_back(
          concat("No joint fit of ", baseline, " and ", arm, ": ", error.what()));
    }
  }
}

void add_gains(Report& report, const ReportOptions& options) {
  for (const FitAxis axis : {FitAxis::training_flops, FitAxis::non_embedding_parameters})
    for (const Cell& cell : report.cells) {
      if (cell.arm == report.collection.baseline()) continue;
      const ArmFit* base = find_fit(report, report.collection.baseline(), cell.length, axis);
      const ArmFit* own = find_fit(report, cell.arm, cell.length, axis);
      if (base == nullptr || own == nullptr) continue;
      GainReport entry{cell.arm, cell.size, cell.length, axis,
                       equivalent_gain(base->fit, own->fit, value_on(axis, cell), cell.loss,
                                       options.confidence)};
      if (const std::string bad = why_not_quoted(*base, *own); !bad.empty())
        entry.gain.problem += (entry.gain.problem.empty() ? "" : "; ") + bad;
      report.gains.push_back(std::move(entry));
    }
}

}  // namespace metascale
