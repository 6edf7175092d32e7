#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "analysis/html/parts.hpp"
#include "analysis/support/text.hpp"

namespace metascale {
namespace {

std::vector<std::string> domains_of(const Report& report) {
  std::vector<std::string> names;
  for (const PairReport& pair : report.pairs)
    for (const DomainDifference& entry : pair.domains)
      if (std::find(names.begin(), names.end(), entry.domain) == names.end())
        names.push_back(entry.domain);
  return names;
}

double largest_difference(const Report& report) {
  double largest = 1e-9;
  for (const PairReport& pair : report.pairs)
    for (const DomainDifference& entry : pair.domains)
      largest = std::max(largest, std::abs(entry.result.relative));
  return largest;
}

// Opacity of the largest difference: text on it must still be read.
constexpr double deepest = 0.55;

std::string heat_cell(const PairReport& pair, const std::string& domain, double largest) {
  const auto found =
      std::find_if(pair.domains.begin(), pair.domains.end(),
                   [&](const DomainDifference& entry) { return entry.domain == domain; });
  if (found == pair.domains.end()) return "<td>-</td>";
  const double share = found->result.relative / largest;
  const bool decided = found->result.with_seeds.excludes(0);
  return fmt::format("<td style=\"background:rgba(var({}),{:.3f})\" title=\"{}\">{}{}</td>",
                     share < 0 ? "--heat-better" : "--heat-worse", deepest * std::abs(share),
                     html_escape(fmt::format("{} {}: {:+.4f} nats/token {}", pair.pair->second_arm,
                                             domain, found->result.difference,
                                             interval_text(found->result.with_seeds, 4))),
                     with_sign(100 * found->result.relative, 2), decided ? "*" : "");
}

}  // namespace

std::string domain_heat_map(const Report& report) {
  const std::vector<std::string> domains = domains_of(report);
  if (domains.empty()) return "";
  const double largest = largest_difference(report);
  std::string html =
      "<div class=\"table-scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Differences per "
      "domain\"><table class=\"heat\"><caption>Relative difference in loss per domain, percent; * "
      "where the interval with seeds excludes 0</caption><thead><tr><td></td>";
  for (const std::string& domain : domains)
    html += "<th scope=\"col\">" + html_escape(domain) + "</th>";
  html += "</tr></thead><tbody>\n";
  for (const PairReport& pair : report.pairs) {
    if (!pair.problem.empty()) continue;
    html += "<tr><th scope=\"row\">" +
            html_escape(pair.pair->second_arm + " - " + pair.pair->first_arm + ", " +
                        pair.pair->size + " " + length_words(pair.pair->length)) +
            "</th>";
    for (const std::string& domain : domains) html += heat_cell(pair, domain, largest);
    html += "</tr>\n";
  }
  return html +
         "</tbody></table></div><p class=\"scale\"><span>lower loss</span><i></i><span>higher "
         "loss</span></p>";
}

}  // namespace metascale
