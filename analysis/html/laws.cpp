// The part of the page on laws in N and D.
#include "analysis/html/elements.hpp"
#include "analysis/html/parts.hpp"
#include "analysis/law_curves.hpp"
#include "analysis/support/text.hpp"

namespace metascale {

std::string laws_of(const Report& report) {
  std::vector<std::pair<std::string, std::string>> laws;
  for (const LawCurves& law : law_curves(report)) laws.emplace_back(law.key, law.title);
  if (laws.empty()) return "";
  const Table cells = law_cells_table(report);
  return "<figure><div class=\"controls\">" + choice("laws-law", "Law", laws) + "</div>" +
         chart("chart-laws",
               "Final loss against tokens with the fitted laws in parameters and tokens; the table "
               "below holds the numbers",
               "tall") +
         "<div class=\"legend\" id=\"legend-laws\" role=\"group\" aria-label=\"Arms and sizes "
         "shown\"></div><p id=\"laws-words\"></p>"
         "<figcaption>Measured cells, means over seeds with one standard deviation, and the loss "
         "that the law gives each size against its tokens, of an arm's own law with its 95 % "
         "bootstrap band. Colour is the arm, dash the size. " +
         html_escape(report.scored) + "." + source_of("law_cells", "table below") +
         "</figcaption></figure>\n" + folded(cells.caption, to_html(cells));
}

}  // namespace metascale
