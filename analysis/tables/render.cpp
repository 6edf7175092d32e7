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

std::string html_cell(const TableColumn& column, const TableCell& cell, bool is_head) {
  std::string classes = column.numeric ? "number" : column.wide ? "wide" : "";
  if (!cell.tone.empty()) classes += " tone-" + cell.tone;
  const std::string tag = is_head ? "th scope=\"row\"" : "td";
  std::string text = html_escape(cell.shown);
  if (!cell.link.empty()) text = "<a href=\"#" + html_escape(cell.link) + "\">" + text + "</a>";
  return "<" + tag + (classes.empty() ? "" : " class=\"" + classes + "\"") + ">" + text +
         (is_head ? "</th>" : "</td>");
}

// Rows can be led to: those of runs by the run, others by their number in the CSV file. What is in
// the file only is shown when the row is pointed at.
std::string html_row(const Table& table, std::size_t number, std::ptrdiff_t beside) {
  const auto& row = table.rows[number];
  std::string cells, lines, source;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const TableColumn& column = table.columns[i];
    if (column.files_only)
      source += (source.empty() ? "" : "; ") + column.title + ": " + row[i].shown;
    else if (column.below)
      lines += line_below(column, row[i], beside);
    else
      cells += html_cell(column, row[i], i == 0);
  }
  const std::string id =
      table.key == "runs" ? run_anchor(row[0].shown) : table.key + "-" + std::to_string(number + 1);
  return "<tr id=\"" + id + "\"" +
         (source.empty() ? "" : " title=\"" + html_escape(source) + "\"") + ">" + cells +
         "</tr>\n" + lines;
}

}  // namespace

TableCell length_cell(const std::string& label) { return {length_words(label), label, "", ""}; }
TableCell length_cell(const ArmFit& entry) {
  if (entry.size.empty()) return length_cell(entry.length);
  return {entry.length + ", " + entry.size, entry.length + " " + entry.size, "", ""};
}

std::string run_anchor(const std::string& run) { return "run-" + slug(run); }
TableCell run_cell(const std::string& run) { return {run, "", "", run_anchor(run)}; }

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
    if (column.files_only) continue;
    head += " " + markdown_escape(column.title) + " |";
    line += column.numeric ? "---:|" : "---|";
  }
  for (const auto& row : table.rows) {
    body += '|';
    for (std::size_t i = 0; i < row.size(); ++i)
      if (!table.columns[i].files_only) body += " " + markdown_escape(row[i].shown) + " |";
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
  std::vector<std::size_t> shown;
  for (std::size_t i = 0; i < table.columns.size(); ++i)
    if (!table.columns[i].files_only) shown.push_back(i);
  const auto line = [&](const auto& text_of) {
    std::string text;
    for (const std::size_t i : shown) text += (i == shown.front() ? "" : " & ") + text_of(i);
    return text + " \\\\\n";
  };
  std::string text = "% " + latex_escape(table.caption) + "\n\\begin{tabular}{";
  for (const std::size_t i : shown) text += table.columns[i].numeric ? 'r' : 'l';
  text += "}\n\\hline\n";
  text += line([&](std::size_t i) { return latex_escape(table.columns[i].title); });
  text += "\\hline\n";
  for (const auto& row : table.rows)
    text += line([&](std::size_t i) { return in_latex(row[i].shown); });
  return text + "\\hline\n\\end{tabular}\n";
}

std::string to_html(const Table& table) {
  const auto beside =
      std::count_if(table.columns.begin(), table.columns.end(),
                    [](const TableColumn& column) { return !column.below && !column.files_only; });
  std::string text = "<div class=\"table-scroll\" tabindex=\"0\" role=\"region\" aria-label=\"" +
                     html_escape(table.caption) + "\"><table id=\"table-" + table.key +
                     "\"><caption>" + html_escape(table.caption) +
                     ". <a class=\"file\" href=\"tables/" + table.key + ".csv\">tables/" +
                     table.key + ".csv</a></caption><thead><tr>";
  for (const TableColumn& column : table.columns)
    if (!column.below && !column.files_only)
      text += std::string("<th scope=\"col\"") + (column.numeric ? " class=\"number\">" : ">") +
              html_escape(column.title) + "</th>";
  text += "</tr></thead><tbody>\n";
  for (std::size_t i = 0; i < table.rows.size(); ++i) text += html_row(table, i, beside);
  return text + "</tbody></table></div>\n";
}

}  // namespace metascale
