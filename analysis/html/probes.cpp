// The part of the page on tasks with known answers.
#include "analysis/html/elements.hpp"
#include "analysis/html/parts.hpp"
#include "analysis/probe_curves.hpp"
#include "analysis/tables.hpp"

namespace metascale {
namespace {

// What may be drawn against what is known only when a task is chosen: the script fills two lists.
std::string figure_of(const std::vector<ProbeCurves>& curves) {
  std::vector<std::pair<std::string, std::string>> tasks;
  for (const ProbeCurves& one : curves)
    if (tasks.empty() || tasks.back().first != one.task) tasks.emplace_back(one.task, one.task);
  return "<figure><div class=\"controls\">" + choice("probes-task", "Task", tasks) +
         choice("probes-x", "Against", {}) + choice("probes-held", "Of", {}) + "</div>" +
         chart("chart-probes",
               "Right answers on the chosen task; the tables below hold the numbers") +
         "<p id=\"probes-depths\"></p>"
         "<figcaption>Right answers, mean over seeds, with 95 % intervals over seeds and examples "
         "(one seed has none). Dashed: a guess of any answer alike, above which one that knows the "
         "answers' shares may be. Against pairs, numbers kept and layers: at the "
         "length trained at. Least layers: an open mark, at the most that were tried, where none "
         "solved the length. Numbers kept are those of the WKV states, or of an attention's keys "
         "and values at that length." +
         source_of("probes", "table below") + source_of("probe_depths", "least layers") +
         source_of("probe_distances", "by distance") + "</figcaption></figure>\n";
}

}  // namespace

std::string probes_of(const Report& report) {
  const Table table = probes_table(report), distances = probe_distances_table(report);
  if (table.rows.empty()) return "";
  return figure_of(probe_curves(report)) + to_html(probe_depths_table(report)) + to_html(table) +
         folded("Right answers by distance to the evidence", to_html(distances)) +
         to_html(probe_differences_table(report));
}

}  // namespace metascale
