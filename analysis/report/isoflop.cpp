// IsoFLOP profiles out of a sweep's cells: by the FLOPs that they achieved, whatever their lengths
// are called.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/report/fits.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

double geometric_mean_of_flops(const std::vector<const Cell*>& cells) {
  double sum = 0;
  for (const Cell* cell : cells) sum += std::log(cell->training_flops);
  return std::exp(sum / double(cells.size()));
}

void complete(IsoflopProfile& profile, FitAxis axis) {
  profile.flops = geometric_mean_of_flops(profile.cells);
  profile.spread = profile.cells.back()->training_flops / profile.cells.front()->training_flops - 1;
  std::stable_sort(profile.cells.begin(), profile.cells.end(), [&](const Cell* a, const Cell* b) {
    return value_on(axis, *a) < value_on(axis, *b);
  });
  std::size_t sizes = 0;
  double last = 0;
  for (const Cell* cell : profile.cells)
    sizes += value_on(axis, *cell) > last ? 1 : 0, last = value_on(axis, *cell);
  if (sizes < fewest_sizes)
    profile.no_data = fmt::format("{} {}; a parabola needs {}", sizes,
                                  sizes == 1 ? "size" : "sizes", fewest_sizes);
}

std::vector<IsoflopProfile> profiles_of(const Report& report, const std::string& arm,
                                        FitAxis axis) {
  std::vector<const Cell*> cells;
  for (const Cell& cell : report.cells)
    if (cell.arm == arm && cell.training_flops > 0 && value_on(axis, cell) > 0)
      cells.push_back(&cell);
  std::stable_sort(cells.begin(), cells.end(), [](const Cell* a, const Cell* b) {
    return a->training_flops < b->training_flops;
  });
  std::vector<IsoflopProfile> profiles;
  for (const Cell* cell : cells) {
    // A sweep gives all arms of a cell the same tokens: only the baseline meets a budget but for
    // rounding.
    const bool fresh =
        profiles.empty() ||
        !is_of_budget(cell->training_flops, profiles.back().cells.front()->training_flops);
    if (fresh) profiles.emplace_back();
    profiles.back().cells.push_back(cell);
  }
  for (IsoflopProfile& profile : profiles) complete(profile, axis);
  return profiles;
}

// One point per run of the profiles that have data.
std::vector<IsoflopPoint> points_of(const IsoflopReport& entry) {
  std::vector<IsoflopPoint> points;
  for (const IsoflopProfile& profile : entry.profiles) {
    if (!profile.no_data.empty()) continue;
    for (const Cell* cell : profile.cells)
      for (const Run* run : cell->runs)
        points.push_back({profile.flops, value_on(entry.axis, *cell), run->final_loss()});
  }
  return points;
}

std::string why_no_data(const IsoflopReport& entry) {
  std::size_t cells = 0;
  for (const IsoflopProfile& profile : entry.profiles) cells += profile.cells.size();
  if (cells == 0)
    return fmt::format("no done run on a text has logged its FLOPs and {}", words_of(entry.axis));
  return fmt::format(
      "no budget of FLOPs has {} sizes that are done (cells of size and length: {}; budgets: {})",
      fewest_sizes, cells, entry.profiles.size());
}

}  // namespace

void add_isoflops(Report& report, const ReportOptions& options) {
  for (const std::string& arm : report.collection.arms)
    for (const FitAxis axis : {FitAxis::non_embedding_parameters, FitAxis::parameters}) {
      IsoflopReport entry{arm, axis, profiles_of(report, arm, axis), {}, {}};
      const std::vector<IsoflopPoint> points = points_of(entry);
      try {
        if (points.empty())
          entry.no_data = why_no_data(entry);
        else
          entry.fit = fit_isoflop(points, {.fit = options_for(report, arm, options)});
      } catch (const Error& error) {
        entry.no_data = error.what();
      }
      report.isoflops.push_back(std::move(entry));
    }
}

}  // namespace metascale
