// The page's sections, in their order: charts, tables, and what to say where there are none.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "analysis/bands.hpp"
#include "analysis/html/elements.hpp"
#include "analysis/html/parts.hpp"
#include "analysis/support/text.hpp"

namespace metascale {
namespace {

std::vector<std::pair<std::string, std::string>> length_choices(const Report& report, bool last) {
  std::vector<std::pair<std::string, std::string>> choices;
  for (const std::string& length : report.lengths())
    choices.emplace_back(length, length_words(length));
  if (last) std::reverse(choices.begin(), choices.end());
  return choices;
}

const char* tone_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::holds: return "good";
    case Verdict::does_not_hold: return "bad";
    case Verdict::not_decided: return "warn";
    case Verdict::no_data: return "quiet";
  }
  return "";
}

std::string evidence_list(const Claim& claim) {
  if (claim.evidence.empty()) return "";
  std::string html =
      "<p class=\"measure\">" + html_escape(claim.measure) + "</p><dl class=\"evidence\">";
  for (const Evidence& entry : claim.evidence)
    html += "<div><dt>" + html_escape(entry.where) + "</dt><dd>" + html_escape(entry.value) +
            "</dd></div>";
  return html + "</dl>";
}

std::string scored_in(const Report& report) {
  return report.scored.empty() ? "" : " " + html_escape(report.scored) + ".";
}

std::string summary_section(const Report& report) {
  std::string html;
  if (!report.notes.empty()) {
    html += "<ul class=\"notes\">";
    for (const std::string& note : report.notes) html += "<li>" + html_escape(note) + "</li>";
    html += "</ul>\n";
  }
  html += "<ol class=\"claims\">\n";
  for (const Claim& claim : report.claims) {
    html += fmt::format("<li><span class=\"letter\">{}</span><div><p class=\"text\">{}</p>",
                        html_escape(claim.letter), html_escape(claim.text));
    html += evidence_list(claim);
    if (!claim.would_decide.empty())
      html += "<p class=\"would\">Would decide it: " + html_escape(claim.would_decide) + ".</p>";
    html += fmt::format("</div><span class=\"badge {}\">{}</span></li>\n", tone_of(claim.verdict),
                        words_of(claim.verdict));
  }
  return html +
         "</ol>\n<p class=\"sources\">These numbers in full: <a class=\"file\" "
         "href=\"tables/claim_values.csv\">tables/claim_values.csv</a>; those of the page's top: "
         "<a class=\"file\" href=\"tables/totals.csv\">tables/totals.csv</a>.</p>\n";
}

std::string comparison_section(const Report& report) {
  if (report.cells.empty() && !report.probe_cells.empty()) return probes_of(report);
  if (report.cells.empty()) return "<p class=\"empty\">No run is done yet.</p>\n";
  std::string controls;
  if (report.lengths().size() > 1)
    controls = "<div class=\"controls\">" +
               choice("sizes-length", "Length", length_choices(report, true)) + "</div>";
  return "<figure>" + controls +
         chart("chart-sizes",
               "Final loss per size for each arm; the table below holds the numbers") +
         "<figcaption>Final loss of every arm per size; whiskers are one standard deviation over "
         "seeds. The axis does not begin at 0." +
         scored_in(report) + source_of("comparison", "table below") + "</figcaption></figure>\n" +
         probes_of(report) + to_html(comparison_table(report)) +
         folded("All numbers per arm, size and length", to_html(cells_table(report)));
}

