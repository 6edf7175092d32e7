#include "analysis/render_html.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/html/assets.hpp"
#include "analysis/html/parts.hpp"
#include "analysis/published.hpp"
#include "analysis/render_json.hpp"
#include "analysis/support/text.hpp"
#include "analysis/tables.hpp"
#include "core/build_info.hpp"

namespace metascale {
namespace {

struct Section {
  const char* id;
  const char* title;
  std::string (*body)(const Report& report);
};

std::string table_or(const Table& table, const std::string& otherwise) {
  return table.rows.empty() ? "<p class=\"empty\">" + html_escape(otherwise) + "</p>\n"
                            : to_html(table);
}

std::string folded(const std::string& summary, const std::string& body) {
  return "<details><summary>" + html_escape(summary) + "</summary>" + body + "</details>\n";
}

std::string chart(const char* id, const std::string& label, const char* size = "") {
  return fmt::format(
      "<div class=\"plot {}\"><canvas id=\"{}\" role=\"img\" aria-label=\"{}\">{}"
      "</canvas></div>",
      size, id, html_escape(label), html_escape(label));
}

std::string choice(const char* id, const char* label,
                   const std::vector<std::pair<std::string, std::string>>& options) {
  std::string html = fmt::format("<label>{} <select id=\"{}\">", label, id);
  for (const auto& [value, words] : options)
    html += "<option value=\"" + html_escape(value) + "\">" + html_escape(words) + "</option>";
  return html + "</select></label>";
}

std::string toggle(const char* id, const char* label, bool on) {
  return fmt::format("<label><input type=\"checkbox\" id=\"{}\"{}> {}</label>", id,
                     on ? " checked" : "", label);
}

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
  return html + "</ol>\n";
}

std::string comparison_section(const Report& report) {
  if (report.cells.empty()) return "<p class=\"empty\">No run is done yet.</p>\n";
  std::string controls;
  if (report.lengths().size() > 1)
    controls = "<div class=\"controls\">" +
               choice("sizes-length", "Length", length_choices(report, true)) + "</div>";
  return "<figure>" + controls +
         chart("chart-sizes",
               "Final loss per size for each arm; the table below holds the numbers") +
         "<figcaption>Final loss of every arm per size; whiskers are one standard deviation over "
         "seeds. The axis does not begin at 0.</figcaption></figure>\n" +
         to_html(comparison_table(report)) +
         folded("All numbers per arm, size and length", to_html(cells_table(report)));
}

std::string curves_section(const Report& report) {
  const bool any = std::any_of(report.collection.runs.begin(), report.collection.runs.end(),
                               [](const Run& run) { return !run.curve.empty(); });
  if (!any) return "<p class=\"empty\">No run has logged a step.</p>\n";
  return "<figure><div class=\"controls\">" +
         choice("curves-x", "Against",
                {{"tokens", "tokens"}, {"flops", "FLOPs"}, {"step", "steps"}, {"hours", "hours"}}) +
         choice("curves-which", "Show",
                {{"both", "training and validation"},
                 {"validation", "validation"},
                 {"training", "training"}}) +
         toggle("curves-log-x", "log x", true) + toggle("curves-log-y", "log y", false) +
         "<button type=\"button\" id=\"curves-all\">Show all</button>"
         "<button type=\"button\" id=\"curves-none\">Hide all</button></div>" +
         chart("chart-curves", "Loss curves of all runs; tables/curves.csv holds the numbers",
               "tall") +
         "<div class=\"legend\" id=\"legend-curves\" role=\"group\" aria-label=\"Runs "
         "shown\"></div>"
         "<figcaption>Loss of each step's batch as logged (thin) and on validation data (bold). "
         "Colour is the arm, dash the size. Long curves are thinned; the lowest and highest value "
         "of each stretch are kept.</figcaption></figure>\n";
}

std::string published_table(const Report& report) {
  Table table{"published",
              "Published losses with the tokenizer, data and split of these runs",
              {{"model", "Model", false},
               {"parameters", "Parameters"},
               {"loss", "Loss, nats/token"},
               {"source", "Source", false, true}},
              {}};
  for (const PublishedResult& entry : comparable_results(report))
    table.rows.push_back(
        {{entry.model}, {short_count(entry.parameters)}, {fixed(entry.loss, 4)}, {entry.source}});
  return table.rows.empty() ? "" : folded(table.caption, to_html(table));
}

std::string scaling_section(const Report& report) {
  const bool any = std::any_of(report.fits.begin(), report.fits.end(),
                               [](const ArmFit& entry) { return entry.length != "all"; });
  std::string html;
  if (any) {
    html =
        "<figure><div class=\"controls\">" +
        choice("fits-x", "Against",
               {{"non_embedding_parameters", "non-embedding parameters"},
                {"parameters", "all parameters"},
                {"training_flops", "training FLOPs"}}) +
        (report.lengths().size() > 1
             ? choice("fits-length", "Length", length_choices(report, false))
             : "") +
        toggle("fits-log", "log axes", true) + "</div>" +
        chart("chart-fits",
              "Final loss against size with fitted laws; the tables below hold the "
              "numbers") +
        "<figcaption>Final losses with the fitted law and its 95 % bootstrap band. A dashed law "
        "has a problem that the table names. Open marks are predictions of the largest size by a "
        "fit that did not see it.</figcaption></figure>\n";
  }
  return html +
         table_or(fits_table(report), "No arm has two sizes that are done: nothing to fit.") +
         published_table(report) +
         (any ? folded("Measured, fitted and held-out losses", to_html(residuals_table(report)))
              : "");
}

std::string pairs_section(const Report& report) {
  const std::string plot = forest_plot(report);
  if (plot.empty()) return "<p class=\"empty\">No two runs are a matched pair.</p>\n";
  return "<figure>" + plot +
         "<figcaption>Both models score the same documents, so their difference is known far "
         "better "
         "than either loss. Thick: 95 % over documents (BCa). Thin: over documents and seeds, the "
         "interval that decides.</figcaption></figure>\n" +
         folded("The same as a table", to_html(pairs_table(report)));
}

std::string domains_section(const Report& report) {
  const std::string map = domain_heat_map(report);
  if (map.empty()) return "<p class=\"empty\">No matched pair has losses per domain.</p>\n";
  return "<figure>" + map + "</figure>\n" +
         folded("The same as a table, with intervals", to_html(domains_table(report)));
}

std::string gains_section(const Report& report) {
  return table_or(gains_table(report), "No gain: it needs the baseline's law and another arm.");
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
      "Student's t of their own spread, or with one seed as the spread known from other studies. "
      "Scaling laws minimise the sum of Huber losses of log residuals from many starts; bands come "
      "from bootstrap replicates over runs. A fit's health names what is wrong with it.</p>",
      html_escape(report.protocol.empty() ? "none" : report.protocol));
}

