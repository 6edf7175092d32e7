#include "analysis/support/csv.hpp"

#include <algorithm>

#include "core/atomic_file.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

// Splits text into rows of cells; quoted cells may hold commas, quotes (doubled) and line ends.
class Reader {
 public:
  Reader(const std::string& text, const std::string& file) : text_(text), file_(file) {}

  bool next(CsvRow& row) {
    while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r'))
      line_ += text_[at_++] == '\n';
    if (at_ >= text_.size()) return false;
    row = {line_, {}};
    do row.cells.push_back(cell());
    while (at_ < text_.size() && text_[at_] == ',' && ++at_);
    return true;
  }

 private:
  std::string cell() {
    if (at_ < text_.size() && text_[at_] == '"') return quoted_cell();
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '\n' && text_[at_] != '\r')
      ++at_;
    return text_.substr(begin, at_ - begin);
  }

  std::string quoted_cell() {
    const std::size_t begin_line = line_;
    std::string cell;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"' && (at_ + 1 >= text_.size() || text_[at_ + 1] != '"')) {
        ++at_;
        check_end_of_cell();
        return cell;
      }
      if (text_[at_] == '"') ++at_;
      line_ += text_[at_] == '\n';
      cell += text_[at_];
    }
    throw Error(concat(file_, ":", begin_line, ": a quoted cell is never closed"),
                ExitCode::bad_input);
  }

  // Else what follows would be taken for the next row.
  void check_end_of_cell() const {
    if (at_ >= text_.size() || text_[at_] == ',' || text_[at_] == '\n' || text_[at_] == '\r')
      return;
    throw Error(
        concat(file_, ":", line_,
               ": text follows the quote that ends a cell; put a comma or a line end there, "
               "and double a quote within a cell"),
        ExitCode::bad_input);
  }

  const std::string& text_;
  const std::string& file_;
  std::size_t at_ = 0, line_ = 1;
};

}  // namespace

std::size_t Csv::column(const std::string& name) const {
  const auto found = std::find(columns.begin(), columns.end(), name);
  if (std::count(columns.begin(), columns.end(), name) > 1)
    throw Error(concat(file, ": several columns are called '", name, "'; rename all but one"),
                ExitCode::bad_input);
  if (found != columns.end()) return std::size_t(found - columns.begin());
  std::string known;
  for (const std::string& column : columns) known += (known.empty() ? "" : ", ") + column;
  throw Error(concat(file, ": there is no column '", name, "'; there are: ", known),
              ExitCode::usage);
}

Csv parse_csv(const std::string& text, const std::string& file_name) {
  constexpr std::string_view mark = "\xEF\xBB\xBF";  // what some programs put before UTF-8
  const std::string body = text.starts_with(mark) ? text.substr(mark.size()) : text;
  // With one of the marks of its byte orders, or, without, with a zero byte beside each letter.
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF") ||
      text.substr(0, 64).find('\0') != std::string::npos)
    throw Error(concat(file_name, ": the table is in UTF-16; save it as UTF-8"),
                ExitCode::bad_input);
  Csv csv{file_name, {}, {}};
  Reader reader(body, file_name);
  CsvRow row;
  if (!reader.next(row))
    throw Error(concat(file_name, ": the table is empty; its first line must name the columns"),
                ExitCode::bad_input);
  csv.columns = row.cells;
  if (const std::size_t other = csv.columns[0].find_first_of(";\t");
      csv.columns.size() == 1 && other != std::string::npos)
    throw Error(concat(file_name, ": the cells are separated by ",
                       csv.columns[0][other] == ';' ? "semicolons" : "tabs",
                       "; write the table with commas, and numbers with decimal points"),
                ExitCode::bad_input);
  while (reader.next(row)) {
    if (row.cells.size() != csv.columns.size())
      throw Error(concat(file_name, ":", row.line, ": the row has ", row.cells.size(),
                         " cells, the head line ", csv.columns.size()),
                  ExitCode::bad_input);
    csv.rows.push_back(row);
  }
  return csv;
}

Csv read_csv(const std::filesystem::path& path) {
  return parse_csv(read_file(path), path.string());
}

}  // namespace metascale