std::string curves_section(const Report& report) {
  const bool any = std::any_of(report.collection.runs.begin(), report.collection.runs.end(),
                               [](const Run& run) { return !run.curve.empty(); });
  if (!any) return "<p class=\"empty\">No run has logged a step.</p>\n";
  std::vector<std::pair<std::string, std::string>> kinds{
      {"both", "training and validation"}, {"validation", "validation"}, {"training", "training"}};
  const std::vector<SeedBand> bands = seed_bands(report);
  if (std::any_of(bands.begin(), bands.end(),
                  [](const SeedBand& band) { return band.runs.size() > 1; }))
    kinds.insert(kinds.begin() + (report.collection.runs.size() > 12 ? 0 : 1),
                 {"seeds", "training: mean and range of seeds"});
  return "<figure><div class=\"controls\">" +
         choice("curves-x", "Against",
                {{"tokens", "tokens"}, {"flops", "FLOPs"}, {"step", "steps"}, {"hours", "hours"}}) +
         choice("curves-which", "Show", kinds) + toggle("curves-log-x", "log x", true) +
         toggle("curves-log-y", "log y", false) +
         "<button type=\"button\" id=\"curves-all\">Show all</button>"
         "<button type=\"button\" id=\"curves-none\">Hide all</button></div>" +
         chart("chart-curves", "Loss curves of all runs; tables/curves.csv holds the numbers",
               "tall") +
         "<div class=\"legend\" id=\"legend-curves\" role=\"group\" aria-label=\"Runs "
         "shown\"></div>"
         "<figcaption>Loss of each step's batch as logged (thin) and on validation data (bold). "
         "Colour is the arm, dash the size; a few marks tell lengths apart, where there are "
         "several. "
         "Long curves are thinned; the lowest and highest value "
         "of each stretch are kept. Means and ranges of seeds are those of stretches that grow "
         "with the step. Numbers: <a class=\"file\" href=\"tables/curves.csv\">tables/curves.csv"
         "</a>, <a class=\"file\" href=\"tables/evaluations.csv\">tables/evaluations.csv</a>; "
         "runs: "
         "<a href=\"#table-runs\">table</a>.</figcaption></figure>\n";
}

std::string fit_figures(const Report& report) {
  return "<figure><div class=\"controls\">" +
         choice("fits-x", "Against",
                {{"non_embedding_parameters", "non-embedding parameters"},
                 {"parameters", "all parameters"},
                 {"training_flops", "training FLOPs"}}) +
         (report.lengths().size() > 1
              ? choice("fits-length", "Length", length_choices(report, false))
              : "") +
         toggle("fits-log", "log axes", true) + "</div>" +
         chart("chart-fits",
               "Final loss against size with fitted laws; the tables below hold the numbers") +
         "<figcaption>Final losses with the fitted law and its 95 % bootstrap band. A dashed law "
         "has a problem that the table names. Open marks are predictions of the largest size by a "
         "fit that did not see it." +
         scored_in(report) + source_of("fits", "table below") + "</figcaption>" +
         chart("chart-residuals", "Residuals of the fitted laws in percent of the loss", "low") +
         "<figcaption>What the law leaves: each run's measured loss over the fitted one." +
         source_of("residuals", "table below") + "</figcaption></figure>\n";
}

std::string isoflop_figures(const Report& report) {
  std::vector<std::pair<std::string, std::string>> arms;
  for (const IsoflopReport& entry : report.isoflops)
    if (entry.fit && entry.axis == FitAxis::non_embedding_parameters)
      arms.emplace_back(entry.arm, entry.arm);
  if (arms.empty()) return "";
  return "<figure><div class=\"controls\">" + choice("isoflop-arm", "Arm", arms) +
         choice("isoflop-x", "Against",
                {{"non_embedding_parameters", "non-embedding parameters"},
                 {"parameters", "all parameters"}}) +
         "</div>" +
         chart("chart-isoflop",
               "Final loss against size at equal FLOPs; the tables below hold the numbers") +
         "<figcaption>Cells of one arm that cost equally many FLOPs, and the parabola through the "
         "sizes nearest the lowest loss. A dashed one is refused." +
         scored_in(report) + source_of("isoflop_budgets", "profiles") + "</figcaption>" +
         chart("chart-optima", "Optimal size against FLOPs; the tables below hold the numbers") +
         "<figcaption>The minima of the accepted parabolas with 95 % intervals over the seed "
         "noise, and the line through them. A dashed line has a problem that the table names." +
         source_of("isoflop", "table below") + "</figcaption></figure>\n";
}

