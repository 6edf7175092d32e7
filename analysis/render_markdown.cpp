#include "analysis/render_markdown.hpp"

#include "analysis/support/text.hpp"
#include "analysis/tables.hpp"

namespace metascale {
namespace {

std::string section(const std::string& title, const Table& table, const std::string& otherwise) {
  return "\n## " + title + "\n\n" +
         (table.rows.empty() ? otherwise + "\n"
                             : markdown_escape(table.caption) + ".\n\n" + to_markdown(table));
}

// What was drawn, each with what it shows.
std::string figures_section(const Report& report) {
  std::string text = report.figures.empty() ? "" : "\n## Figures\n\n";
  for (const FigureCaption& entry : report.figures)
    text += "- [" + markdown_escape(entry.figure) + "](figures/" + entry.figure +
            ".svg): " + markdown_escape(entry.text) + ".\n";
  return text;
}

}  // namespace

std::string render_markdown(const Report& report) {
  std::string text = "# " + markdown_escape(report.collection.sweep) + "\n\nMade " +
                     report.generated + ". Final evaluations: " +
                     markdown_escape(report.protocol.empty() ? "none" : report.protocol) + ".\n";
  if (!report.notes.empty()) text += "\n";
  for (const std::string& note : report.notes) text += "- " + markdown_escape(note) + "\n";
  text += section("Summary", claims_table(report), "No claim was judged.");
  text += section("Comparison", comparison_table(report), "No run is done.");
  if (const Table probes = probes_table(report); !probes.rows.empty())
    text += section("Probes", probes, "") +
            section("Depth that solves a probe", probe_depths_table(report), "None.") +
            section("Probes: arms compared", probe_differences_table(report),
                    "No two arms ran on one task.");
  text += section("Paired differences", pairs_table(report), "No two runs are a matched pair.");
  text += section("Scaling", fits_table(report), "No arm has two sizes that are done.");
  if (const Table joint = joint_fits_table(report); !joint.rows.empty())
    text += section("Two arms under one law", joint, "");
  if (const Table isoflop = isoflop_table(report); !isoflop.rows.empty())
    text += section("IsoFLOP", isoflop, "") +
            section("IsoFLOP profiles", isoflop_budgets_table(report), "No cell is done.");
  text += section("Equivalent gain", gains_table(report), "None.");
  if (const Table context = context_exponents_table(report); !context.rows.empty())
    text += section("Cost against context", context, "");
  text += section("Device-hours", device_hours_table(report), "The folder holds no run.");
  text += section("Not comparable", not_comparable_table(report), "Nothing was refused.");
  text += figures_section(report);
  text += section("Runs", runs_table(report), "The folder holds no run.");
  return text;
}

}  // namespace metascale
