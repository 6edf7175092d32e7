#include "analysis/render_html.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/html/assets.hpp"
#include "analysis/html/parts.hpp"
#include "analysis/render_json.hpp"
#include "analysis/support/text.hpp"
#include "core/build_info.hpp"

namespace metascale {
namespace {

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
  const Totals totals = totals_of(report);
  std::string arms;
  for (std::size_t i = 0; i < report.collection.arms.size(); ++i)
    arms += (i == 0 ? "" : i == 1 ? " against " : ", ") + report.collection.arms[i];
  const auto sizes = report.sizes();
  return "<header class=\"page\"><p class=\"eyebrow\">metascale report</p><h1>" +
         html_escape(report.collection.sweep) + "</h1><p class=\"lead\">" +
         html_escape(headline(report)) + "</p><p class=\"sub\">" + html_escape(arms) +
         (report.protocol.empty() ? "" : ". Evaluated: " + html_escape(report.protocol)) +
         ".</p><dl class=\"facts\">" +
         fact("Runs done", std::to_string(totals.done), "of " + std::to_string(totals.runs)) +
         fact(
             "Sizes", std::to_string(totals.sizes),
             sizes.empty() ? "" : sizes.front() + (sizes.size() > 1 ? " to " + sizes.back() : "")) +
         fact("Matched pairs", std::to_string(totals.pairs),
              std::to_string(totals.refused) + " refused") +
         fact("Compute", scientific(totals.flops), "model FLOPs") +
         fact("Run time", duration_text(totals.hours), "") + "</dl></header>\n";
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
  for (const Section& section : page_sections())
    html += fmt::format("<a href=\"#{}\">{}</a>", section.id, section.label);
  html +=
      "<button type=\"button\" id=\"theme\">Dark</button></div></nav>\n<main>\n"
      "<noscript><p class=\"notes\">The charts need JavaScript; every number is also in the "
      "tables.</p></noscript>\n";
  for (const Section& section : page_sections())
    html += fmt::format(
                "<section id=\"{0}\" aria-labelledby=\"title-{0}\"><h2 id=\"title-{0}\">{1}"
                "</h2>\n",
                section.id, section.title) +
            section.body(report) + "</section>\n";
  const auto program = build_info();
  html +=
      "<p id=\"live\" class=\"sr\" aria-live=\"polite\"></p></main><footer><p>Made " +
      html_escape(report.generated) + " by metascale " + html_escape(program.at("version")) +
      ", commit " + html_escape(program.at("commit")) +
      ". Every number is in tables/*.csv and fits.json beside this page; charts by Chart.js (MIT "
      "licence).</p></footer>\n";
  html +=
      "<script type=\"application/json\" id=\"data\">" + render_page_data(report) + "</script>\n";
  html += "<script>";
  html += chart_script;
  html += "</script>\n<script>\n\"use strict\";\n(() => {\n";
  html += page_script;
  return html + "})();\n</script>\n</body></html>\n";
}

}  // namespace metascale