std::string isoflop_part(const Report& report) {
  if (report.isoflops.empty()) return "";
  const Table budgets = isoflop_budgets_table(report);
  return isoflop_figures(report) + to_html(isoflop_table(report)) +
         (budgets.rows.empty() ? "" : folded(budgets.caption, to_html(budgets)));
}

std::string scaling_section(const Report& report) {
  const bool any = std::any_of(report.fits.begin(), report.fits.end(),
                               [](const ArmFit& entry) { return entry.length != "all"; });
  const Table joint = joint_fits_table(report), influence = influence_table(report),
              published = published_table(report);
  return (any ? fit_figures(report) : "") +
         table_or(fits_table(report), "No arm has two sizes that are done: nothing to fit.") +
         (joint.rows.empty() ? "" : to_html(joint)) + laws_of(report) + isoflop_part(report) +
         (published.rows.empty() ? "" : folded(published.caption, to_html(published))) +
         (any ? folded("Measured, fitted and held-out losses", to_html(residuals_table(report)))
              : "") +
         (influence.rows.empty() ? "" : folded("Influence of each point", to_html(influence)));
}

std::string pairs_section(const Report& report) {
  const std::string plot = forest_plot(report);
  if (plot.empty()) return "<p class=\"empty\">No two runs are a matched pair.</p>\n";
  return "<figure>" + plot +
         "<figcaption>Both models score the same documents, so their difference is known far "
         "better "
         "than either loss. Thick: 95 % over documents (BCa). Thin: over documents and seeds, the "
         "interval that decides." +
         scored_in(report) + source_of("pairs", "table") + "</figcaption></figure>\n" +
         folded("The same as a table", to_html(pairs_table(report)));
}

std::string domains_section(const Report& report) {
  const std::string map = domain_heat_map(report);
  if (map.empty()) return "<p class=\"empty\">No matched pair has losses per domain.</p>\n";
  return "<figure>" + map + "<figcaption>" + scored_in(report) +
         source_of("domains", "table with intervals") + "</figcaption></figure>\n" +
         folded("The same as a table, with intervals", to_html(domains_table(report)));
}

std::string gains_section(const Report& report) {
  const bool any = std::any_of(report.gains.begin(), report.gains.end(),
                               [](const GainReport& entry) { return entry.gain.problem.empty(); });
  std::string figure;
  if (any)
    figure = "<figure><div class=\"controls\">" +
             choice("gains-x", "In",
                    {{"training_flops", "training FLOPs"},
                     {"non_embedding_parameters", "non-embedding parameters"}}) +
             (report.lengths().size() > 1
                  ? choice("gains-length", "Length", length_choices(report, true))
                  : "") +
             "</div>" +
             chart("chart-gains", "Equivalent gain per size; the table below holds the numbers") +
             "<figcaption>What the baseline needs to reach an arm's loss, over what the arm used: "
             "2 x is half the cost. Only where the baseline's law was fitted." +
             source_of("gains", "table below") + "</figcaption></figure>\n";
  return figure +
         table_or(gains_table(report), "No gain: it needs the baseline's law and another arm.");
}

std::string lineage_section(const Report& report) {
  const Table stages = lineage_stages_table(report);
  std::string figure;
  if (!stages.rows.empty())
    figure = "<figure>" +
             chart("chart-lineage",
                   "Final loss against the FLOPs of the whole lineage; the table below holds the "
                   "numbers") +
             "<figcaption>Final loss of each stage against the model FLOPs of all that made it, "
             "joined by a line; means over seeds, whiskers from the least to the most of them. "
             "Beside it models from scratch of the grown shape: with as much compute as the whole "
             "lineage (large), and as since its last growth (small)." +
             scored_in(report) + source_of("lineage_stages", "table below") +
             "</figcaption></figure>\n" + to_html(stages);
  return figure + table_or(lineage_table(report), "No run of this folder branched off or grew.");
}