constexpr Section sections[] = {
    {"summary", "Summary", summary_section},
    {"comparison", "Comparison", comparison_section},
    {"curves", "Loss curves", curves_section},
    {"scaling", "Scaling", scaling_section},
    {"pairs", "Paired differences", pairs_section},
    {"domains", "Domains", domains_section},
    {"gains", "Equivalent gain", gains_section},
    {"runs", "Runs", runs_section},
    {"not-comparable", "Not comparable", refused_section},
    {"environment", "Environment", environment_section},
    {"method", "Method", method_section},
};

std::string fact(const std::string& name, const std::string& value, const std::string& small) {
  return "<div><dt>" + html_escape(name) + "</dt><dd>" + html_escape(value) + " <small>" +
         html_escape(small) + "</small></dd></div>";
}

// The difference of the last arm to the baseline at the largest size, in one sentence.
std::string headline(const Report& report) {
  const PairReport* largest = nullptr;
  for (const PairReport& pair : report.pairs)
    if (pair.problem.empty() && pair.pair->first_arm == report.collection.baseline() &&
        (largest == nullptr || pair.pair->second_arm != largest->pair->second_arm ||
         pair.first->parameters >= largest->first->parameters))
      largest = &pair;
  if (largest == nullptr) return "";
  const PairedResult& result = largest->result;
  const Interval interval{100 * result.with_seeds.low / result.first_loss,
                          100 * result.with_seeds.high / result.first_loss};
  return fmt::format("{}t {} ({}), the loss of {} differs from that of {} by {:+.2f} % {}{}.",
                     covers_all(report) ? "A" : "On a fixed subset, which claims nothing: a",
                     largest->pair->size, length_words(largest->pair->length),
                     largest->pair->second_arm, largest->pair->first_arm, 100 * result.relative,
                     interval_text(interval, 2),
                     interval.excludes(0) ? "" : ", an interval that contains 0");
}

