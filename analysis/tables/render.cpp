#include <algorithm>

#include "analysis/support/text.hpp"
#include "analysis/tables.hpp"

namespace metascale {
namespace {

std::string line_below(const TableColumn& column, const TableCell& cell, std::ptrdiff_t columns) {
  if (cell.shown.empty()) return "";
  const std::string tone = cell.tone.empty() ? "" : " tone-" + cell.tone;
  return "<tr class=\"below\"><td class=\"wide" + tone + "\" colspan=\"" + std::to_string(columns) +
         "\"><b>" + html_escape(column.title) + "</b> " + html_escape(cell.shown) + "</td></tr>\n";
}

}  // namespace

TableCell length_cell(const std::string& label) { return {length_words(label), label, ""}; }

std::string to_csv(const Table& table) {
  std::string text;
  for (std::size_t i = 0; i < table.columns.size(); ++i)
    text += (i > 0 ? "," : "") + csv_escape(table.columns[i].key);
  text += '\n';
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i)
      text += (i > 0 ? "," : "") + csv_escape(row[i].exact.empty() ? row[i].shown : row[i].exact);
    text += '\n';
  }
  return text;
}

std::string to_markdown(const Table& table) {
  std::string head = "|", line = "|", body;
  for (const TableColumn& column : table.columns) {
    head += " " + markdown_escape(column.title) + " |";
    line += column.numeric ? "---:|" : "---|";
  }
  for (const auto& row : table.rows) {
    body += '|';
    for (const TableCell& cell : row) body += " " + markdown_escape(cell.shown) + " |";
    body += '\n';
  }
  return head + '\n' + line + '\n' + body;
}

std::string to_latex(const Table& table) {
  const auto in_latex = [](const std::string& cell) {
    std::string text = latex_escape(cell);
    constexpr std::string_view plus_minus = "\xC2\xB1";
    if (const std::size_t at = text.find(plus_minus); at != std::string::npos)
      text.replace(at, plus_minus.size(), "$\\pm$");
    return text;
  };
  std::string text = "% " + table.caption + "\n\\begin{tabular}{";
  for (const TableColumn& column : table.columns) text += column.numeric ? 'r' : 'l';
  text += "}\n\\hline\n";
  for (std::size_t i = 0; i < table.columns.size(); ++i)
    text += (i > 0 ? " & " : "") + latex_escape(table.columns[i].title);
  text += " \\\\\n\\hline\n";
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i)
      text += (i > 0 ? " & " : "") + in_latex(row[i].shown);
    text += " \\\\\n";
  }
  return text + "\\hline\n\\end{tabular}\n";
}

std::string to_html(const Table& table) {
  const auto beside = std::count_if(table.columns.begin(), table.columns.end(),
                                    [](const TableColumn& column) { return !column.below; });
  std::string text = "<div class=\"table-scroll\" tabindex=\"0\" role=\"region\" aria-label=\"" +
                     html_escape(table.caption) + "\"><table><caption>" +
                     html_escape(table.caption) + "</caption><thead><tr>";
  for (const TableColumn& column : table.columns)
    if (!column.below)
      text += std::string("<th scope=\"col\"") + (column.numeric ? " class=\"number\">" : ">") +
              html_escape(column.title) + "</th>";
  text += "</tr></thead><tbody>\n";
  for (const auto& row : table.rows) {
    text += "<tr>";
    std::string lines;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (table.columns[i].below) {
        lines += line_below(table.columns[i], row[i], beside);
        continue;
      }
      std::string classes = table.columns[i].numeric ? "number"
                            : table.columns[i].wide  ? "wide"
                                                     : "";
      if (!row[i].tone.empty()) classes += " tone-" + row[i].tone;
      const std::string tag = i == 0 ? "th scope=\"row\"" : "td";
      text += "<" + tag + (classes.empty() ? "" : " class=\"" + classes + "\"") + ">" +
              html_escape(row[i].shown) + (i == 0 ? "</th>" : "</td>");
    }
    text += "</tr>\n" + lines;
  }
  return text + "</tbody></table></div>\n";
}

}  // namespace metascale