std::string context_section(const Report& report) {
  const Table exponents = context_exponents_table(report);
  if (exponents.rows.empty())
    return "<p class=\"empty\">Not measured: context.json of <code>metascale bench context "
           "--json</code> in the results folder is shown here.</p>\n";
  return "<figure><div class=\"controls\">" +
         choice("context-quantity", "Cost",
                {{"training_seconds", "training, seconds per token"},
                 {"training_bytes", "training, bytes per token"},
                 {"generation_seconds", "generation, seconds per token"},
                 {"generation_bytes", "generation, bytes carried"}}) +
         "</div>" +
         chart("chart-context",
               "Cost of a token against context; the tables below hold the "
               "numbers") +
         "<figcaption>Cost of one token against the length of its context, on logarithmic axes: "
         "flat is linear cost of a text and constant memory." +
         source_of("context_costs", "table below") + "</figcaption></figure>\n" +
         to_html(exponents) + to_html(context_costs_table(report));
}

std::string speed_section(const Report& report) {
  if (report.cells.empty() && !report.probe_cells.empty())
    return to_html(speed_table(report)) + to_html(device_hours_table(report));
  if (report.cells.empty()) return "<p class=\"empty\">No run is done yet.</p>\n";
  return "<figure><div class=\"controls\">" +
         (report.lengths().size() > 1
              ? choice("speed-length", "Length", length_choices(report, true))
              : "") +
         toggle("speed-log", "log y", true) + "</div>" +
         chart("chart-speed", "Tokens per second per size; the table below holds the numbers") +
         "<figcaption>Median over steps, mean over seeds. Arms are comparable only on one device "
         "with as many threads." +
         source_of("speed", "table below") + "</figcaption></figure>\n" +
         to_html(speed_table(report)) + to_html(device_hours_table(report));
}

std::string runs_section(const Report& report) {
  return table_or(runs_table(report), "The folder holds no run.");
}

std::string refused_section(const Report& report) {
  return table_or(not_comparable_table(report),
                  "Every pair of runs that the sweep means to compare "
                  "agrees in what it must agree in.");
}

std::string environment_section(const Report& report) {
  std::string html = table_or(environment_table(report), "No run has logged its environment.");
  for (const Run& run : report.collection.runs)
    if (!run.log.configuration.empty()) {
      html += folded("Configuration of " + run.id,
                     "<pre tabindex=\"0\">" + html_escape(run.log.configuration) + "</pre>");
      break;
    }
  return html;
}

std::string method_section(const Report& report) {
  return fmt::format(
      "<p>Final evaluations: {}.</p>"
      "<p>Losses are nats per token; bits per byte divide the summed nats by ln 2 and by the raw "
      "bytes "
      "of the text. FLOPs are model FLOPs by one rule for every architecture. Differences are "
      "paired "
      "by document: each of the bootstrap's draws takes documents with replacement; seeds enter as "
      "Student's t of their own spread, or with one seed as the spread known from other studies or "
      "from this one's own seeds, whichever is larger. "
      "Scaling laws minimise the sum of Huber losses of log residuals from many starts; bands come "
      "from bootstrap replicates over runs. A fit's health names what is wrong with it.</p>",
      html_escape(report.protocol.empty() ? "none" : report.protocol));
}

constexpr Section sections[] = {
    {"summary", "Summary", "Summary", summary_section},
    {"comparison", "Comparison", "Comparison", comparison_section},
    {"curves", "Curves", "Loss curves", curves_section},
    {"scaling", "Scaling", "Scaling", scaling_section},
    {"pairs", "Pairs", "Paired differences", pairs_section},
    {"domains", "Domains", "Domains", domains_section},
    {"gains", "Gain", "Equivalent gain", gains_section},
    {"lineage", "Lineage", "Lineage", lineage_section},
    {"speed", "Cost", "Speed, memory, energy", speed_section},
    {"context", "Context", "Cost against context", context_section},
    {"runs", "Runs", "Runs", runs_section},
    {"not-comparable", "Not comparable", "Not comparable", refused_section},
    {"environment", "Environment", "Environment", environment_section},
    {"method", "Method", "Method", method_section},
};

}  // namespace

std::span<const Section> page_sections() { return sections; }

}  // namespace metascale
