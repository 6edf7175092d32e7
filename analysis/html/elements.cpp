// What the page's sections are built of.
#include "analysis/html/elements.hpp"

#include <fmt/format.h>

#include "analysis/support/text.hpp"

namespace metascale {

std::string table_or(const Table& table, const std::string& otherwise) {
  return table.rows.empty() ? "<p class=\"empty\">" + html_escape(otherwise) + "</p>\n"
                            : to_html(table);
}

std::string folded(const std::string& summary, const std::string& body) {
  return "<details><summary>" + html_escape(summary) + "</summary>" + body + "</details>\n";
}

std::string chart(const char* id, const std::string& label, const char* size) {
  return fmt::format(
      "<div class=\"plot {}\"><canvas id=\"{}\" role=\"img\" aria-label=\"{}\">{}"
      "</canvas></div>",
      size, id, html_escape(label), html_escape(label));
}

std::string source_of(const char* table, const char* words) {
  return fmt::format(
      " Numbers: <a href=\"#table-{0}\">{1}</a>, <a class=\"file\" "
      "href=\"tables/{0}.csv\">tables/{0}.csv</a>.",
      table, words);
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

}  // namespace metascale