std::string head_of(const Report& report) {
  const auto& runs = report.collection.runs;
  const auto done = std::count_if(runs.begin(), runs.end(),
                                  [](const Run& run) { return run.state == RunState::done; });
  std::string arms;
  for (std::size_t i = 0; i < report.collection.arms.size(); ++i)
    arms += (i == 0 ? "" : i == 1 ? " against " : ", ") + report.collection.arms[i];
  double hours = 0, flops = 0;
  for (const Run& run : runs) {  // what a branch shares with its trunk is the trunk's
    const double own = run.hours - run.inherited.hours;
    hours += std::isfinite(own) ? own : 0, flops += run.flops - run.inherited.flops;
  }
  const auto sizes = report.sizes();
  return "<header class=\"page\"><p class=\"eyebrow\">metascale report</p><h1>" +
         html_escape(report.collection.sweep) + "</h1><p class=\"lead\">" +
         html_escape(headline(report)) + "</p><p class=\"sub\">" + html_escape(arms) +
         (report.protocol.empty() ? "" : ". Evaluated: " + html_escape(report.protocol)) +
         ".</p><dl class=\"facts\">" +
         fact("Runs done", std::to_string(done), "of " + std::to_string(runs.size())) +
         fact(
             "Sizes", std::to_string(sizes.size()),
             sizes.empty() ? "" : sizes.front() + (sizes.size() > 1 ? " to " + sizes.back() : "")) +
         fact("Matched pairs", std::to_string(report.pairs.size()),
              std::to_string(report.matching.refused.size()) + " refused") +
         fact("Compute", scientific(flops), "model FLOPs") +
         fact("Run time", duration_text(hours), "") + "</dl></header>\n";
}

}  // namespace

std::string render_html(const Report& report) {
  std::string html =
      "<!doctype html>\n<html lang=\"en\" data-theme=\"light\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
      "<link rel=\"icon\" href=\"data:,\"><title>" +
      html_escape(report.collection.sweep) + " - metascale report</title>";
  if (report.refresh_seconds > 0)
    html += fmt::format("<meta http-equiv=\"refresh\" content=\"{}\">", report.refresh_seconds);
  html += "<style>\n";
  html += page_style;
  html += "</style></head><body><a class=\"skip\" href=\"#summary\">Skip to the summary</a>\n" +
          head_of(report) + "<nav class=\"contents\" aria-label=\"Sections\"><div>";
  for (const Section& section : sections)
    html += fmt::format("<a href=\"#{}\">{}</a>", section.id, section.title);
  html +=
      "<button type=\"button\" id=\"theme\">Dark</button></div></nav>\n<main>\n"
      "<noscript><p class=\"notes\">The charts need JavaScript; every number is also in the "
      "tables.</p></noscript>\n";
  for (const Section& section : sections)
    html += fmt::format(
                "<section id=\"{0}\" aria-labelledby=\"title-{0}\"><h2 id=\"title-{0}\">{1}"
                "</h2>\n",
                section.id, section.title) +
            section.body(report) + "</section>\n";
  const auto program = build_info();
  html +=
      "</main><footer><p>Made " + html_escape(report.generated) + " by metascale " +
      html_escape(program.at("version")) + ", commit " + html_escape(program.at("commit")) +
      ". Every number is in tables/*.csv and fits.json beside this page; charts by Chart.js (MIT "
      "licence).</p></footer>\n";
  html +=
      "<script type=\"application/json\" id=\"data\">" + render_page_data(report) + "</script>\n";
  html += "<script>";
  html += chart_script;
  html += "</script>\n<script>";
  html += page_script;
  return html + "</script>\n</body></html>\n";
}

}  // namespace metascale
