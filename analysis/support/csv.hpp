// Comma-separated values with a head line [RFC 4180]; line ends may be CRLF.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace metascale {

struct CsvRow {
  std::size_t line = 0;  // in the file, from 1
  std::vector<std::string> cells;
};

struct Csv {
  std::string file;
  std::vector<std::string> columns;
  std::vector<CsvRow> rows;

  // Throws Error{usage} naming the columns that there are.
  std::size_t column(const std::string& name) const;
};

// Throws Error{bad_input} with file:line for a row of another width, a quote that is never closed,
// or text behind a closed one.
Csv read_csv(const std::filesystem::path& path);
Csv parse_csv(const std::string& text, const std::string& file_name);

}  // namespace metascale
